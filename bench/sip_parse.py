"""How long one INVITE of 1.2 kB costs the gateway in gateway/sip: read what a B2BUA needs, build the other leg's, write
it.

Run `python -m bench.sip_parse` (or with --profile). Prints microseconds, the best of several rounds.
"""

from __future__ import annotations

import cProfile
import sys
import timeit
from collections.abc import Callable

from gateway.sip.address import NameAddress
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.sip.parser import check, parse
from gateway.sip.uri import Uri
from gateway.sip.via import Via

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
INVITE = (
    b"INVITE sip:+15551230042@pbx.example.com;user=phone SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.168.10.41:5060;branch=z9hG4bK-6b2f1c9d-524287-1;rport\r\n"
    b'From: "Alice Liddell" <sip:1001@pbx.example.com;user=phone>;tag=5f2a0c61d3e84b7f\r\n'
    b"To: <sip:+15551230042@pbx.example.com;user=phone>\r\n"
    b"Call-ID: 0f3b7a52-8c41d9e6-11d0f3a9@192.168.10.41\r\n"
    b"CSeq: 102 INVITE\r\n"
    b"Max-Forwards: 70\r\n"
    b'Contact: "Alice Liddell" <sip:1001@192.168.10.41:5060;transport=udp>\r\n'
    b"Expires: 240\r\n"
    b"User-Agent: Cisco/SPA504G-7.6.2c\r\n"
    b"Allow: ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER, UPDATE\r\n"
    b"Allow-Events: dialog, message-summary, refer\r\n"
    b"Supported: replaces, timer, 100rel\r\n"
    b"Session-Expires: 1800;refresher=uac\r\n"
    b"Min-SE: 90\r\n"
    b"P-Preferred-Identity: <sip:1001@pbx.example.com>\r\n"
    b"Privacy: none\r\n"
    b"Accept: application/sdp\r\n"
    b"Content-Disposition: session\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SDP), _SDP)
)
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


def read(request: Request) -> None:
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


def _as_request(data: bytes) -> Request:
    request = parse(data)
    assert isinstance(request, Request)
    return request


def whole(data: bytes = INVITE) -> bytes:
    """From bytes to bytes."""
    request = _as_request(data)
    read(request)
    return rewrite(request).to_bytes()


def whole_checked(data: bytes = INVITE) -> bytes:
    """The same with the check of mandatory headers, whose answers are remembered."""
    request = _as_request(data)
    check(request)
    read(request)
    return rewrite(request).to_bytes()


def microseconds(work: Callable[[], object], number: int = 100, rounds: int = 300) -> float:
    """The best round's time of one call, in microseconds."""
    return min(timeit.repeat(work, number=number, repeat=rounds)) / number * 1e6


def main() -> None:
    """Print the table, or a profile."""
    if "--profile" in sys.argv:
        cProfile.run("for _ in range(20000): whole()", sort="tottime")
        return
    once = _as_request(INVITE)
    read(once)
    new = rewrite(once)
    print(f"an INVITE of {len(INVITE)} bytes, microseconds")
    for name, work in [
        ("parse: first line, header lines, body", lambda: parse(INVITE)),
        ("parse and read all that is needed", lambda: read(_as_request(INVITE))),
        ("build the other leg's INVITE", lambda: rewrite(once)),
        ("serialise it", new.to_bytes),
        ("the whole way", whole),
        ("the whole way with check()", whole_checked),
    ]:
        print(f"  {name:40} {microseconds(work):7.2f}")


if __name__ == "__main__":
    main()
