"""`Idempotency-Key`: the same key and the same request make the same job, however often it is sent."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

from starlette.datastructures import Headers

from service.problems import invalid
from service.submission import JobRequest

HEADER: Final = "idempotency-key"
KEY: Final = "[!-~](?:[ -~]{0,253}[!-~])?"  # what surrounds it is no part of a header's value
_KEY: Final = re.compile(KEY)
_BATCH_PREFIX: Final = b"slotwise idempotency key of a batch 1\0"
_PREFIX: Final = b"slotwise idempotency key 1\0"  # so that no other hash of a client's text is a job's id


def identity(headers: Headers, asked: JobRequest, tenant: str = "") -> tuple[str, str]:
    """The job's id and the request's fingerprint: of the key and whose it is, or a new id and "".

    Raises: SlotwiseError `invalid-request` for a key that is none.
    """
    key = _key(headers)
    return (
        (secrets.token_hex(16), "")
        if key is None
        else (_id(_PREFIX + _of(tenant) + key), _fingerprint(_told(asked)))
    )


def identities(headers: Headers, asked: Sequence[JobRequest], tenant: str = "") -> tuple[list[str], str]:
    """`identity` of a batch: the jobs' ids, and the fingerprint that each has of all of them."""
    key = _key(headers)
    if key is None:
        return [secrets.token_hex(16) for _ in asked], ""
    ids = [_id(b"%b%d\0%b" % (_BATCH_PREFIX, number, _of(tenant) + key)) for number in range(len(asked))]
    return ids, _fingerprint([_told(each) for each in asked])


def _of(tenant: str) -> bytes:
    return tenant.encode() + b"\0" if tenant else b""


def _key(headers: Headers) -> bytes | None:
    keys = headers.getlist(HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise invalid(
            "Idempotency-Key must be one value of 1 to 255 printable ASCII characters, no space at its ends."
        )
    return keys[0].encode()


def _id(told: bytes) -> str:
    return hashlib.sha256(told).hexdigest()[:32]


def _told(asked: JobRequest) -> dict[str, Any]:
    """As it was understood: spelling, order and defaults left out make no difference.

    Nor does a field that a later release adds: a request sent again over an upgrade is the same request.
    """
    return asked.model_dump(exclude_defaults=True)


def _fingerprint(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
