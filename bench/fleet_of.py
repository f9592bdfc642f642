"""1,000 workers against one real server, as clients of the protocol in one process: what the server carries.

python -m bench.fleet_of                 1,000 workers of 2 slots: leases alone, then looks, polls, wakes, jobs
python -m bench.fleet_of --workers 100 --rates 10 100 1000

Each member holds a lease (LeaseStore), renews it each quarter of its length, hears of changes (Wake), and
claims and finishes with the worker's own Exchange over Claims: what a real worker sends, without its process
and its bodies. Looks at others' leases (`observe`) are made by a few real observers only, since one process
cannot make 2,000 a second; what a look costs the server is told, so that all can be reckoned up. A wake costs
this process as much as it costs 1,000 real ones together: where `simulation CPU` is near 100 %, the figures are
those of the simulation, not of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import secrets
import time
from collections.abc import Sequence

from bench.signs_of_life import Observers, Renewals
from bench.stage import info, percentile, server
from slotwise.attempt import Finish
from slotwise.claims import Claims
from slotwise.job import Submission
from slotwise.keys import ABORT, Keys
from slotwise.lease import LeaseStore
from slotwise.store import MAX_BATCH, Store
from tests.facts import wait_for
from tests.servers import Server
from worker.exchange import Ending, Exchange
from worker.lease import ISOLATED_AT, RENEW_AT
from worker.loop import NET_SECONDS
from worker.wake import Wake

SUBMITS_A_SECOND = 10  # each of as many jobs as the rate asks for
KEEP_MS = 5_000


def watched(keys: Keys) -> tuple[str, ...]:
    """What wakes a worker."""
    return keys.queue, ABORT, keys.cap, keys.limits, keys.drained


class Member:
    """One worker: its lease's contents, its slots and its conversation."""

    def __init__(self, store: Store, slots: int, body_seconds: float) -> None:
        self.incarnation = secrets.token_hex(16)
        self.exchange = Exchange(
            Claims(store.redis, store.keys), self.incarnation, self.incarnation[:8], "any", 30
        )
        self.ended = 0
        self.exchanges = 0
        self._slots, self._body_seconds = slots, body_seconds
        self._tokens: set[str] = set()
        self._woken = asyncio.Event()
        self._acknowledged = 0
        self._due = 0.0  # when the next job is, on the loop's clock
        self._wake = Wake(store.redis, watched(store.keys), self._changed, self._refused)

    def holding(self) -> tuple[int, tuple[str, ...]]:
        return self._acknowledged, tuple(self._tokens.copy())

    async def work(self) -> None:
        """Claim whenever something changed and a slot is free, as the worker's loop does."""
        loop = asyncio.get_running_loop()
        self._wake.start()
        try:
            while True:
                pause = min(NET_SECONDS, max(0.0, self._due - loop.time()))
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                self._woken.clear()
                free = self._slots - len(self._tokens)
                if free or not self.exchange.idle:
                    await self._ask(free, loop)
        finally:
            await self._wake.stop()

    async def _ask(self, free: int, loop: asyncio.AbstractEventLoop) -> None:
        claimed = await self.exchange.run(free)
        self.exchanges += 1
        assert not claimed.gone, "a lease was lost"
        for grant in claimed.grants:
            self._tokens.add(grant.token)
            finish = Finish(grant.id, grant.token, "completed", "noop", keep_ms=KEEP_MS, attempt=grant.attempt)
            loop.call_later(self._body_seconds, self._end, finish)
        self._acknowledged = claimed.number
        self._due = float("inf") if claimed.next_due_ms is None else loop.time() + claimed.next_due_ms / 1000

    def _end(self, finish: Finish) -> None:
        self.ended += 1
        self.exchange.end(Ending(finish, lambda _: self._tokens.discard(finish.token)))
        self._woken.set()

    def _changed(self, key: str) -> None:
        self._woken.set()

    def _refused(self, error: Exception) -> None:
        raise error


class Meter:
    """What the server, the leases and this process did in a phase."""

    def __init__(self, running: Server, renewals: Renewals, members: Sequence[Member]) -> None:
        self._running, self._renewals, self._members = running, renewals, members
        self._before = self._read()
        renewals.late.clear()

    def _read(self) -> dict[str, float]:
        told = info(self._running, "everything")
        return {
            "at": time.monotonic(),
            "commands": told["total_commands_processed"],
            "scripts": told["cmdstat_evalsha"]["calls"],
            "server": told["used_cpu_user"] + told["used_cpu_sys"],
            "own": time.process_time(),
            "ended": sum(member.ended for member in self._members),
            "exchanges": sum(member.exchanges for member in self._members),
            "out": told["total_net_output_bytes"],
        }

    def row(self, name: str) -> dict[str, float]:
        """Print the phase; its figures a second."""
        now = self._read()
        seconds = now["at"] - self._before["at"]
        rate = {key: (now[key] - self._before[key]) / seconds for key in now}
        did = f"{rate['commands']:,.0f} commands/s, {rate['scripts']:,.0f} scripts/s, {rate['out'] / 1e6:.1f} MB/s"
        print(f"  {name:24} {did}, server {100 * rate['server']:.0f} % of a core", flush=True)
        of_jobs = f"{rate['exchanges']:,.0f} exchanges/s, {rate['ended']:,.0f} jobs/s"
        print(f"  {'':24} {of_jobs}, simulation {100 * rate['own']:.0f} % of a core", flush=True)
        if late := self._renewals.late.copy():
            allowed = (ISOLATED_AT - RENEW_AT) * self._renewals.length
            p50, p99, most = (percentile(late, share) * 1000 for share in (0.5, 0.99, 1.0))
            how_late = f"late by p50 {p50:.1f} p99 {p99:.1f} max {most:.0f} ms"
            bad = f"{sum(each > allowed for each in late)} too late, {self._renewals.gone} leases gone"
            print(f"  {'':24} {len(late):,} renewals, {how_late}, {bad}", flush=True)
        return rate


async def submit(store: Store, rate: int, seconds: float) -> None:
    """So many jobs a second, in SUBMITS_A_SECOND submits."""
    per = max(1, rate // SUBMITS_A_SECOND)
    until, due = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < until:  # what cannot be sent in time is not sent later
        jobs = [Submission(id=secrets.token_hex(16), algorithm="noop", params={}) for _ in range(per)]
        for at in range(0, per, MAX_BATCH):
            await store.submit(jobs[at : at + MAX_BATCH], max_pending=10_000_000)
        due += per / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def simulate(running: Server, given: argparse.Namespace) -> None:
    store = await Store.connect(running.url, timeout_seconds=30)
    await store.configure(given.workers * given.slots, by="bench")
    members = [Member(store, given.slots, given.body_ms / 1000) for _ in range(given.workers)]
    enlisting = LeaseStore(running.client, store.keys)
    for number, member in enumerate(members):
        enlisting.enlist(member.incarnation, round(given.lease * 1000), {"name": f"w{number}"}, ["noop"])
    renewals = Renewals(running.url, given.lease)
    renewals.start(members)

    async def phase(name: str, seconds: float) -> dict[str, float]:
        meter = Meter(running, renewals, members)
        await asyncio.sleep(seconds)
        return meter.row(name)

    alone = await phase("leases", given.seconds)
    observers = Observers(running.url, given.observers, KEEP_MS)
    looked = await phase(f"and {given.observers} who look", given.seconds)
    observers.stop()
    cost = (looked["server"] - alone["server"]) * given.seconds / max(1, observers.looks)
    print(f"  a look at {given.workers:,} leases: {1e6 * cost:,.0f} us of the server; all look twice a second:"
          f" {200 * cost * given.workers:,.0f} % of a core")  # fmt: skip
    work = [asyncio.create_task(member.work()) for member in members]
    await wait_for(lambda: all(member.exchanges for member in members), within=300, what="all have claimed once")
    await phase("idle workers (no looks)", given.seconds)
    for rate in given.rates:
        meter = Meter(running, renewals, members)
        await submit(store, rate, given.seconds)
        meter.row(f"{rate:,} jobs/s offered")
        for task in work:
            assert not task.done(), task.exception()
    renewals.stop.set()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    for member in members:
        await member.exchange._claims.hang_up()
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--lease", type=float, default=10.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each phase")
    parser.add_argument("--observers", type=int, default=20)
    parser.add_argument("--body-ms", type=float, default=50.0)
    parser.add_argument("--rates", type=int, nargs="*", default=[10, 50, 200, 1000])
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{os.cpu_count()} cores; {given.workers:,} workers of {given.slots} slots, leases of {given.lease:g} s")
    with server() as running:
        asyncio.run(simulate(running, given))


if __name__ == "__main__":
    main()
