"""What the endpoints of one process share; made at start. An endpoint has it, as its caller sees it, as
`request.state.front`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from service.broadcast import Broadcast
from service.catalogue import Catalogue
from service.door import Door
from service.listening import Listening
from service.operation import Public
from service.waiting import Waiting
from slotwise.intake import Intake
from slotwise.settings import Settings
from slotwise.spans import Spans
from slotwise.steering import Steering
from slotwise.store import Store
from slotwise.tenant import Caller


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
    door: Door
    spans: Spans
    caller: Caller = field(default_factory=Caller)

    def seen_by(self, caller: Caller) -> Self:
        """As whoever asks sees it: the store shows them no job but their own, unless they may see all."""
        return replace(self, store=self.store.seen_by(caller.whose), caller=caller)

    def is_public(self, when: Public) -> bool:
        return when == "always" or bool(getattr(self.settings, when))

    async def caller_holds(self) -> bool:
        """Whether the caller's key still opens the door: whoever serves them for long asks now and then."""
        return await self.door.holds(self.caller)

    def stop(self) -> None:
        """Let those who wait have their answer, and those who listen go: the service stops."""
        self.waiting.stop()
        self.listening.stop()
        self.broadcast.stop()
