"""The settings: every fault is one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slotwise.errors import SlotwiseError
from slotwise.settings import SECRETS, Settings, load, without_secrets


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment that sets nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fault() -> str:
    with pytest.raises(SlotwiseError) as raised:
        load()
    assert raised.value.code == "invalid-settings"
    assert "\n" not in raised.value.message
    return raised.value.message


def test_defaults_are_the_documented_ones() -> None:
    settings = load()
    assert (settings.max_concurrent_jobs, settings.host, settings.port) == (10, "127.0.0.1", 8000)
    assert settings.redis_url is None
    assert settings.data_dir == Path(".slotwise")
    assert not settings.told("max_concurrent_jobs")


def test_the_environment_wins_over_the_file(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / ".env").write_text("MAX_CONCURRENT_JOBS=20\nPORT=8001\n")
    monkeypatch.setenv("PORT", "8002")
    settings = load()
    assert (settings.max_concurrent_jobs, settings.port) == (20, 8002)
    assert settings.told("max_concurrent_jobs")


def test_empty_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("PORT", "")
    assert load().redis_url is None
    assert not load().told("port")


def test_algorithms_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGORITHMS", " mine , yours.too ,")
    assert load().algorithms == ("mine", "yours.too")


def test_an_unknown_name_in_the_file_is_named(nowhere: Path) -> None:
    (nowhere / ".env").write_text("MAX_CONCURENT_JOBS=20\n")
    assert fault() == "MAX_CONCURENT_JOBS in .env is not a setting (see `slotwise settings`)"


LISTS = {"WEBHOOK_ALLOW", "ALLOWED_HOSTS"}  # shown as what they were split into


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CONCURRENT_JOBS", "many"),
        ("MAX_CONCURRENT_JOBS", "-1"),
        ("PORT", "65536"),
        ("REDIS_URL", "localhost:6379"),
        ("JOB_TIMEOUT", "nan"),
        ("JOB_TIMEOUT", "0"),
        ("LEASE_SECONDS", "0.1"),
        ("WORKER_SLOTS", "0"),
        ("LOG_LEVEL", "loud"),
        ("ALLOW_UNAUTHENTICATED", "perhaps"),
        ("WEBHOOK_ALLOW", "10.0.0.1/8"),
        ("ALLOWED_HOSTS", "jobs.test:8000"),
    ],
)
def test_a_malformed_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    shown = "…" if name in SECRETS else repr(value)
    assert fault().startswith(f"{name}=" if name in LISTS else f"{name}={shown}: ")


def test_all_faults_are_in_the_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    message = fault()
    assert "PORT=" in message
    assert "LOG_LEVEL=" in message


def test_everybody_is_served_only_on_purpose() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert Settings(host=host).open_without_keys
    assert not Settings(host="0.0.0.0").open_without_keys
    assert Settings(host="0.0.0.0", allow_unauthenticated=True).open_without_keys


SECRET = "whsec_" + "a" * 32


def test_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (SECRET[6:], SECRET + "?", "whsec_" + "b" * 8, ",".join([SECRET] * 3)):
        monkeypatch.setenv("WEBHOOK_SECRET", wrong)
        message = fault()
        assert message.startswith("WEBHOOK_SECRET: must be ")
        assert wrong not in message and SECRET[6:] not in message
    monkeypatch.setenv("WEBHOOK_SECRET", f"{SECRET}, whsec_{'b' * 44}")
    settings = load()
    assert [len(secret.get_secret_value()) for secret in settings.webhook_secret] == [38, 50]
    assert SECRET not in repr(settings)
    assert "WEBHOOK_SECRET" not in without_secrets({"WEBHOOK_SECRET": SECRET, "webhook_secret": SECRET})
