"""What happens to a worker and its jobs, as events: the code that moves emits, subscribers log and count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from slotwise.trace import NO_TRACE, Trace

Name = Literal[
    "started",
    "completed",
    "failed",
    "retrying",  # the job asked for it, or its policy did
    "handed_back",  # a cancelled attempt that will run again
    "no_process",  # the machine had none for it: it runs later
    "cancelled",
    "cancelled_before_start",
    "expired",
    "unreadable",  # the payload is not what the serializer reads
    "no_function",
    "tries_exceeded",
    "stale",  # a finish that came too late
    "result_unserialisable",
    "wake_refused",  # of no job: the server does not say what changes, the slow poll must do
    "loop_blocked",  # of the job that keeps the event loop, told from another thread; `text` is the place
    "loop_free",  # again, after `seconds`
    "disturbed",  # of no job that we could name: one tried to end the event loop
    "tree_unbounded",  # at the start: limits bind each process of a job, and not all of them together
    "webhooks_unsigned",  # of no job: there is no secret to sign with
    "webhook_refused",  # its host leads to an address to which none is sent; `ref` is the receiver
    "webhook_given_up",  # the last attempt has failed, or the receiver wants no more of it
    "memory_unbounded",  # at the start: algorithms declare a limit that this kernel does not enforce
]


@dataclass(slots=True)
class Event:
    """One thing that happened. `seconds` is the time that the log line tells; the rest as the name asks."""

    name: Name
    job_id: str = ""
    ref: str = ""
    seconds: float = 0.0
    text: str = ""
    attempt: int = 1
    delay_seconds: float = 0.0
    failure: BaseException | None = None
    extra: object = None
    trace: Trace = NO_TRACE


Subscriber = Callable[[Event], None]
