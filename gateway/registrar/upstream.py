"""The provider's side of a REGISTER: the request in a phone's place, and the grant of its answer: pure functions.

    Asked(contacts=(AskedContact...)) -> provider_request -> provider's REGISTER -dress-> for the flow it leaves by
    provider's 2xx -> granted(...) -> seconds

The digest exchange passes end to end: Request-URI and Authorization cross as they are, so the gateway never needs the
phone's password. No header crosses that would show the phone's network: its Contact, its Call-ID (often
"...@<address>"), its Via, its User-Agent.

Not here: reading the phone's REGISTER (request.py), its answer (answer.py), bindings and forwarding (registrar.py).
"""

import hashlib
import hmac
import re

import attrs

from gateway.observe.clean_text import is_clean
from gateway.registrar.request import LONGEST_INTERVAL, Asked, expires_of
from gateway.sip.address import NameAddress
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.digest import CHALLENGES
from gateway.sip.headers import Headers
from gateway.sip.message import CSeq, Request, Response
from gateway.transport.flow import Flow, Transport, is_ip_address

PLACEHOLDER = "gateway.invalid"
"""The host of our Contact until ``dress`` knows by which flow the request leaves."""

_TO_PROVIDER = frozenset({"authorization", "proxy-authorization", "allow"})
_UNSAFE_IN_TOKEN = re.compile(r"[^A-Za-z0-9._-]")
_STALE = re.compile(r"\bstale\s*=\s*\"?true", re.IGNORECASE)


MOST_ROUTES = 5
"""Values of Service-Route that are kept."""


def provider_request(request: Request, asked: Asked, tokens: dict[str, str], interval: int, call_id: str) -> Request:
    """The REGISTER for the provider: ``tokens`` by contact, ``interval`` the fewest seconds to ask for.

    CSeq, From and its tag are the phone's: its registrations stay in order at the provider, and its answer to a
    challenge follows the challenged request as sections 10.2 and 22.2 want.
    """
    headers = Headers()
    headers.add("Max-Forwards", "70")
    ours = request.to.uri.host  # the domain, or a name or number of ours that stands for it
    headers.add("From", str(in_domain(request.from_, asked.domain, ours)))
    headers.add("To", str(in_domain(request.to, asked.domain, ours)))
    headers.add("Call-ID", call_id)
    headers.add("CSeq", str(CSeq(asked.cseq, "REGISTER")))
    if asked.is_wildcard:
        headers.add("Contact", "*")
        headers.add("Expires", "0")
    for contact in asked.contacts:
        wanted = max(contact.interval, interval) if contact.interval else 0
        q = f";q={contact.q:g}" if contact.q != 1.0 else ""
        headers.add("Contact", f"<sip:{tokens[contact.uri]}@{PLACEHOLDER}>{q};expires={wanted}")
    headers.extend(request.headers, _TO_PROVIDER)
    headers.add("User-Agent", SOFTWARE)
    return Request("REGISTER", _request_uri(request, asked.domain), headers)


def in_domain(address: NameAddress, domain: str, ours: str) -> NameAddress:
    """The address with the domain in place of ``ours`` and of a numeric host, which would tell the provider where the
    phone is."""
    if address.uri.password is not None:
        address = attrs.evolve(address, uri=attrs.evolve(address.uri, password=None))
    host = address.uri.host.lower()
    if not address.uri.is_sip or host == domain.lower() or not (host == ours.lower() or is_ip_address(host)):
        return address
    return attrs.evolve(address, uri=attrs.evolve(address.uri, host=domain, port=None, parameters=()))


def dress(request: Request, flow: Flow) -> None:
    """Let the Contacts of a provider's REGISTER name the address that ``flow`` is reached at."""
    contacts = request.contacts
    if not contacts:
        return
    request.headers.remove("Contact")
    for contact in contacts:
        parameters: tuple[tuple[str, str | None], ...] = (("transport", flow.transport.value),)
        uri = attrs.evolve(
            contact.uri,
            host=flow.advertised.host,
            port=flow.advertised.port,
            parameters=() if flow.transport is Transport.UDP else parameters,
        )
        request.headers.add("Contact", str(attrs.evolve(contact, uri=uri)))


def token_for(secret: bytes, user: str, aor: str, place: str, attempt: int = 0) -> str:
    """``user-8hex``: the same for the same ``place`` (instance or contact) of ``aor``, and telling nothing about it."""
    digest = keyed(secret, "token", aor, place, str(attempt))
    return f"{_UNSAFE_IN_TOKEN.sub('', user)[:32] or 'phone'}-{digest[:8]}"


def call_id_for(secret: bytes, asked: Asked) -> str:
    """The Call-ID of the phone's registration toward the provider: stable, unique, without the phone's address."""
    return keyed(secret, "call-id", asked.domain, asked.aor, asked.call_id)[:32]


def keyed(secret: bytes, *parts: str) -> str:
    """A hexadecimal HMAC-SHA256; the lengths keep ("ab", "c") and ("a", "bc") apart."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def granted(response: Response, token: str, asked_seconds: int) -> int:
    """Seconds that a 2xx grants the contact with ``token``; 0 when it lists others but not this one.

    Section 10.2.4: the expires parameter of the Contact, else the Expires header, else the interval asked for.
    """
    contacts = response.contacts
    ours = next((contact for contact in contacts if contact.uri.user == token), None)
    if contacts and ours is None:
        return 0
    said = expires_of(ours) if ours is not None else None
    if said is None:
        said = response.expires
    return min(asked_seconds if said is None else said, LONGEST_INTERVAL)


def service_route(response: Response) -> str:
    """The Service-Route of a 2xx (RFC 3608 section 6.1), as one line; empty when there is none, or one of no use."""
    values = response.headers.values("Service-Route")[:MOST_ROUTES]
    routes = [NameAddress.parse(value) for value in values]
    is_usable = all(route.uri.is_sip for route in routes) and is_clean("".join(values))
    return ", ".join(values) if is_usable else ""


def is_rejection(request: Request, response: Response) -> bool:
    """Whether a final response that is no 2xx is more than a step of the way: a first challenge, a nonce that is stale,
    an interval too brief."""
    if response.status == 423:
        return False
    if response.status not in (401, 407):
        return True
    if not (request.headers.get("Authorization") or request.headers.get("Proxy-Authorization")):
        return False
    challenges = (value for name in CHALLENGES for value in response.headers.values(name))
    return not any(_STALE.search(challenge) for challenge in challenges)


def _request_uri(request: Request, domain: str) -> str:
    """As the phone wrote it, which its digest covers; only one that named the gateway itself becomes the domain."""
    return request.uri if request.request_uri.host.lower() == domain.lower() else f"sip:{domain}"
