"""The admission log of a real server: what the moves write passes, and what somebody did to it is found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import pytest
from pydantic_core import to_json

from slotwise import admissions
from slotwise.admissions import prove
from slotwise.errors import SlotwiseError
from slotwise.keys import PAYLOAD
from slotwise.store import Store
from slotwise.verdict import Verdict
from tests.hand import now_ms, submitted

HOUR = 3_600


def kinds(found: Verdict) -> list[str]:
    return [finding.kind for finding in found.violations.first]


def row(at_ms: int, move: str, ids: list[str], running: int, cap: int = 3, **more: int) -> dict[str, str | int]:
    return {"at": at_ms, "move": move, "ids": json.dumps(ids), "running": running, "cap": cap, **more}


async def written(store: Store, rows: list[dict[str, Any]]) -> None:
    """A log as it would stand there had these steps been taken at their times."""
    for fields in rows:
        await store.redis.xadd(store.keys.log, fields, id=f"{fields['at']}-*")


async def test_every_move_is_in_the_log(store: Store, hand: Any) -> None:
    await store.configure(3, by="test")
    await submitted(store, 12)
    first, second, third = hand(), hand(), hand()
    claimed = (await first.claim(2)).grants
    await second.claim(2)
    await first.finish(claimed[0])
    await first.finish(claimed[1], "retry", retry_in_ms=60_000)
    assert second.leases.reap(second.incarnation, "0 10000") == 1
    (lost,) = (await third.claim(1)).grants
    for _ in range(2):
        third.leases.renew(third.incarnation, 1, [])  # its grant never arrived
    (released,) = (await third.claim(1)).grants
    await third.finish(released, "release")
    await first.claim(3)
    running = await prove(store, HOUR)
    assert (running.violations.first, running.notes.first, running.running) == ([], [], 3)
    first.leases.leave(first.incarnation)
    moves = [fields[b"move"].decode() for _, fields in await store.redis.xrange(store.keys.log)]
    assert set(moves) - {"cap"} == {"claim", "finish", "reap", "release", "leave"}
    found = await prove(store, HOUR)
    assert (found.violations.first, found.max_running, found.running) == ([], 3, 0)
    assert (found.admitted, found.released, found.entries) == (8, 8, len(moves))
    assert [cap for _, cap in found.caps] == [3]
    assert found.covered_since_ms is not None
    assert found.since_ms < found.covered_since_ms <= found.until_ms
    assert lost.id == released.id


async def test_an_empty_log(store: Store) -> None:
    found = await prove(store, HOUR)
    assert (found.holds, found.covered_since_ms, found.max_running, found.caps) == (True, None, 0, [])


async def test_a_lowered_cap_drains(store: Store, hand: Any) -> None:
    await submitted(store, 4)
    worker = hand()
    grants = (await worker.claim(3)).grants
    await store.configure(1, by="test")
    await worker.finish(grants[0])
    assert (await worker.claim(3)).grants == ()
    found = await prove(store, HOUR)
    assert (found.violations.first, found.max_running) == ([], 3)
    assert [cap for _, cap in found.caps] == [10, 1]


Doctor = Callable[[Store, list[Any]], Awaitable[Any]]


async def forge(store: Store, *rows: dict[str, Any]) -> None:
    for fields in rows:
        await store.redis.xadd(store.keys.log, fields)


async def remove_all(store: Store) -> None:
    await store.redis.xdel(store.keys.log, *(id for id, _ in await store.redis.xrange(store.keys.log)))


DOCTORED: dict[str, tuple[Doctor, list[str]]] = {
    "removed in the middle": (lambda s, ids: s.redis.xdel(s.keys.log, ids[1]), ["count", "removed"]),
    "removed, and nothing else shows": (lambda s, ids: s.redis.xdel(s.keys.log, ids[3], ids[4]), ["removed"]),
    "removed at the end": (lambda s, ids: s.redis.xdel(s.keys.log, ids[-1]), ["removed", "running-now"]),
    "all removed": (lambda s, ids: remove_all(s), ["removed"]),
    "over the cap": (
        lambda s, ids: forge(
            s,
            row(int(time.time() * 1000), "claim", ["x", "y", "z"], 4),
            row(int(time.time() * 1000), "finish", ["x", "y", "z"], 1),
        ),
        ["over-cap"],
    ),
    "a slot in the log only": (
        lambda s, ids: forge(s, row(int(time.time() * 1000), "claim", ["x"], 2)),
        ["running-now"],
    ),
    "a release of nobody": (
        lambda s, ids: forge(s, row(int(time.time() * 1000), "finish", ["x"], 1)),
        ["not-admitted"],
    ),
    "an earlier time": (lambda s, ids: forge(s, row(1_000, "cap", [], 1)), ["time"]),
    "not ours": (lambda s, ids: forge(s, {"hello": "world"}), ["unreadable"]),
    "of a wrong type": (lambda s, ids: forge(s, row(1, "claim", [1], 1)), ["unreadable"]),  # type: ignore[list-item]
    "deep": (
        lambda s, ids: forge(s, {"at": 1, "move": "claim", "ids": "[" * 99_999, "running": 1, "cap": 3}),
        ["unreadable"],
    ),
    "a slot taken beside the log": (lambda s, ids: s.redis.zadd(s.keys.running, {"x": 1}), ["running-now"]),
}


@pytest.mark.parametrize("how", DOCTORED)
async def test_a_doctored_log(store: Store, hand: Any, how: str) -> None:
    doctor, expected = DOCTORED[how]
    await store.configure(3, by="test")
    await submitted(store, 3)
    worker = hand()
    grants = [grant for _ in range(2) for grant in (await worker.claim(1)).grants]
    await worker.finish(grants[0])
    grants += (await worker.claim(1)).grants  # 5 steps: claim, claim, finish, claim, finish; one runs on
    await worker.finish(grants[2])
    steps = await store.redis.xrange(store.keys.log)
    entries = [id for id, fields in steps if fields[b"move"] != b"cap"]
    assert (await prove(store, HOUR)).holds
    await doctor(store, entries)
    assert kinds(await prove(store, HOUR)) == expected
    await store.redis.zrem(store.keys.running, "x")


async def test_a_slot_given_back_beside_the_log(store: Store, hand: Any) -> None:
    """What a script would do that forgot to write its entry."""
    await store.configure(2, by="test")
    await submitted(store, 3)
    worker = hand()
    grants = list((await worker.claim(2)).grants)
    await store.redis.zrem(store.keys.running, grants[0].id)
    assert kinds(await prove(store, HOUR)) == ["running-now"]
    grants += (await worker.claim(1)).grants
    found = await prove(store, HOUR)
    assert (kinds(found), len(grants)) == (["count"], 3)  # three bodies at a cap of two: the next step betrays it
    for grant in grants:
        await worker.finish(grant)


async def test_what_was_true_when_the_window_began(store: Store) -> None:
    now = await now_ms(store)
    await written(
        store,
        [
            row(now - 7_200_000, "claim", ["a", "b", "c"], 3),
            row(now - 7_000_000, "cap", [], 3, cap=5, until=now - 1_000_000, reverts_to=2),
            row(now - 5_000_000, "finish", ["a"], 2, cap=5),
            row(now - 500_000, "finish", ["b"], 1, cap=2),
            row(now - 400_000, "finish", ["c"], 0, cap=2),
        ],
    )
    whole = await prove(store, 10_000)
    assert (whole.violations.first, whole.entries, whole.max_running) == ([], 5, 3)
    assert whole.covered_since_ms == now - 7_200_000
    assert whole.caps == [(now - 7_200_000, 3), (now - 7_000_000, 5), (now - 1_000_000, 2)]
    part = await prove(store, HOUR)
    assert (part.violations.first, part.entries, part.max_running, part.released) == ([], 2, 2, 2)
    assert part.covered_since_ms == part.since_ms
    assert part.max_running_at_ms == part.since_ms  # as the last step before the window left it
    last = await prove(store, 300)
    assert (last.violations.first, last.entries, last.max_running) == ([], 0, 0)
    assert last.caps == [(last.since_ms, 2)]
    assert last.covered_since_ms == last.since_ms


async def test_a_fault_at_the_edge_of_the_window(store: Store) -> None:
    now = await now_ms(store)
    old = row(now - 7_200_000, "claim", ["a"], 1)
    late = [row(now - 2_000, "claim", ["b"], 1), row(now - 1_000, "finish", ["b"], 0)]
    await written(store, [old, *late])  # the release of "a" is missing
    assert kinds(await prove(store, HOUR)) == ["count"]


async def test_ids_of_any_bytes(store: Store, hand: Any) -> None:
    odd = [b"\xff\xfe", b'quo"te', b"new\nline", "漢/字 %2F".encode(), b"1e999"]
    for id in odd:
        await store.redis.set(PAYLOAD.encode() + id, b'{"t":null,"f":"Add","a":[1,2],"k":{},"et":1}', ex=60)
        await store.redis.zadd(store.keys.queue, {id: 1})
    worker = hand()
    grants = (await worker.claim(5)).grants
    assert len(grants) == 5
    found = await prove(store, HOUR)
    assert (found.violations.first, found.running) == ([], 5)
    await store.redis.zrem(store.keys.running, b"\xff\xfe")
    found = await prove(store, HOUR)
    assert kinds(found) == ["running-now"]
    assert b'"job_id":"??"' in to_json(found.as_dict())
    assert "as ??" in found.as_text()
    for grant in grants:
        await worker.finish(grant)


async def test_page_by_page(store: Store, hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admissions, "PAGE", 3)
    await submitted(store, 10)
    worker = hand()
    for _ in range(10):
        await worker.finish(await worker.claim_one())
    found = await prove(store, HOUR)
    assert (found.violations.first, found.entries, found.admitted, found.released) == ([], 20, 10, 10)


async def test_a_log_that_is_trimmed_while_it_is_read(
    store: Store, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admissions, "PAGE", 3)
    await submitted(store, 10)
    worker = hand()
    for _ in range(10):
        await worker.finish(await worker.claim_one())
    entries = await store.redis.xrange(store.keys.log)
    pages, page_of = 0, admissions._page

    async def trimmed_after_two(*args: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 3:
            await store.redis.xtrim(store.keys.log, maxlen=9, approximate=False)  # eleven gone, six read
        return await page_of(*args)

    monkeypatch.setattr(admissions, "_page", trimmed_after_two)
    found = await prove(store, HOUR)
    assert (found.violations.first, found.entries) == ([], 9)
    assert found.covered_since_ms == int(entries[11][1][b"at"])


async def test_what_is_written_meanwhile_is_the_next_proofs(
    store: Store, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submitted(store, 2)
    worker = hand()
    grant = await worker.claim_one()
    page_of = admissions._page

    async def busy(*args: Any) -> Any:
        await worker.finish(grant)
        await worker.finish(await worker.claim_one())
        return await page_of(*args)

    monkeypatch.setattr(admissions, "_page", busy)
    found = await prove(store, HOUR)
    assert (found.violations.first, found.entries, found.running) == ([], 1, 1)


async def test_a_cap_entry_says_until_when_it_stands(store: Store) -> None:
    """By the part itself: the moves that change the cap put it in."""
    keys, now = store.keys, await now_ms(store)
    parts = [
        (resources.files("slotwise") / "lua" / "parts" / f"{name}.lua").read_text() for name in ("cap", "log")
    ]
    source = "\n".join(
        [
            "local CAP, LOG, RUNNING = unpack(KEYS)",
            *parts,
            "write_log(tonumber(ARGV[1]), 'cap', {}, (cap_in_force(CAP, tonumber(ARGV[1]))))",
        ]
    )

    async def tell(at_ms: int, **cap: int) -> dict[bytes, bytes]:
        await store.redis.delete(keys.cap)
        await store.redis.hset(keys.cap, mapping=cap)  # type: ignore[misc]
        await store.redis.execute_command("EVAL", source, 3, keys.cap, keys.log, keys.running, at_ms)
        ((_, fields),) = await store.redis.xrevrange(keys.log, count=1)
        return {name: fields.get(name, b"") for name in (b"ids", b"cap", b"until", b"reverts_to")}

    ends = {"override": 9, "until": now + 5}
    assert list((await tell(now, **ends)).values()) == [b"[]", b"9", b"%d" % (now + 5), b"10"]
    assert list((await tell(now, configured=4)).values()) == [b"[]", b"4", b"", b""]
    assert list((await tell(now, configured=4, override=7)).values()) == [b"[]", b"7", b"", b""]
    assert list((await tell(now, configured=4, **ends)).values()) == [b"[]", b"9", b"%d" % (now + 5), b"4"]
    assert list((await tell(now + 5, configured=4, **ends)).values()) == [b"[]", b"4", b"", b""]
    found = await prove(store, HOUR)
    assert (found.violations.first, found.notes.first) == ([], [])
    assert [cap for _, cap in found.caps] == [9, 4, 7, 9, 4]
    assert found.caps[-1] == (now + 5, 4)


async def test_a_server_that_is_away(redis_url: str) -> None:
    store = await Store.connect("redis://127.0.0.1:1")
    with pytest.raises(SlotwiseError) as caught:
        await prove(store, HOUR)
    assert caught.value.code == "store-unavailable"
    await store.close()


@pytest.mark.slow
async def test_a_long_log_does_not_hold_the_loop(store: Store) -> None:
    now = await now_ms(store) - 1_000_000
    async with store.redis.pipeline(transaction=False) as pipe:
        for i in range(25_000):
            ids = [f"a{i:031x}", f"b{i:031x}"]
            for move, running in (("claim", 2), ("finish", 0)):
                pipe.xadd(store.keys.log, row(now + i, move, ids, running), id=f"{now + i}-*")
            if i % 1_000 == 999:
                await pipe.execute()
    turns, done = 0, False

    async def take_turns() -> None:
        nonlocal turns
        while not done:
            await asyncio.sleep(0)
            turns += 1

    ticking = asyncio.create_task(take_turns())
    found = await prove(store, HOUR)
    done = True
    await ticking
    assert (found.violations.first, found.entries) == ([], 50_000)
    assert turns >= 50_000 // admissions.PAGE, "others get their turn after every page"
