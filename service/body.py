"""Request bodies: read within their limit, and parsed as JSON that means the same to everybody.

Stricter than `json.loads`: what two parsers may read differently (duplicate keys, NaN, lone surrogates, numbers
beyond a double) is refused, as in I-JSON (RFC 7493); so is what could hurt further in (nesting, long integers).
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from starlette.requests import Request

from service.problems import invalid
from slotwise.errors import SlotwiseError, printable

MAX_DEPTH: Final = 64
MAX_KEYS: Final = 10_000  # of all objects together
MAX_DIGITS: Final = 4_300  # Python's own default limit for int(text): beyond it, time grows with the square
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_JSON: Final = re.compile(r'application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)


async def json_object(request: Request, max_bytes: int) -> tuple[dict[str, Any], int]:
    """The body, a JSON object, and its size in bytes.

    Raises: SlotwiseError `unsupported-media-type`, `payload-too-large`, `invalid-json`, `invalid-request`.
    """
    _check_headers(request)
    data = await read(request, max_bytes)
    value = parse(data)
    if not isinstance(value, dict):
        raise invalid("The body must be a JSON object.", {"#": "must be an object"})
    return value, len(data)


async def refuse(request: Request) -> None:
    """For an endpoint without a body: nothing, or `{}`. Raises: SlotwiseError `invalid-request`."""
    if (await read(request, 1_024)).strip() not in (b"", b"{}"):
        raise invalid("This endpoint takes no body.", {"#": "must be left out"})


async def read(request: Request, max_bytes: int) -> bytes:
    """The body's bytes, counted while they come. Raises: SlotwiseError `payload-too-large`."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise _too_large(max_bytes)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(data)


def parse(data: bytes) -> Any:
    """The value of strict JSON bytes. Raises: SlotwiseError `invalid-json`."""
    if data.startswith(codecs.BOM_UTF8):
        raise _not_json("it begins with a byte order mark: send plain UTF-8")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _not_json(f"it is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    # These checks cost a walk each, so only a body that could fail them pays for it.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise _too_deep()
    if data.count(b":") > MAX_KEYS and _keys(value) > MAX_KEYS:
        raise _not_json(f"it has more than {MAX_KEYS} keys")
    if _SURROGATE.search(data) and _has_lone_surrogate(value):
        raise _not_json("a string holds half of a surrogate pair, which is no character")
    return value


def _check_headers(request: Request) -> None:
    told = ", ".join(request.headers.getlist("content-type"))  # two of them are none
    if told != "application/json" and not _JSON.fullmatch(told):
        raise SlotwiseError(
            "unsupported-media-type", "Send the body as JSON in UTF-8, with Content-Type: application/json."
        )
    if any(each.lower() != "identity" for each in request.headers.getlist("content-encoding")):
        raise SlotwiseError("unsupported-media-type", "Send the body as it is, without Content-Encoding.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _not_json(f"the key {printable(twice, 100)!r} stands twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.lstrip("-")) > MAX_DIGITS:
        raise _not_json(f"an integer has more than {MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _not_json(f"the number {printable(text, 40)} is beyond a double's range")
    return value


def _constant(text: str) -> NoReturn:
    raise _not_json(f"{text} is no JSON value")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _keys(value: Any) -> int:
    found, left = 0, [value]
    while left:
        one = left.pop()
        found += len(one) if isinstance(one, dict) else 0
        left += _children(one)
    return found


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _not_json(why: str) -> SlotwiseError:
    return SlotwiseError("invalid-json", f"The body is not valid JSON: {why}.")


def _too_deep() -> SlotwiseError:
    return _not_json(f"it nests deeper than {MAX_DEPTH} levels")


def _too_large(max_bytes: int) -> SlotwiseError:
    return SlotwiseError("payload-too-large", f"The body may have at most {max_bytes} bytes.")
