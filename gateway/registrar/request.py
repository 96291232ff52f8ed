"""A phone's REGISTER, read: its address of record, its contacts and how long it asks for them (RFC 3261 section 10.3).

Here: values and their checks. Not here: the provider's REGISTER (upstream.py), acceptance (acceptance.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from gateway.observe.clean_text import clean, is_clean
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import is_ip_address

DEFAULT_INTERVAL = 3600
"""Seconds, where a REGISTER says none (RFC 3261 section 10.2.1.1)."""


LONGEST_INTERVAL = 86_400
"""Seconds: a longer wish is read as this."""


_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


_DECIMAL = re.compile(r"[0-9]{1,10}")


@attrs.frozen
class AskedContact:
    """One Contact of a REGISTER."""

    uri: str
    interval: int
    """Seconds; 0 asks for removal."""
    q: float
    instance: str | None


@attrs.frozen
class Asked:
    """The content of one REGISTER of a phone."""

    aor: str
    domain: str
    contacts: tuple[AskedContact, ...]
    is_wildcard: bool
    """Contact: * with Expires: 0: all bindings are to go."""
    call_id: str
    cseq: int
    user_agent: str
    via: str = ""
    """The host of the top Via, which the phone says is its own."""

    @classmethod
    def read(cls, request: Request, domain: str, is_ours: Callable[[str], bool] = is_ip_address) -> Asked:
        """Reads a REGISTER to ``domain``; ``is_ours`` tells of a host that is not that name whether it stands for it.

        Raises MalformedMessage, or Refused 400 or 404 (section 10.3).
        """
        is_wildcard = request.is_wildcard_contact
        if not is_clean(request.call_id):
            raise Refused(400, "Call-ID Is No Text")
        if is_wildcard and request.expires != 0:
            raise Refused(400, "Contact * Needs Expires 0")
        return cls(
            address_of_record(request.to.uri, domain, is_ours),
            domain,
            tuple(_contact(contact, request.expires) for contact in request.contacts),
            is_wildcard,
            request.call_id,
            request.cseq.number,
            clean((request.headers.get("User-Agent") or "")[:120]),
            request.top_via.host,
        )

    @property
    def user(self) -> str:
        """The user part of the address of record."""
        return Uri.parse(self.aor).user or ""

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing (section 10.2.3)."""
        return not self.contacts and not self.is_wildcard


def address_of_record(uri: Uri, domain: str, is_ours: Callable[[str], bool] = is_ip_address) -> str:
    """``sip:user@domain`` (section 10.3, step 5: canonical); Refused 404 when ``uri`` is no user of ``domain``.

    A numeric host is the gateway's own, given to the phone in place of a name: it counts as the domain.
    """
    if not uri.is_sip or not uri.user or not (uri.host.lower() == domain.lower() or is_ours(uri.host)):
        raise Refused(404, "No Such User In This Domain")
    return uri.address_of_record(domain)


def _contact(contact: NameAddress, expires: int | None) -> AskedContact:
    if not contact.uri.is_sip:
        raise Refused(400, "Contact Is No SIP URI")
    text, instance = str(contact.uri), _instance(contact)
    if not is_clean(text) or not is_clean(instance or ""):  # neither a file nor a page could hold it
        raise Refused(400, "Contact Is No Text")
    interval = expires_of(contact)
    if interval is None:
        interval = DEFAULT_INTERVAL if expires is None else expires
    return AskedContact(text, min(interval, LONGEST_INTERVAL), _q(contact.parameter("q")), instance)


def _instance(contact: NameAddress) -> str | None:
    return (contact.parameter("+sip.instance") or "")[:200] or None


def expires_of(contact: NameAddress) -> int | None:
    """Seconds of a Contact's expires parameter, None without one; a malformed one counts as 3600 (section 20.10)."""
    text = contact.parameter("expires")
    if text is None:
        return None
    return int(text) if _DECIMAL.fullmatch(text) else DEFAULT_INTERVAL


def _q(text: str | None) -> float:
    if text is None:
        return 1.0
    if not _Q.fullmatch(text):
        raise MalformedMessage("not a q value")
    return float(text)
