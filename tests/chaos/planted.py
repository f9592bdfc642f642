"""Faults planted in the product, each with the kinds of fault that bring it to light."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.releases import Change

CLAIM, FINISH = "slotwise/lua/claim.lua", "slotwise/lua/finish.lua"
RENEW, CANCEL = "slotwise/lua/renew.lua", "slotwise/lua/cancel.lua"
LEASE, WAKE, LOOP = "slotwise/lease.py", "worker/wake.py", "worker/loop.py"
WEBHOOKS = "worker/webhooks.py"

BACKGROUND = """
        import asyncio

        asyncio.get_running_loop().create_task(self._convoy.call(job, size)).add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )
        now = __import__("time").time_ns() // 1_000_000
        return Submitted(job, now)
"""


@dataclass(frozen=True)
class Planted:
    changes: tuple[Change, ...]
    kinds: tuple[str, ...]  # of fault
    faults: int = 12
    jobs: int = 100


PLANTED: dict[str, Planted] = {
    "finish is not fenced": Planted(
        (
            Change(
                FINISH,
                "  if owner[id] == token then\n",
                "  if owner[id] == token or redis.call('ZSCORE', RUNNING, id) then\n"
                "    algorithms[id] = algorithms[id] or ''\n",
            ),
        ),
        ("link silent beyond the lease",),
        faults=18,
    ),
    "a counter in place of the set": Planted(
        (
            Change(
                CLAIM,
                "local spare = cap - redis.call('ZCARD', RUNNING)",
                "local spare = cap - tonumber(redis.call('GET', RUNNING .. ':n') or 0)",
            ),
            Change(
                CLAIM,
                "if #grants > 0 then\n  local ids = {}",
                "if #grants > 0 then\n  redis.call('INCRBY', RUNNING .. ':n', #grants)\n  local ids = {}",
            ),
            Change(
                FINISH,
                "local released, unmarked",
                "redis.call('DECRBY', RUNNING .. ':n', (#ARGV - 2) / 15)\nlocal released, unmarked",
            ),
        ),
        ("worker killed", "replies lost after execution", "link cut", "worker told to go"),
    ),
    "reap without the kill margin": Planted(
        (
            Change("worker/lease.py", "ISOLATED_AT: Final = 0.6", "ISOLATED_AT: Final = 60.0"),
            Change("worker/lease.py", "KILLED_AT: Final = 0.85", "KILLED_AT: Final = 60.0"),
        ),
        ("link silent beyond the lease", "worker stopped beyond its lease"),
    ),
    "answered before it is written": Planted(
        (
            Change(
                "slotwise/intake.py",
                "        if job.fingerprint:  # may be here already: a matter between its key and itself\n"
                "            return await self._alone(job)\n"
                "        return await self._convoy.call(job, size)\n",
                BACKGROUND,
            ),
        ),
        ("server killed", "front end killed", "server told to go", "memory full"),
    ),
    "finish without allow-oom": Planted(
        (Change(FINISH, "#!lua flags=allow-oom\n", "#!lua\n"),), ("memory full",), faults=6
    ),
    "woken by notifications only": Planted(
        (
            Change(LOOP, "NET_SECONDS: Final = 0.5", "NET_SECONDS: Final = 3600.0"),
            Change(
                WAKE,
                '            self._on_change("")\n            await asyncio.sleep(pause)',
                "            await asyncio.sleep(pause)",
            ),
            Change(WAKE, '            self._on_change("")  # what changed while nobody listened\n', ""),
        ),
        ("CLIENT KILL",),
        faults=3,
    ),
    "leases by the wall clock": Planted(
        (
            Change(LEASE, "    began = time.monotonic()\n", "    began = time.time()\n"),
            Change(LEASE, "watch.look(leases, began, time.monotonic())", "watch.look(leases, began, time.time())"),
            Change(
                LEASE,
                "        if began - self._last_look > 4 * look_seconds(leases) + 1:\n            self.forget()\n",
                "",
            ),
        ),
        ("clock of a process jumps",),
    ),
    "a finish after a cancel": Planted(
        (Change(CANCEL, "if redis.call('ZSCORE', RUNNING, id) then", "if false then"),),
        ("job's process stopped", "link slow"),
    ),
    "a lost reply leaves a ghost": Planted(
        (
            Change(CLAIM, "elseif tonumber(number) == latest then", "elseif false then"),
            Change(RENEW, "if missed_before[token] then", "if false then"),
        ),
        ("replies lost after execution",),
    ),
    "a webhook is tried once": Planted(
        (
            Change(
                WEBHOOKS,
                '            "again", "failed", next_ms, row',
                '            "done", "failed", next_ms, row',
            ),
        ),
        ("receiver killed", "receiver hangs", "receiver redirects", "receiver answers garbage"),
        jobs=600,
    ),
    "observers ignore the lease's own length": Planted(
        (Change(LEASE, "elif began - since >= length_seconds(lease):", "elif began - since >= 1.0:"),),
        ("worker stopped for a moment", "link silent for a moment"),
    ),
}
