"""Requests with something wrong in them, all by one seed, made from the examples in the service's description."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

NASTY = [
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\\u0000",
        b"\\ud800",
        b"\\u12",
        b'"',
        b"\\",
    ),
    *(
        b"{",
        b"[",
        b"}",
        b"]",
        b",",
        b":",
        b"//",
        b"\r\n",
        b"\n",
        b"\t",
        b"\x7f",
        "é".encode(),
        "\U0001f600".encode(),
    ),
    *(b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"01", b"0x10", b"7.0", b"-0", b"true", b"null"),
    *(b"9" * 400, b"9" * 5_000, b"[" * 200, b'{"a":' * 80, b'"a":1,"a":2,', b"A" * 70_000, b'"x":0,' * 900),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        7.0,
        1e308,
        2**53,
        -(2**64),
        10**400,
        "",
        "\0",
        "\ud7ff",
        "x" * 3_000,
        "1" * 1_200,
    ),
    *(
        [],
        {},
        [[]],
        {"": ""},
        {"__proto__": 1},
        [None] * 200,
        "2030-02-31T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "NaN",
    ),
]
PARTS = [
    *(
        "%00",
        "%ff",
        "%2f",
        "%2F..%2f",
        "%2e%2e",
        "..",
        ".",
        "%",
        "%zz",
        "%c0%af",
        "%25",
        "%63oncurrency",
        "concurrency",
    ),
    *(
        "cancel",
        "batch",
        "",
        " ",
        "%20",
        "+",
        "é",
        "\x80",
        "a" * 3_000,
        "%e2%80%ae",
        ";x=1",
        "0" * 32,
        "*",
        "%0d%0a",
    ),
]
QUERIES = [
    *(
        "",
        "&",
        "=",
        "x",
        "x=1",
        "limit=1",
        "limit=0",
        "limit=1&limit=2",
        "limit=-1",
        "limit=1e3",
        "limit=\u0661",
        "tail=%00",
    ),
    *(
        "dry_run=true",
        "dry_run=TRUE",
        "dry_run",
        "window=" + "9" * 500,
        "max_concurrent=5",
        "%ff=1",
        "a" * 3_000,
        "?",
    ),
    *(
        "cursor=%00",
        "status=running",
        "status=",
        "label=a:b",
        "label=:",
        "include=params",
        "%6cimit=1",
        "a=1;b=2",
        "#x",
    ),
]
HEADERS = {
    "Content-Type": [
        "",
        "text/plain",
        "application/json;charset=utf-16",
        "application/json; charset=utf-8",
        "\x00",
        "é",
    ],
    "Content-Encoding": ["gzip", "identity", "br, gzip"],
    "Prefer": [
        "wait=0",
        "wait=61",
        "wait",
        "wait=-1",
        "wait=1.5",
        "wait=\u0661",
        'wait="0"',
        "respond-async",
        "wait=0,wait=0",
        ",",
    ],
    "Idempotency-Key": ["k", "", "k" * 255, "k" * 256, "é", "\t", "k k"],
    "Last-Event-ID": ["", "0.0.0.0-0.0", "1.0.99.1-1.9", "x", "9" * 60, "0.0.0.0-0"],
    "Accept": ["", "*/*;q=0", "text/event-stream", "application/json", ",", ";", "a" * 3_000],
    "X-Request-Id": ["", "r", "r" * 129, "r r", "é"],
    "Expect": ["100-continue"],
    "Host": ["", "x:y", "[::1"],
}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "BREW"]


OF_BODIES = 6  # times as often as others: there is more in them that can be wrong


@dataclass(frozen=True)
class Sent:
    """A request. `broken`: HTTP itself is, so what follows on the connection may go unread."""

    method: str
    path: str
    query: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    broken: bool = False
    raw: bytes = b""

    def encoded(self) -> bytes:
        if self.raw:
            return self.raw
        target = self.path if self.query is None else f"{self.path}?{self.query}"
        headers = [("Host", "localhost"), ("Content-Length", str(len(self.body))), *self.headers]
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogatepass") + self.body


class Mutations:
    """`names` are values for what stands in braces in a path: existing ones."""

    def __init__(self, document: dict[str, Any], names: dict[str, Sequence[str]], seed: int) -> None:
        self._random = random.Random(seed)
        self._names = names
        self._seeds = [
            (method.upper(), path, _bodies(operation))
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            for _ in range(OF_BODIES if "requestBody" in operation else 1)
        ]
        self._steps: list[Callable[[Sent], Sent]] = [
            *(self._method, self._path, self._query, self._header, self._header),
            *(self._value, self._value, self._value, self._bytes, self._bytes, self._bytes),
        ]

    def next(self) -> Sent:
        """The next request, with one to three things wrong; sometimes none."""
        pick = self._random
        method, path, bodies = pick.choice(self._seeds)
        for name, values in self._names.items():
            path = path.replace("{" + name + "}", pick.choice(values))
        body = json.dumps(pick.choice(bodies)).encode() if bodies else b""
        sent = Sent(method, path, None, (("Content-Type", "application/json"),) if bodies else (), body)
        for _ in range(pick.choice([0, 1, 1, 1, 2, 3])):
            sent = pick.choice(self._steps)(sent)
        return self._broken(sent) if pick.random() < 0.03 else sent

    def _method(self, sent: Sent) -> Sent:
        return replace(sent, method=self._random.choice(METHODS))

    def _path(self, sent: Sent) -> Sent:
        parts = sent.path.split("/")
        parts[self._random.randrange(1, len(parts))] = self._random.choice(PARTS).replace(" ", "%20")
        return replace(sent, path="/".join(parts))

    def _query(self, sent: Sent) -> Sent:
        return replace(sent, query=self._random.choice(QUERIES))

    def _header(self, sent: Sent) -> Sent:
        name = self._random.choice(list(HEADERS))
        value = self._random.choice(HEADERS[name])
        return replace(sent, headers=(*sent.headers, (name, value)), broken=sent.broken or name == "Host")

    def _value(self, sent: Sent) -> Sent:
        try:
            value = json.loads(sent.body)
        except ValueError:
            return self._bytes(sent)
        return replace(sent, body=json.dumps(self._other(value)).encode())

    def _other(self, value: Any) -> Any:
        """The value with one change somewhere within."""
        pick = self._random
        if isinstance(value, dict) and value and pick.random() < 0.85:
            key = pick.choice(list(value))
            if pick.random() < 0.15:
                return {other: each for other, each in value.items() if other != key}
            return value | {pick.choice([key, key, key, key, "odd"]): self._other(value[key])}
        if isinstance(value, list) and value and pick.random() < 0.7:
            at = pick.randrange(len(value))
            return [*value[:at], self._other(value[at]), *value[at + 1 :]]
        return pick.choice(VALUES)

    def _bytes(self, sent: Sent) -> Sent:
        pick, body = self._random, bytearray(sent.body)
        at = pick.randrange(len(body) + 1)
        match pick.randrange(4):
            case 0:
                body[at:at] = pick.choice(NASTY)
            case 1:
                body = body[:at]
            case 2 if at < len(body):
                body[at] ^= 1 << pick.randrange(8)
            case _:
                body[at : at + pick.randrange(8)] = pick.choice(NASTY)
        return replace(sent, body=bytes(body))

    def _broken(self, sent: Sent) -> Sent:
        """Wrong as HTTP: a byte of the head, the length, what ends a line."""
        pick, whole = self._random, bytearray(sent.encoded())
        match pick.randrange(4):
            case 0:
                whole = whole[: pick.randrange(1, len(whole))]
            case 1:
                whole[pick.randrange(min(len(whole), 60))] = pick.randrange(256)
            case 2:
                whole = bytearray(bytes(whole).replace(b"Content-Length: ", b"Content-Length: 1"))
            case _:
                whole = bytearray(bytes(whole).replace(b"Host:", b"Transfer-Encoding: chunked\r\nHost:"))
        return replace(sent, broken=True, raw=bytes(whole))


def _bodies(operation: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [each["value"] for each in content.get("examples", {}).values()]
