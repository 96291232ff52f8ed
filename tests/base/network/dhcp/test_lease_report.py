"""Questions and answers between the gateway and the DHCP client: each end takes no more than it knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.network.dhcp.dhcp_messages import ReplyKind
from gateway.base.network.dhcp.lease_report import (
    LONGEST_LINE,
    LeaseAnswer,
    LeaseQuestion,
    Unusable,
    answer_of,
    question_of,
    report_of,
)
from tests.support.network.dhcp_server import OTHER, OTHER_MAC, Wire


def answer() -> LeaseAnswer:
    wire = Wire()
    wire.bind(DNS=b"\x0a\x4e\0\7", VENDOR=b"v" * 255, TFTP_NAME=b"t")
    wire.machine.others.note(OTHER, OTHER_MAC, wire.now)
    wire.machine.renew(wire.now)
    wire.advance(0)
    wire.answer(ReplyKind.ACK)
    return LeaseAnswer(report_of("eth0", wire.machine, wire.now), "wait", 7.5)


def test_they_come_as_they_were_sent() -> None:
    for question in (LeaseQuestion(), LeaseQuestion(("10.0.0.1",), True, True), LeaseQuestion(())):
        assert question_of(question.encoded()) == question
    sent = answer()
    assert answer_of(sent.encoded()) == sent
    assert len(sent.encoded()) < LONGEST_LINE / 4


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("report", None),
        ("report.state", "a\nb"),
        ("report.state", "x" * 301),
        ("report.state", 7),
        ("report.lease.address", "10.0.0.256"),
        ("report.lease.address", "::1"),
        ("report.lease.prefix", 33),
        ("report.lease.seconds_left", float("1e300")),
        ("report.lease.seconds_left", True),
        ("report.lease.dns", ["\x1b[2J"]),
        ("report.lease.dns", ["a"] * 17),
        ("report.renewals", [["asked", "gone", 1]]),
        ("report.renewals", [["because", "same", 1]]),
        ("report.renewals", [["asked", "same", -1]]),
        ("report.others", [7]),
        ("report.others", [{"address": OTHER, "mac": "\u202e", "seconds_ago": 1}]),
        ("wait", "soon"),
    ],
)
def test_a_client_that_lies_about_itself_is_not_believed(path: str, value: object) -> None:
    """No label of a metric, no line of the log and no page gets a text that the client made up."""
    told: Any = json.loads(answer().encoded())
    *way, key = path.split(".")
    place = told
    for step in way:
        place = place[step]
    place[key] = value
    with pytest.raises(Unusable):
        answer_of(json.dumps(told).encode())


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(lambda v: repr(v).encode())
)
def test_any_other_line_is_unusable(line: bytes) -> None:
    for read in (question_of, answer_of):
        try:
            read(line)
        except Unusable:
            continue
        assert read is question_of  # a table without keys asks for the report alone


def test_nesting_and_length_end_the_reading() -> None:
    for line in (b"[" * 10_000, b'{"a":' * 3_000, b" " * (LONGEST_LINE + 1)):
        with pytest.raises(Unusable):
            answer_of(line)
        with pytest.raises(Unusable):
            question_of(line)
