"""The course of a job: every state it has been in since it was submitted (or retried), numbered from 1.

Pure rules over one read of the job, so nothing is written for it: the record of a job has all its moves, but for
the times of attempts for which its history has no room. Their numbers are left out, and stay theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slotwise.job import TERMINAL, Job, Reason, State
from slotwise.said import Said


@dataclass(frozen=True, slots=True)
class Step:
    """A job came into `state` at `at_ms`. `attempt` as the job shows it then; `of` is the attempt that it began or
    ended.
    """

    number: int
    state: State
    reason: Reason | None
    attempt: int
    at_ms: int | None
    of: int

    @property
    def ends_attempt(self) -> bool:
        return self.state is not State.RUNNING and self.number > 1

    def precedes(self, word: Said) -> bool:
        """Whether it came before `word` was said. A body speaks while it runs, and clocks are set back."""
        if self.state in TERMINAL or self.number == 1:
            return self.number == 1
        if word.attempt != self.of:
            return word.attempt > self.of
        said_ms, at_ms = int(word.id.partition("-")[0]), self.at_ms or 0
        return said_ms > at_ms if self.ends_attempt else said_ms >= at_ms


def course(job: Job) -> list[Step]:
    """The steps of `job`, in order; the last is the state that it is in."""
    ran = job.state is State.RUNNING or (
        job.state in TERMINAL and job.started_ms is not None and not job.ended_waiting
    )
    retries = sum(attempt.outcome == "retry" for attempt in job.history)
    counted = 0 if job.forgotten else max(0, job.attempt - ran - retries)
    began_ms = job.created_ms if job.reopened_ms is None else job.reopened_ms
    steps = [Step(1, State.PENDING, _first_reason(job, began_ms, retries), counted, began_ms, 0)]
    for attempt in job.history:
        number, of = len(steps) + 1, counted + 1
        steps.append(Step(number, State.RUNNING, None, of, attempt.started_ms, of))
        reason = Reason.RETRYING if attempt.outcome == "retry" else Reason.QUEUED
        counted += reason is Reason.RETRYING
        steps.append(Step(number + 1, State.PENDING, reason, counted, attempt.ended_ms, of))
    if job.forgotten:
        number, counted = len(steps) + 2 * job.forgotten, job.attempt - ran
        steps.append(Step(number, State.PENDING, job.reason, counted, job.ready_ms, counted))
    return steps + _now(job, steps, ran)


def _now(job: Job, before: Sequence[Step], ran: bool) -> list[Step]:
    """Its attempt, and its end, as far as it has them."""
    number, steps = before[-1].number, []
    if ran:
        steps.append(Step(number + 1, State.RUNNING, None, job.attempt, job.started_ms, job.attempt))
    if job.state in TERMINAL:
        steps.append(Step(number + 1 + ran, job.state, None, job.attempt, job.ended_ms, job.attempt))
    return steps


def _first_reason(job: Job, began_ms: int | None, retries: int) -> Reason | None:
    """None where it is not known any more: a retry has a due time of its own."""
    if job.reopened_ms is not None:
        return Reason.QUEUED
    if retries or job.forgotten or job.due_ms is None or began_ms is None:
        return None
    return Reason.SCHEDULED if job.due_ms > began_ms else Reason.QUEUED
