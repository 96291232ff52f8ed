"""The messages of RFC 5118 (IPv6), by section. Bodies are left out where the SDP does not matter."""

from __future__ import annotations


def _message(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _register(request_uri: str) -> bytes:
    return _message(
        f"REGISTER {request_uri} SIP/2.0\n"
        "To: sip:user@example.com\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n"
        "Call-ID: SSG9559905523997077@hlau_4100\n"
        "Max-Forwards: 70\n"
        'Contact: "Caller" <sip:caller@[2001:db8::1]>\n'
        "CSeq: 98176 REGISTER\n"
        "Content-Length: 0\n\n"
    )


def _options(uri: str) -> bytes:
    return _message(
        f"OPTIONS {uri} SIP/2.0\n"
        f"To: {uri}\n"
        "From: sip:user@example.com;tag=810x2\n"
        "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111\n"
        "Call-ID: G9559905523997077@hlau_4100\n"
        "CSeq: 689 OPTIONS\n"
        "Max-Forwards: 70\n"
        "Content-Length: 0\n\n"
    )


MESSAGES: dict[str, bytes] = {
    "4.1": _register("sip:[2001:db8::10]"),
    "4.2": _register("sip:2001:db8::10"),
    "4.3": _register("sip:[2001:db8::10:5070]"),
    "4.4": _register("sip:[2001:db8::10]:5070"),
    "4.5-brackets": _message(
        "BYE sip:[2001:db8::10] SIP/2.0\n"
        "To: sip:user@example.com;tag=bd76ya\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111\n"
        "Call-ID: SSG9559905523997077@hlau_4100\n"
        "Max-Forwards: 70\n"
        "CSeq: 321 BYE\n"
        "Content-Length: 0\n\n"
    ),
    "4.5": _message(
        "OPTIONS sip:[2001:db8::10] SIP/2.0\n"
        "To: sip:user@example.com\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3\n"
        "Call-ID: SSG95523997077@hlau_4100\n"
        "Max-Forwards: 70\n"
        'Contact: "Caller" <sip:caller@[2001:db8::9:1]>\n'
        "CSeq: 921 OPTIONS\n"
        "Content-Length: 0\n\n"
    ),
    "4.6": _message(
        "INVITE sip:user@[2001:db8::10] SIP/2.0\n"
        "To: sip:user@[2001:db8::10]\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111\n"
        "Call-ID: SSG9559905523997077@hlau_4100\n"
        'Contact: "Caller" <sip:caller@[2001:db8::20]>\n'
        "CSeq: 8612 INVITE\n"
        "Max-Forwards: 70\n"
        "Content-Length: 0\n\n"
    ),
    "4.7": _message(
        "BYE sip:user@host.example.net SIP/2.0\n"
        "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111\n"
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144\n"
        "Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200\n"
        "Call-ID: 997077@lau_4100\n"
        "Max-Forwards: 70\n"
        "CSeq: 89187 BYE\n"
        "To: sip:user@example.net;tag=9817--94\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Content-Length: 0\n\n"
    ),
    "4.9": _message(
        "INVITE sip:user@example.com SIP/2.0\n"
        "To: sip:user@example.com\n"
        "From: sip:user@east.example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19\n"
        "Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111\n"
        "Call-ID: SSG9559905523997077@hlau_4100\n"
        'Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>\n'
        "CSeq: 612 INVITE\n"
        "Max-Forwards: 70\n"
        "Content-Length: 0\n\n"
    ),
    "4.10-colons": _options("sip:user@[2001:db8:::192.0.2.1]"),
    "4.10": _options("sip:user@[2001:db8::192.0.2.1]"),
}
