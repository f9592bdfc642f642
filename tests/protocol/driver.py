"""The scripts on a real server, one after the other, at the test's time, with all that Redis holds after each.

Arguments are made by the code that makes them in production; only `now` is the test's, where a script takes it.
`enlist`, `renew`, `reap` and `erase` take none: their one call of `clock()` reads a key instead.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import hiredis
from redis.asyncio import Redis

from slotwise import scripts
from slotwise.job import Submission
from slotwise.keys import PER_JOB, RECORD
from slotwise.lease import LeaseStore
from slotwise.steering import Steering
from slotwise.store import Store

NOW_AT: Final = {
    "submit": 0,
    "claim": 7,
    "finish": 0,
    "cancel": 1,
    "retry": 1,
    "expire": 0,
    "sweep": 0,
    "configure": 3,
    "publish": 1,
    "resize": 5,
    "revert": 0,
    "drain": 2,
    "collect": 0,
    "settle": 0,
    "redeliver": 1,
    "listen": 1,
}
TIME: Final = "the test's time"

# {key, kind, ms to live, value} of every key; of a list its length (of an outbox its last entry too), of a stream
# its length and its last entry.
DUMP: Final = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'string' then
    value = redis.call('GET', key)
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  elseif kind == 'list' then
    value = redis.call('LLEN', key)
    if string.find(key, ':outbox:', 1, true) then
      value = {value, redis.call('LINDEX', key, -1)}
    end
  else
    value = {redis.call('XLEN', key), redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)}
  end
  all[#all + 1] = {key, kind, redis.call('PTTL', key), value}
end
return all
"""

Dump = dict[str, tuple[str, int, Any]]  # key -> kind, ms to live, value


class Recorder(Redis):
    """In a client's place: what it is asked, and no answer."""

    async def execute_command(self, *command: Any, **_: Any) -> Any:
        raise LookupError(command)


def _keys_of(call: Coroutine[Any, Any, Any]) -> list[str]:
    """The keys that production gives to the script of this call."""
    try:
        call.send(None)
    except LookupError as asked:
        (command,) = asked.args
    return list(command[3 : 3 + command[2]])


class Driver:
    """A blocking client for `LeaseStore` and for plain commands; `dump` is what the last command left."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        self._dump: tuple[Any, ...] = ("EVALSHA", self.plain("SCRIPT", "LOAD", DUMP), 0)
        self.names = {script.sha: script.name for script in scripts.ALL}
        self._loaded = {script.sha: self._load(script) for script in scripts.ALL}
        self.exact = 0.0
        self.dump: Dump = {}
        recorder = Recorder()
        self.store, steering = Store(recorder), Steering(recorder)
        self.leases = LeaseStore(self, self.store.keys)  # type: ignore[arg-type]
        keys = self.store.keys
        self.keys: dict[str, list[str]] = {
            "submit": _keys_of(self.store.submit([Submission("x", "A", {})], max_pending=1)),
            "cancel": _keys_of(self.store.cancel("x", keep_ms=1)),
            "erase": [*self.store._ended_job_keys(), keys.attempts_of, *keys.of_index],
            "retry": [
                *self.store._ended_job_keys(),
                keys.cap,
                keys.pace,
                keys.pending_of,
                keys.tenants,
                *keys.of_index,
            ],
            "configure": _keys_of(self.store.configure(1, by="x")),
            "publish": _keys_of(self.store.publish([{"name": "A"}])),
            "resize": _keys_of(steering.resize(1, by="x")),
            "drain": _keys_of(steering.drain("x")),
            "collect": keys.of_outbox,
            "settle": [*keys.of_outbox, keys.counts, keys.attempts_of, RECORD],
            "redeliver": [*keys.of_outbox, *PER_JOB],
            "listen": keys.of_moves,
        }

    def _load(self, script: scripts.Script) -> str:
        source = script.source.replace("clock()", f"clock(redis.call('GET', \"{TIME}\"))")
        sha: str = self.plain("SCRIPT", "LOAD", source)
        return sha

    def close(self) -> None:
        self._socket.close()

    def plain(self, *command: Any) -> Any:
        """A command without a look at what it left."""
        self._socket.sendall(hiredis.pack_command(command))
        return _raised(self._read(decode=True))

    def execute_command(self, *command: Any) -> Any:
        """A command, at the test's time, and in the same round trip what all keys hold after it."""
        commands = [("SET", TIME, repr(self.exact)), self._timed(command), ("DEL", TIME), self._dump]
        self._socket.sendall(b"".join(map(hiredis.pack_command, commands)))
        _, reply, _ = [self._read(decode=False) for _ in range(3)]
        self.dump = {key: (kind, ttl, value) for key, kind, ttl, value in _raised(self._read(decode=True))}
        return _raised(reply)

    def _timed(self, command: tuple[Any, ...]) -> tuple[Any, ...]:
        if command[0] != "EVALSHA":
            return command
        _, sha, keys, *args = command
        at = NOW_AT.get(self.names[sha])
        if at is not None:
            assert args[keys + at] == "", "this argument was to be the time"
            args[keys + at] = repr(self.exact)
        return "EVALSHA", self._loaded[sha], keys, *args

    def _read(self, *, decode: bool) -> Any:
        while (reply := self._reader.gets(decode)) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        return reply

    def run(self, script: scripts.Script, args: list[Any], keys: list[str] | None = None) -> Any:
        return self.execute_command(*script.call(keys or self.keys[script.name], args))

    def whole_log(self) -> list[dict[str, str]]:
        entries = self.plain("XRANGE", self.store.keys.log, "-", "+")
        return [dict(zip(row[::2], row[1::2], strict=True)) for _, row in entries]


def _raised(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def log_entry(row: list[str]) -> tuple[str, frozenset[str], int, int]:
    """An entry as the reference notes it."""
    of = dict(zip(row[::2], row[1::2], strict=True))
    return of["move"], frozenset(json.loads(of["ids"])), int(of["running"]), int(of["cap"])
