"""How long a body has to end by itself before it is ended by force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from slotwise.algorithm import Algorithm
from slotwise.settings import Settings


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds between being asked and SIGTERM, and between that and SIGKILL; 0 leaves the step out."""

    cancel_seconds: float
    kill_seconds: float

    @classmethod
    def of(cls, algorithm: Algorithm[Any, Any], settings: Settings) -> Self:
        """As the algorithm says, else as the service does."""
        asked, told = algorithm.cancel_grace, algorithm.kill_grace
        return cls(
            settings.cancel_grace_seconds if asked is None else asked,
            settings.kill_grace_seconds if told is None else told,
        )


NO_GRACE: Final = Grace(0, 0)
