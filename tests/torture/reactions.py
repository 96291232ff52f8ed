"""What the gateway does with each message of RFC 4475 and RFC 5118: the data of the tests and of docs/torture.md.

A message comes from a phone. `status` is what the phone is answered at once (None: nothing), `onward` the method of
what the provider is sent, whose answer then comes back. Over a stream the same happens, unless `stream` says otherwise:
what is answered, and whether the connection is closed.
"""

from __future__ import annotations

import attrs

from tests.support.rfc4475 import MESSAGES
from tests.support.rfc5118 import MESSAGES as MESSAGES_IPV6


@attrs.frozen
class Stream:
    """What happens to a message on a TCP or TLS connection where that differs from UDP."""

    status: int | None
    is_closed: bool
    does: str
    onward: str = ""


@attrs.frozen
class Reaction:
    """What the RFC asks for a message, and what the gateway does."""

    asks: str
    does: str
    status: int | None = None
    onward: str = ""
    stream: Stream | None = None


def _passed(asks: str, onward: str, more: str = "") -> Reaction:
    article = "an" if onward[0] in "AEIOU" else "a"
    does = f"sends {article} {onward} of its own to the provider, whose answer comes back" + (
        f"; {more}" if more else ""
    )
    return Reaction(asks, does, 100 if onward == "INVITE" else None, onward)


def _refused(asks: str, status: int, does: str, stream: Stream | None = None) -> Reaction:
    return Reaction(asks, f"{status}: {does}", status, stream=stream)


_OFFER_IPV6 = """\
v=0
o=assistant 971731711378798081 0 IN IP6 2001:db8::20
s=Live video feed for today's meeting
c=IN IP6 2001:db8::20
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2
a=rtpmap:2 G726-32/8000
m=video 6024 RTP/AVP 107
a=rtpmap:107 H263-1998/90000
"""

_OFFER_BOTH = _OFFER_IPV6.replace("RTP/AVP 107\n", "RTP/AVP 107\nc=IN IP4 192.0.2.1\n")


def _with_sdp(invite: bytes, sdp: str) -> bytes:
    """The INVITE with that offer."""
    body = sdp.replace("\n", "\r\n").encode()
    head = invite.partition(b"Content-Length")[0]
    return head + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body) + body


IPV6: dict[str, bytes] = MESSAGES_IPV6 | {
    "4.6": _with_sdp(MESSAGES_IPV6["4.6"], _OFFER_IPV6),
    "4.8": _with_sdp(MESSAGES_IPV6["4.6"], _OFFER_BOTH),
}
"""The messages of RFC 5118, with the session descriptions that sections 4.6 and 4.8 are about."""

_BAD = "invalid: answer 400"
_REJECT_OR_REPAIR = "invalid: answer 400, or repair it where the intent is clear"
_WELL_FORMED = "well formed: do not fail"
_NO_LENGTH = Stream(400, True, "400 and close: without a Content-Length the end of a message on a stream is unknown")

RFC4475: dict[str, Reaction] = {
    "wsinv": _refused(
        "valid: accept it, unusual white space and all", 481, "its To has a tag, of a dialog unknown here"
    ),
    "intmeth": _refused("valid: every character is allowed where it stands", 501, "nobody implements that method"),
    "esc01": _passed("valid: unescape for comparison, and only there", "INVITE", "escapes stay as they were"),
    "escnull": _passed("valid: %00 must not end a string", "REGISTER", "%00 and %00%00 are two bindings"),
    "esc02": _refused("valid: % in a method or header name is no escape", 501, "RE%47IST%45R is no REGISTER"),
    "lwsdisp": _passed("valid: no space is needed before <", "OPTIONS"),
    "longreq": _passed("valid: long values and 34 Vias", "INVITE", "in full, with one Via of the gateway's"),
    "dblreq": Reaction(
        "valid over UDP: ignore the octets after the REGISTER",
        "sends a REGISTER of its own to the provider, whose answer comes back; the INVITE behind it is not looked at",
        None,
        "REGISTER",
        Stream(
            488,
            True,
            "serves the REGISTER, then the INVITE: 488, its SDP has a line `m =`; closes at the CRLFs and "
            "text left over, which are no message",
            "REGISTER",
        ),
    ),
    "semiuri": _passed("valid: the semicolon belongs to the user part", "OPTIONS", "to the same user part"),
    "transports": _passed("valid: unknown transports in lower Vias are not ours to judge", "OPTIONS"),
    "mpart01": _refused(
        "well formed, binary octets in a body: frame it right, refuse it if multipart is not supported",
        415,
        "a multipart could hide SRTP keys from the relay, so none crosses",
    ),
    "unreason": Reaction(
        "valid: a reason phrase may be any UTF-8",
        "as the answer to an INVITE of ours: passed on; as it stands it answers nothing and is dropped",
    ),
    "noreason": Reaction(
        "valid: a reason phrase may be empty",
        "as the answer to an INVITE of ours: taken as its 100; as it stands it answers nothing and is dropped",
    ),
    "badinv01": _refused(_BAD, 400, "an empty value in Via; sent to where the request came from"),
    "clerr": Reaction(
        "over UDP: answer 400; over a stream: wait for the rest, and not for ever",
        "400: the body is shorter than Content-Length says",
        400,
        stream=Stream(None, False, "waits for the rest for 30 s, then closes"),
    ),
    "ncl": _refused(
        "invalid: answer 400, and over a stream close the connection",
        400,
        "a negative Content-Length",
        Stream(400, True, "400 and close: where the next message begins is unknown"),
    ),
    "scalar02": _refused(
        "invalid: answer 400 for the CSeq", 400, "CSeq is above 2**31; the other numbers are cut down"
    ),
    "scalarlg": Reaction("invalid: discard the response", "dropped and counted"),
    "quotbal": _refused(_REJECT_OR_REPAIR, 400, "the To cannot be read"),
    "ltgtruri": _refused(_REJECT_OR_REPAIR, 400, "the Request-URI is no URI"),
    "lwsruri": _refused(_REJECT_OR_REPAIR, 400, "the first line has four parts"),
    "lwsstart": _refused(_REJECT_OR_REPAIR, 400, "the first line has empty parts"),
    "trws": _refused(_REJECT_OR_REPAIR, 400, "spaces after SIP/2.0"),
    "escruri": _refused(
        "invalid: answer 400, and by no means act on the escaped Route", 400, "headers in the Request-URI"
    ),
    "baddate": _passed("invalid Date: accept unless Date matters; or answer 400", "INVITE", "Date crosses unread"),
    "regbadct": _refused(_BAD, 400, "a `?` outside of < > could belong to the URI or to the header"),
    "badaspec": _passed(_REJECT_OR_REPAIR, "OPTIONS", "the spaces within < > are left out"),
    "baddn": _refused(_REJECT_OR_REPAIR, 400, "a comma in a display name without quotes"),
    "badvers": _refused("answer 505", 505, "it says SIP/7.0; sent to where the request came from"),
    "mismatch01": _refused(_BAD, 400, "CSeq names another method"),
    "mismatch02": _refused("invalid: answer 501 or 400", 400, "CSeq names another method"),
    "bigcode": Reaction("invalid: discard the response", "dropped and counted"),
    "badbranch": _passed(
        "a branch that is only the cookie: do not take all such requests for one transaction",
        "OPTIONS",
        "matched as RFC 2543 has it, by everything else that names a transaction",
    ),
    "insuf": _refused(_BAD, 400, "From, To, Call-ID and Max-Forwards are missing; the answer has what there was"),
    "unkscm": _refused("answer 416", 416, "no such scheme"),
    "novelsc": _refused("answer 416", 416, "no such scheme here"),
    "unksm2": _refused(_WELL_FORMED, 404, "the To is no address of a domain that is served"),
    "bext01": _refused("answer 420 and list in Unsupported what was required", 420, "with Unsupported"),
    "invut": _refused("answer 415 with Accept", 415, "with Accept: application/sdp"),
    "regaut01": _passed(
        "well formed: go on as if no credentials were there",
        "REGISTER",
        "its challenge comes back",
    ),
    "multi01": _refused(_BAD, 400, "Call-ID, CSeq, From, Max-Forwards and To are there twice"),
    "mcl01": _refused(
        "invalid: answer 400, and over a stream close the connection",
        400,
        "two Content-Length",
        Stream(400, True, "400 and close: where the next message begins is unknown"),
    ),
    "bcast": Reaction("a response whose Via is not ours: discard it, do not follow its Via", "dropped"),
    "zeromf": _refused("answer 483, or as the target answer it", 483, "Too Many Hops"),
    "cparam01": _passed("well formed: the unknown parameter belongs to the header", "REGISTER", "kept out of the URI"),
    "cparam02": _passed("well formed: the unknown parameter belongs to the URI", "REGISTER", "kept in the URI"),
    "regescrt": _passed(
        "well formed: register the URI with its escaped Route, and never act on it as a Route", "REGISTER"
    ),
    "sdp01": _passed(
        "an Accept that no SDP satisfies: the answering side refuses it with 406", "INVITE", "Accept crosses"
    ),
    "inv2543": _refused(
        "what RFC 2543 allowed: accept it where backward compatibility is wanted",
        400,
        "an INVITE without Contact makes no dialog (RFC 3261 section 8.1.1.8)",
        _NO_LENGTH,
    ),
}

RFC5118: dict[str, Reaction] = {
    "4.1": _passed("valid IPv6 reference: accept", "REGISTER"),
    "4.2": _refused(
        "an IPv6 address without brackets in the Request-URI: answer 400", 400, "the Request-URI is no URI"
    ),
    "4.3": _passed("ambiguous to people, not to parsers: 5070 is part of the address", "REGISTER"),
    "4.4": _passed("a port behind the brackets", "REGISTER"),
    "4.5-brackets": _refused("received with brackets: accept", 481, "read; its To has a tag, of a dialog unknown here"),
    "4.5": _refused("received without brackets: accept", 200, "an OPTIONS for the gateway itself"),
    "4.6": _passed("IPv6 in SDP, where no brackets belong: accept", "INVITE", "media through the relay"),
    "4.7": _refused(
        "IPv4 and IPv6 in one list of Vias: accept", 481, "read; its To has a tag, of a dialog unknown here"
    ),
    "4.8": _passed("IPv6 and IPv4 in the media of one SDP: accept", "INVITE", "media through the relay"),
    "4.9": _passed("IPv4-mapped addresses: accept", "INVITE"),
    "4.10-colons": _passed("the grammar of RFC 3261 allows three colons: accept, and do not send", "OPTIONS"),
    "4.10": _passed("an IPv6 address that ends in an IPv4 address: accept", "OPTIONS"),
}

ALL: dict[str, tuple[bytes, Reaction]] = {
    **{name: (MESSAGES[name].data, reaction) for name, reaction in RFC4475.items()},
    **{section: (IPV6[section], reaction) for section, reaction in RFC5118.items()},
}
"""Name or section: the message and the reaction to it."""
