"""The SDK: `Client` and `AsyncClient` speak HTTP with the service, for Python programs and for the command line.

What is asked and how an answer is read stands once, in `calls` and `moves`, and does no I/O; `blocking` and
`asynchronous` carry it out. Never touches Redis. `slotwise` itself imports this package only when it is asked for:
a job's process has no need of an HTTP library.
"""

from slotwise.client.asynchronous import AsyncClient
from slotwise.client.blocking import Client
from slotwise.client.model import (
    AlgorithmSlots,
    Concurrency,
    Effect,
    Event,
    Explanation,
    Failure,
    FleetEvent,
    Job,
    JobMove,
    Override,
    RunningJob,
    SlotNumbers,
    Usage,
    WebhookAttempt,
    Worker,
)
from slotwise.client.problems import ApiError
from slotwise.client.requests import JobRequest, Options

__all__ = [
    "AlgorithmSlots",
    "ApiError",
    "AsyncClient",
    "Client",
    "Concurrency",
    "Effect",
    "Event",
    "Explanation",
    "Failure",
    "FleetEvent",
    "Job",
    "JobMove",
    "JobRequest",
    "Options",
    "Override",
    "RunningJob",
    "SlotNumbers",
    "Usage",
    "WebhookAttempt",
    "Worker",
]
