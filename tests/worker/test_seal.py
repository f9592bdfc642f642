"""Signatures, as the public library of Standard Webhooks checks them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from worker.seal import Seal

OLD, NEW, OTHER = (f"whsec_{letter * 32}" for letter in "abc")
BODY = '{"text": "\u00e4 \u2013 \U0001f600"}'.encode()


def test_each_of_two_secrets_verifies() -> None:
    headers = dict(Seal([SecretStr(NEW), SecretStr(OLD)]).headers("msg_1", BODY))
    for secret in (OLD, NEW):
        Webhook(secret).verify(BODY, headers)
    for secret, body in ((OTHER, BODY), (NEW, BODY + b" ")):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)
    assert headers["webhook-id"] == "msg_1"


def test_without_a_secret_nothing_is_signed() -> None:
    seal = Seal([])
    assert not seal.signs
    headers = dict(seal.headers("msg_1", BODY))
    assert headers.keys() == {"webhook-id", "webhook-timestamp"}
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers)
