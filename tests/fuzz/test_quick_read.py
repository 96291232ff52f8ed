"""The one pass over a usual message and the full way read the same: 20,000 inputs, most of them usual messages with a
few changes."""

from __future__ import annotations

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.parser import read
from tests.fuzz.generation import SIP_PIECES, inputs
from tests.fuzz.targets import quick
from tests.support.rfc4475 import MESSAGES

COUNT = 20_000
HEAD = (
    b"Via: SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\n'
    b"Call-ID: 1@192.0.2.11\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.11:5070>\r\n"
)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
START, ANSWER = b"INVITE sip:bob@example.com SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"
OFFER = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(SDP) + SDP
PARTS = b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x--\r\n"
USUAL = {
    "an INVITE without a body": START + HEAD + b"Content-Length: 0\r\n\r\n",
    "an INVITE with an offer": START + HEAD + OFFER,
    "no Content-Length": START + HEAD + b"User-Agent: x\r\n\r\n",
    "Content-Length amid": START + b"Content-Length: 0\r\n" + HEAD + b"Allow: INVITE, ACK\r\n\r\n",
    "several parts": START
    + HEAD
    + b"Content-Type: multipart/mixed;boundary=x\r\nContent-Length: %d\r\n\r\n" % len(PARTS)
    + PARTS,
    "two Vias and routes": START
    + b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\n"
    + HEAD
    + b"Record-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>\r\nContent-Length: 0\r\n\r\n",
    "a 200": ANSWER + HEAD + b"Supported: timer, 100rel\r\nContent-Length: 0\r\n\r\n",
    "a 200 with an answer": ANSWER + HEAD + OFFER,
}
"""Messages that take the one pass."""


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_message_takes_one_pass_and_is_read_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = USUAL[name]
    quick(data)
    monkeypatch.setattr("gateway.sip.parser.parse", lambda _: pytest.fail("it went the full way"))
    assert read(data).top_via.branch == ("z9hG4bK2" if b"K2" in data else "z9hG4bK1")


@pytest.mark.parametrize(
    "odd",
    [
        b"Call-ID: two\r\n",
        b"X-Note : white space before the colon\r\n",
        b"Subject: folded\r\n twice\r\n",
        b"Subject: a bare \n line feed\r\n",
        b"Subject: a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(260)),
        b"Via: SIP/2.0/UDP h\r\n" + b"v: " + b", ".join([b"SIP/2.0/UDP h"] * 120) + b"\r\n",
    ],
)
def test_an_odd_line_goes_the_full_way(odd: bytes) -> None:
    quick(START + HEAD + odd + b"Content-Length: 0\r\n\r\n")


def test_the_method_of_cseq_must_be_that_of_the_request() -> None:
    data = USUAL["an INVITE without a body"].replace(b"1 INVITE", b"1 BYE")
    quick(data)
    with pytest.raises(MalformedMessage, match="CSeq"):
        read(data)


def test_no_input_is_read_in_two_ways() -> None:
    for data in inputs(4, COUNT, [*USUAL.values(), *(torture.data for torture in MESSAGES.values())], SIP_PIECES):
        quick(data)
