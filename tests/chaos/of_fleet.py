"""What was promised of the fleet: nothing left, soon back, nobody gone, no client let down."""

from __future__ import annotations

from tests.chaos import recovery
from tests.chaos.oracle import Story
from tests.chaos.verdict import Verdict, at_most, check, none_of

REST_SECONDS = 12.0
DRAINS = 0.25  # seconds of a full memory, below which it is not asked whether a body started


@check
def acts(story: Story, slack: float) -> Verdict:
    stuck = [f"{each['name']}: {each['error']}" for each in story.of("stuck")]
    return none_of("every act comes to its end", stuck)


@check
def slots_given_back(story: Story, slack: float) -> Verdict:
    """Promise 4, of slots."""
    last = max(
        (body.ended or float("inf") for body in story.bodies if body.at < story.time_of("at rest")), default=0
    )
    seconds = story.time_of("at rest") - max(story.time_of("healed"), last)
    return at_most("slots are given back", max(0.0, seconds), REST_SECONDS * slack)


@check
def nothing_left(story: Story, slack: float) -> Verdict:
    """Promise 4, of processes and keys."""
    cases = [f"{body.job}: a body without an end" for body in story.bodies if body.ended is None]
    cases += [f"{each['job']}: a process that a job left" for each in story.kin]
    for each in story.of("left processes"):
        cases += [f"process {pid}" for pid in each["pids"]]
    workers = story.of("plan")[0]["workers"]
    for event, leases in (("left at rest", workers), ("left at the end", 0)):
        for each in story.of(event):
            if each["kept_in_all"] or each["slots"] or each["leases"] != leases:
                cases.append(str(each))
            if event == "left at rest" and each["queued"]:
                cases.append(str(each))
    return none_of("no process, slot or key is left", cases)


@check
def runs_again(story: Story, slack: float) -> Verdict:
    """Promise 6: beyond the length of the dead worker's own lease."""
    times = [found.beyond_lease for found in recovery.recoveries(story)]
    bound = recovery.BEYOND_LEASE * slack
    return at_most(
        "a dead worker's jobs run again, p99 beyond the lease", recovery.p99(times), bound, f" of {len(times)}"
    )


@check
def first_claim(story: Story, slack: float) -> Verdict:
    times = recovery.first_starts(story)
    bound = recovery.FIRST_START * slack
    return at_most("a body starts once the server is back", max(times, default=0.0), bound, f" of {len(times)}")


@check
def noticed(story: Story, slack: float) -> Verdict:
    """Promise 5, of a fleet with nothing to do and a fault behind it."""
    worst, cases = 0.0, []
    for probe in story.of("probe"):
        promised = story.promised[probe["id"]]["at"]
        seconds = story.first_starts.get(probe["id"], float("inf")) - promised
        worst = max(worst, seconds)
        if seconds > recovery.FIRST_START * slack:
            cases.append(f"after {probe['after']}: {seconds:.2f} s")
    return Verdict("a job that comes in a lull is noticed", not cases, f"{worst:.2f} s at most", cases)


@check
def full(story: Story, slack: float) -> Verdict:
    """While memory is full, what waits is run."""
    cases = []
    windows = list(zip(story.of("full"), story.of("room"), strict=False))
    for begun, room in windows:
        begin, end = begun["at"] + 0.5, room["at"]
        if end - begin < DRAINS * slack:
            continue
        others = [
            at for at, until, each in story.spells if each["target"] == "server" and at < end and until > begin
        ]
        if story.waited(begin) and story.waited(end) and len(others) <= 1 and story.first_start_after(begin) > end:
            cases.append(f"no start from {begin:.2f} to {end:.2f}")
    return none_of("a full server is drained", cases, f" of {len(windows)}")


@check
def status(story: Story, slack: float) -> Verdict:
    """Promise 8, with every slot taken or nearly."""
    cases = []
    for each in story.of("status"):
        told = each["told"]
        running, most = told["running_jobs"], told["max_concurrent"]
        least = min(each["alive"]) / 2  # of bodies before and after: some were between two jobs
        is_sum = told["available_slots"] == max(0, most - running)
        if not is_sum or most != story.first_cap or not least <= running <= most:
            cases.append(str(each))
    return none_of("the status is the truth", cases, f" of {len(story.of('status'))}")


@check
def exits(story: Story, slack: float) -> Verdict:
    """Nobody ends but by a fault, or by the timer that ends a worker's bodies with it."""
    ends = [each for each in story.of("exit") if not each["by_us"]]
    by_timer = [each for each in ends if each["status"] == -9 and each["target"].startswith("worker")]
    cases = [str(each) for each in ends if each not in by_timer]
    return none_of("no process ends by itself", cases, f", {len(by_timer)} by the timer of their lease")


@check
def answers(story: Story, slack: float) -> Verdict:
    return none_of("no client is answered 500, or refused", map(str, story.refusals))


@check
def goes_on(story: Story, slack: float) -> Verdict:
    ends = [each["status"] for each in story.of("works again")]
    bad = [end for end in ends if end != "completed"]
    return Verdict(
        "the service goes on with a server that lost all", bool(ends) and not bad, f"{len(ends)} jobs", bad
    )
