"""Multipart bodies are cut in one way only (RFC 2046 section 5.1), and written again."""

from __future__ import annotations

import pytest

from gateway.sip.bodies.multipart import MOST_PARTS, BodyPart, fresh_boundary, join, split
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers

MIXED = "multipart/mixed;boundary=b1"
TWO = (
    b"--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--b1\r\nContent-ID: <x@y>\r\nContent-Type: a/b;c=d\r\n\r\nworld\r\n--b1--\r\n"
)


def test_parts_with_their_fields() -> None:
    first, second = split(MIXED, TWO)
    assert (first.content_type, first.body) == ("text/plain", b"hello")
    assert (second.content_type, second.type_line, second.body) == ("a/b", "a/b;c=d", b"world")
    assert second.headers.get("Content-ID") == "<x@y>"


@pytest.mark.parametrize(
    "type_line",
    ['multipart/mixed;boundary="b1"', "multipart/mixed; Boundary=b1 ; x=y", "multipart/related;boundary=b1"],
)
def test_boundary_in_its_forms(type_line: str) -> None:
    assert len(split(type_line, TWO)) == 2


def test_part_without_fields_is_text() -> None:
    """RFC 2046 section 5.1."""
    (part,) = split(MIXED, b"--b1\r\n\r\nhello\r\n--b1--")
    assert (part.content_type, part.body) == ("text/plain", b"hello")


def test_what_is_written_is_read_again() -> None:
    parts = (
        BodyPart(Headers([("Content-Type", "text/plain")]), b"a\r\n\r\n--b"),
        BodyPart(Headers([("Content-Type", "x/y")]), b""),
    )
    boundary = fresh_boundary(part.body for part in parts)
    again = split(f"multipart/mixed;boundary={boundary}", join(parts, boundary))
    assert [(part.type_line, part.body) for part in again] == [(part.type_line, part.body) for part in parts]


@pytest.mark.parametrize(
    ("type_line", "body"),
    [
        ("multipart/mixed", TWO),
        ("multipart/mixed;boundary=", TWO),
        ("multipart/mixed;boundary=b2", TWO),
        ("multipart/mixed;boundary=b1;boundary=b2", TWO),
        ("multipart/mixed;boundary=b1;boundary*=b2", TWO),
        (MIXED, b""),
        (MIXED, b"v=0\r\n" + TWO),
        (MIXED, TWO + b"v=0\r\n"),
        (MIXED, TWO.replace(b"--b1--", b"--b1")),
        (MIXED, TWO.replace(b"hello", b"hello\n--b1\nContent-Type: application/sdp\n\nv=0")),
        (MIXED, TWO.replace(b"hello", b"hello --b1")),
        (MIXED, TWO.replace(b"Content-Type: text/plain", b"Content-Type: text/plain\r\nContent-Type: application/sdp")),
        (MIXED, TWO.replace(b"Content-Type: text/plain", b"no header")),
        (MIXED, TWO.replace(b"Content-Type: text/plain\r\n\r\nhello", b"Content-Type: text/plain")),
        (MIXED, b"".join(b"--b1\r\n\r\n%d\r\n" % number for number in range(MOST_PARTS + 1)) + b"--b1--"),
    ],
)
def test_body_that_could_be_cut_otherwise_is_none(type_line: str, body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        split(type_line, body)


@pytest.mark.parametrize(
    ("fields", "is_encoded"),
    [
        ((), False),
        ((("Content-Transfer-Encoding", "binary"),), False),
        ((("Content-Transfer-Encoding", "BASE64"),), True),
        ((("Content-Transfer-Encoding", "x"),), True),
        ((("Content-Encoding", "gzip"),), True),
        ((("Content-Encoding", ""), ("Content-Encoding", "gzip")), True),
        ((("Content-Transfer-Encoding", "8bit"), ("content-transfer-encoding", "base64")), True),
    ],
)
def test_content_that_must_be_decoded_first(fields: tuple[tuple[str, str], ...], is_encoded: bool) -> None:
    assert BodyPart(Headers(fields), b"").is_encoded is is_encoded
