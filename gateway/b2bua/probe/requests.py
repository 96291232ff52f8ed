"""The requests of a probe: OPTIONS, a REGISTER that only asks (RFC 3261 section 10.2.3), and an INVITE; and the answer
to a challenge.

A password is used under the rules of `security.answering`: toward a provider that has proved its name over TLS, for the
realm of the domain or of the provider's host, once for a request, before anything but a 100, and never for a body's
digest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.security.answering import FIELDS, signs_no_body
from gateway.sip import digest
from gateway.sip.address import NameAddress
from gateway.sip.capabilities import ALLOW, SOFTWARE
from gateway.sip.digest import Challenge
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri

LONGEST: Final = 200
"""Characters of a peer's text that are told."""
MOST: Final = 20
"""Values of a field that are told."""


@attrs.frozen
class Teller:
    """The names that a probe asks under."""

    host: str
    """The host that requests without a user are to."""
    user: str = ""
    domain: str = ""

    @property
    def own_uri(self) -> str:
        """The address of record, or without a user one that nobody has."""
        return str(Uri("sip", self.user or "probe", host=self.domain or self.host))

    @property
    def realms(self) -> tuple[str, ...]:
        """Those of the domain and of the host: a password is given for no other."""
        return tuple(name.lower() for name in (self.domain, self.host) if name)

    def contact(self, place: str) -> str:
        """A Contact at our host, port and transport; the user part as the address of record writes it."""
        user = self.own_uri.removeprefix("sip:").rpartition("@")[0]
        return f"<sip:{user}@{place}>" if self.user else f"<sip:{place}>"


def options(teller: Teller, contact: str, new_token: Callable[[], str], uri: str = "") -> Request:
    """OPTIONS to a host, or to the contact of a phone."""
    uri = uri or f"sip:{teller.host}"
    return _request("OPTIONS", uri, uri, teller, contact, new_token, (("Accept", "application/sdp"),))


def query(teller: Teller, new_token: Callable[[], str]) -> Request:
    """A REGISTER without Contact, which changes nothing: the answer to it lists bindings."""
    own = teller.own_uri
    return _request("REGISTER", f"sip:{teller.domain}", own, teller, "", new_token, ())


def invite(teller: Teller, number: str, contact: str, sdp: bytes, new_token: Callable[[], str]) -> Request:
    """INVITE to a number of the provider, with an offer."""
    called = str(Uri("sip", number, host=teller.domain or teller.host))
    fields = (("Content-Type", "application/sdp"), ("Accept", "application/sdp"))
    request = _request("INVITE", called, called, teller, contact, new_token, fields)
    request.body = sdp
    return request


def again(request: Request, credentials: tuple[str, str]) -> Request:
    """The same request with credentials and the next number (RFC 3261 section 22.2)."""
    headers = request.headers.copy()
    headers.remove("Via")
    headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
    headers.set(*credentials)
    return attrs.evolve(request, headers=headers)


@attrs.frozen
class Challenged:
    """The challenges of a 401 or 407."""

    algorithms: tuple[str, ...]
    """As offered, in order; "?" for one that cannot be read."""
    answerable: Challenge | None
    """The first that may be answered."""
    field: str
    why_not: str = ""
    """Why none may be answered."""


def challenged(response: Response, realms: tuple[str, ...]) -> Challenged | None:
    """The challenges in a response, of which those for one of these realms may be answered; None: it has none."""
    names = FIELDS.get(response.status)
    if names is None:
        return None
    algorithms: list[str] = []
    found: Challenge | None = None
    why_not = "it offers no challenge"
    for text in response.headers.get_all(names[0])[:MOST]:
        try:
            challenge = Challenge.parse(text)
        except MalformedMessage as malformed:
            algorithms.append("?")
            why_not = f"its challenge cannot be read: {malformed.reason}"
            continue
        algorithms.append(challenge.algorithm[:LONGEST])
        if challenge.realm.lower() not in realms:
            why_not = f"its realm is {challenge.realm[:LONGEST]}, and not {' or '.join(realms)}"
        elif not challenge.is_answerable or not signs_no_body(challenge):
            why_not = "no algorithm or protection that it offers is known here"
        elif found is None:
            found = challenge
    return Challenged(tuple(algorithms), found, names[1], "" if found is not None else why_not)


def credentials_for(
    request: Request, told: Challenged, user: str, password: str, new_token: Callable[[], str]
) -> tuple[str, str] | None:
    """The field that answers the challenge; None where none may be answered."""
    if told.answerable is None:
        return None
    answer = digest.answer(
        told.answerable,
        username=user,
        password=password,
        method=request.method,
        uri=request.uri,
        cnonce=new_token(),
    )
    return told.field, str(answer)


def _request(
    method: str,
    uri: str,
    to: str,
    teller: Teller,
    contact: str,
    new_token: Callable[[], str],
    more: tuple[tuple[str, str], ...],
) -> Request:
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<{teller.own_uri}>;tag={new_token()}"),
        ("To", f"<{to}>"),
        ("Call-ID", new_token() + new_token()),
        ("CSeq", f"1 {method}"),
        ("Allow", ALLOW),
        ("User-Agent", SOFTWARE),
    ]
    if contact:
        fields.append(("Contact", teller.contact(contact)))
    for name, value in more:
        fields.append((name, value))
    NameAddress.parse(f"<{to}>")  # a name that would break the message is refused here: MalformedMessage
    return Request(method, uri, Headers(fields))
