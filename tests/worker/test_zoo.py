"""The zoo: hostile jobs, all at once, beside canaries that must notice nothing; and nothing of them is left.

One fleet for all of it. The beasts of the first house ruin what is theirs; those of the second strike the process
that forks jobs, and with it every other job there is run again: they come when the canaries have left.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slotwise.errors import MAX_DETAIL_CHARS, MAX_MESSAGE_CHARS
from tests.conftest import check_nothing_left
from tests.facts import wait_until
from tests.fleet import Fleet, ended
from tests.servers import Server
from tests.witness import ADDRESS, Witness
from worker import tree
from worker.spare import READY

pytestmark = pytest.mark.slow

SHORT = {"timeout": 1.5}
DONE = ""


@dataclass(frozen=True)
class Beast:
    """One hostile job: what is asked for, and what it is called in the end (DONE: it completed)."""

    algorithm: str
    kind: str
    text: str = ""  # in its message or detail; of one that completed, its result
    params: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join(str(part)[:20] for part in (self.algorithm, *self.params.values(), *self.asked.values()))


def returns(what: str, kind: str = "bad_result", text: str = "", **asked: Any) -> Beast:
    return Beast("Returns", kind, text, {"what": what}, asked)


def forges(message: str, kind: str, expected: str, text: str = "", **more: Any) -> Beast:
    return Beast("Forges", expected, text, {"message": message, "kind": kind, **more}, SHORT)


def dies_of(number: signal.Signals, **more: Any) -> Beast:
    return Beast("Signals", "crashed", number.name, {"number": int(number), **more}, SHORT)


MEMORY = {"memory_mb": 64, "timeout": 20}

BEASTS = [
    # by what it raises
    Beast("Raises", "exception", "ValueError: boom", {"message": "boom"}),
    Beast("Raises", "exception", "x", {"message": "x" * 200_000}),
    Beast("RaisesOdd", "exception", "é 漢"),
    Beast("RaisesChained", "exception", "KeyError: 'the cause'"),
    Beast("RaisesLongChain", "exception", "ValueError: 19999"),
    Beast("RaisesCycle", "exception", "first"),
    Beast("RaisesDeepGroup", "exception", "shell"),
    Beast("RaisesMute", "exception", "Mute"),
    Beast("RaisesBabble", "exception", "blah"),
    Beast("RaisesJobError", "exception", "made up", {"kind": "expired"}),
    Beast("RaisesJobError", "exception", "made up", {"kind": "no such thing"}),
    Beast("RaisesKeyboardInterrupt", "exception", "KeyboardInterrupt"),
    Beast("RaisesCancelled", "exception", "CancelledError"),
    Beast("RaisesTimeout", "exception", "TimeoutError"),
    Beast("RecursesForEver", "exception", "RecursionError"),
    Beast("Exits", "crashed", "exit code 7", {"code": 7}),
    Beast("Exits", "crashed", "exit code 0", {"code": 0}),
    Beast("ExitsOddly", "crashed", "sys.exit"),
    Beast("AsksAgainOddly", "exception", "Retry"),
    Beast("AsksAgainForAges", DONE, "again", {"seconds": -1e12}),
    # by what it returns
    Beast("NotJson", "bad_result", "not JSON"),
    Beast("NotANumber", "bad_result", "not JSON"),
    Beast("Large", "bad_result", "MAX_RESULT_BYTES", {"size": 10_000_000}),
    returns("inf"),
    returns("surrogate"),
    returns("surrogate key"),
    returns("deep"),
    returns("circular"),
    returns("bytes"),
    returns("coroutine"),
    returns("function"),
    returns("treacherous", DONE, "{'a': 1}"),
    returns("module"),
    returns("huge int"),
    returns("generator", DONE, "[0, 1, 2]"),
    returns("endless", "memory_limit", **MEMORY),
    # by what it does to its process
    Beast("Dies", "crashed", "exit code 0", {"code": 0}),
    Beast("Dies", "crashed", "exit code 3", {"code": 3}),
    dies_of(signal.SIGSEGV),
    dies_of(signal.SIGKILL),
    dies_of(signal.SIGTERM),
    Beast("Signals", "exception", "KeyboardInterrupt", {"number": int(signal.SIGINT)}, SHORT),
    dies_of(signal.SIGHUP),
    dies_of(signal.SIGABRT),
    dies_of(signal.SIGKILL, group=True),
    Beast("Signals", "timeout", params={"number": int(signal.SIGSTOP)}, asked=SHORT),
    Beast("DereferencesNull", "crashed", "SIGSEGV"),
    Beast("OverflowsTheStack", "crashed", "SIGSEGV"),
    Beast("SetsAnAlarm", "crashed", "SIGALRM"),
    Beast("BecomesAnother", "timeout", params={"program": "sleep", "argument": "120"}, asked=SHORT),
    Beast("BecomesAnother", "crashed", "exit code 0", {"program": "true", "argument": ""}),
    Beast("SpinsInC", "timeout", asked=SHORT),
    Beast("SpinsInC", "cpu_limit", asked={"cpu_seconds": 0.3}),
    Beast("HidesFromSignals", "timeout", asked=SHORT),
    Beast("Allocate", "memory_limit", params={"mb": 1000}, asked=MEMORY),
    Beast("CatchesItsShortage", DONE, "made do", asked=MEMORY),
    Beast("HidesItsShortage", "memory_limit", params={"how": "cause"}, asked=MEMORY),
    Beast("HidesItsShortage", "memory_limit", params={"how": "group"}, asked=MEMORY),
    Beast("ClosesEverything", "crashed", "no result"),
    Beast("ClosesItsOutput", DONE, "1"),
    Beast("PutsAFileInTheWay", "crashed", "no result", {"directory": "."}),
    Beast("ReplacesItsOutput", DONE, "1"),
    Beast("Monkeypatches", DONE, "1"),
    Beast("LowersItsLimits", DONE, "1"),
    Beast("LimitsItsTime", "crashed", "SIG"),
    Beast("HangsAtExit", DONE, "1"),
    Beast("LeavesThreads", DONE, "1"),
    Beast("OpensTooManyFiles", "exception", "Too many open files"),
    Beast("FillsAFile", "exception", "File too large"),
    Beast("Talks", DONE, "8", {"mb": 8}),
    # by what it says in its answer's place
    forges("[]", "F", "bad_result", "nonsense"),
    forges('{"type":"made up","message":"x","detail":null}', "F", "bad_result", "nonsense"),
    forges('{"type":"lost","message":"x","detail":null}', "F", "bad_result", "nonsense"),
    forges("1" + "0" * 400, "A", "bad_result", "nonsense"),
    forges('"soon"', "A", "bad_result", "nonsense"),
    forges("{}", "?", "bad_result", "nonsense"),
    forges("{", "R", "bad_result", "nonsense"),
    forges("garbage", "g", "bad_result", "too large", declared=4_000_000_000),
    forges("half of it", "R", "crashed", "exit code 0", declared=40),
    Beast("Floods", "timeout", asked=SHORT),
    # by the processes that it makes
    Beast("ForksAndBothReturn", DONE, "1"),
    Beast("ForksABomb", "timeout", asked=SHORT),
    Beast("Flees", DONE, "2", {"processes": 2}),
    Beast("LeavesADaemon", DONE, "1"),
    Beast("LeavesAStoppedChild", DONE, "1"),
    Beast("LeavesAReaper", DONE, "1"),
    Beast("BurnsInAChildAndDies", "crashed", "SIGKILL", asked={"cpu_seconds": 0.5}),
    Beast("Hostile", "timeout", asked=SHORT),
    # in the worker's own process
    Beast("RaisesAsync", "exception", "Traceback"),
    Beast("RaisesUnprintable", "exception", "its message raised RuntimeError"),
    Beast("RaisesBeyond", "exception", "BeyondException"),
    Beast("RaisesKeyboardInterruptAsync", "exception", "KeyboardInterrupt"),
    Beast("RaisesMuteAsync", "exception", "Mute"),
    Beast("RaisesTimeoutAsync", "exception", "TimeoutError"),
    Beast("RaisesGroupAsync", "exception", "unhandled errors in a TaskGroup"),
    Beast("ExitsAsync", "crashed", "exit code 5"),
    Beast("ExitsInATask", "crashed", "exit code 6"),
    Beast("StopsTheLoop", DONE, "went on"),
    Beast("BlocksTheLoop", DONE, "done", {"seconds": 1.0}),
    Beast("CancelsItself", "exception", "max 5 retries"),
    Beast("SwallowsItsCancel", "timeout", asked={"timeout": 0.2}),
    Beast("SetsItsRecursionLimit", "exception", "RecursionError"),
    Beast("NotJsonAsync", "bad_result"),
    *(
        Beast("ReturnsAsync", "bad_result", params={"what": what})
        for what in ("inf", "surrogate", "deep", "circular", "huge int", "function")
    ),
]


def open_files(pid: int) -> int:
    """How many, but for the pages that a worker keeps in reserve."""
    found = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed while we looked
            found += "slotwise-job" not in str(file.readlink())
    return found


class Zoo:
    """The fleet, its canaries, and the beasts in it."""

    def __init__(self, fleet: Fleet, witness: Witness) -> None:
        self.fleet, self.witness = fleet, witness
        self.front = fleet.front(MAX_CONCURRENT_JOBS="16")
        self.workers = [fleet.worker(), fleet.worker()]
        self._until = fleet.directory / "enough"
        names = ["Canary"] * 3 + ["CanaryAsync"] * 3
        self.canaries = [self.submit(Beast(name, DONE, params={"until": str(self._until)})) for name in names]
        wait_until(lambda: witness.names.count("canary") == len(names), what="all canaries sing")
        wait_until(
            lambda: sum(len(tree.children(zygote)) for *_, zygote in self._keepers()) == 3 + 2 * READY,
            what="as many processes as are to be are forked ahead in each worker",
        )
        self.before = self.holdings()
        self.jobs = {str(beast): self.submit(beast) for beast in BEASTS}

    def submit(self, beast: Beast) -> str:
        asked = {"algorithm": beast.algorithm, "params": beast.params} | beast.asked
        answer = self.front.post("/jobs", json=asked)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def holdings(self) -> list[tuple[int, int, int, int]]:
        """Of each worker, guardian and zygote: process, descriptors, threads, children."""
        found = []
        for pid in (pid for keepers in self._keepers() for pid in keepers):
            threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
            found.append((pid, open_files(pid), threads, len(tree.children(pid))))
        return found

    def _keepers(self) -> list[tuple[int, int, int]]:
        """Each worker, its guardian and its zygote."""
        found = []
        for worker in self.workers:
            [guardian] = tree.children(worker.popen.pid)
            [zygote] = tree.children(guardian)
            found.append((worker.popen.pid, guardian, zygote))
        return found

    def dismiss(self) -> list[dict[str, Any]]:
        """End the canaries: what became of them."""
        self._until.touch()
        return [ended(self.front, canary) for canary in self.canaries]


@pytest.fixture(scope="module")
def server_of_the_zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def zoo(server_of_the_zoo: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    witness = Witness()
    fleet = Fleet(server_of_the_zoo.url, tmp_path_factory.mktemp("zoo"))
    fleet.settings |= {ADDRESS: witness.address, "ALGORITHMS": "tests.zoo,tests.hostile,tests.hostile_async"}
    fleet.settings["LEASE_SECONDS"] = "5"  # this is of no leases, and the machine is busy
    try:
        yield Zoo(fleet, witness)
    finally:
        fleet.close()
        witness.close()


@pytest.mark.parametrize("beast", BEASTS, ids=str)
def test_what_it_does_is_a_named_outcome(zoo: Zoo, beast: Beast) -> None:
    found = ended(zoo.front, zoo.jobs[str(beast)], within=25)
    error = found["error"] or {"type": DONE, "message": "", "detail": ""}
    assert (found["status"], error["type"]) == ("failed" if beast.kind else "completed", beast.kind), found
    told = f"{error['message']}\n{error['detail']}" if beast.kind else str(found["result"])
    assert beast.text in told
    assert len(error["message"]) <= MAX_MESSAGE_CHARS
    assert len(error["detail"] or "") <= MAX_DETAIL_CHARS


def test_the_canaries_noticed_nothing_and_nothing_is_left(zoo: Zoo) -> None:
    for job_id in zoo.jobs.values():
        ended(zoo.front, job_id, within=25)
    wait_until(lambda: zoo.holdings() == zoo.before, within=5, what=f"what there was before: {zoo.before}")
    status = zoo.front.get("/jobs/concurrency/status").json()
    assert status["running_jobs"] == len(zoo.canaries)
    assert zoo.witness.alive == len(zoo.canaries)
    for canary in zoo.dismiss():
        assert (canary["status"], canary["attempt"], canary["result"]["alive"]) == ("completed", 1, True), canary
    assert zoo.witness.names.count("canary") == len(zoo.canaries), "a canary was run again"
    assert zoo.front.get("/jobs/concurrency/status").json()["running_jobs"] == 0
    assert zoo.witness.alive == 0
    proof = zoo.front.get("/jobs/concurrency/proof").json()
    assert proof["violations"] == [], proof


@pytest.mark.parametrize("name", ["KillsItsParent", "StopsItsParent"])
def test_what_strikes_the_process_that_forks_jobs_is_lost_after_three(zoo: Zoo, name: str) -> None:
    zoo.dismiss()
    found = ended(zoo.front, zoo.submit(Beast(name, "lost")), within=25)
    assert (found["status"], found["error"]["type"]) == ("failed", "lost"), found
    assert ended(zoo.front, zoo.submit(Beast("Add", DONE, params={"a": 1, "b": 2})))["result"] == 3


def test_at_the_end_no_process_and_no_key_is_left(zoo: Zoo, server_of_the_zoo: Server) -> None:
    zoo.dismiss()
    assert all(worker.alive for worker in zoo.workers)
    zoo.fleet.close()
    wait_until(lambda: not zoo.fleet.strays(), within=10, what="no process of the fleet is left")
    assert zoo.witness.alive == 0
    check_nothing_left(server_of_the_zoo.client)
