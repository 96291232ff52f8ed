"""Sipura's own SRTP is told from other bodies of INFO."""

from __future__ import annotations

import base64

import pytest

from gateway.sip.bodies.disguise import is_own_srtp
from gateway.sip.headers import Headers
from gateway.sip.message import Request

HELLO = base64.b64encode(bytes(range(256)) + b"sipura..")
FINAL = base64.b64encode(bytes(130))
DTMF = b"Signal=5\r\nDuration=160\r\n"
TEXT = b"Please call back as soon as you can, the number is in the book under the letter M. " * 5


@pytest.mark.parametrize(
    ("method", "kind", "body", "is_own"),
    [
        ("INFO", "application/x-anything", HELLO, True),
        ("INFO", "application/x-anything", HELLO + b"\r\n", True),
        ("INFO", "application/x-anything", b"\r\n".join((HELLO[:76], HELLO[76:152], HELLO[152:])), True),
        ("INFO", "application/x-anything", FINAL, True),
        ("INFO", "application/X-Sipura", b"short", True),
        ("INFO", "", HELLO, True),
        ("INFO", "application/dtmf-relay", DTMF, False),
        ("INFO", "text/plain", TEXT, False),
        ("INFO", "text/plain", HELLO[:100], False),
        ("INFO", "application/octet-stream", b"A" * 8192, False),
        ("INFO", "application/x-anything", b"", False),
        ("MESSAGE", "text/plain", HELLO, False),
    ],
)
def test_what_is_taken_for_it(method: str, kind: str, body: bytes, is_own: bool) -> None:
    headers = Headers([("Content-Type", kind)] if kind else [])
    assert is_own_srtp(Request(method, "sip:gw", headers, body)) is is_own
