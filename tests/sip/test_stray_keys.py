"""Keys in the head of a message go no further (RFC 4568 section 5: they belong in descriptions)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response
from gateway.sip.parser import Answerable, check, parse
from gateway.sip.stray_keys import HINT, may_hold_keys

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
ESCAPED = KEY.replace("=", "%3D").replace(":", "%3A").replace(" ", "%20")
REQUEST = (
    "INFO sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\n"
    "To: <sip:a@example.com>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INFO\r\nMax-Forwards: 70\r\n{}\r\n\r\n"
)


@pytest.mark.parametrize(
    "line",
    [
        f"Subject: {KEY}",
        f"s: {KEY.upper()}",
        f"Event: talk;x={KEY}",
        f'Reason: SIP;cause=200;text="{KEY}"',
        'Reason: SIP;cause=200;text="in\\line:WVNfX19zZW1jdGwgKCkgewkyMjA7"',
        f"Content-ID: <{KEY.replace(' ', '')}@h>",
        f"X-Anything: {KEY}",
        f"Refer-To: <sip:c@example.com?Subject={ESCAPED}>",
        f"Refer-To: <sip:c@example.com?Referred-By=%3Csip:d%40e%3FSubject%3D{ESCAPED.replace('%', '%25')}%3E>",
        f"Call-Info: <http://h/?x=y>;purpose={KEY.replace('=', '&#61;').replace(':', '&#58;')}",
        f"User-to-User: {KEY.encode().hex()};encoding=hex",
        "Subject: a=key-mgmt:mikey AQAFgM0XflABAAAA",
        f"Subject: folded\r\n {KEY}",
    ],
)
def test_rfc4568_section_5_line_with_a_key_is_gone(line: str) -> None:
    message = parse(REQUEST.format(line).encode())
    check(message)
    name = {"s": "Subject"}.get(line.partition(":")[0], line.partition(":")[0])
    assert name not in message.headers
    assert message.headers.count("Via") == 1


@pytest.mark.parametrize(
    "line",
    [
        "Content-Disposition: inline",
        "Subject: inline: see below",
        "Subject: 100% of crypto",
        "Event: dialog;call-id=a%20b",
        "User-to-User: 48656c6c6f20776f726c64;encoding=hex",
        'Call-Info: <sip:l@h>;appearance-index=1;x="a\\"b"',
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    message = parse(REQUEST.format(line).encode())
    assert line.encode() in message.to_bytes()


@pytest.mark.parametrize("name", ["From", "To"])
def test_address_loses_the_key_alone(name: str) -> None:
    text = REQUEST.format("Subject: x").replace(f"{name}: <", f'{name}: "{KEY}" <')
    message = parse(text.encode())
    check(message)
    assert b"inline" not in message.to_bytes()
    assert message.headers.get(name) is not None


@pytest.mark.parametrize("name", ["From", "To"])
def test_rfc3261_section_8_1_1_message_that_needs_the_line_is_malformed(name: str) -> None:
    text = REQUEST.format("Subject: x").replace(f"{name}: <", f"{name}: <sip:x@h?Subject={ESCAPED}>, <")
    with pytest.raises(Answerable) as refused:
        check(parse(text.encode()))
    assert refused.value.status == 400


def test_key_in_a_request_uri_is_refused_and_in_a_reason_phrase_left_out() -> None:
    text = REQUEST.format("Subject: x").replace("sip:a@example.com SIP", f"sip:a@example.com;x={ESCAPED} SIP")
    with pytest.raises(MalformedMessage):
        parse(text.encode())
    response = parse(
        REQUEST.format("Subject: x").replace("INFO sip:a@example.com SIP/2.0", f"SIP/2.0 480 {KEY}").encode()
    )
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (480, "")
    assert isinstance(parse(REQUEST.format("Subject: x").encode()), Request)


PIECES = ("inline", "INLINE", "crypto", "Key-Mgmt", "user-to-user", "%", "\\", "&", "in", "line", "cry", "pto", "key-")
ODD = (
    "\u0130nline",
    "\u0131nline",
    "crypto".replace("o", "\u00f6"),
    "\u212aey-mgmt",
    "u\u017fer-to-user",
    " ",
    "\r\n",
    "x",
)


@given(st.lists(st.sampled_from((*PIECES, *ODD)) | st.text(max_size=2), max_size=4).map("".join))
def test_the_searches_for_texts_find_what_the_pattern_finds(head: str) -> None:
    assert may_hold_keys(head) == (HINT.search(head) is not None)
