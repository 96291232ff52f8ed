"""The session description of a message, apart from all that came beside it (RFC 5621)."""

from __future__ import annotations

import pytest

from gateway.sip.message import Message, Request
from gateway.sip.parser import parse

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
PLACE = b"<presence/>"


def part(kind: str, body: bytes, *fields: str) -> bytes:
    head = "".join(f"{field}\r\n" for field in (f"Content-Type: {kind}", *fields))
    return b"--b\r\n" + head.encode() + b"\r\n" + body + b"\r\n"


def received(*parts: bytes, kind: str = "multipart/mixed;boundary=b", method: str = "INVITE") -> Message:
    body = b"".join((*parts, b"--b--\r\n"))
    head = (
        f"{method} sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\n"
        f"Call-ID: c\r\nCSeq: 1 {method}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return parse(head.encode() + body)


def test_description_is_the_body_and_the_rest_goes_beside_it() -> None:
    message = received(part("application/sdp", SDP), part("application/pidf+xml", PLACE, "Content-ID: <p@x>"))
    assert (message.content_type, message.body) == ("application/sdp", SDP)
    (place,) = message.beside
    assert (place.content_type, place.body) == ("application/pidf+xml", PLACE)


def test_it_is_written_around_it_again() -> None:
    message = received(part("application/pidf+xml", PLACE, "Content-ID: <p@x>"), part("application/sdp", SDP))
    again = parse(message.to_bytes())
    assert (again.content_type, again.body) == ("application/sdp", SDP)
    assert [(one.type_line, one.body) for one in again.beside] == [("application/pidf+xml", PLACE)]
    assert again.beside[0].headers.get("Content-ID") == "<p@x>"
    assert message.to_bytes() == message.to_bytes() == again.to_bytes()


def test_place_without_description() -> None:
    message = received(part("application/pidf+xml", PLACE))
    assert (message.body, message.content_type, message.beside[0].body) == (b"", None, PLACE)
    message = parse(message.to_bytes())
    assert (message.body, message.beside[0].body) == (b"", PLACE)
    assert isinstance(message, Request)
    assert b"Content-Type: application/pidf+xml\r\n" in message.to_bytes()


def test_alternative_is_the_description() -> None:
    message = received(part("text/plain", b"hi"), part("application/sdp", SDP), kind="multipart/alternative;boundary=b")
    assert (message.body, message.beside) == (SDP, ())


def test_early_session_is_no_session() -> None:
    """RFC 3959 section 3."""
    early = part("application/sdp", SDP, "Content-Disposition: early-session")
    message = received(early, part("application/sdp", SDP))
    assert message.body == SDP
    assert [one.disposition for one in message.beside] == ["early-session"]


@pytest.mark.parametrize("method", ["MESSAGE", "NOTIFY", "INFO"])
def test_other_methods_keep_their_body(method: str) -> None:
    message = received(part("application/sdp", SDP), method=method)
    assert (message.content_type, message.beside) == ("multipart/mixed", ())


@pytest.mark.parametrize(
    "kind",
    ["multipart/related;boundary=b", "multipart/mixed;boundary=c", "multipart/mixed", "multipart/signed;boundary=b"],
)
def test_body_that_is_not_taken_apart_stays(kind: str) -> None:
    message = received(part("application/sdp", SDP), kind=kind)
    assert message.body.startswith(b"--b") or message.beside


def test_encoded_description_is_none() -> None:
    message = received(part("application/sdp", b"dj0wDQo=", "Content-Transfer-Encoding: base64"))
    assert message.body == b""
