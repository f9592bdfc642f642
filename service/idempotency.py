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
ADDED_LATER: Final = frozenset({"memory_mb", "cpu_seconds"})  # left out, they leave the fingerprints of before
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
    """SHA-256 of the request as understood: spelling, order and defaults left out make no difference."""
    fields = {
        name: value for name, value in asked.model_dump().items() if not (name in ADDED_LATER and value is None)
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
