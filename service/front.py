"""What the endpoints of one process share; made at start, found as `request.app.state.front`."""

from __future__ import annotations

from dataclasses import dataclass

from service.broadcast import Broadcast
from service.catalogue import Catalogue
from service.listening import Listening
from service.waiting import Waiting
from slotwise.intake import Intake
from slotwise.settings import Settings
from slotwise.steering import Steering
from slotwise.store import Store


@dataclass(frozen=True)
class Front:
    settings: Settings
    store: Store
    intake: Intake
    catalogue: Catalogue
    waiting: Waiting
    listening: Listening
    broadcast: Broadcast
    steering: Steering

    def stop(self) -> None:
        """Let those who wait have their answer, and those who listen go: the service stops."""
        self.waiting.stop()
        self.listening.stop()
        self.broadcast.stop()
