"""The guardian and the zygote as processes: started together, and gone when nothing of either is left."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from pydantic_core import to_json

from slotwise.settings import without_secrets
from worker import guardian, kernel
from worker.apart import apart
from worker.heirs import Heirs
from worker.zygote import MARK

STOP_SECONDS: Final = 5.0  # that bodies may take to end, and then temporary files to be removed
LOOK_SECONDS: Final = 0.001  # between two looks at what a killed guardian left


class Household:
    """`control` and `lifeline` become the zygote's, which is told `start`. Raises: OSError."""

    def __init__(self, control: int, lifeline: int, start: Mapping[str, Any]) -> None:
        kernel.adopt_orphans()  # should the guardian be killed, we inherit what it would have swept
        mark = uuid4().hex
        self._heirs = Heirs(MARK, mark)
        self._line, theirs = os.pipe()
        passed = [control, lifeline, theirs]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.zygote", *map(str, passed)],
                stdin=subprocess.PIPE,
                pass_fds=passed,
                start_new_session=True,
                env=without_secrets(os.environ) | {MARK: mark},
            )
        except BaseException:
            os.close(self._line)
            raise
        finally:
            os.close(theirs)
        self._reaper = threading.Thread(target=self._process.wait, daemon=True)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(to_json(start))
            self._process.stdin.close()

    def note_own(self) -> None:
        """From any thread, now and then while it lives: our other children are not of it."""
        self._heirs.note_own()

    async def gone(self) -> None:
        """Until nothing that the zygote left behind is alive; once. It has been told to end, or has died."""
        if not await apart(_says_nothing_left, self._line):
            self._process.kill()  # it is stuck, or somebody else has killed it
            await apart(self._process.wait)
            while self._heirs.strike():  # noqa: ASYNC110  (there is nothing that would wake us)
                await asyncio.sleep(LOOK_SECONDS)
        os.close(self._line)
        self._reaper.start()

    async def tidied(self) -> None:
        """After `gone`: until temporary files are removed as well, or that takes long; then it goes on alone."""
        await apart(self._reaper.join, STOP_SECONDS)


def _says_nothing_left(line: int) -> bool:
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(STOP_SECONDS * 1000)) and os.read(line, 1) == guardian.NOTHING_LEFT
