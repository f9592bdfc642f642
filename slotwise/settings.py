"""The settings, read once from the environment and `.env`, validated, and passed in from there.

No other module of the service reads the environment.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from slotwise.endpoint import Endpoint
from slotwise.errors import SlotwiseError, exit_with
from slotwise.limits import (
    LEAST_MEMORY_MB,
    LEAST_OPEN_FILES,
    MOST_CPU_SECONDS,
    MOST_MEMORY_MB,
    MOST_OPEN_FILES,
    Limits,
)
from slotwise.networks import Allowed

# settings that a job's process has no business to know
SECRETS = frozenset({"REDIS_URL", "WEBHOOK_SECRET", "SLOTWISE_KEY"})
HIDDEN = frozenset({"WEBHOOK_SECRET"})  # settings that no message repeats
MOST_SECRETS = 2
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANY_HOST = "*"
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
SERVICE_URL = "http://127.0.0.1:8000"


class Settings(BaseSettings):
    """Every setting with its unit and default; `slotwise settings` prints this list."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="forbid", frozen=True, case_sensitive=False
    )

    max_concurrent_jobs: int = Field(
        10, ge=0, le=100_000, description="the configured cap: jobs that run at once over the whole fleet"
    )
    redis_url: str | None = Field(
        None,
        description="redis://, rediss://, unix://, redis+sentinel:// URL of the server; unset: the embedded one",
    )
    host: str = Field("127.0.0.1", description="address that the front end listens on")
    port: int = Field(8000, ge=0, le=65_535, description="port that the front end listens on; 0: any free one")
    allow_unauthenticated: bool = Field(False, description="serve beyond loopback although no API key was made")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="names beside localhost that it is called by while there are no API keys, without a port, "
        "comma-separated; * is any",
    )
    metrics_public: bool = Field(False, description="answer GET /metrics without an API key where there are some")
    health_public: bool = Field(True, description="the same for GET /healthz and GET /readyz")
    data_dir: Path = Field(Path(".slotwise"), description="the embedded server's data")
    algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="modules with algorithms, comma-separated, beside the entry points slotwise.algorithms",
    )
    worker_slots: int | None = Field(
        None, ge=1, le=100_000, description="this worker's own limit; unset: it follows the live cap"
    )
    job_timeout: float = Field(300, gt=0, le=31_536_000, description="seconds a job may run")
    max_timeout: float | None = Field(
        None, gt=0, le=31_536_000, description="seconds a job may run at most, whatever it or its algorithm says"
    )
    max_memory_mb: int | None = Field(
        None, ge=LEAST_MEMORY_MB, le=MOST_MEMORY_MB, description="the same for memory_mb of a job's process"
    )
    max_cpu_seconds: float | None = Field(
        None, gt=0, le=MOST_CPU_SECONDS, description="the same for cpu_seconds of a job's process"
    )
    max_open_files: int | None = Field(
        None, ge=LEAST_OPEN_FILES, le=MOST_OPEN_FILES, description="the same for open_files of a job's process"
    )
    max_file_mb: int | None = Field(
        None, ge=1, le=MOST_MEMORY_MB, description="the same for file_mb of a job's process"
    )
    max_processes: int = Field(
        1024,
        ge=1,
        le=1 << 22,
        description="processes and threads of a job, where cgroup v2 is delegated to workers",
    )
    max_attempts: int = Field(1, ge=1, le=100, description="attempts of a job whose algorithm declares retries")
    keep_results: float = Field(86_400, ge=1, le=31_536_000, description="seconds a finished job is kept")
    max_pending_jobs: int = Field(100_000, ge=1, description="jobs that may wait before submits are refused")
    lease_seconds: float = Field(
        10, ge=0.5, le=3_600, description="seconds without a sign of life after which a worker's jobs move on"
    )
    drain_seconds: float = Field(
        30, ge=0, le=86_400, description="seconds that a worker told to stop gives its running jobs"
    )
    cancel_grace_seconds: float = Field(
        2, ge=0, le=3_600, description="seconds that a job asked to end has before SIGTERM; 0: it is not asked"
    )
    kill_grace_seconds: float = Field(
        1, ge=0, le=3_600, description="seconds between SIGTERM and SIGKILL; 0: there is no SIGTERM"
    )
    priority_head_start: float = Field(
        60, ge=0, le=86_400, description="seconds of head start in the queue for each level of priority"
    )
    max_body_bytes: int = Field(262_144, ge=1_024, description="bytes that a request's body may have")
    http_header_seconds: float = Field(
        10, gt=0, le=3_600, description="seconds in which a request's headers have to come, all of them"
    )
    http_body_seconds: float = Field(
        30, gt=0, le=86_400, description="seconds in which a request's body has to come, all of it"
    )
    http_unread_seconds: float = Field(
        30, gt=0, le=86_400, description="seconds for which a client may leave unread what it was sent"
    )
    http_keep_alive_seconds: int = Field(
        5, ge=1, le=3_600, description="seconds that a connection is kept after an answer, for the next request"
    )
    http_connections: int = Field(4_096, ge=1, le=1_000_000, description="connections to a front end at once")
    http_connections_per_address: int = Field(
        1_024, ge=1, le=1_000_000, description="the same of one client's address (of IPv6, its /64)"
    )
    max_result_bytes: int = Field(1_048_576, ge=1_024, description="bytes that a job's result may have as JSON")
    max_log_bytes: int = Field(
        65_536, ge=0, le=1_048_576, description="bytes of a job's output that are kept, the newest; 0: none"
    )
    webhook_secret: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="whsec_…, which signs webhooks; while it is changed two, comma-separated; unset: unsigned"
    )
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="hosts and networks that webhooks may reach beside public addresses, each maybe with a port, "
        "comma-separated",
    )
    check_by_host: bool = Field(
        False, description="`arq --check` asks after a worker of this host, as a container's or pod's check must"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level logged")

    @field_validator("algorithms", "allowed_hosts", "webhook_secret", "webhook_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(each.lower() for each in value)
        for each in hosts:
            if each != ANY_HOST and not _HOST.fullmatch(each):
                raise ValueError(f"{each!r} is no host's name or address; it has no port and no brackets")
        return hosts

    @field_validator("redis_url")
    @classmethod
    def _an_endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            Endpoint.of(value)
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(value) > MOST_SECRETS:
            raise ValueError("must be one secret, or two while it is changed")
        for secret in value:
            check_secret(secret.get_secret_value())
        return value

    @field_validator("webhook_allow")
    @classmethod
    def _allows(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Allowed.of(value)
        return value

    @property
    def webhooks_allowed(self) -> Allowed:
        """Where webhooks may be sent beside public addresses."""
        return Allowed.of(self.webhook_allow)

    @property
    def most(self) -> Limits:
        """What no job's process may pass."""
        return Limits(self.max_memory_mb, self.max_cpu_seconds, self.max_open_files, self.max_file_mb)

    def capped(self, timeout: float) -> float:
        """A timeout as far as the service allows it, in seconds."""
        return timeout if self.max_timeout is None else min(timeout, self.max_timeout)

    def told(self, name: str) -> bool:
        """Whether somebody set `name`, rather than left it at its default."""
        return name in self.model_fields_set

    @property
    def open_without_keys(self) -> bool:
        """Whether everybody who reaches the front end may do everything, for as long as no API key was made."""
        return self.host in LOOPBACK or self.allow_unauthenticated

    def no_keys(self) -> SlotwiseError:
        """Why the front end does not start without API keys."""
        return SlotwiseError(
            "invalid-settings",
            f"HOST={self.host} lets anybody on the network run jobs: there is no API key. Make one with `slotwise "
            "keys create NAME --scope admin`, keep HOST=127.0.0.1, or say ALLOW_UNAUTHENTICATED=1 if something in "
            "front guards it.",
        )


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """What a job's process may know of the environment: a setting's name counts in any case."""
    return {name: value for name, value in environ.items() if name.upper() not in SECRETS}


def access(url: str | None = None, key: str | None = None) -> tuple[str, str | None]:
    """Where a client finds the service, and its API key: as given, else SLOTWISE_URL and SLOTWISE_KEY."""
    return url or told_url() or SERVICE_URL, key or os.environ.get("SLOTWISE_KEY") or None


def told_url() -> str | None:
    """Where the environment says that the service is."""
    return os.environ.get("SLOTWISE_URL") or None


def exports_spans() -> bool:
    """Whether OpenTelemetry's own variables say where spans go, and none of them that there are to be none."""
    told = {name: value.strip() for name, value in os.environ.items() if name.startswith("OTEL_")}
    if told.get("OTEL_SDK_DISABLED", "").lower() == "true" or told.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(told.get("OTEL_EXPORTER_OTLP_ENDPOINT") or told.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def wants_no_colour() -> bool:
    """The convention of NO_COLOR: set to anything, it means that people want plain text."""
    return bool(os.environ.get("NO_COLOR"))


def check_secret(secret: str) -> None:
    """Raises: ValueError for what is no secret of Standard Webhooks; it does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError(
            "must be whsec_ and the base64 of 24 to 64 random bytes, as `openssl rand -base64 32` makes it"
        )


def load() -> Settings:
    """Read and check the settings. Raises: SlotwiseError `invalid-settings`, with every fault in one line."""
    try:
        return Settings()
    except ValidationError as error:
        raise SlotwiseError("invalid-settings", "; ".join(_faults(error))) from None


def load_or_exit() -> Settings:
    """`load`, for a program's start: a fault is one line on standard error and exit status 2."""
    try:
        return load()
    except SlotwiseError as error:
        exit_with(error)


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"])).upper()
        if fault["type"] == "extra_forbidden":
            yield f"{name} in .env is not a setting (see `slotwise settings`)"
        elif name.partition(".")[0] in HIDDEN:
            yield f"{name}: {fault['msg'].removeprefix('Value error, ')}"
        else:
            told = "…" if name in SECRETS else repr(fault["input"])
            yield f"{name}={told}: {fault['msg'].removeprefix('Value error, ')}"
