"""monitoring/: valid, raised by what it should be raised by, and made of figures that there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from tests.fleet import ROOT
from tests.service.conftest import catalogue, client, connect, settings, worker
from tests.service.stand_in import StandInWorker

__all__ = ["catalogue", "client", "connect", "settings", "worker"]

FOLDER = ROOT / "monitoring"
ALERTS = FOLDER / "alerts.yml"
DASHBOARD = FOLDER / "grafana" / "slotwise.json"
DOCS = ROOT / "docs" / "observing.md"
OF_PROMETHEUS = {"up"}
METRIC = re.compile(r"\b(?:jobs?|idle|stale|webhook|workers|store)_[a-z_]+|\bup\b")


@pytest.fixture(scope="module")
def promtool() -> str:
    """In CI a missing one is a failure."""
    found = shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))
    if found is None:
        why = "no promtool (in Debian's package prometheus)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return str(found)


def checked(*command: str, given: str = "") -> None:
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=FOLDER)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def alert_queries() -> list[str]:
    return re.findall(r"expr: (?:\|\n)?((?:.|\n)+?)(?=\n        (?:for|labels):)", ALERTS.read_text())


def panel_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def doc_queries() -> list[str]:
    [block] = re.findall(r"^```promql\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line and not line.startswith("#")]


def metrics_in(queries: list[str]) -> Iterator[str]:
    for query in queries:
        yield from METRIC.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", query))


def test_the_alerts_are_raised_by_what_they_should_be(promtool: str) -> None:
    checked(promtool, "check", "config", "prometheus.yml")
    checked(promtool, "test", "rules", "alerts_test.yml")
    named = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    assert len(named) >= 6
    assert named == set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts_test.yml").read_text()))


def test_the_queries_of_the_dashboard_and_the_docs_are_promql(promtool: str, tmp_path: Path) -> None:
    queries = [*panel_queries(), *doc_queries()]
    assert len(queries) > 20
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))  # JSON is YAML
    checked(promtool, "check", "rules", str(file))


def test_grafana_finds_the_dashboard_and_the_dashboard_its_source() -> None:
    """As far as can be told without a Grafana."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    shown = mounts[f"./{DASHBOARD.relative_to(ROOT)}"]
    assert shown == services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder = DASHBOARD.parent / "provisioning"
    assert mounts[f"./{folder.relative_to(ROOT)}"] == "/etc/grafana/provisioning"
    [provider] = yaml.safe_load((folder / "dashboards" / "slotwise.yml").read_text())["providers"]
    assert provider["options"]["path"] == str(Path(shown).parent)
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in covered(panel["gridPos"])]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24, "no panel lies on another one"


def covered(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        yield from ((x, y) for y in range(place["y"], place["y"] + place["h"]))


async def test_every_figure_that_is_asked_for_is_told(
    client: AsyncClient, worker: StandInWorker, promtool: str
) -> None:
    await client.post("/jobs", json={"algorithm": "Rest"})
    [grant] = await worker.claim()
    await worker.finish(grant)
    text = (await client.get("/metrics")).text
    checked(promtool, "check", "metrics", given=text)
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    told = {*families, *(f"{name}_total" for name, kind in families.items() if kind == "counter")}
    told |= {
        f"{name}_{part}" for name, kind in families.items() if kind == "histogram" for part in ("bucket", "count")
    }
    asked = set(metrics_in([*alert_queries(), *panel_queries(), *doc_queries()]))
    assert len(asked) > 15
    assert asked <= told | OF_PROMETHEUS
