"""How long one INVITE of 1.2 kB costs the gateway in gateway/sip: read what a B2BUA needs, build the other leg's, write
it.

Run `python -m bench.sip_parse` (or with --profile). Prints microseconds, the best of several rounds.
"""

from __future__ import annotations

import cProfile
import sys
import timeit
from collections.abc import Callable
from itertools import cycle

from bench.judging import at_most
from gateway.sip import parser
from gateway.sip.address import NameAddress
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.sip.via import Via

TARGET_US = 20.0
_SDP = b"\r\n".join(
    [
        b"v=0",
        b"o=- 3903746723 3903746723 IN IP4 192.168.10.41",
        b"s=SIP Call",
        b"c=IN IP4 192.168.10.41",
        b"t=0 0",
        b"m=audio 16402 RTP/AVP 0 8 9 18 101",
        b"a=rtpmap:0 PCMU/8000",
        b"a=rtpmap:8 PCMA/8000",
        b"a=rtpmap:9 G722/8000",
        b"a=rtpmap:18 G729/8000",
        b"a=rtpmap:101 telephone-event/8000",
        b"a=fmtp:101 0-16",
        b"a=ptime:20",
        b"a=sendrecv",
        b"",
    ]
)
_INVITE = """\
INVITE sip:+1555{callee}@pbx.example.com;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.168.10.41:5060;branch=z9hG4bK-{number}-524287-1;rport
From: "Alice Liddell" <sip:{caller}@pbx.example.com;user=phone>;tag=5f2a{number}
To: <sip:+1555{callee}@pbx.example.com;user=phone>
Call-ID: 0f3b7a52-{number}-11d0f3a9@192.168.10.41
CSeq: {cseq} INVITE
Max-Forwards: 70
Contact: "Alice Liddell" <sip:{caller}@192.168.10.41:5060;transport=udp>
Expires: 240
User-Agent: Cisco/SPA504G-7.6.2c
Allow: ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER, UPDATE
Allow-Events: dialog, message-summary, refer
Supported: replaces, timer, 100rel
Session-Expires: 1800;refresher=uac
Min-SE: 90
P-Preferred-Identity: <sip:{caller}@pbx.example.com>
Privacy: none
Accept: application/sdp
Content-Disposition: session
Content-Type: application/sdp
Content-Length: {length}

"""


def make_invites(phones: int, count: int = 4000) -> list[bytes]:
    """INVITEs of that many phones that call one another; branch, tag, Call-ID and CSeq are new in each."""
    values = [
        {"caller": 100000 + n % phones, "callee": 2000000 + n * 7 % phones, "number": 84161 * n, "cseq": 100 + n % 900}
        for n in range(count)
    ]
    heads = [_INVITE.format(length=len(_SDP), **each).replace("\n", "\r\n") for each in values]
    return [head.encode() + _SDP for head in heads]


INVITE = make_invites(1, 1)[0]
# What crosses from one leg to the other as it stands; the rest is made anew.
_CROSSES = frozenset(
    {
        "accept",
        "allow",
        "allow-events",
        "content-disposition",
        "content-type",
        "expires",
        "min-se",
        "p-preferred-identity",
        "privacy",
        "session-expires",
        "supported",
    }
)
_TARGET = "sip:+15551230042@provider.example.net"
_VIA = str(Via("TLS", "gw.example.com", 5061, (("branch", "z9hG4bK-0c2b3d4e5f60718293a4"), ("rport", None))))
_CONTACT = str(NameAddress("", Uri("sip", "k7f3q9", None, "gw.example.com", 5061, (("transport", "tls"),))))


def look(request: Request) -> None:
    """All that a B2BUA needs of an INVITE."""
    _ = request.method, request.top_via.branch, request.call_id, request.from_.tag, request.to.tag
    _ = request.cseq.number, request.contact, request.request_uri, request.max_forwards


def rewrite(request: Request) -> Request:
    """The INVITE of the other leg."""
    headers = Headers(
        [
            ("Via", _VIA),
            ("Max-Forwards", str((request.max_forwards or 70) - 1)),
            ("From", str(request.from_.with_tag("9d1f3c5b7a"))),
            ("To", str(request.to)),
            ("Call-ID", "4c1f0a9b-7788-4e0d-93f3-2f1d"),
            ("CSeq", "1 INVITE"),
            ("Contact", _CONTACT),
        ]
    )
    headers.extend(request.headers, _CROSSES)
    return Request("INVITE", _TARGET, headers, request.body)


def _read(data: bytes) -> Request:
    request = parser.read(data)
    assert isinstance(request, Request)
    return request


def _read_fully(data: bytes) -> None:
    message = parser.parse(data)
    parser.check(message)


def whole(data: bytes) -> bytes:
    """From bytes to bytes, with the check that every arriving message gets."""
    request = _read(data)
    look(request)
    return rewrite(request).to_bytes()


def microseconds(work: Callable[[bytes], object], invites: list[bytes], number: int = 10, rounds: int = 2000) -> float:
    """The best round's time of one call, in microseconds. Short rounds find the moments when the machine is quiet."""
    several = cycle(invites)
    return min(timeit.repeat(lambda: work(next(several)), number=number, repeat=rounds)) / number * 1e6


def main() -> None:
    """Print the table, or a profile."""
    known, unknown = make_invites(phones=200), make_invites(phones=4000)
    if "--profile" in sys.argv:
        cProfile.runctx("for invite in known * 5: whole(invite)", {"known": known, "whole": whole}, {}, sort="tottime")
        return
    once = _read(INVITE)
    new = rewrite(once)
    print(f"an INVITE of {len(INVITE)} bytes, microseconds:                200 phones   phones never seen before")
    steps: list[tuple[str, Callable[[bytes], object]]] = [
        ("read in one pass, checked", _read),
        ("the same by the full way", _read_fully),
        ("build the other leg's INVITE", lambda _: rewrite(once)),
        ("serialise it", lambda _: new.to_bytes()),
        ("the whole way", whole),
    ]
    for name, work in steps:
        found = microseconds(work, known)
        verdict = f"   {at_most(round(found, 1), TARGET_US)}" if work is whole else ""
        print(f"  {name:40} {found:17.1f} {microseconds(work, unknown):12.1f}{verdict}")


if __name__ == "__main__":
    main()
