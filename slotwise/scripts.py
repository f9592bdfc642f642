"""The Lua scripts: loaded once, their headers checked, called by hash.

A script is a move, or a read of many things at one instant. Its file opens with a header that names it and
documents KEYS, ARGV and what it returns. What several do within their one step stands in `lua/parts/`, and is put
in where one says `-- part: name`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any, Final

import redis as redis_sync
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

_PART: Final = re.compile(r"^-- part: (\w+)$", re.MULTILINE)  # what moves have in common, put in at that line

Arg = str | bytes | int | float
HEADER: Final = ("-- {name}: ", "-- KEYS ", "-- ARGV ", "-- returns ")


def _read(name: str) -> str:
    return (resources.files("slotwise") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Script:
    """One Lua file, callable on an asyncio or a blocking client."""

    name: str

    @cached_property
    def source(self) -> str:
        source = _read(self.name)
        for line in HEADER:
            if line.format(name=self.name) not in source:
                raise AssertionError(f"{self.name}.lua: its header lacks {line.format(name=self.name)!r}")
        return _PART.sub(lambda match: _read(f"parts/{match[1]}"), source)

    @cached_property
    def sha(self) -> str:
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], args: Sequence[Arg]) -> tuple[Arg, ...]:
        """The command that runs the script, for a pipeline."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)

    async def run(self, client: Redis, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run it. Raises: redis.RedisError."""
        try:
            return await client.execute_command(*self.call(keys, args))
        except NoScriptError:
            return await client.execute_command("EVAL", self.source, len(keys), *keys, *args)

    async def load(self, client: Redis) -> None:
        """Make the server know it, so that a pipeline may call it by hash."""
        await client.execute_command("SCRIPT LOAD", self.source)

    def run_blocking(self, client: redis_sync.Redis, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run it from a thread. Raises: redis.RedisError."""
        try:
            return client.execute_command(*self.call(keys, args))
        except NoScriptError:
            return client.execute_command("EVAL", self.source, len(keys), *keys, *args)


SUBMIT: Final = Script("submit")
CLAIM: Final = Script("claim")
FINISH: Final = Script("finish")
CANCEL: Final = Script("cancel")
RETRY: Final = Script("retry")
ERASE: Final = Script("erase")
SAY: Final = Script("say")
ENLIST: Final = Script("enlist")
RENEW: Final = Script("renew")
REAP: Final = Script("reap")
EXPIRE: Final = Script("expire")
SWEEP: Final = Script("sweep")
COLLECT: Final = Script("collect")
SETTLE: Final = Script("settle")
REDELIVER: Final = Script("redeliver")
EXPLAIN: Final = Script("explain")
READ: Final = Script("read")
LIST: Final = Script("list")
CONFIGURE: Final = Script("configure")
PUBLISH: Final = Script("publish")
RESIZE: Final = Script("resize")
REVERT: Final = Script("revert")
DRAIN: Final = Script("drain")
SLOTS: Final = Script("slots")
SNAPSHOT: Final = Script("snapshot")
SAMPLE: Final = Script("sample")
LISTEN: Final = Script("listen")

_OF_JOBS: Final = (SUBMIT, CLAIM, SAY, FINISH, CANCEL, RETRY, ERASE, REAP, EXPIRE, SWEEP)
_OF_FLEETS: Final = (ENLIST, RENEW, CONFIGURE, PUBLISH, RESIZE, REVERT, DRAIN, SAMPLE, LISTEN)
_OF_WEBHOOKS: Final = (COLLECT, SETTLE, REDELIVER)
MOVES: Final = (*_OF_JOBS, *_OF_FLEETS, *_OF_WEBHOOKS)
READS: Final = (SLOTS, SNAPSHOT, EXPLAIN, READ, LIST)
ALL: Final = (*MOVES, *READS)
