"""How one call is protected: the policy's decisions as the call asks for them, its chain of reasons, its verdict.

The rules are pure functions (``policy``, ``verdict``); here stands what one call has come to: which attempt is under
way, what the provider's leg turned out to be, and every step of it in the record. A verdict is made from what the legs
know, never from what was intended.
"""

from __future__ import annotations

from typing import Final

from gateway.b2bua.leg import Leg
from gateway.b2bua.record import CallRecord, LegName
from gateway.b2bua.verdict import ChainLink, ChainStep, LegFacts, Verdict, explanation, verdict
from gateway.config import Domain, Provider, Security, Side
from gateway.media.relay import Encryption, Terms
from gateway.policy import (
    UNKNOWN,
    Acceptance,
    Attempt,
    CallTerms,
    Capability,
    Failure,
    Reason,
    Refusal,
    accepts_answer,
    accepts_inbound,
    first_attempt,
    next_attempt,
)
from gateway.sdp.negotiation import alternatives, media_security

_OFFERED: Final = {
    Encryption.NONE: "RTP/AVP",
    Encryption.SAVP: "RTP/SAVP with SDES keys",
    Encryption.OSRTP: "RTP/AVP with SDES keys (OSRTP)",
    Encryption.DUAL: "RTP/SAVP and RTP/AVP",
}


class Protection:
    """The security side of one call."""

    def __init__(
        self, record: CallRecord, domain: Domain, provider: Provider, dialled: str, known: Capability = UNKNOWN
    ) -> None:
        self.terms = CallTerms.of(domain, provider, dialled)
        self.attempt: Attempt | None = None
        self.reason: Reason | None = None
        """Why the provider's leg is weaker than wanted."""
        self.refused = False
        self._suites = provider.suites
        self._record = record
        self._known = known

    def first(self) -> Attempt | Refusal:
        """What to try first toward the provider."""
        return self._decided(first_attempt(self.terms, self._known))

    def after(self, failure: Failure) -> Attempt | Refusal:
        """What to try after the attempt under way failed."""
        if self.attempt is None:
            raise AssertionError("no attempt is under way")
        self._link(LegName.CALLEE, ChainStep.ANSWERED, f"failed: {failure}")
        return self._decided(next_attempt(self.terms, self.attempt.failed(failure), self._known))

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        """Whether the provider's 2xx may stand."""
        if self.attempt is None:
            raise AssertionError("no attempt is under way")
        self._link(LegName.CALLEE, ChainStep.ANSWERED, _media(encrypted))
        return self._accepted(LegName.CALLEE, accepts_answer(self.terms, self.attempt, encrypted, self._known))

    def inbound(self, signalling_secure: bool, encrypted: bool | None, proof: str) -> Acceptance | Refusal:
        """Whether the provider's INVITE may go on to a phone; ``proof`` says how its sender was admitted."""
        self._link(LegName.CALLER, ChainStep.ADMITTED, f"the sender is {proof}")
        what = f"{'TLS' if signalling_secure else 'clear signalling'}, {_media(encrypted)}"
        self._link(LegName.CALLER, ChainStep.OFFERED, what)
        return self._accepted(LegName.CALLER, accepts_inbound(self.terms, signalling_secure, encrypted, self._known))

    def settled(self, leg: Leg) -> Refusal | None:
        """An answer settled a leg's media, first or in mid-call: a Refusal when the policy does not allow it."""
        encrypted = leg.media_encrypted
        self._link(leg.terms.name, ChainStep.OUTCOME, f"{_signalling(leg)}, {_media(encrypted)}")
        if leg.terms.side is not Side.PROVIDER or self.terms.security is not Security.REQUIRED:
            return None
        if encrypted is False and not self.terms.is_emergency:
            refusal = Refusal(488, Reason.REFUSED_POLICY, "This domain requires SRTP")
            self._decided(refusal)
            return refusal
        return None

    def provider_media(self, encryption: Encryption) -> Terms:
        """What SDP toward the provider is to look like."""
        return Terms(Side.PROVIDER, encryption, self._suites)

    def phone_media(self, encryption: Encryption) -> Terms:
        """What SDP toward a phone is to look like."""
        return Terms(Side.PHONES, encryption, self._suites)

    def conclude(self, phone: Leg | None, provider: Leg | None) -> None:
        """Write the verdict down, from what the legs have come to."""
        if self.refused:
            self._record.verdict, self._record.reason = Verdict.REFUSED, str(self.reason or "")
        elif phone is None or provider is None:
            self._record.verdict = Verdict.UNANSWERED
        else:
            facts = LegFacts(provider.flow.is_secure, provider.media_encrypted, self.reason)
            phone_facts = LegFacts(phone.flow.is_secure, phone.media_encrypted)
            self._record.verdict = verdict(phone_facts, facts)
            self._record.reason = str(explanation(facts) or "")

    def _decided(self, decision: Attempt | Refusal) -> Attempt | Refusal:
        if isinstance(decision, Refusal):
            self.refused = decision.reason is not None
            self.reason = decision.reason
            if decision.reason is not None:
                self._link(LegName.CALLEE, ChainStep.POLICY, decision.text, decision.reason)
            return decision
        self.attempt = decision
        self.reason = decision.reason
        offered = f"{decision.signalling}, {_OFFERED[decision.encryption]}"
        self._link(LegName.CALLEE, ChainStep.OFFERED, offered, decision.reason)
        if decision.is_downgrade:
            self._link(LegName.CALLEE, ChainStep.POLICY, "the peer did better before: a probable downgrade")
        return decision

    def _accepted(self, leg: LegName, decision: Acceptance | Refusal) -> Acceptance | Refusal:
        self.reason = decision.reason
        self.refused = isinstance(decision, Refusal)
        what = decision.text if isinstance(decision, Refusal) else "accepted"
        self._link(leg, ChainStep.POLICY, what, decision.reason)
        return decision

    def _link(self, leg: LegName, step: ChainStep, what: str, code: Reason | None = None) -> None:
        self._record.add_reason(ChainLink(leg, step, what, str(code or "")))


def encryption_of(sdp: bytes) -> Encryption:
    """The form in which a peer offers its media, to offer it the same way later; raises MalformedDescription.

    Who offers the same media twice, encrypted and in clear, is offered the encrypted form.
    """
    lines = media_security(sdp)
    refused = alternatives(lines)
    active = [line for index, line in enumerate(lines) if line.port and index not in refused]
    if not active or not all(media.is_encrypted for media in active):
        return Encryption.NONE
    return Encryption.SAVP if "SAVP" in active[0].protocol.upper() else Encryption.OSRTP


def _media(encrypted: bool | None) -> str:
    return "no media yet" if encrypted is None else "SRTP" if encrypted else "RTP in clear"


def _signalling(leg: Leg) -> str:
    return "TLS" if leg.flow.is_secure else f"{str(leg.flow.transport).upper()} in clear"
