"""Who asks: the scopes of API keys, what a key may be called, and what its jobs are bound by. Pure rules.

A key is a tenant: its name says whose a job is. '' is nobody's: of before the first key, or a stock client's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slotwise.errors import SlotwiseError
from slotwise.rate import Rate

NAME: Final = re.compile("[A-Za-z0-9._-]{1,64}")
MARK: Final = '"'  # before a tenant in the name of a set: no algorithm's name has it (lua/parts/tenant.lua)


class Scope(StrEnum):
    """What a key allows; each includes those before it. docs/security.md has the table."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request. `name` '' where no key was asked for."""

    name: str = ""
    scope: Scope = Scope.ADMIN
    digest: str = ""  # of the key

    @property
    def whose(self) -> str:
        """Whose jobs the caller sees: '' is everybody's."""
        return "" if self.scope is Scope.ADMIN else self.name


@dataclass(frozen=True)
class Bounds:
    """What the jobs of a tenant are bound by; None: nothing of its own."""

    max_pending: int | None = None
    max_running: int | None = None
    rate: Rate | None = None


def tenant_name(text: str) -> str:
    """`text`, if it may name a key. Raises: SlotwiseError `invalid-request`."""
    if not NAME.fullmatch(text):
        raise SlotwiseError(
            "invalid-request",
            f"A key's name is 1 to 64 letters, digits, dots, hyphens or underscores, not {text!r}.",
        )
    return text
