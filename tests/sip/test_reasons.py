"""Errors are in our words: a peer's text, in which a password may be, enters none of them (RFC 3261 section 19.1.1)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.sip.address import NameAddress
from gateway.sip.digest import Challenge, Credentials
from gateway.sip.errors import MalformedMessage
from gateway.sip.header_values import CSeq
from gateway.sip.parser import check, parse
from gateway.sip.uri import Uri
from gateway.sip.via import Via

GATEWAY = Path(__file__).parents[2] / "gateway"
ERRORS = {"MalformedMessage", "MalformedDescription", "UnknownScheme", "Refused"}
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (Uri.parse, "sip::hunter2@ example.com"),
        (Uri.parse, "sip:@hunter2"),
        (Uri.parse, "sip:alice@[hunter2]"),
        (Uri.parse, "sip:alice@example.com:99hunter2"),
        (Uri.parse, "hunter2"),
        (NameAddress.parse, "<sip:alice:hunter2@example.com"),
        (NameAddress.parse, "<sip:alice@example.com>;=hunter2"),
        (Via.parse, "SIP/2.0/UDP hunter2@"),
        (CSeq.parse, "hunter2"),
        (Credentials.parse, "hunter2 x=y"),
        (Credentials.parse, 'Digest hunter2="a", hunter2="b"'),
        (Credentials.parse, 'Digest qop="hunter2 "'),
        (Challenge.parse, 'Digest realm="a", nonce="b", algorithm="hunter2 "'),
    ],
)
def test_an_error_does_not_repeat_what_cannot_be_read(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(MalformedMessage) as malformed:
        read(text)
    assert SECRET not in str(malformed.value)
    assert SECRET not in malformed.value.reason


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: hunter2",
        "hunter2",
        "CSeq: hunter2",
        "Max-Forwards: hunter2",
        "Call-ID: a hunter2",
        "To: hunter2",
    ],
)
def test_no_error_of_a_message_repeats_it(line: str) -> None:
    message = f"INVITE sip:bob@example.com SIP/2.0\r\n{line}\r\n\r\n"
    for text in (message, message.replace("INVITE", "hunter2 hunter2 hunter2")):
        with pytest.raises(MalformedMessage) as malformed:
            check(parse(text.encode()))
        assert SECRET not in str(malformed.value)


def test_reasons_are_made_of_our_own_words() -> None:
    """No f-string of an error quotes (`!r`) or cuts (`[:80]`) anything: that is how a peer's text is put into one."""
    quoted = [
        f"{path.relative_to(GATEWAY)}:{node.lineno}"
        for path in GATEWAY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
        for piece in pieces(node)
        if piece.conversion == ord("r") or isinstance(piece.value, ast.Subscript)
    ]
    assert not [place for place in quoted if not place.startswith("demo/")]


def pieces(call: ast.Call) -> Iterator[ast.FormattedValue]:
    """The values in the f-strings among the arguments."""
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.FormattedValue):
                yield node
