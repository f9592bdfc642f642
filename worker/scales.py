"""Weighs the jobs that run in processes of their own: what the tree of each holds in RAM, now and then.

From a thread of its own: a fork bomb takes long to walk, and neither the loop nor the lease may wait for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from worker import tree
from worker.end import MB

MOST: Final = 500  # jobs, as many as the service tells of; nobody would see the others'


class Scales:
    """`processes` gives the process of each job, by the job's id; it is called from another thread."""

    def __init__(self, processes: Callable[[], Mapping[str, int]], every_seconds: float) -> None:
        self._processes = processes
        self._every_seconds = every_seconds
        self._weights: Mapping[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scales", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the thread has ended (blocking)."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def read(self) -> Mapping[str, int]:
        """MB by job, as it was last; from any thread. A job that could not be weighed is left out."""
        return self._weights

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            some = islice(self._processes().items(), MOST)
            weights = {job_id: weight_mb(process) for job_id, process in some}
            self._weights = {job_id: weight for job_id, weight in weights.items() if weight is not None}


def weight_mb(process: int) -> int | None:
    """What it and all below it hold, less what its parent held that forked it; None once it is gone.

    Memory that several of its own processes share by forking counts for each of them.
    """
    parent = tree.parent(process)
    own = tree.private_bytes(process)
    if parent is None or not own:
        return None
    below = sum(map(tree.private_bytes, tree.descendants(process)))
    return round((max(0, own - tree.private_bytes(parent)) + below) / MB)
