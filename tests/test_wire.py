"""The bytes: strict JSON both ways, and failures that are exceptions again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slotwise import JobError, wire

REFUSED = [float("nan"), float("inf"), {"x": [float("-inf")]}, "\ud800", object(), b"\xff", {"x": {1, object()}}]


@pytest.mark.parametrize("value", REFUSED)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        wire.encode(value)


@pytest.mark.parametrize(
    "value", ["NaN", {"Infinity": "-Infinity"}, 10**999, "1e999", 1e300, "\x00", "é", [], None, 1.5]
)
def test_what_json_can_say_survives(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


@pytest.mark.parametrize(
    "data", [b"NaN", b"[Infinity]", b"1e999", b"{", b"\xff", b'"\\ud800"', b"[" * 500 + b"]" * 500]
)
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        wire.decode(data)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"x"', b"null", b"\x80\x05N."])
def test_a_payload_is_an_object(data: bytes) -> None:
    with pytest.raises(ValueError):
        wire.deserialize(data)


def test_a_failure_travels_as_its_error_and_is_an_exception_again() -> None:
    sent = wire.serialize({"s": False, "r": JobError("timeout", "too long", "after 3 s")})
    received = wire.deserialize(sent)["r"]
    assert isinstance(received, JobError)
    assert (received.type, received.message, received.detail) == ("timeout", "too long", "after 3 s")


def test_a_cancel_travels_as_a_cancel() -> None:
    sent = wire.serialize({"s": False, "r": asyncio.CancelledError()})
    assert isinstance(wire.deserialize(sent)["r"], asyncio.CancelledError)


def test_a_result_made_elsewhere_is_placed_as_it_is() -> None:
    big = b'{"n":' + b"9" * 900 + b"}"
    sent = wire.serialize({"s": True, "r": wire.RawJson(big), "id": "x"})
    assert wire.decode(sent) == {"s": True, "r": {"n": int("9" * 900)}, "id": "x"}
    assert big in sent


def test_an_error_is_bounded_and_printable() -> None:
    told = wire.error_of(ValueError("\ud800" + "x" * 100_000)).as_dict()
    assert len(told["message"]) == 2_000
    told["message"].encode("utf-8")


CALL = {"f": "Add", "a": [1], "k": {"n": 10**400, "s": "é\0"}, "et": 1_700_000_000_000}
END = {"s": False, "r": None, "st": 1, "ft": 2, "q": "q", "id": "x"}


def test_the_payload_of_an_envelope_is_that_of_a_first_attempt() -> None:
    payload = wire.payload_of(wire.serialize({"t": 3} | CALL | END))
    assert payload == wire.serialize({"t": None} | CALL)


ODD_ENVELOPES = [
    b"",
    b"\x80\x04}.",
    b"[]",
    b"7",
    b"{}",
    wire.encode(CALL | END | {"et": 0}),
    wire.encode(CALL | END | {"et": 1.5}),
    wire.encode(CALL | END | {"et": True}),
    wire.encode(CALL | END | {"f": None}),
    wire.encode(CALL | END | {"a": {}}),
    wire.encode(CALL | END | {"k": []}),
]


@pytest.mark.parametrize("envelope", ODD_ENVELOPES)
def test_an_envelope_that_does_not_say_what_was_called_gives_no_payload(envelope: bytes) -> None:
    assert wire.payload_of(envelope) is None
