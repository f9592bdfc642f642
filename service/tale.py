"""What a listener of a job has to be told next: its steps and its words, in the order of time, then its end.

Pure rules over one look at a time. Nothing is told twice, and of what is kept nothing is left out.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from service.place import Place
from slotwise.course import Step, course
from slotwise.entry import stream_id_of
from slotwise.job import TERMINAL, Job
from slotwise.moment import timestamp
from slotwise.said import Output, Progress, Said
from slotwise.sight import Sight
from slotwise.view import job_object

NOT_TOLD = ("params", "result")  # of the job that `end` shows: they may be large


@dataclass(frozen=True, slots=True)
class Event:
    """`place` is where the listener stands once it has this."""

    place: Place
    name: str
    data: dict[str, Any]


class Tale:
    """Of one listener, from `place` on. Words are shown to it from the first that is kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._held = b""  # the beginning of a character whose rest was not said yet
        self._held_of = 0  # the attempt that said it

    def tell(self, sight: Sight) -> Iterator[Event]:
        """The events of a look at the same life of the job; the last of a job that has ended is `end`."""
        steps = [step for step in course(sight.job) if step.number > self.place.step]
        for word in sight.words:
            while steps and steps[0].precedes(word):
                yield from self._step(steps.pop(0))
            yield from self._word(word)
        if sight.more:
            return
        for step in steps:
            yield from self._step(step)
        if sight.job.state in TERMINAL:
            yield self._end(sight.job)

    def _step(self, step: Step) -> Iterator[Event]:
        if step.ends_attempt:
            yield from self._let_go()
        self.place = replace(self.place, step=step.number)
        data = {"status": step.state, "reason": step.reason, "attempt": step.attempt, "at": timestamp(step.at_ms)}
        yield Event(self.place, "status", data)

    def _word(self, word: Said) -> Iterator[Event]:
        if isinstance(word, Output):
            yield from self._output(word)
            return
        word_id = stream_id_of(word.id.encode())
        if word_id > self.place.word:
            self.place = replace(self.place, word=word_id)
            yield Event(self.place, "progress", _progress(word))

    def _output(self, piece: Output) -> Iterator[Event]:
        if self._held and (piece.attempt != self._held_of or piece.at > self._reached):
            yield from self._let_go()
        fresh = piece.data[max(0, self._reached - piece.at) :]
        if not fresh:
            return
        missing = max(0, piece.at - self._reached)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(self._held + fresh)
        at = self.place.written + missing
        whole = at + len(self._held) + len(fresh)
        self._held, self._held_of = decoder.getstate()[0], piece.attempt
        if text:
            self.place = replace(self.place, word=stream_id_of(piece.id.encode()), written=whole - len(self._held))
            yield Event(self.place, "log", _log(at, missing, text, piece.attempt))

    @property
    def _reached(self) -> int:
        """Bytes of the output that were told or are held."""
        return self.place.written + len(self._held)

    def _let_go(self) -> Iterator[Event]:
        """Tell of a character that nobody completes."""
        if self._held:
            at, text = self.place.written, self._held.decode("utf-8", "replace")
            self.place = replace(self.place, written=self._reached)
            self._held = b""
            yield Event(self.place, "log", _log(at, 0, text, self._held_of))

    def _end(self, job: Job) -> Event:
        self.place = end_of(job, self.place)
        shown = {name: value for name, value in job_object(job).items() if name not in NOT_TOLD}
        return Event(self.place, "end", shown)


def end_of(job: Job, place: Place) -> Place:
    """Where `place` is once everything was told of a job that has ended."""
    return replace(place, step=course(job)[-1].number + 1)


def _progress(word: Progress) -> dict[str, Any]:
    return {"percent": word.percent, "message": word.message, "attempt": word.attempt}


def _log(at: int, missing: int, text: str, attempt: int) -> dict[str, Any]:
    return {"at": at, "missing": missing, "text": text, "attempt": attempt}
