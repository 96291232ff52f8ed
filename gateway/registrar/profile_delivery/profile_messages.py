"""The messages of SIP PnP: a SUBSCRIBE to everybody, its answer, and the NOTIFY with a URL (RFC 6080, RFC 6665).

    bytes -> read_asked -> ProfileAsked(address, request) -> accepted -> 200
                                                          -> told_url -> NOTIFY, application/url

A phone names itself by its hardware address in the Request-URI or From: "MAC%3a000413922d24". Anybody on the network
can name any. All that is no such SUBSCRIBE is read as None and gets no answer, since everybody may be asked. Pure
functions.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from gateway.sip.capabilities import SOFTWARE
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.sip.parser import parse
from gateway.transport.flow import Address

LONGEST: Final = 4_096
"""Bytes of a SUBSCRIBE."""
_EVENT: Final = re.compile(r"ua-profile[ \t]*(?:;|$)", re.IGNORECASE)
_DEVICE: Final = re.compile(r';[ \t]*profile-type[ \t]*=[ \t]*"?device"?[ \t]*(?:;|$)', re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:mac)?(?::|%3a)?([0-9a-f]{12})", re.IGNORECASE)
_USER: Final = re.compile(r"sip:([^@;>]{1,40})@", re.IGNORECASE)
_SINGLE: Final = ("Via", "From", "To", "Call-ID", "CSeq")


@attrs.frozen
class ProfileAsked:
    """A phone that asks for the URL of its files. Its texts are a peer's."""

    address: str
    """The hardware address that it names, 12 digits in lower case."""
    user_agent: str
    call_id: str
    request: Request


@attrs.frozen
class ProfilePlace:
    """The place that a profile is told from, and the names of one exchange."""

    address: Address
    tag: str
    branch: str


def read_asked(data: bytes) -> ProfileAsked | None:
    """The question in a datagram; None where it is none."""
    if len(data) > LONGEST:
        return None
    try:
        request = parse(data)
    except MalformedMessage:
        return None
    if not isinstance(request, Request) or request.method != "SUBSCRIBE":
        return None
    headers = request.headers
    event = headers.get("Event") or ""
    if not _EVENT.match(event) or not _DEVICE.search(event):
        return None
    if any(headers.count(name) != 1 for name in _SINGLE):
        return None
    address = _address_in(request.uri) or _address_in(headers.get("From") or "")
    if address is None:
        return None
    return ProfileAsked(address, headers.get("User-Agent") or "", headers.get("Call-ID") or "", request)


def accepted(asked: ProfileAsked, place: ProfilePlace) -> bytes:
    """The answer: it is told once, and the subscription is over then (RFC 6665 section 4.4.3)."""
    response = asked.request.response(200, None, place.tag)
    response.headers.set("Expires", "0")
    response.headers.set("Contact", f"<sip:{place.address}>")
    return response.to_bytes()


def told_url(asked: ProfileAsked, place: ProfilePlace, target: Address, url: str) -> bytes:
    """The NOTIFY that tells the URL, to the address that asked and to no Contact, which may be anybody's."""
    headers, told = asked.request.headers, url.encode("ascii")
    sent = Headers(
        (
            ("Via", f"SIP/2.0/UDP {place.address};branch={place.branch};rport"),
            ("Max-Forwards", "1"),
            ("From", f"{headers.get('To')};tag={place.tag}"),
            ("To", headers.get("From") or ""),
            ("Call-ID", asked.call_id),
            ("CSeq", "1 NOTIFY"),
            ("Contact", f"<sip:{place.address}>"),
            ("User-Agent", SOFTWARE),
            ("Event", "ua-profile"),
            ("Subscription-State", "terminated;reason=timeout"),
            ("Content-Type", "application/url"),
        )
    )
    return Request("NOTIFY", f"sip:{target}", sent, told).to_bytes()


def is_answer_to(data: bytes, branch: str) -> bool:
    """Whether a datagram is the final answer to the NOTIFY of a branch."""
    return data.startswith(b"SIP/2.0 ") and data[8:9] in b"23456" and branch.encode() in data[:LONGEST]


def _address_in(text: str) -> str | None:
    user = _USER.search(text)
    found = _ADDRESS.fullmatch(user[1].replace("-", "")) if user is not None else None
    return found[1].lower() if found is not None else None
