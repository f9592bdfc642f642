"""One granted attempt, from its claim to the store's word on its finish."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import arq.worker
from arq.jobs import SerializationError
from arq.utils import ms_to_datetime, timestamp_ms

from slotwise import context, wire
from slotwise.attempt import Finish, Grant
from slotwise.errors import JobError, text_of
from slotwise.words import Words
from worker import outcome
from worker.envelope import Call, Envelope, called
from worker.function import AlgorithmFunction, attempts_of, keep_ms
from worker.hearing import Hearing
from worker.outcome import Verdict
from worker.report import Report
from worker.speech import Speech
from worker.stop import Stop
from worker.tally import Tally

if TYPE_CHECKING:
    from worker.loop import Worker


CRON_MARK_MS: Final = int(arq.worker.keep_cronjob_progress * 1000)  # type: ignore[attr-defined]
_making: Final = threading.Lock()  # of a context: several threads of a body may be the first to ask for it


class Execution:
    """Runs one job's body and its hooks, all in `task`, and ends the attempt."""

    def __init__(self, worker: Worker, hearing: Hearing, grant: Grant, incarnation: str) -> None:
        self.grant = grant
        self.incarnation = incarnation
        self.task: asyncio.Task[None]
        self.worker = worker
        self._ran = False
        self._told: asyncio.Future[None] | None = None
        self.call = Call()
        self.attempt = grant.attempt
        self.function: Any = None
        self.started_ms = timestamp_ms()
        self.tally = Tally()
        self._stop = Stop(self.tally, worker.settings)
        self._hearing = hearing
        self._speech: Speech | None = None
        self._context: context.Context | None = None
        self._seconds: float | None = None  # that its body may run
        self._report = Report(self)

    @property
    def ref(self) -> str:
        """The job as the log names it."""
        return f"{self.grant.id}:{self.call.name}"

    def cancel(self) -> None:
        """Somebody cancelled the job: end its body."""
        self._stop.cancel()

    def hand_back(self) -> None:
        """End its body, and let the job run again elsewhere; the attempt does not count."""
        self._stop.hand_back()

    async def run(self) -> None:
        """The whole life of the attempt. Raises nothing but CancelledError."""
        self.task = self.worker.tasks[self.grant.id] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            finish = self._finish(self._before() or await self._attempted())
        except Exception as fault:  # something poisoned, or a fault of ours: it costs this job, not the worker
            finish = self._finish_by(fault)
        if self.worker.after_job_end:
            self._told = self.worker.loop.create_future()
        try:
            await self._hook("on_job_end")
        finally:
            self.worker.end(self, finish)
        if self._told:
            await self._told
            await self._hook("after_job_end")

    def answered(self, word: str) -> None:
        """The store's word on the attempt's finish: 'ok', 'again' or 'stale'."""
        if word == "stale":
            self._report.event("stale")
        if self._told and not self._told.done():
            self._told.set_result(None)

    def _finish_by(self, fault: Exception) -> Finish:
        self._report.faulted(fault)
        error = JobError(
            "exception", f"the worker could not handle this job: {type(fault).__name__}: {text_of(fault)}"
        )
        told = wire.encode(error.as_dict())
        return Finish(
            self.grant.id,
            self.grant.token,
            "failed",
            error=told,
            keep_ms=keep_ms(self.worker, self.function, self.grant.keep_result),
        )

    def _before(self) -> Verdict | None:
        """The verdict on a job that cannot be run, None for one that can."""
        worker, grant = self.worker, self.grant
        if grant.notice == "expired":
            return outcome.not_run("expired", "job expired", "expired")
        try:
            self.call, tries = called(grant.payload, worker.job_deserializer)
            self.attempt = max(self.attempt, tries)
        except (SerializationError, ValueError, TypeError, OverflowError) as error:
            return outcome.failed(error, JobError("bad_params", "the job's payload cannot be read"), "unreadable")
        if grant.notice == "abort":
            return outcome.cancelled("cancelled_before_start")
        if grant.notice == "lost":
            return outcome.failed(JobError("lost", "three workers died while they ran this job"))
        self.function = worker.functions.get(self.call.name)
        if self.function is None:
            return outcome.not_run("algorithm_not_found", f"function {self.call.name!r} not found", "no_function")
        most = self.most_tries()
        if self.attempt > most:
            return outcome.not_run("exception", f"max {most} retries exceeded", "tries_exceeded")
        return None

    def most_tries(self) -> int:
        """How often the job may be tried: as arq counts `Retry`, or as its own policy allows if that is more."""
        declared = self.function.max_tries
        return max(self.worker.max_tries if declared is None else declared, self._attempts())

    def _attempts(self) -> int:
        return attempts_of(self.function, self.grant.max_attempts, self.worker.settings.max_attempts)

    async def _attempted(self) -> Verdict:
        try:
            if self.worker.on_job_start:
                await self.worker.on_job_start(self._ctx())
            if self._stop.handed_back or self._stop.cancel_requested:  # while the hook ran
                raise asyncio.CancelledError
            result = await self._run_body()
        except (Exception, asyncio.CancelledError) as failure:
            return outcome.judge(failure, self._circumstances())
        if self._stop.cancel_requested:  # it swallowed its cancellation: it is not `completed` all the same
            return outcome.cancelled()
        if self._stop.timed_out:
            return outcome.judge(TimeoutError(), self._circumstances())
        return outcome.completed(result)

    def _ctx(self) -> dict[str, Any]:
        """arq's context of one try."""
        return {
            **self.worker.ctx,
            "job_id": self.grant.id,
            "job_try": self.attempt,
            "enqueue_time": ms_to_datetime(self.call.enqueued_ms),
            "score": int(self.grant.score),
        }

    async def _run_body(self) -> Any:
        worker, function, call, stop = self.worker, self.function, self.call, self._stop
        self._seconds = self._timeout()
        self.started_ms = timestamp_ms()
        self._report.started()
        if isinstance(function, AlgorithmFunction):
            limits = function.algorithm.limits.tightened_by(self.grant.limits).tightened_by(worker.settings.most)
            job = {"job_id": self.grant.id, "attempt": self.attempt, "seconds": self._seconds, **limits.as_dict()}
            job |= self._report.trace.as_stored()
            coroutine = worker.bodies.run(
                function.algorithm, call.args, call.kwargs, job, self.tally, self._known_to_body, stop
            )
        else:
            coroutine = worker.bodies.run_coroutine(
                function.coroutine(self._ctx(), *call.args, **call.kwargs), stop
            )
        # the body has no task of its own, nor the timeout a context: together they cost as much as all the rest
        worker.job_tasks[self.grant.id] = self.task
        self._ran = True
        stop.begun(self.task, function, self._seconds)
        here = context.begin(self._known_to_body)
        try:
            return await coroutine
        except asyncio.CancelledError:
            if stop.timed_out:
                raise TimeoutError from None
            raise
        finally:
            stop.ended()
            context.end(here)
            del worker.job_tasks[self.grant.id]
            if self.task.cancelling():  # whoever cancelled meant the body
                self.tally.step("gone")
                await self._forget_cancel()

    def _timeout(self) -> float | None:
        """In seconds: as the job, its function or the worker says, and never more than the service allows."""
        asked = self.grant.timeout or self.function.timeout_s or self.worker.job_timeout_s
        return None if asked is None else self.worker.settings.capped(asked)

    def _known_to_body(self) -> context.Context:
        """The body's context, made when it, or what it calls, asks for it."""
        if self._context is None:
            with _making:
                if self._context is None:
                    grant, keep = self.grant, self.worker.settings.max_log_bytes
                    self._speech = Speech(grant.id, grant.token, keep, self._hearing.heard, self._is_to_end)
                    self._context = context.Context.until(
                        grant.id, self.attempt, self._seconds, self._speech, self._report.trace
                    )
        return self._context

    def _is_to_end(self) -> bool:
        """Whether the body has been told to; from any thread. arq cancels the tasks of a worker that leaves."""
        return self._stop.told or (self.worker.leaving and self.task.cancelling() > 0)

    def last_words(self) -> Words | None:
        """What the body said that the store has not been told."""
        return None if self._speech is None else self._hearing.last_words(self._speech)

    async def _forget_cancel(self) -> None:
        while self.task.uncancel():
            pass
        with suppress(asyncio.CancelledError):  # one that the body did not meet: uncancel() keeps it before 3.13
            await asyncio.sleep(0)

    def _circumstances(self) -> outcome.Circumstances:
        return outcome.Circumstances(
            attempt=self.attempt,
            attempts=self._attempts(),
            cancel_requested=self._stop.cancel_requested,
            handed_back=self._stop.handed_back,
            leaving=self.worker.leaving,
            timed_out=self._stop.timed_out,
            retry_jobs=self.worker.retry_jobs,
        )

    def _finish(self, verdict: Verdict) -> Finish:
        kept_ms = self._kept_ms()
        envelope, verdict = self._envelope(verdict, kept_ms)
        self._report.ended(verdict)
        cron = hasattr(self.function, "next_run") and verdict.outcome not in ("retry", "release", "died")
        return Finish(
            id=self.grant.id,
            token=self.grant.token,
            outcome=verdict.outcome,
            algorithm=self.call.name if self.call.enqueued_ms else "",
            error=wire.encode(verdict.error.as_dict()) if verdict.error else b"",
            envelope=envelope,
            keep_ms=kept_ms,
            retry_in_ms=int(verdict.retry_in_seconds * 1000),
            mark_ms=CRON_MARK_MS if cron else 0,
            attempt=self.attempt - (not verdict.counted),
            own_end=self._ran and verdict.counted and verdict.outcome in ("completed", "failed", "retry"),
            account=self.tally.account(),
        )

    def _kept_ms(self) -> int | None:
        return keep_ms(self.worker, self.function, self.grant.keep_result)

    def _envelope(self, verdict: Verdict, kept_ms: int | None) -> tuple[bytes, Verdict]:
        """The bytes for `arq:result:`, and the verdict, which a result that cannot be stored turns to `failed`."""
        if verdict.outcome in ("retry", "release", "died"):
            return b"", verdict
        worker, grant = self.worker, self.grant
        envelope = Envelope(
            self.call, grant.id, worker.queue_name, self.attempt, self.started_ms, worker.serializer
        )
        done, limit = verdict.outcome == "completed", worker.settings.max_result_bytes
        try:
            data = envelope.of(done, verdict.result if done else verdict.failure)
            if not done or len(data) <= limit + len(grant.payload):
                return (b"" if kept_ms == 0 else data), verdict
            error = JobError("bad_result", f"the result is over {limit} bytes (MAX_RESULT_BYTES)")
        except Exception as unserialisable:  # whatever a serializer of the user's raises
            error = JobError("bad_result", f"unable to serialize result: {unserialisable}")
            self._report.event("result_unserialisable", failure=unserialisable)
        return (b"" if kept_ms == 0 else envelope.of_unserialisable(error)), outcome.failed(error)

    async def _hook(self, name: str) -> None:
        """A hook that fails says so in the log, and neither loses the job's result nor ends the worker."""
        hook = getattr(self.worker, name)
        if hook is None or self.function is None:
            return
        ctx = {**self.worker.ctx, "job_id": self.grant.id, "job_try": self.attempt}
        try:
            await hook(ctx)
        except Exception as failure:
            self._report.event("failed", failure=failure)
