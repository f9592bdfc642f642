"""Hostile and merely odd bodies, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import AsyncClient

from service.body import MAX_DEPTH, MAX_DIGITS, MAX_KEYS, parse
from slotwise.errors import SlotwiseError
from slotwise.store import Store

JSON = {"Content-Type": "application/json"}
SEED = b'{"algorithm": "PrimeChecker", "params": {"number": 7}}'


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def keys(number: int) -> bytes:
    return b"{" + b",".join(b'"%d":0' % key for key in range(number)) + b"}"


GOOD: dict[str, tuple[bytes, Any]] = {
    "the seed's body": (SEED, {"algorithm": "PrimeChecker", "params": {"number": 7}}),
    "white space around": (b' \r\n\t{"a": 1}\n', {"a": 1}),
    "an escaped NUL in a string is data": (rb'{"a": "\u0000"}', {"a": "\0"}),
    "an escaped surrogate pair is one character": (rb'{"a": "\ud83d\ude00"}', {"a": "😀"}),
    "an escaped backslash before ud800 is text": (rb'{"a": "\\ud800"}', {"a": r"\ud800"}),
    "brackets within strings are text": (b'{"a": "' + b"[" * 500 + b'"}', {"a": "[" * 500}),
    "as deep as allowed": (nested(MAX_DEPTH), None),
    "wide is not deep": (b"[" + b"[]," * 500 + b"[]]", [[]] * 501),
    "as many keys as allowed": (keys(MAX_KEYS), None),
    "colons within strings are text": (b'{"a": "' + b":" * (MAX_KEYS + 1) + b'"}', {"a": ":" * (MAX_KEYS + 1)}),
    "as long an integer as allowed": (b"-" + b"9" * MAX_DIGITS, -int("9" * MAX_DIGITS)),
    "the largest double": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "a number below the smallest double is zero": (b"1e-999", 0.0),
    "the same key in two objects": (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
}

BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Expecting value"),
    "white space": (b" \n", "Expecting value"),
    "a form": (b"algorithm=PrimeChecker", "Expecting value"),
    "cut off": (SEED[:-1], "line 1, column"),
    "something after it": (SEED + b"x", "Extra data"),
    "two values": (SEED + SEED, "Extra data"),
    "single quotes": (b"{'a': 1}", "double quotes"),
    "a trailing comma": (b'{"a": 1,}', "column"),
    "a comment": (b'{"a": 1 /* one */}', "column"),
    "a raw NUL": (b'{"a": "\0"}', "control character"),
    "a raw line break in a string": (b'{"a": "\n"}', "control character"),
    "a byte order mark": (b"\xef\xbb\xbf" + SEED, "byte order mark"),
    "UTF-16": (SEED.decode().encode("utf-16"), "not UTF-8"),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), "not UTF-8 (byte 7)"),
    "an overlong encoding": (b'{"a": "\xc0\xaf"}', "not UTF-8"),
    "a raw surrogate": (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "a lone escaped surrogate": (rb'{"a": "\ud800"}', "surrogate"),
    "a lone low surrogate, upper case": (rb'{"a": "\uDC00"}', "surrogate"),
    "a lone surrogate as a key": (rb'{"\ud800": 1}', "surrogate"),
    "surrogates in the wrong order": (rb'["\ude00\ud83d"]', "surrogate"),
    "half an escape": (rb'{"a": "\u12"}', "escape"),
    "a duplicate key": (b'{"a": 1, "a": 1}', "'a' stands twice"),
    "a duplicate key, one escaped": (rb'{"a": 1, "\u0061": 2}', "'a' stands twice"),
    "a duplicate key further in": (b'{"params": {"n": 1, "b": 2, "n": 3}}', "'n' stands twice"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "Infinity": (b'{"a": Infinity}', "Infinity"),
    "-Infinity": (b'{"a": -Infinity}', "-Infinity"),
    "beyond a double": (b'{"a": 1e999}', "1e999"),
    "beyond a double, negative": (b'{"a": -1.0e400}', "-1.0e400"),
    "too long an integer": (b'{"a": ' + b"9" * (MAX_DIGITS + 1) + b"}", f"more than {MAX_DIGITS} digits"),
    "too long a negative integer": (b"-" + b"9" * (MAX_DIGITS + 1), f"more than {MAX_DIGITS} digits"),
    "one key too many": (keys(MAX_KEYS + 1), f"more than {MAX_KEYS} keys"),
    "one key too many, in all objects": (b"[" + keys(6_000) + b"," + keys(4_001) + b"]", "more than 10000 keys"),
    "a leading zero": (b'{"a": 01}', "column"),
    "a plus sign": (b'{"a": +1}', "column"),
    "hexadecimal": (b'{"a": 0x10}', "column"),
    "one level too deep": (nested(MAX_DEPTH + 1), "deeper than 64"),
    "one level too deep, in objects": (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
    "as deep as the limit on size allows": (b"[" * 262_144, "deeper than 64"),
    "deep and closed": (nested(131_072), "deeper than 64"),
}


@pytest.mark.parametrize(("data", "value"), GOOD.values(), ids=GOOD.keys())
def test_parses(data: bytes, value: Any) -> None:
    parsed = parse(data)
    assert value is None or parsed == value


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD.keys())
def test_refuses_to_parse(data: bytes, why: str) -> None:
    with pytest.raises(SlotwiseError, match="not valid JSON") as raised:
        parse(data)
    assert raised.value.code == "invalid-json"
    assert why in raised.value.message


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD.keys())
async def test_bad_json_is_a_400_and_queues_nothing(
    client: AsyncClient, store: Store, data: bytes, why: str
) -> None:
    answer = await client.post("/jobs", content=data, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-json")
    assert await store.redis.zcard(store.keys.queue) == 0


@pytest.mark.parametrize("data", [b"[]", b'"PrimeChecker"', b"7", b"null", b"true", b"[" + SEED + b"]"])
async def test_json_that_is_no_object_is_a_422(client: AsyncClient, data: bytes) -> None:
    answer = await client.post("/jobs", content=data, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.json()["errors"] == [{"pointer": "#", "detail": "must be an object"}]


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'Application/JSON ; charset="utf-8"',
    ],
)
async def test_takes_json_in_utf8(client: AsyncClient, kind: str) -> None:
    answer = await client.post("/jobs", content=SEED, headers={"Content-Type": kind})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/vnd.api+json",
        "application/json, text/plain",
    ],
)
async def test_other_types_are_a_415(client: AsyncClient, store: Store, kind: str) -> None:
    answer = await client.post("/jobs", content=SEED, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert await store.redis.zcard(store.keys.queue) == 0


async def test_no_type_is_a_415(client: AsyncClient) -> None:
    answer = await client.post("/jobs", content=SEED)
    assert "Content-Type" not in answer.request.headers
    assert answer.status_code == 415


async def test_a_compressed_body_is_a_415(client: AsyncClient) -> None:
    answer = await client.post("/jobs", content=SEED, headers=JSON | {"Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["Content-Type", "Content-Encoding"])
async def test_a_header_that_is_given_twice_counts_twice(client: AsyncClient, name: str) -> None:
    twice = [("Content-Type", "application/json"), ("Content-Encoding", "identity"), (name, "gzip")]
    assert (await client.post("/jobs", content=SEED, headers=twice)).status_code == 415
    assert (await client.post("/jobs", content=SEED, headers=twice[:2])).status_code == 202


async def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_a_413(client: AsyncClient) -> None:
    limit = 262_144
    at_limit = SEED + b" " * (limit - len(SEED))
    assert (await client.post("/jobs", content=at_limit, headers=JSON)).status_code == 202
    answer = await client.post("/jobs", content=at_limit + b" ", headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/payload-too-large")
    assert "262144 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("told", [None, "54", "0"], ids=["no length", "too small a length", "zero"])
async def test_the_limit_counts_bytes_that_came(client: AsyncClient, told: str | None) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while read < 10_000_000:
            read += 65_536
            yield b" " * 65_536

    headers = JSON | ({} if told is None else {"Content-Length": told})
    answer = await client.post("/jobs", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert read <= 6 * 65_536


async def test_a_length_over_the_limit_is_refused_unread(client: AsyncClient) -> None:
    async def unread() -> Any:
        raise AssertionError("the body was read")
        yield b""

    headers = JSON | {"Content-Length": "99999999999999999999"}
    assert (await client.post("/jobs", content=unread(), headers=headers)).status_code == 413


async def test_cancel_takes_no_body(client: AsyncClient) -> None:
    made = (await client.post("/jobs", content=SEED, headers=JSON)).json()
    answer = await client.post(made["urls"]["cancel"], content=b'{"force": true}', headers=JSON)
    assert answer.status_code == 422
    assert (await client.post(made["urls"]["cancel"], content=b"{}", headers=JSON)).status_code == 200
