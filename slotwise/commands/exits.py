"""The exit statuses of `slotwise`, the same for every command."""

from __future__ import annotations

from typing import Final

NOT_WELL: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
LATE: Final = 5
INTERRUPTED: Final = 130

TABLE: Final = {
    0: "done",
    NOT_WELL: "the job failed or was cancelled; prove: the cap was broken; doctor: something is wrong",
    USAGE: "wrong usage or wrong settings",
    UNREACHABLE: "the service, or the store behind it, cannot be reached",
    REFUSED: "the service refused the request; standard error says why",
    LATE: "the job has not ended within --timeout",
    INTERRUPTED: "Ctrl-C",
}

EPILOG: Final = "\b\nExit status:\n" + "\n".join(f"  {status:<5}{what}" for status, what in TABLE.items())
