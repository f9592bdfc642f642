"""What makes a webhook's request provably ours: the headers of Standard Webhooks 1.0."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import SecretStr
from standardwebhooks import Webhook


class Seal:
    """Signs with each of the secrets: while they are changed, a receiver that knows either is served."""

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        self._signers = [Webhook(secret.get_secret_value()) for secret in secrets]

    @property
    def signs(self) -> bool:
        return bool(self._signers)

    def headers(self, message_id: str, body: bytes, now: datetime | None = None) -> list[tuple[str, str]]:
        """For this body, sent now."""
        at = now or datetime.now(UTC)
        headers = [("webhook-id", message_id), ("webhook-timestamp", str(int(at.timestamp())))]
        if self._signers:
            text = body.decode()
            signatures = (signer.sign(message_id, at, text) for signer in self._signers)
            headers.append(("webhook-signature", " ".join(signatures)))
        return headers
