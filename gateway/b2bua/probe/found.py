"""The facts that a probe finds, as values that become JSON. Texts of peers in them are clean.

    ProviderFacts = DNS, each target (TCP, TLS, SIP), digest, a call, predictions          PhoneFacts, DomainFacts

Here: values, and the words of a certificate chain. Not here: finding them (provider_look.py, phone_look.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import attrs
from cryptography import x509

from gateway.b2bua.probe.prediction import Prediction
from gateway.observe.clean_text import clean
from gateway.transport.tls.identity import identity_of

LONGEST: Final = 160
"""Characters of a peer's text."""
MOST_NAMES: Final = 20


@attrs.frozen
class DnsAnswer:
    """An answer of DNS that leads to the targets."""

    kind: str
    name: str
    values: tuple[str, ...]
    seconds: float | None
    """How long it still serves; None for the hosts file."""


@attrs.frozen
class CertificateFacts:
    """One certificate of a chain."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: str
    ends: str
    days_left: int


@attrs.frozen
class HandshakeFacts:
    """One handshake by one version."""

    version: str
    """1.0 to 1.3."""
    is_done: bool
    """Whether the server speaks it, be its certificate good or not."""
    cipher: str = ""
    why: str = ""
    """Why there was none."""
    is_ours: bool = True
    """Whether calls may use it; else it was tried to tell."""


@attrs.frozen
class SipFacts:
    """The answer to a request."""

    status: int = 0
    """0: no answer."""
    reason: str = ""
    milliseconds: int = 0
    server: str = ""
    allow: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    has_session: bool = False
    """Whether a session description came with it."""
    leads_to: str = ""
    """Where it redirects to; nobody follows."""
    why: str = ""
    """Why there is no answer."""


@attrs.frozen
class TargetFacts:
    """One target of a provider."""

    target: str
    """Transport and address."""
    tcp: str = ""
    """open, refused, silent, or empty where it was not tried."""
    failure: str = ""
    """The kind of failure that a call would meet (certificate, handshake, tls, ...); empty: none."""
    why: str = ""
    found: str = ""
    """More out of the peer's certificate."""
    version: str = ""
    cipher: str = ""
    wants_certificate: bool = False
    chain: tuple[CertificateFacts, ...] = ()
    chain_length: int = 0
    verified_for: str = ""
    """The configured host that the certificate was found to be for (RFC 5922); empty: it was not."""
    versions: tuple[HandshakeFacts, ...] = ()
    ciphers: tuple[str, ...] = ()
    """Of TLS 1.2, those of ours that it takes; only where all were tried."""
    sip: SipFacts | None = None


@attrs.frozen
class DigestFacts:
    """The answer to a REGISTER that only asks."""

    user: str
    status: int
    algorithms: tuple[str, ...]
    password: str
    """right, wrong, none (nobody holds one here), or not asked."""
    why: str = ""


@attrs.frozen
class CallFacts:
    """One call that was made."""

    number: str
    way: str
    offered: str
    """none, savp, osrtp, dual."""
    status: int
    reason: str
    seconds: float
    profile: str = ""
    suites: tuple[str, ...] = ()
    is_encrypted: bool | None = None
    sent: int = 0
    """Packets of media."""
    received: int = 0
    why: str = ""

    @property
    def is_one_way(self) -> bool:
        """Whether media were sent and none came."""
        return self.sent > 0 and self.received == 0


@attrs.frozen
class PolicyRow:
    """The verdict of a call under one policy."""

    policy: str
    prediction: Prediction


@attrs.frozen
class DomainRow:
    """The verdict of a call of one domain as it is configured now."""

    domain: str
    security: str
    prediction: Prediction


@attrs.frozen
class ProviderFacts:
    """All that was found about a provider, or a URI."""

    name: str
    uri: str
    dns: tuple[DnsAnswer, ...]
    dns_failure: str
    targets: tuple[TargetFacts, ...]
    clear: tuple[TargetFacts, ...]
    memory: str
    digest: DigestFacts | None
    calls: tuple[CallFacts, ...]
    rows: tuple[PolicyRow, ...]
    domains: tuple[DomainRow, ...]
    remarks: tuple[str, ...]

    def row(self, policy: str) -> Prediction | None:
        """The prediction for one policy."""
        return next((one.prediction for one in self.rows if one.policy == policy), None)


@attrs.frozen
class PhoneFacts:
    """All that was found about one registration of a phone."""

    address_of_record: str
    make: str
    model: str
    firmware: str
    user_agent: str
    instance: str
    transport: str
    source: str
    is_reachable: bool
    expires_in: int
    """Seconds."""
    sip: SipFacts | None
    did_tls: bool
    did_srtp: bool
    lacked_srtp: bool
    abilities: str
    """The make's, as its documents say."""
    verdict: str
    """encrypts, clear, unknown, or unreachable."""
    why: str


@attrs.frozen
class DomainFacts:
    """All that was found about a domain."""

    name: str
    security: str
    provider: ProviderFacts
    prediction: Prediction | None
    phones: tuple[PhoneFacts, ...]
    left_out: int
    """Registrations beyond those in `phones`."""
    encrypts: int
    clear: int
    unknown: int
    cut_off_by_required: tuple[str, ...]
    """Phones that could not call any more if the domain were `required`."""
    cut_off_by_tls: tuple[str, ...]
    """Phones that would be away if their own leg had to be TLS."""
    share_encrypted: float | None
    """Share of its calls that would be encrypted to the provider, 0 to 1; None: nobody knows."""
    share_both_legs: float | None
    """Share of its phones with calls that would be encrypted on both legs; None: none, or nobody knows."""


def told(text: str) -> str:
    """A peer's text, clean and short."""
    return clean(text[:LONGEST])


def certificate_facts(der: bytes, now: float) -> CertificateFacts:
    """A certificate in words; one that cannot be read has its fault as its subject."""
    try:
        one = x509.load_der_x509_certificate(der)
        identity = identity_of(one)
        names = (*identity.uris, *identity.names, *identity.addresses)[:MOST_NAMES]
        ends = one.not_valid_after_utc
        return CertificateFacts(
            told(one.subject.rfc4514_string()),
            told(one.issuer.rfc4514_string()),
            tuple(map(told, names)),
            f"{one.not_valid_before_utc:%Y-%m-%d}",
            f"{ends:%Y-%m-%d}",
            (ends - datetime.fromtimestamp(now, UTC)).days,
        )
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        return CertificateFacts(f"cannot be read: {type(error).__name__}", "", (), "", "", 0)
