"""The endpoints of workers: who is there, drain, resume."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service import body
from service.answer import Json
from service.concurrency import WorkerObject, Workers, worker_object
from service.front import Front
from service.operation import Answer, operation
from slotwise.steering import unknown_worker
from slotwise.tenant import Scope


@operation(
    "list_workers",
    "workers",
    "The fleet",
    scope=Scope.OPERATE,
    answers={200: Answer(Workers, "Workers that hold a lease.")},
)
async def listing(request: Request) -> Response:
    """GET /workers"""
    front: Front = request.state.front
    snapshot = await front.steering.snapshot()
    return Json({"workers": [worker_object(worker, snapshot.now_ms) for worker in snapshot.workers]})


@operation(
    "drain_worker",
    "workers",
    "Let a worker finish what it has and take no more",
    scope=Scope.OPERATE,
    answers={200: Answer(WorkerObject, "As it is now.")},
    problems=["worker-not-found"],
)
async def drain(request: Request) -> Response:
    """POST /workers/{name}/drain: it finishes what it has and takes no more"""
    return await _told(request, drain=True)


@operation(
    "resume_worker",
    "workers",
    "Let a drained worker take jobs again",
    scope=Scope.OPERATE,
    answers={200: Answer(WorkerObject, "As it is now.")},
    problems=["worker-not-found"],
)
async def resume(request: Request) -> Response:
    """POST /workers/{name}/resume"""
    return await _told(request, drain=False)


async def _told(request: Request, *, drain: bool) -> Response:
    front: Front = request.state.front
    name = request.path_params["name"]
    await body.refuse(request)
    await (front.steering.drain(name) if drain else front.steering.resume(name))
    snapshot = await front.steering.snapshot()
    worker = snapshot.worker(name)
    if worker is None:  # it left meanwhile
        raise unknown_worker(name)
    return Json(worker_object(worker, snapshot.now_ms))
