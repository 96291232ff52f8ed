"""An order of a probe, as a value, and the rules for the texts in it.

    order -> target_of, address_of_record, checked_uri, judge_number -> ProbeRefused, or text that is fit for a request

Pure functions. Not here: carrying orders out (probes.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import attrs
from cryptography import x509

from gateway.config.model import Domain, Security
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import Uri
from gateway.transport.flow import is_ip_address

MOST_TRUST: Final = 48 * 1024
"""Bytes of authorities that come with an order."""
_NUMBER: Final = re.compile(r"[+0-9A-Za-z*#._-]{1,64}")


class ProbeKind(StrEnum):
    """The kinds of targets."""

    PROVIDER = "provider"
    PHONE = "phone"
    DOMAIN = "domain"
    URI = "uri"


@attrs.frozen
class ProbeOrder:
    """A probe that is wanted."""

    kind: ProbeKind
    name: str
    """Of a provider or domain; an address of record; a URI."""
    number: str = ""
    user: str = ""
    """An address of record, for questions that need a password."""
    is_full: bool = False
    learn: bool = False
    trust: str = ""
    """For a URI: authorities as PEM; empty: the system's."""
    may_go_anywhere: bool = False
    """Whether a URI may lead to this machine: for admins."""
    security: Security | None = None
    """For a domain: the policy that it would have; None: its own."""


class ProbeRefused(Exception):
    """An order that is not carried out; ``status`` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def judge_number(number: str, domains: Iterable[Domain]) -> None:
    """Raises ProbeRefused for a text that is no number, and for an emergency number of any domain."""
    if not _NUMBER.fullmatch(number):
        raise ProbeRefused(400, "A number has up to 64 digits, letters or + * # . _ - and nothing else.")
    if any(domain.is_emergency(number) for domain in domains):
        raise ProbeRefused(400, "This is an emergency number: no probe calls it.")


def target_of(order: ProbeOrder) -> str:
    """The target that the rate counts: of a URI its host, with any port."""
    if order.kind is ProbeKind.URI:
        return Uri.parse(checked_uri(order)).host.lower()
    return order.name.lower()


def address_of_record(name: str) -> str:
    """The address of record that an order names. Raises ProbeRefused."""
    user, _, domain = name.removeprefix("sip:").rpartition("@")
    if not user or not domain:
        raise ProbeRefused(400, "A phone is named by its address of record, such as alice@example.com.")
    return f"sip:{user}@{domain.lower()}"


def checked_uri(order: ProbeOrder) -> str:
    """The URI of an order, over TLS unless it names another transport. Raises ProbeRefused."""
    try:
        uri = Uri.parse(order.name)
    except MalformedMessage as malformed:
        raise ProbeRefused(400, f"This is no SIP URI: {malformed.reason}.") from None
    if not uri.is_sip or not uri.host or uri.user or uri.headers:
        raise ProbeRefused(400, "A SIP URI with a host alone is wanted, such as sip:provider.example.com.")
    if order.trust:
        _judge_trust(order.trust)
    if uri.transport is None and not uri.is_secure and (uri.port is not None or is_ip_address(uri.host.strip("[]"))):
        uri = uri.with_parameter("transport", "tls")
    return str(uri)


def _judge_trust(pem: str) -> None:
    if len(pem) > MOST_TRUST:
        raise ProbeRefused(400, f"Authorities of more than {MOST_TRUST} bytes are not taken.")
    try:
        x509.load_pem_x509_certificates(pem.encode("utf-8", "replace"))
    except ValueError:
        raise ProbeRefused(400, "The authorities hold no PEM certificate.") from None
