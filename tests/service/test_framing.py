"""What a request may look like: what two parsers might read differently is refused, and ends its connection."""

from __future__ import annotations

import json

from tests.fleet import Fleet
from tests.service.raw import Said, ask
from tests.service.smuggling import ACCEPTED, NEXT, REFUSED

TYPES = {
    400: "/problems/malformed-request",
    413: "/problems/payload-too-large",
    431: "/problems/headers-too-large",
}


def test_nothing_ambiguous_is_accepted(fleet: Fleet, catalogue: None) -> None:
    front = fleet.front()
    address = (str(front.base_url.host), int(front.base_url.port or 0))
    assert len(REFUSED) >= 100
    wrong = {name: said for name, raw in REFUSED.items() if not is_refusal(said := ask(address, raw + NEXT))}
    assert not wrong
    assert not fleet.redis.zcard("arq:queue"), "something was queued"
    for name, (raw, status) in ACCEPTED.items():
        assert ask(address, raw + NEXT).statuses == [status, 200], name
    fleet.redis.flushall()  # nobody runs the jobs that were accepted
    assert "Traceback" not in fleet.processes[-1].said()


def is_refusal(said: Said) -> bool:
    """One answer, which is a problem, and the end of the connection."""
    head, _, body = said.data.partition(b"\r\n\r\n")
    if not said.closed or len(said.statuses) != 1 or b"connection: close" not in head.lower():
        return False
    problem = json.loads(body)
    return (problem["status"], problem["type"]) == (said.statuses[0], TYPES[said.statuses[0]])
