"""The algorithm of the trial's image: seen from outside while it lives, whatever becomes of its network."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import uuid
from pathlib import Path

from slotwise import algorithm

SIGHT = Path("/sight")  # a directory of the driver's


@algorithm
def Seen(number: int, seconds: float) -> dict[str, str]:
    """Holds a lock on a file of its own until it dies, which the kernel takes away in that moment."""
    with (SIGHT / f"{socket.gethostname()}-{number}-{uuid.uuid4().hex}").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.write("taken")  # before this, whoever looks may find it free although its body lives
        mark.flush()
        time.sleep(seconds)
    return {"release": os.environ["RELEASE"], "host": socket.gethostname()}
