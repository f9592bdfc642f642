"""What is deployed from is well-formed: by the tools that read it, or their schemas."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.metrics import Told
from slotwise.settings import Settings
from tests.fleet import ROOT

BIN = Path(sys.executable).parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
SYSTEMD = ROOT / "deploy" / "systemd"
COMPOSE = {
    "as it stands": ("-f", "compose.yaml"),
    "with all profiles": ("-f", "compose.yaml", "--profile", "*"),
    "with Redis": ("-f", "compose.yaml", "-f", "deploy/compose.redis.yaml"),
    "with Sentinel": ("-f", "compose.yaml", "-f", "deploy/sentinel/compose.yaml", "--profile", "proxy"),
}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def manifests() -> list[Any]:
    return [each for file in sorted(KUBERNETES.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())]


def test_dockerfile() -> None:
    run(BIN / "hadolint", "--failure-threshold", "style", "Dockerfile")


@pytest.mark.parametrize("files", COMPOSE.values(), ids=COMPOSE)
def test_compose(files: tuple[str, ...]) -> None:
    told = yaml.safe_load(run(BIN / "docker-compose", *files, "config"))
    services = told["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name
        if service["image"] == "slotwise":
            assert service["read_only"], name
            assert set(map(str.lower, service["environment"])) <= set(Settings.model_fields), name
    grace = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > float(services["worker"]["environment"]["DRAIN_SECONDS"])
    configs = [told["configs"][each["source"]] for each in services["valkey"].get("configs", ())]
    said = " ".join([*services["valkey"]["command"], *(Path(each["file"]).read_text() for each in configs)])
    for setting in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert setting in said.replace("--", "")
    fronts = {name for name in services if name.startswith("front-end")}
    assert fronts <= set(services["front-end"]["environment"]["ALLOWED_HOSTS"].split(","))


@pytest.mark.slow
def test_kubernetes() -> None:
    seen = set()
    for each in manifests():
        seen.add(each["kind"])
        if each["kind"] != "ScaledObject":
            kubernetes_validate.validate(each, "1.37", strict=True)
    assert {"Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy", "ScaledObject"} <= seen


def test_kubernetes_pods_agree_with_the_service() -> None:
    told = {(each["kind"], each["metadata"]["name"]): each for each in manifests()}
    names = set(told["ConfigMap", "slotwise"]["data"])
    worker = told["Deployment", "slotwise-worker"]["spec"]["template"]["spec"]
    front = told["Deployment", "slotwise-front-end"]["spec"]["template"]["spec"]
    for pod in (worker, front):
        names |= {each["name"] for each in pod["containers"][0]["env"]}
    assert set(map(str.lower, names)) <= set(Settings.model_fields)
    drain = float(told["ConfigMap", "slotwise"]["data"]["DRAIN_SECONDS"])
    assert worker["terminationGracePeriodSeconds"] > drain
    scaler = told["ScaledObject", "slotwise-worker"]["spec"]
    trigger = scaler["triggers"][0]["metadata"]
    assert trigger["threshold"] == told["ConfigMap", "slotwise"]["data"]["WORKER_SLOTS"]
    assert scaler["scaleTargetRef"]["name"] == "slotwise-worker"
    asked = set(re.findall(r"\bjobs_\w+", trigger["query"]))
    source = Path(sys.modules[Told.__module__].__file__ or "").read_text()
    assert {name for name in asked if f'"{name}"' not in source} == set()


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    told = (ROOT / "docs" / "operations.md").read_text()
    source = (ROOT / "service" / "metrics.py").read_text()
    asked = set(re.findall(r"\(((?:jobs|job|workers|store|idle)_[a-z_]+?)(?:_total|_bucket)?[\[{)]", told))
    assert len(asked) >= 7
    assert {name for name in asked if f'"{name}"' not in source} == set()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the generated models
def test_the_scaler_is_one_that_keda_takes() -> None:
    """Its models take what they do not know, and leave it out: what they give back must be all of it."""
    from cloudcoil.models.keda.v1alpha1 import ScaledObject

    told = yaml.safe_load((KUBERNETES / "scaler.yaml").read_text())
    read = ScaledObject.model_validate(told)
    assert read.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True) == told


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_systemd(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("needs systemd-analyze (Debian: apt-get install systemd)")
    for file in SYSTEMD.iterdir():
        unit = file.read_text().replace("/opt/slotwise/bin", str(BIN))  # it looks whether the programs are there
        (tmp_path / file.name).write_text(unit)
    workers = [str(tmp_path / name) for name in ("slotwise-front-end.service", "slotwise-worker@1.service")]
    command = [verify, "verify", "--man=no", *workers, str(tmp_path / "slotwise.target")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    # of other units of this machine it speaks too
    assert [line for line in done.stderr.splitlines() if "slotwise" in line] == [], done
    assert done.returncode == 0, done
    worker = (SYSTEMD / "slotwise-worker@.service").read_text()
    assert "Delegate=memory pids" in worker and "KillMode=mixed" in worker
