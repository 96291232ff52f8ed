"""What the log is told of requests that the gateway refuses, of a registrar's rejections, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.logger import LogEvent, capturedLogs, formatEvent

from gateway.ingress.refusal_log import Refusals
from gateway.observe.line_limit import LINES
from gateway.sip.message import Request
from gateway.sip.parser import parse
from tests.support.flows import a_flow
from tests.support.registering import CONTACT, Registering, register
from tests.support.signalling import UDP, Signalling

PROOF = 'Digest username="alice", realm="example.com", uri="sip:example.com", nonce="n", response="r"'
CHALLENGE = 'Digest realm="example.com", nonce="m"'
INVITE = (
    b"INVITE sip:100@example.invalid SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bK1\r\n"
    b"From: <sip:sipp@192.0.2.11>;tag=1\r\nTo: <sip:100@example.invalid>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\nContact: <sip:sipp@192.0.2.11:5070>\r\nContent-Length: 0\r\n\r\n"
)


def told(events: Sequence[LogEvent], word: str) -> list[str]:
    lines = [formatEvent(event) for event in events if event["log_level"].name == "info"]
    return [line for line in lines if word in line]


def test_a_call_to_a_domain_that_is_not_served_says_so_in_the_log() -> None:
    gateway = Signalling()
    with capturedLogs() as events:
        (answer,) = (parse(data) for data in gateway.datagram(INVITE, place=UDP) if b" 100 " not in data[:20])
    assert getattr(answer, "status", None) == 403
    line = "INVITE sip:100@example.invalid from 192.0.2.11:5070 is refused: 403 Domain not served here"
    assert told(events, "refused") == [f"{line} (served here: example.com, example.net, example.org, company.com)"]
    assert getattr(answer, "reason", None) == "Domain not served here"


def test_the_ordinary_course_of_things_is_not_told() -> None:
    with capturedLogs() as events:
        for status in (401, 407, 423, 481):
            Refusals(lambda: 0.0).tell(register(CONTACT), a_flow(), status, "Whatever")
    assert not told(events, "refused")


def test_a_password_in_a_long_uri_is_not_told_where_the_uri_is_cut_off() -> None:
    uri = f"sip:{'a' * 60}:correct-horse-battery-staple-{'b' * 60}@example.com".encode()
    request = parse(INVITE.replace(b"sip:100@example.invalid SIP", uri + b" SIP"))
    assert isinstance(request, Request)
    with capturedLogs() as events:
        Refusals(lambda: 0.0).tell(request, a_flow(), 403, "Domain Not Served Here")
    (line,) = told(events, "refused")
    assert "correct-horse" not in line


def test_a_flood_is_told_in_few_lines_that_say_how_many_there_were() -> None:
    time = [0.0]
    refusals, flow = Refusals(lambda: time[0]), a_flow()
    with capturedLogs() as events:
        for _ in range(LINES.burst + 500):
            refusals.tell(register(CONTACT), flow, 403, "Domain Not Served Here")
        time[0] = LINES.refill
        refusals.tell(register(CONTACT), flow, 403, "Domain Not Served Here")
    lines = told(events, "refused")
    assert len(lines) == LINES.burst + 1
    assert lines[-1].endswith("403 Domain Not Served Here (and 500 others, not told)")


@pytest.mark.parametrize(
    ("status", "authorization", "challenge", "is_told"),
    [
        (403, None, None, True),
        (404, PROOF, None, True),
        (401, PROOF, CHALLENGE, True),  # a wrong password
        (401, None, CHALLENGE, False),
        (401, PROOF, CHALLENGE + ", stale=TRUE", False),
        (401, PROOF, CHALLENGE + ', stale="true"', False),
        (423, PROOF, None, False),
    ],
)
def test_a_registration_that_is_rejected_says_so_in_the_log(
    status: int, authorization: str | None, challenge: str | None, is_told: bool
) -> None:
    site = Registering()
    site.send(register(CONTACT, authorization=authorization))
    with capturedLogs() as events:
        site.answer(status, *([("WWW-Authenticate", challenge)] if challenge else []))
    line = f"sip:alice@example.com from 192.0.2.7:5060 is not registered: the provider answers {status}"
    assert told(events, "not registered") == ([line] if is_told else [])
