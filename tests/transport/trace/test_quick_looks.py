"""Quick looks save the slow search, and change nothing: messages of chance are shown alike with them and without."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import redaction
from gateway.transport.trace import filler, quick_looks
from gateway.transport.trace.filler import without_secrets

LOOKS = ("is_plain", "is_plain_body", "is_silent", "needs_no_rule", "is_word")
KEY = base64.b64encode(bytes(range(30))).decode()
LONG_KEY = base64.b64encode(bytes(range(100, 146))).decode()

STARTS = ("INVITE sip:+4930@voip.test SIP/2.0", "SIP/2.0 401 Unauthorized", "SIP/2.0 200 OK", "EXAMPLE sip:a SIP/2.0")
FIELDS = (
    "Via: SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK776asdhds;rport",
    'From: "Jürgen" <sip:alice@voip.test>;tag=1',
    "To: <sip:voip.test:5060;lr>",
    "Contact: <sip:gw@[2001:db8::1]:5061;ob>",
    "Route: <sip:192.0.2.1:5060;lr>,<sips:192.0.2.2:99999;lr>",
    "Call-ID: 3a1f09bce2d74f6d8e5b9a00@192.0.2.7",
    'Proxy-Authorization: Digest username="alice", realm="voip.test", nonce="dcd98b71", uri="sip:a@b", response="66"',
    'Authorization: Digest username="a",\r\n uri="sip:alice:Other@voip.test", response=6629fae49393a053, qop=auth',
    'WWW-Authenticate: Digest realm="inline:x", nc=inlineX, nonce="f84f1c", opaque=c2VjcmV0, qop="auth,auth-int"',
    "Authorization: Basic QWxhZGRpbg==",
    "Contact: <sip:alice:Wonderland@192.0.2.7:5060;transport=tls>",
    'Authentication-Info: nextnonce="47364c23", rspauth="6629fae4"',
    "Content-Disposition: inline",
    "Content-Encoding: gzip",
    "e : gzip",
    "Subject: 50% off, a=crypto:1 X inline:" + KEY,
    "Refer-To: <sip:b@c?body=inline%3A" + KEY + ">",
    "User-to-User: " + f"inline:{KEY}".encode().hex(),
    "X-Pass: k=base64:c2VjcmV0",
    "\tfolded, with a password=hunter2",
)
LINES = (
    "v=0",
    "m=audio 4000 RTP/SAVP 0",
    f"a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:{LONG_KEY}",
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4",
    f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 UNENCRYPTED_SRTP",
    f"a=crypto:4 F8_128_HMAC_SHA1_80 inline:{KEY[:20]}",
    KEY[20:],
    f" a=crypto:5 X inline: {KEY}",
    f"xa=crypto:6 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
    "a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaha1=",
    "k=base64:c2VjcmV0",
    "k =clear:secret",
    "a=key-mgmt:mikey AQAFgM0XflABAAAA",
    "a=sendrecv",
    "c=IN IP4 192.0.2.7",
    "u=http://user:word@voip.test/",
    "nonce=",
    "--boundary",
    "<inline>&#43;</inline>",
    '{"a": "\\u0069nline:' + KEY + '"}',
    f"a=crypto:1 X inline:{KEY}".encode().hex(),
    "\0",
)
ENDS = ("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ")


@contextmanager
def without_looks() -> Iterator[None]:
    """As if no look ever proved anything: all texts are searched."""
    with ExitStack() as stack:
        for name in LOOKS:
            stack.enter_context(mock.patch.object(quick_looks, name, return_value=False))
        yield


def searched(data: bytes) -> bytes:
    with without_looks():
        return without_secrets(data)


def message_of_chance(chance: random.Random) -> bytes:
    """Few fields and lines, of which some have secrets, with some characters that are not where they should be."""
    is_usual = chance.random() < 0.5
    head = [chance.choice(STARTS), *chance.choices(FIELDS[: 8 if is_usual else None], k=chance.randrange(5))]
    body = chance.choices(LINES[: 4 if is_usual else None], k=chance.randrange(6))
    text = "".join(line + chance.choice(ENDS) for line in head) + chance.choice(("\r\n", "\n", ""))
    text += "".join(line + chance.choice(ENDS) for line in body)
    for _ in range(chance.choice((0, 0, 1, 3))):
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice("\r\n\t =:;,%&\\\"'k@-\xa0A") + text[place + chance.randrange(2) :]
    return text.encode("latin-1")


def test_messages_of_chance_are_shown_alike() -> None:
    chance, quick = random.Random(7), 0
    for number in range(1_500):
        data = message_of_chance(chance)
        shown = without_secrets(data)
        assert shown == searched(data), (number, data)
        quick += shown != data and is_usual(data)
    assert quick > 50, "few messages with secrets went the quick way: this test compares nothing"


def is_usual(data: bytes) -> bool:
    """Whether a message is shown without a search."""
    with mock.patch.object(filler, "_head", side_effect=AssertionError):
        try:
            without_secrets(data)
        except AssertionError:
            return False
    return True


@given(st.text(st.sampled_from("insp:/@[]%3a0459;k= \n\"<'&\\x-A"), max_size=40))
def test_a_look_is_never_wrong_in_the_bad_direction(text: str) -> None:
    lower = text.lower()
    if quick_looks.needs_no_rule(lower):
        assert redaction.redacted(text) == text
    with without_looks():
        if quick_looks.is_word(text):
            assert redaction.redacted(text) == text


@pytest.mark.parametrize("word", ["inline", "crypto", "mikey", "key-mgmt", "InLiNe", "CRYPTO"])
@pytest.mark.parametrize("before", ["", "a"])
def test_a_word_in_hexadecimal_is_seen_wherever_it_begins(word: str, before: str) -> None:
    for text in (word.encode().hex(), word.encode().hex().upper()):
        assert not quick_looks.is_silent((before + text).lower())


USUAL = (
    "INVITE sip:+4930@voip.test SIP/2.0\nVia: SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK77\nTo: <sip:voip.test:5060>\n"
    'Proxy-Authorization: Digest username="a", realm="b.c", nonce="dcd98b71", uri="sip:a@b", response="66", qop=auth\n'
    f"Content-Type: application/sdp\n\nv=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4\na=sendrecv\n"
)


@pytest.mark.parametrize(
    "message",
    [USUAL, "SIP/2.0 401 Unauthorized\nWWW-Authenticate: Digest realm=a, nonce=b\n\n", "BYE sip:a SIP/2.0\n\n"],
)
def test_usual_messages_go_the_quick_way(message: str) -> None:
    data = message.replace("\n", "\r\n").encode()
    assert is_usual(data)
    assert KEY.encode() not in without_secrets(data)
    assert b"dcd98b71" not in without_secrets(data)
