"""The claim about a call's protection, made from facts about its two legs.

Here: the Verdict of a call, and the code that explains it. Not here: the worst of what each leg went through
(exposure.py), the chain of reasons and its record (gateway/state/call_record.py).

    LegFacts(phone), LegFacts(provider) -> verdict() -> Verdict       explanation() -> the stable code

The names promise something about the way to the provider, so its leg decides; ENCRYPTED alone speaks of both legs and
needs both. A leg is encrypted only when its signalling was TLS *and* its media are known to have been SRTP, all the
time: keys that crossed a clear hop do not count, and media nobody has agreed on yet is not called encrypted.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from gateway.security.policy.terms import MEDIA_REFUSALS, Reason


class Verdict(StrEnum):
    """How a call was protected, as a whole."""

    ENCRYPTED = "ENCRYPTED"
    """Both legs TLS and SRTP."""
    ENCRYPTED_TO_PROVIDER = "ENCRYPTED_TO_PROVIDER"
    """The provider's leg TLS and SRTP, the phone's leg less."""
    MEDIA_ONLY_WEAK = "MEDIA_ONLY_WEAK"
    """SRTP toward the provider, but its keys crossed a clear signalling hop."""
    SIGNALLING_ONLY = "SIGNALLING_ONLY"
    """TLS toward the provider; its media, or their RTCP, in clear, or none."""
    CLEAR = "CLEAR"
    """Neither toward the provider."""
    REFUSED = "REFUSED"
    """Not put through: by policy, or because no answer would fit the offer."""
    UNANSWERED = "UNANSWERED"
    """No call came about, for reasons other than policy: nothing is claimed."""


class LegFacts(NamedTuple):
    """The facts about one leg."""

    signalling_secure: bool
    """Whether every hop that the gateway can see, its own, was TLS for every message."""
    media_encrypted: bool | None
    """Whether all media that was agreed on was SRTP, RTCP included; None when none was."""
    reason: Reason | None = None
    """Why the leg is weaker than TLS and SRTP, where policy or negotiation said so."""

    @property
    def is_encrypted(self) -> bool:
        return self.signalling_secure and self.media_encrypted is True


def verdict(phone_leg: LegFacts, provider_leg: LegFacts) -> Verdict:
    """The verdict of a call that was answered."""
    if provider_leg.is_encrypted:
        return Verdict.ENCRYPTED if phone_leg.is_encrypted else Verdict.ENCRYPTED_TO_PROVIDER
    if provider_leg.signalling_secure:
        return Verdict.SIGNALLING_ONLY
    return Verdict.MEDIA_ONLY_WEAK if provider_leg.media_encrypted is True else Verdict.CLEAR


def verdict_between_phones(one: LegFacts, other: LegFacts) -> Verdict:
    """The verdict of a call that never reached a provider: each claim must hold on both legs."""
    return verdict(*(_weaker_of(one, other),) * 2)


def explanation(provider_leg: LegFacts) -> Reason | None:
    """Why the provider's leg is not encrypted; None when it is."""
    if provider_leg.is_encrypted:
        return None
    if provider_leg.reason is not None:
        return provider_leg.reason
    return Reason.CLEAR_PEER_NO_SRTP if provider_leg.signalling_secure else Reason.CLEAR_PEER_NO_TLS


AGREEMENT_REQUIRED: Final = 494
"""Security Agreement Required (RFC 3329 section 2.3.1): the provider wants media security to be said."""


def fault_of(status: int) -> Reason | None:
    """The fault that a provider's final answer to the last attempt speaks of; None: it is about the callee alone."""
    if status in MEDIA_REFUSALS or status == AGREEMENT_REQUIRED:
        return Reason.PROVIDER_REFUSED_MEDIA
    if status == 403:
        return Reason.PROVIDER_FORBIDS
    return Reason.PROVIDER_ERROR if 500 <= status < 600 else None


def _weaker_of(one: LegFacts, other: LegFacts) -> LegFacts:
    return LegFacts(
        one.signalling_secure and other.signalling_secure,
        one.media_encrypted is True and other.media_encrypted is True,
        one.reason or other.reason,
    )
