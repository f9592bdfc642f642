"""The door: every operation with no key, a bad one, one of too small a scope, and another tenant's.

Made from the routes and the description: an operation that is added is here by itself, and is for admins until its
scope stands beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from httpx2 import AsyncClient
from starlette.requests import Request

from service import door as doors
from service.app import create_app
from service.door import Door
from service.operation import Operation, Path
from slotwise.apikeys import ApiKey, ApiKeys
from slotwise.bind import check_bind
from slotwise.errors import SlotwiseError
from slotwise.rate import Rate
from slotwise.settings import Settings
from slotwise.store import Store
from slotwise.tenant import Bounds, Scope
from tests.facts import wait_for
from tests.hand import news_are_read
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

NOBODY = Bounds()
SCOPES = list(Scope)
REST: dict[str, Any] = {"algorithm": "Rest", "params": {"seconds": 1}}
UNKNOWN = "f" * 32
FAILURE = {"type": "exception", "message": "no", "detail": None}
# what an operation takes, where it takes anything
BODIES: dict[str, Any] = {
    "submit_job": REST,
    "submit_jobs": {"jobs": [REST]},
    "cancel_jobs": {"filter": {}, "dry_run": True},
    "retry_jobs": {"filter": {}, "dry_run": True},
    "resize": {"max_concurrent": 5},
    "resize_algorithm": {"max_concurrent": 5},
}


def _operations() -> dict[str, tuple[str, str, Operation]]:
    routes = create_app(Settings(_env_file=None), "unix:///nowhere").routes
    return {
        operation.id: (method, route.path_format, operation)
        for route in routes
        if isinstance(route, Path)
        for method, operation in route.operations.items()
    }


OPERATIONS = _operations()
CLOSED = [id for id, (_, _, operation) in OPERATIONS.items() if operation.public is None]
OF_A_JOB = [id for id in CLOSED if "{job_id}" in OPERATIONS[id][1]]


class Callers:
    """A client for each key."""

    def __init__(self, client: AsyncClient, store: Store) -> None:
        self.client = client
        self.keys = ApiKeys(store.redis, store.keys)
        self.secrets: dict[str, str] = {}

    async def make(self, name: str, scope: Scope, bounds: Bounds = NOBODY) -> None:
        _, self.secrets[name] = await self.keys.create(name, scope, bounds)

    async def ask(self, who: str | None, method: str, path: str, **sent: Any) -> Any:
        headers = {} if who is None else {"Authorization": f"Bearer {self.secrets.get(who, who)}"}
        return await self.client.request(method, path, headers=headers | sent.pop("headers", {}), **sent)

    async def do(self, who: str | None, operation: str, job_id: str = UNKNOWN, **sent: Any) -> Any:
        method, path, _ = OPERATIONS[operation]
        name = "w" if path.startswith("/workers") else "Rest"
        sent |= {"json": BODIES[operation]} if operation in BODIES else {}
        return await self.ask(who, method, path.format(job_id=job_id, name=name), **sent)

    async def submitted(self, who: str, **fields: Any) -> str:
        answer = await self.ask(who, "POST", "/jobs", json=REST | fields)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id


@pytest.fixture
async def callers(connect: Connect, store: Store, catalogue: None) -> AsyncIterator[Callers]:
    async with connect() as client:
        made = Callers(client, store)
        for scope in SCOPES:
            await made.make(f"a-{scope}", scope)
        await made.make("other", Scope.OPERATE)
        yield made


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


async def test_every_operation_asks_for_a_key(callers: Callers) -> None:
    for operation in CLOSED:
        for who in (None, "slw_" + "x" * 43, "no-key"):
            answer = await callers.do(who, operation)
            assert problem(answer) == (401, "unauthorized"), operation
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_every_operation_asks_for_its_scope(callers: Callers) -> None:
    document = (await callers.ask("a-read", "GET", "/openapi.json")).json()
    for operation in CLOSED:
        method, path, described = OPERATIONS[operation]
        [told] = document["paths"][path][method.lower()]["security"][0].values()
        assert told == [described.scope.value]
        for scope in SCOPES:
            if operation == "follow_job" or (
                scope.covers(described.scope) and operation in ("resize", "clear_cap")
            ):
                continue
            if operation == "follow_fleet" and scope.covers(described.scope):
                continue  # it would not end
            answer = await callers.do(f"a-{scope}", operation)
            if scope.covers(described.scope):
                assert answer.status_code not in (401, 403), operation
            else:
                assert problem(answer) == (403, "forbidden"), operation
                assert f"scope {described.scope};" in answer.json()["detail"]


async def test_another_tenants_job_is_one_that_does_not_exist(callers: Callers) -> None:
    for operation in OF_A_JOB:
        job_id = await callers.submitted("a-submit", labels={"a": "b"})
        theirs = await callers.do("other", operation, job_id)
        nothing = await callers.do("other", operation)
        assert problem(theirs) == problem(nothing) == (404, "job-not-found"), operation
        texts = [answer.json() for answer in (theirs, nothing)]
        assert texts[0]["detail"].replace(job_id, UNKNOWN) == texts[1]["detail"]
        seen = await callers.ask("a-submit", "GET", f"/jobs/{job_id}")
        assert (seen.json()["status"], seen.json()["tenant"]) == ("pending", "a-submit")
        assert (await callers.do("a-admin", "read_job", job_id)).status_code == 200


async def test_jobs_that_are_listed_are_ones_own(callers: Callers, store: Store, worker: StandInWorker) -> None:
    mine = {await callers.submitted("a-submit", labels={"a": "b"}) for _ in range(3)}
    theirs = {await callers.submitted("other", labels={"a": "b"}) for _ in range(2)}
    for query in ("", "?status=pending", "?algorithm=Rest", "?label=a:b", "?limit=1"):
        found, cursor = set(), ""
        while cursor is not None:
            more = f"{'&' if query else '?'}cursor={cursor}" if cursor else ""
            page = (await callers.ask("a-submit", "GET", f"/jobs{query}{more}")).json()
            found |= {job["job_id"] for job in page["jobs"]}
            cursor = page["next_cursor"]
        assert found == mine, query
    everything = (await callers.ask("a-admin", "GET", "/jobs")).json()["jobs"]
    assert {job["job_id"] for job in everything} == mine | theirs
    done = await callers.ask("other", "POST", "/jobs/cancel", json={"filter": {}, "expected": 2})
    assert done.json() == {"matched": 2, "done": 2}
    pending = (await callers.ask("a-admin", "GET", "/jobs?status=pending")).json()["jobs"]
    assert {job["job_id"] for job in pending} == mine
    everything = (await callers.ask("other", "POST", "/jobs/retry", json={"filter": {}, "dry_run": True})).json()
    assert everything["matched"] == 2


async def test_failures_and_holders_are_ones_own(callers: Callers, worker: StandInWorker) -> None:
    """The first fills the slots: the second is told nothing of whose job holds them."""
    first = await callers.submitted("a-submit")
    await callers.ask("a-operate", "PUT", "/jobs/concurrency", json={"max_concurrent": 1})
    [grant] = await worker.claim()
    assert grant.id == first
    second = await callers.submitted("other")
    told = (await callers.ask("other", "GET", f"/jobs/{second}/explain")).json()
    assert (told["blocking"], told["holders"]) == ("cap", [])
    told = (await callers.ask("a-admin", "GET", f"/jobs/{second}/explain")).json()
    assert told["holders"] == [first]
    slots = (await callers.ask("other", "GET", "/jobs/concurrency")).json()
    assert (slots["jobs"], slots["jobs_left_out"], slots["pending_jobs"]) == ([], 1, 1)
    await worker.finish(grant, error=FAILURE)
    [grant] = await worker.claim()
    assert grant.id == second
    await worker.finish(grant, error=FAILURE)
    for who, ids in (("a-submit", [first]), ("other", [second])):
        groups = (await callers.ask(who, "GET", "/failures")).json()["failures"]
        assert [group["job_ids"] for group in groups] == [ids]
    assert len((await callers.ask("a-admin", "GET", "/failures")).json()["failures"]) == 2


async def test_what_the_fleet_did_names_no_other_tenant(callers: Callers, worker: StandInWorker) -> None:
    """A job of another's ran, and its key changed the cap: neither is told to who may look after the fleet."""
    await callers.make("boss", Scope.OPERATE)
    first = await callers.submitted("a-submit")
    await callers.ask("boss", "PUT", "/jobs/concurrency", json={"max_concurrent": 7, "reason": "night"})
    await callers.ask("boss", "PUT", "/jobs/concurrency/algorithms/Rest", json={"max_concurrent": 3})
    [grant] = await worker.claim()
    told = {}
    for who in ("other", "boss", "a-admin"):
        for operation in ("read_proof", "read_stats", "read_concurrency", "read_audit", "read_slots"):
            answer = await callers.do(who, operation)
            told[who, operation] = answer
            seen = answer.status_code == 200
            assert seen == (who == "a-admin" or operation not in ("read_proof", "read_stats")), operation
            assert who == "a-admin" or first not in answer.text, operation
            assert who != "other" or "boss" not in answer.text, operation
    for who, by in (("other", "another key"), ("boss", "key boss"), ("a-admin", "key boss")):
        slots = told[who, "read_concurrency"].json()
        assert (slots["override"]["by"], slots["override"]["reason"]) == (by, "night")
        assert slots["algorithms"]["Rest"]["override"]["by"] == by
        assert {entry["by"] for entry in told[who, "read_audit"].json()["audit"]} == {by}
        assert set(told[who, "read_slots"].json().values()) == {7, 6, 1}
    assert [job["job_id"] for job in told["a-admin", "read_concurrency"].json()["jobs"]] == [first]
    await worker.finish(grant)


async def test_idempotency_keys_are_a_tenants_own(callers: Callers) -> None:
    key = {"Idempotency-Key": "order-17"}
    made = [await callers.ask(who, "POST", "/jobs", json=REST, headers=key) for who in ("a-submit", "other")]
    again = await callers.ask("a-submit", "POST", "/jobs", json=REST, headers=key)
    ids = [answer.json()["job_id"] for answer in (*made, again)]
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_revoked_key_opens_nothing(callers: Callers) -> None:
    assert (await callers.ask("other", "GET", "/jobs")).status_code == 200
    await callers.keys.revoke("other")

    async def refused() -> bool:
        return (await callers.ask("other", "GET", "/jobs")).status_code == 401

    await wait_for(refused, within=5, what="the revoked key is refused")
    await callers.make("other", Scope.READ)

    async def known() -> bool:
        return (await callers.ask("other", "GET", "/jobs")).status_code == 200

    await wait_for(known, within=5, what="the new key is known")


async def test_the_last_key_revoked_does_not_open_the_door(
    connect: Connect, store: Store, catalogue: None
) -> None:
    keys = ApiKeys(store.redis, store.keys)
    async with connect() as client:
        before = (await client.post("/jobs", json=REST)).json()["job_id"]
        _, secret = await keys.create("one", Scope.ADMIN, NOBODY)
        await keys.create("two", Scope.OPERATE, NOBODY)
        await keys.revoke("one")
        await keys.revoke("two")

        async def status(expected: int, **headers: str) -> bool:
            return (await client.get(f"/jobs/{before}", headers=headers)).status_code == expected

        await wait_for(lambda: status(401), within=5, what="a key is asked for")
        _, secret = await keys.create("one", Scope.ADMIN, NOBODY)
        await wait_for(lambda: status(200, Authorization=f"bearer {secret}"), within=5, what="an admin sees it")
        await keys.reset()
        await wait_for(lambda: status(200), within=5, what="nobody is asked for a key")


async def test_what_is_public(connect: Connect, store: Store, catalogue: None) -> None:
    await ApiKeys(store.redis, store.keys).create("one", Scope.READ, NOBODY)
    seen = {}
    for settings in ({}, {"metrics_public": True, "health_public": False}):
        async with connect(**settings) as client:
            for path in ("/healthz", "/readyz", "/metrics", "/docs"):
                seen[path, bool(settings)] = (await client.get(path)).status_code
    assert seen == {
        ("/healthz", False): 200,
        ("/readyz", False): 200,
        ("/metrics", False): 401,
        ("/docs", False): 200,
        ("/healthz", True): 401,
        ("/readyz", True): 401,
        ("/metrics", True): 200,
        ("/docs", True): 200,
    }


async def test_beyond_loopback_only_with_keys(
    redis_url: str, store: Store, connect: Connect, settings: Callable[..., Settings], catalogue: None
) -> None:
    await check_bind(settings(), redis_url)
    await check_bind(settings(host="0.0.0.0", allow_unauthenticated=True), redis_url)
    with pytest.raises(SlotwiseError, match="slotwise keys create"):
        await check_bind(settings(host="0.0.0.0"), redis_url)
    await check_bind(settings(host="0.0.0.0"), "unix:///nowhere")  # nobody knows yet: it lets nobody in
    async with connect(host="0.0.0.0") as client:
        assert (await client.get("/jobs")).status_code == 401, "the store was away when it started"
        assert (await client.get("/healthz")).status_code == 200
    _, secret = await ApiKeys(store.redis, store.keys).create("one", Scope.READ, NOBODY)
    await check_bind(settings(host="0.0.0.0"), redis_url)
    async with connect(host="0.0.0.0") as client:
        assert (await client.get("/jobs", headers={"Authorization": f"Bearer {secret}"})).status_code == 200


async def test_a_key_has_room_for_so_many_jobs(callers: Callers) -> None:
    await callers.make("small", Scope.SUBMIT, Bounds(max_pending=2))
    ids = [await callers.submitted("small") for _ in range(2)]
    answer = await callers.ask("small", "POST", "/jobs", json=REST)
    assert problem(answer) == (429, "queue-full")
    assert int(answer.headers["Retry-After"]) >= 1
    await callers.submitted("other")
    await callers.do("small", "cancel_job", ids[0])
    await callers.submitted("small")
    answer = await callers.do("small", "retry_job", ids[0])
    assert problem(answer) == (429, "queue-full")


async def test_a_key_submits_no_faster_than_it_may(callers: Callers) -> None:
    await callers.make("slow", Scope.SUBMIT, Bounds(rate=Rate.of("3/day")))
    answer = await callers.ask("slow", "POST", "/jobs", json=REST)
    assert answer.headers["RateLimit-Policy"] == '"submit";q=3;w=86400'
    assert answer.headers["RateLimit"].startswith('"submit";r=2;t=')
    many = {"jobs": [REST] * 4}
    assert (await callers.ask("slow", "POST", "/jobs/batch", json=many)).status_code == 422, "more than ever fit"
    answer = await callers.ask("slow", "POST", "/jobs/batch", json={"jobs": [REST] * 3})
    assert problem(answer) == (429, "rate-limited"), "all or none"
    answer = await callers.ask("slow", "POST", "/jobs/batch", json={"jobs": [REST] * 2})
    assert answer.status_code == 202, answer.text
    assert answer.headers["RateLimit"].startswith('"submit";r=0;t=')
    answer = await callers.ask("slow", "POST", "/jobs", json=REST)
    assert problem(answer) == (429, "rate-limited")
    assert 28_000 < int(answer.headers["Retry-After"]) <= 28_800
    assert answer.headers["RateLimit"].startswith('"submit";r=0;t=')


async def test_a_stream_ends_with_its_key(callers: Callers, store: Store) -> None:
    job_id = await callers.submitted("other")
    following = asyncio.ensure_future(callers.ask("other", "GET", f"/jobs/{job_id}/events"))
    await news_are_read(store)
    await callers.keys.revoke("other")
    async with asyncio.timeout(30):
        answer = await following  # the job goes on waiting: it would not end by itself
    assert answer.status_code == 200
    assert "event: status" in answer.text
    assert "event: end" not in answer.text


def asked(**headers: str) -> Request:
    """By somebody on this machine."""
    told = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    return Request({"type": "http", "method": "GET", "path": "/jobs", "headers": told, "client": ("127.0.0.1", 1)})


class Counted(ApiKeys):
    """Keys that say how often they were read; `away`: they cannot be."""

    reads = 0
    away = False

    async def all(self) -> tuple[bool, Sequence[ApiKey]]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise SlotwiseError("store-unavailable", "no", retry_after_seconds=1)
        return await super().all()


async def test_an_outage_is_waited_for_once_however_many_ask(
    store: Store, settings: Callable[..., Settings]
) -> None:
    keys = Counted(store.redis, store.keys)
    door = Door(keys, settings())
    keys.away = True
    asking = [door.admit(asked(), Scope.READ, needs_store=True) for _ in range(20)]
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [each.code for each in told if isinstance(each, SlotwiseError)] == ["store-unavailable"] * 20
    assert keys.reads == 1
    keys.away = False
    asking = [door.admit(asked(), Scope.READ, needs_store=True) for _ in range(20)]
    assert len(await asyncio.gather(*asking)) == 20
    assert keys.reads == 2


async def test_who_listens_is_not_sent_away_by_an_outage(
    store: Store, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "MAX_AGE_SECONDS", 0.0)
    keys = Counted(store.redis, store.keys)
    _, secret = await keys.create("one", Scope.ADMIN, NOBODY)
    door = Door(keys, settings())
    caller = await door.admit(asked(authorization=f"Bearer {secret}"), Scope.ADMIN, needs_store=True)
    keys.away = True
    assert await door.holds(caller)
    keys.away = False
    await keys.revoke("one")
    assert not await door.holds(caller)
