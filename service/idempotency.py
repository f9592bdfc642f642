"""`Idempotency-Key`: the same key and the same request make the same job, however often it is sent."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import Final

from starlette.datastructures import Headers

from service.problems import invalid
from service.submission import JobRequest

HEADER: Final = "idempotency-key"
_KEY: Final = re.compile(r"[ -~]{1,255}")
_PREFIX: Final = b"slotwise idempotency key 1\0"  # so that no other hash of a client's text is a job's id


def identity(headers: Headers, asked: JobRequest) -> tuple[str, str]:
    """The job's id and the request's fingerprint: of the key, or a new id and "".

    Raises: SlotwiseError `invalid-request` for a key that is none.
    """
    keys = headers.getlist(HEADER)
    if not keys:
        return uuid.uuid4().hex, ""
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise invalid("Idempotency-Key must be one value of 1 to 255 printable ASCII characters.")
    return hashlib.sha256(_PREFIX + keys[0].encode()).hexdigest()[:32], _fingerprint(asked)


def _fingerprint(asked: JobRequest) -> str:
    """SHA-256 of the request as understood: spelling, order and defaults left out make no difference.

    Nor does a field that a later release adds: a request sent again over an upgrade is the same request.
    """
    told = asked.model_dump(exclude_defaults=True)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
