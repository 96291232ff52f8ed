"""The words of the policy: terms of a call, attempts, failures, refusals.

Here: values. Not here: the reason codes (gateway/state/reasons.py), decisions from terms (decisions.py), the claim of a
call (verdict.py).
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs

from gateway.config.model import Domain, Downgrade, Provider, Security, Signalling, SrtpOffer
from gateway.media.relay import Encryption
from gateway.state.reasons import Reason as Reason
from gateway.transport.flow import FailureKind

MEDIA_REFUSALS = frozenset({415, 488, 606})
"""Final statuses that say "not with this media" (RFC 3261 sections 21.4.13, 21.4.26, 21.6.4)."""


NOT_THIS_WAY = MEDIA_REFUSALS | {408, 500, 502, 503, 504}
"""Those after which an emergency call takes the other signalling: they are about the way, not about the callee."""


SHOWS_NO_TLS = frozenset({FailureKind.TLS, FailureKind.HANDSHAKE})
"""Failures of a TLS attempt by which a peer that answered shows that there is no TLS to be had."""


UNREACHED = {
    FailureKind.REFUSED: (Reason.PROVIDER_UNREACHABLE, "The provider cannot be reached: its port refuses connections"),
    FailureKind.TIMEOUT: (Reason.PROVIDER_UNREACHABLE, "The provider cannot be reached: it does not answer"),
    FailureKind.SILENT: (Reason.PROVIDER_SILENT, "The provider is silent: its port takes connections and says nothing"),
    FailureKind.DNS: (Reason.PROVIDER_NOT_FOUND, "The provider cannot be found: DNS knows no way to it"),
}
"""Failures of an attempt in which nothing answered: a provider that is down looks like this, too. So none of them shows
that TLS is lacking, before the provider was heard in clear."""


LACKS_TLS = SHOWS_NO_TLS | frozenset(UNREACHED)
"""Failures of a TLS attempt after which a call may go on in clear, where that is allowed. Not CERTIFICATE, and not
CLOSED: that one had TLS up."""


TLS_REQUIRED = "TLS Required"
"""The reason phrase for a phone in clear that a roll-out has led to TLS."""


class MediaFailure(StrEnum):
    """How media can fail other than by a final status."""

    ANSWERED_CLEAR = "answered-clear"
    """A 2xx whose SDP lacks the encryption that the call needs; the call hung it up."""
    UNFIT = "unfit"
    """A 2xx whose SDP is no answer to the offer: RTP/SAVP to RTP/AVP, or a key that takes none of ours."""


class PeerFailure(StrEnum):
    """How a peer can fail to answer at all."""

    NO_ANSWER = "no answer"
    """Not one provisional response but 100 came, and no final one."""


Failure = FailureKind | MediaFailure | PeerFailure | int
"""Why an attempt did not become a call: the transport's failure, the media's, the peer's, or a final status."""


_OFFERS = {offer: Encryption(offer.value) for offer in SrtpOffer}


@attrs.frozen
class CallTerms:
    """The configuration of one call."""

    security: Security
    downgrade: Downgrade
    offer: Encryption
    """How SRTP is offered to this provider; never NONE."""
    is_emergency: bool = False
    has_tls: bool = True
    """Whether the provider's configuration names a place that may speak TLS."""
    has_clear: bool = False
    """Whether it names a place to go to in clear. An emergency call has one in any case (Provider.uri_for)."""

    @classmethod
    def of(cls, domain: Domain, provider: Provider, *, is_emergency: bool = False, is_sips: bool = False) -> CallTerms:
        """The terms of a call of that domain.

        A SIPS URI asks for TLS on every hop (RFC 5630 section 3.1): for it there is no place to go to in clear.
        """
        return _terms(
            domain.security,
            domain.downgrade,
            _OFFERS[provider.srtp_offer],
            is_emergency,
            provider.uri_for(Signalling.TLS) is not None,
            not is_sips and provider.uri_for(Signalling.CLEAR) is not None,
        )


@attrs.frozen
class Capability:
    """Features of a peer, known recently enough to count: True it did, False it lacked it when last asked."""

    tls: bool | None = None
    srtp: bool | None = None
    speaks_tls: bool = False
    """Where TLS is lacking: that is so because the handshake failed with a peer that speaks it."""


UNKNOWN = Capability()


@attrs.frozen
class Attempt:
    """One way to try a call. ``reason`` says why it is weaker than TLS with SRTP; None while it is not."""

    signalling: Signalling
    encryption: Encryption
    reason: Reason | None = None
    is_downgrade: bool = False
    """Whether the peer did better before: to be reported at once."""
    failure: Failure | None = None
    cause: str = ""
    """The failure in words, where the transport had some."""
    gave_up: Signalling | None = attrs.field(default=None, eq=False)
    """The signalling that was tried before this one."""

    def failed(self, failure: Failure, cause: str = "") -> Attempt:
        """The same attempt with how it ended."""
        return attrs.evolve(self, failure=failure, cause=cause)


@attrs.frozen
class Refusal:
    """The call ends here with ``status``. ``reason`` None: nobody's fault, the peer's own answer is passed on."""

    status: int
    reason: Reason | None
    text: str
    """For the peer as well."""
    is_downgrade: bool = False
    cause: str = attrs.field(default="", eq=False)
    """The failure behind it, for our own people alone: with addresses, and with names that a peer gave."""

    @property
    def is_by_policy(self) -> bool:
        """Whether the policy ended the call, and not something that broke."""
        return self.reason is not None and self.reason.is_refusal

    def headers(self, agent: str) -> tuple[tuple[str, str], ...]:
        """Reason (RFC 3326) and Warning (RFC 3261 section 20.43) for a refusal of ours; ``agent`` names us."""
        if self.reason is None:
            return ()
        said = f"{self.text} ({self.reason})"
        return ("Reason", f'SIP;cause={self.status};text="{said}"'), ("Warning", f'399 {agent} "{said}"')


@attrs.frozen
class Acceptance:
    """It may go on; ``reason`` says why it is weaker than wanted."""

    reason: Reason | None = None
    is_downgrade: bool = False


accepted: Final = lru_cache(maxsize=256)(Acceptance)
tried: Final = lru_cache(maxsize=256)(Attempt)
"""One of those that are equal, for all calls: there are few, and each call has several."""

_terms: Final = lru_cache(maxsize=256)(CallTerms)
"""Likewise."""


class InboundSignalling(StrEnum):
    """The signalling over which a request of the provider came."""

    VERIFIED = "verified"
    """TLS, with a certificate that was verified for a peer of the domain."""
    UNVERIFIED = "unverified"
    """TLS that anybody may have set up: only an address speaks for its sender."""
    CLEAR = "clear"
