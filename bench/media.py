"""Two algorithms to look at: they take time and memory, say how far they are, and now and then fail."""

from __future__ import annotations

import random
import time

from slotwise import Context, algorithm


@algorithm(timeout=300)
def Transcribe(job: Context, minutes: int) -> int:
    """The words of a recording, a second for each of its minutes."""
    recording = b"x" * (80 << 20)
    words = 0
    for minute in range(1, minutes + 1):
        time.sleep(1)
        heard = random.randint(120, 180)
        words += heard
        print(f"heard minute={minute} words={heard}")
        job.progress(100 * minute / minutes, f"minute {minute} of {minutes}")
    return words if recording else 0


@algorithm(timeout=60)
def Render(frames: int) -> int:
    """A scene, ten frames a second."""
    scene = b"x" * ((40 + frames) << 20)
    time.sleep(frames / 10)
    if random.random() < 0.05:
        raise ValueError("the texture wood.png is missing")
    return frames if scene else 0
