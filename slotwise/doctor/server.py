"""The server's own settings: what it may do to jobs that are entrusted to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from slotwise.doctor.report import Finding, shown

LEAST_VERSION: Final = (7, 0)  # of Redis; every Valkey is newer
CONFIG: Final = ("maxmemory-policy", "maxmemory", "appendonly", "save", "appendfsync", "min-replicas-to-write")
UNSYNCED: Final = {"everysec": "the last second or two", "no": "up to half a minute"}


class Settings:
    """What INFO and CONFIG tell, as far as they are allowed. `notes`: what is not known for lack of them."""

    def __init__(self, redis: Redis) -> None:
        self.notes: list[str] = []
        self.info = self._asked("INFO", redis.info)
        self.config = self._asked("CONFIG", *(partial(redis.config_get, name) for name in CONFIG))

    def _asked(self, command: str, *questions: Callable[[], Any]) -> dict[str, Any]:
        try:
            return {name: value for ask in questions for name, value in ask().items()}
        except ResponseError as error:
            text = shown(str(error))
            self.notes.append(f"{command} is forbidden ({text}): not every setting of the server is known")
            return {}

    @property
    def name(self) -> str:
        """The server with its version."""
        if "valkey_version" in self.info:
            return f"Valkey {self.info['valkey_version']}"
        return f"Redis {self.info.get('redis_version', 'of an unknown version')}"

    def findings(self) -> Iterator[Finding]:
        version = re.match(r"(\d+)\.(\d+)", str(self.info.get("redis_version", "")))
        if version and (int(version[1]), int(version[2])) < LEAST_VERSION and "valkey_version" not in self.info:
            yield Finding("old-server", 1, detail=self.name)
        policy = self.config.get("maxmemory-policy", self.info.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction":
            yield Finding("evicts", 1, detail=f"maxmemory-policy {policy}, maxmemory {self._memory()}")
        if not self._aof():
            yield Finding("no-aof", 1, detail=f"appendonly no, {self._snapshots()}")

    def advice(self) -> Iterator[str]:
        """What this server may lose of what it has accepted, with settings that many choose knowingly."""
        sync = str(self.config.get("appendfsync", ""))
        if self._aof() and sync in UNSYNCED:
            yield (
                f"appendfsync {sync}: a power cut takes {UNSYNCED[sync]} of what was accepted; "
                "with always it takes nothing"
            )
        replicas = int(self.info.get("connected_slaves", 0))
        if replicas and self.config.get("min-replicas-to-write") == "0":
            yield (
                f"{replicas} replicas, and min-replicas-to-write 0: a primary that is cut off goes on accepting "
                "jobs, which are gone when a replica has taken its place"
            )

    def _aof(self) -> bool:
        return self.config.get("appendonly", self.info.get("aof_enabled", "yes")) not in ("no", 0)

    def _memory(self) -> str:
        memory = int(self.config.get("maxmemory", self.info.get("maxmemory", 0)))
        return f"{memory} bytes" if memory else "0 (no limit as yet)"

    def _snapshots(self) -> str:
        if "save" not in self.config:
            return "whether it takes snapshots is not known"
        return f'save "{self.config["save"]}"' if self.config["save"] else "and no snapshots either"
