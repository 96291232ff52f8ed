"""Requests and responses: what the headers say, and the response to a request."""

from __future__ import annotations

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import CSeq, Request, Response
from gateway.sip.parser import check, parse

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\n"
    b"v: SIP/2.0/UDP 10.0.0.2\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=a\r\n'
    b"To : sip:bob@example.com\r\n"
    b"Call-ID: x@y\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@10.0.0.1>\r\n"
    b"Max-Forwards: 70\r\n"
    b"Record-Route: <sip:proxy;lr>\r\n"
    b"Content-Type: Application/SDP;x=y\r\n"
    b"\r\nbody"
)


def test_a_request_says_what_its_headers_say() -> None:
    request = parse(INVITE)
    check(request)
    assert isinstance(request, Request)
    assert (request.method, request.uri, request.body) == ("INVITE", "sip:bob@example.com", b"body")
    assert request.top_via.branch == "z9hG4bK1"
    assert request.top_via.rport == 0
    assert (request.from_.display_name, request.from_.tag, request.to.tag) == ("Alice", "a", None)
    assert (request.call_id, request.cseq, request.max_forwards) == ("x@y", CSeq(1, "INVITE"), 70)
    assert request.contact is not None
    assert str(request.contact.uri) == "sip:alice@10.0.0.1"
    assert (request.content_type, request.expires) == ("application/sdp", None)


def test_a_changed_header_is_read_again() -> None:
    request = parse(INVITE)
    assert request.cseq.number == 1
    request.headers.set("CSeq", "2 INVITE")
    assert request.cseq.number == 2


def test_8_2_6_2_a_response_copies_what_identifies_the_request() -> None:
    request = parse(INVITE)
    assert isinstance(request, Request)
    assert request.response(180, to_tag="b").to_bytes() == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\n"
        b"v: SIP/2.0/UDP 10.0.0.2\r\n"
        b'From: "Alice" <sip:alice@example.com>;tag=a\r\n'
        b"To: sip:bob@example.com;tag=b\r\n"
        b"Call-ID: x@y\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Record-Route: <sip:proxy;lr>\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert "record-route" not in request.response(404).headers


def test_8_2_6_1_a_100_has_the_timestamp() -> None:
    request = Request("INVITE", "sip:a@b", Headers([("Timestamp", "54"), ("Record-Route", "<sip:p;lr>")]))
    assert request.response(100).headers.present == ["timestamp"]
    assert request.response(180).headers.present == ["record-route"]


def test_a_to_that_has_a_tag_keeps_it() -> None:
    request = Request("BYE", "sip:a@b", Headers([("To", "<sip:a@b>;tag=theirs"), ("Via", "SIP/2.0/UDP h")]))
    assert request.response(200, to_tag="ours").headers.get("To") == "<sip:a@b>;tag=theirs"


def test_a_response_to_a_request_without_to_gets_none() -> None:
    assert "To" not in Request("BYE", "sip:a@b", Headers([("Via", "SIP/2.0/UDP h")])).response(400, to_tag="t").headers


@pytest.mark.parametrize(
    ("status", "reason"),
    [(486, "Busy Here"), (499, "Bad Request"), (299, "OK"), (183, "Session Progress"), (699, "Busy Everywhere")],
)
def test_the_reason_of_an_unknown_status_is_that_of_its_class(status: int, reason: str) -> None:
    assert Request("BYE", "sip:a@b").response(status).reason == reason
    assert Request("BYE", "sip:a@b").response(status, "Own words").reason == "Own words"


@pytest.mark.parametrize("digits", ["9" * 5000, "4294967296", "1" + "0" * 5000])
def test_numbers_of_any_length_are_read(digits: str) -> None:
    headers = Headers([("Max-Forwards", digits), ("Expires", digits), ("CSeq", f"{digits} BYE")])
    request = Request("BYE", "sip:a@b", headers)
    assert request.expires == 2**32 - 1
    with pytest.raises(MalformedMessage):
        _ = request.max_forwards
    with pytest.raises(MalformedMessage):
        _ = request.cseq


def test_leading_zeros_count_for_nothing() -> None:
    zeros = "0" * 5000
    request = Request("BYE", "sip:a@b", Headers([("Max-Forwards", zeros), ("Expires", zeros + "7")]))
    assert (request.max_forwards, request.expires) == (0, 7)


def test_content_length_is_always_right() -> None:
    request = Request("INFO", "sip:a@b", Headers([("l", "99"), ("Subject", "x")]), b"body")
    assert request.to_bytes() == b"INFO sip:a@b SIP/2.0\r\nContent-Length: 4\r\nSubject: x\r\n\r\nbody"


@pytest.mark.parametrize("where", ["value", "reason", "uri"])
@pytest.mark.parametrize("bad", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
def test_line_breaks_and_nul_are_not_serialised(where: str, bad: str) -> None:
    response = Response(200, bad if where == "reason" else "OK")
    request = Request(
        "INFO", bad if where == "uri" else "sip:a@b", Headers([("Subject", bad)] if where == "value" else [])
    )
    with pytest.raises(ValueError, match="line break or NUL"):
        (response if where == "reason" else request).to_bytes()


def test_the_missing_header_is_named() -> None:
    with pytest.raises(MalformedMessage, match="call-id"):
        _ = Request("INFO", "sip:a@b").call_id


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("18000;duration=3600", 18000),
        ("5 (in a meeting)", 5),
        ("soon", None),
        ("-5", None),
        ("5s", None),
        ("", None),
    ],
)
def test_section_20_33_the_seconds_of_retry_after(text: str, seconds: int | None) -> None:
    assert Response(503, headers=Headers([("Retry-After", text)])).retry_after == seconds


def test_a_response_that_names_no_time_has_none() -> None:
    assert Response(503).retry_after is None
