"""How one call is protected: the policy's decisions as the call asks for them, its chain of reasons, its verdict.

The rules are pure functions (gateway/security/policy); here stands the state of one call: the attempt under way, the
protection of the provider's leg, and every step in the record. A verdict is made from the worst that the legs went
through (exposed_legs), never from an intention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.chain_words import CAME_OVER, OFFERED, arrival, failed, link, media
from gateway.b2bua.exposed_legs import ExposedLegs, signalling_of
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import has_sdp
from gateway.config.model import Downgrade, Security, Side, Signalling
from gateway.media.relay import JSON, Encryption, SdpWish, wish_of
from gateway.routing.router import Route
from gateway.sdp.negotiation import lacks_keys, offer_encrypted
from gateway.security.access_list import Proof
from gateway.security.policy.decisions import (
    accepts_answer,
    accepts_change,
    accepts_inbound,
    another_certificate,
    first_attempt,
    next_attempt,
    takes_clear,
    unanswerable,
)
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import (
    SHOWS_NO_TLS,
    UNREACHED,
    Acceptance,
    Attempt,
    CallTerms,
    Failure,
    InboundSignalling,
    PeerFailure,
    Reason,
    Refusal,
)
from gateway.security.policy.verdict import Verdict
from gateway.sip.uri import Uri
from gateway.state.call_record import CallRecord, ChainStep, LegName
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import FailureKind, Flow

_PROVIDER, _PHONES = Side.PROVIDER, Side.PHONES
_LACKS_SRTP: Final = (Reason.CLEAR_PEER_NO_SRTP, Reason.CLEAR_PROVIDER_488)
_LACKS_TLS: Final = (Reason.CLEAR_PEER_NO_TLS, Reason.CLEAR_TLS_HANDSHAKE, Reason.CLEAR_EMERGENCY)


class Protection:
    """The security side of one call."""

    __slots__ = (
        "_exposed",
        "_fault",
        "_is_tls_unreached",
        "_known",
        "_memory",
        "_phone",
        "_provider",
        "_record",
        "_reported",
        "_route",
        "_was_encrypted",
        "attempt",
        "reason",
        "refused",
        "terms",
    )

    def __init__(
        self, record: CallRecord, route: Route, dialled: str, phone: Peer, memory: PeerMemory, clock: IReactorTime
    ) -> None:
        is_sips = bool(dialled) and Uri.parse(route.request_uri).scheme == "sips"
        is_emergency = bool(dialled) and route.is_emergency
        self.terms = CallTerms.of(route.domain, route.provider, is_emergency=is_emergency, is_sips=is_sips)
        self.attempt: Attempt | None = None
        self.reason: Reason | None = None
        """Why the provider's leg is weaker than wanted."""
        self.refused = self._was_encrypted = False
        self._fault: Reason | None = None
        """Why no call came about, where that was not the policy's doing."""
        self._is_tls_unreached = False
        """Whether nothing answered at the provider's address for TLS: that it lacks TLS is clear once it is heard."""
        self._route = route
        self._record = record
        self._memory = memory
        self._provider = Peer.of(route.provider)
        self._phone = phone
        self._known = memory.known(self._provider)
        self._reported: tuple[Feature, ...] = ()
        self._exposed = ExposedLegs(record, clock)

    @property
    def kept(self) -> dict[str, object]:
        """All of it that outlives this process, as values of JSON: the terms of the call, and the worst of its legs."""
        terms = self.terms
        return {
            "terms": [terms.security, terms.downgrade, terms.offer, terms.is_emergency, terms.has_tls, terms.has_clear],
            "reason": self.reason,
            "was_encrypted": self._was_encrypted,
            "reported": [*self._reported],
            "phone": self._phone.name,
            "exposed": self._exposed.kept,
        }

    def resume(self, kept: Mapping[str, Any], age: float) -> None:
        """Go on with `kept` of a call that began so many seconds ago, under its own terms."""
        security, downgrade, offer, *flags = kept["terms"]
        self.terms = CallTerms(Security(security), Downgrade(downgrade), Encryption(offer), *map(bool, flags))
        self.reason = kept["reason"] and Reason(kept["reason"])
        self._was_encrypted = bool(kept["was_encrypted"])
        self._reported = tuple(map(Feature, kept["reported"]))
        self._exposed.resume(kept["exposed"], age)

    def first(self) -> Attempt | Refusal:
        """The first attempt toward the provider."""
        decision = first_attempt(self.terms, self._known)
        if decision.reason in _LACKS_TLS and self._known.tls is False:
            lack = "its handshake failed" if self._known.speaks_tls else "it lacked it"
            self._link(LegName.CALLEE, ChainStep.POLICY, f"TLS is not tried: {lack} minutes ago")
        return self._decided(decision, Feature.TLS)

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        """The attempt after the one under way failed; ``cause`` says why where the transport knew."""
        attempt = self.attempt
        if attempt is None:
            raise AssertionError("no attempt is under way")
        self._link(LegName.CALLEE, ChainStep.ANSWERED, failed(failure, cause))
        is_transport = isinstance(failure, FailureKind)
        if failure in UNREACHED:
            self._is_tls_unreached = self._is_tls_unreached or attempt.signalling is Signalling.TLS
        elif failure in SHOWS_NO_TLS and attempt.signalling is Signalling.TLS:
            self._memory.saw(self._provider, Feature.TLS, did=False, speaks_tls=failure is FailureKind.HANDSHAKE)
        elif not is_transport and failure is not PeerFailure.NO_ANSWER:
            self.heard()
        decision = next_attempt(self.terms, attempt.failed(failure, cause), self._known)
        changes_way = isinstance(decision, Attempt) and decision.signalling is not attempt.signalling
        return self._decided(decision, Feature.TLS if is_transport or changes_way else Feature.SRTP)

    def heard(self) -> None:
        """The provider has answered: over TLS, or in clear where nobody answered by TLS a moment ago."""
        attempt = self.attempt
        if attempt is not None and (attempt.signalling is Signalling.TLS or self._is_tls_unreached):
            self._memory.saw(self._provider, Feature.TLS, did=attempt.signalling is Signalling.TLS)

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        """Whether the provider's 2xx may stand."""
        if self.attempt is None:
            raise AssertionError("no attempt is under way")
        self.heard()
        self._link(LegName.CALLEE, ChainStep.ANSWERED, media(encrypted))
        decision = accepts_answer(self.terms, self.attempt, encrypted, self._known)
        return self._accepted(LegName.CALLEE, decision, Feature.SRTP)

    def first_refusal(self, transaction: ServerTransaction, proof: Proof | None, *, is_inbound: bool) -> Refusal | None:
        """The policy's refusal of a call for its caller's offer, or for the way in which that came; ``proof``: of its
        sender, where the call is to phones."""
        invite = transaction.request
        if invite.body and has_sdp(invite) and lacks_keys(invite.body, transaction.flow.transport.is_web):
            return self.offered_no_key(proof)
        if not is_inbound:
            return None
        encrypted = offer_encrypted(invite.body) if has_sdp(invite) else None
        decision = self.inbound(transaction.flow, encrypted, proof)
        return decision if isinstance(decision, Refusal) else None

    def inbound(self, flow: Flow, encrypted: bool | None, proof: Proof | None) -> Acceptance | Refusal:
        """Whether the provider's INVITE, which came over ``flow``, may go on to a phone; ``proof``: of its sender."""
        self._link(LegName.CALLER, ChainStep.ADMITTED, f"the sender is {proof}")
        came_over = arrival(flow, proof)
        self._exposed.is_verified = came_over is not InboundSignalling.UNVERIFIED
        self._link(LegName.CALLER, ChainStep.OFFERED, f"{CAME_OVER[came_over]}, {media(encrypted)}")
        decision = accepts_inbound(self.terms, came_over, encrypted, self._known)
        return self._accepted(
            LegName.CALLER, decision, Feature.TLS if came_over is InboundSignalling.CLEAR else Feature.SRTP
        )

    def offered_no_key(self, proof: Proof | None) -> Refusal:
        """The caller wants SRTP and nothing else, with no key that can be taken: how the call ends; ``proof``: of the
        sender, if that was the provider. It is no downgrade: DTLS-SRTP is not less than SDES."""
        if proof is not None:
            self._link(LegName.CALLER, ChainStep.ADMITTED, f"the sender is {proof}")
        refusal = unanswerable()
        self._link(LegName.CALLER, ChainStep.OFFERED, "SRTP without a key that can be taken")
        self._accepted(LegName.CALLER, refusal, Feature.SRTP)
        return refusal

    def declined(self, leg: LegName) -> None:
        """One side asked for SRTP of Sipura's own kind, which is between the phones and nobody else's to vouch for."""
        self._link(leg, ChainStep.POLICY, "proprietary SRTP (x-sipura) declined: set SRTP Method to s-descriptor")

    def judge(self, leg: Leg, encrypted: bool | None) -> Refusal | None:
        """A Refusal of an offer or answer that would leave the provider's leg less protected than the policy allows.

        It is asked before the relay is, so that the call can go on as it was."""
        decision = accepts_change(self.terms, encrypted, self._was_encrypted)
        if not isinstance(decision, Refusal):
            return None
        self._report(decision, Feature.SRTP)
        self._link(leg.spec.name, ChainStep.POLICY, decision.text, decision.reason)
        return decision

    def barred(self, refusal: Refusal) -> None:
        """The peer took it as agreed: the call ends by that refusal."""
        self.reason, self.refused = refusal.reason, refusal.is_by_policy

    def mismatched(self, leg: LegName) -> Refusal:
        """How the call ends, since a peer's DTLS certificate is not the one of its SDP (RFC 5763 section 5): somebody
        else is on the way of the media, or of the signalling."""
        refusal = another_certificate()
        self._link(leg, ChainStep.POLICY, "fingerprint mismatch", refusal.reason)
        return refusal

    def blame(self, refusal: Refusal) -> None:
        """Put down why no call came about: in words, and by a code where that is no act of the policy."""
        if refusal.reason is None:
            return
        self._record.cause = refusal.cause or refusal.text
        if not refusal.is_by_policy:
            self._fault = refusal.reason
            self._link(LegName.CALLEE, ChainStep.OUTCOME, self._record.cause, refusal.reason)

    def settled(self, leg: Leg) -> Refusal | None:
        """An answer settled a leg's media, first or in mid-call: a Refusal when the policy does not allow it."""
        encrypted = leg.media.encrypted
        self._record.note_terms(leg.spec.name, leg.flow.terms)
        protected = media(encrypted, leg.media.wish.encryption)
        self._link(leg.spec.name, ChainStep.OUTCOME, f"{signalling_of(leg)}, {protected}")
        if not leg.is_toward_provider:
            self._exposed.hear(leg, encrypted)
            self._learn_of_phone(leg)
            return None
        decision = accepts_change(self.terms, encrypted, self._was_encrypted)
        self._exposed.hear(leg, encrypted, self.reason or decision.reason)
        self._learn_of_provider(leg)
        if isinstance(decision, Refusal):
            self._decided(decision, Feature.SRTP)
            return decision
        if decision.is_downgrade:
            self._accepted(leg.spec.name, decision, Feature.SRTP)
        return None

    def media(self, encryption: Encryption) -> SdpWish:
        """The form of SDP toward the provider."""
        is_clear_taken, route = takes_clear(self.terms, self._known), self._route
        return wish_of(_PROVIDER, encryption, route.provider.suites, is_clear_taken, route.is_urgent)

    def phone_media(self, encryption: Encryption) -> SdpWish:
        """The form of SDP toward a phone."""
        return wish_of(_PHONES, encryption, self._route.provider.suites, True, self._route.is_urgent)

    def conclude(self, phone: Leg | None, provider: Leg | None) -> None:
        """Write the verdict down, from the facts of the legs."""
        if self.refused:
            self._record.verdict, self._record.reason = Verdict.REFUSED, str(self.reason or "")
        elif phone is None or provider is None:
            self._record.verdict, self._record.reason = Verdict.UNANSWERED, str(self._fault or "")
        else:
            self._exposed.answered(phone, self.reason)
            self._exposed.answered(provider, self.reason)
            self._exposed.weigh(self.reason)

    def reported(self, report: dict[str, JSON]) -> None:
        """A report of the relay, perhaps its last, may tell of RTCP in clear: the verdict is made once more."""
        self._exposed.reported(report)
        if not self.refused:
            self._exposed.weigh(self.reason)

    def _decided(self, decision: Attempt | Refusal, about: Feature) -> Attempt | Refusal:
        self._report(decision, about)
        self.reason = decision.reason
        if isinstance(decision, Refusal):
            self.refused = decision.is_by_policy
            if decision.is_by_policy:
                self._link(LegName.CALLEE, ChainStep.POLICY, decision.text, decision.reason)
            return decision
        self.attempt = decision
        offered = f"{decision.signalling}, {OFFERED[decision.encryption]}"
        self._link(LegName.CALLEE, ChainStep.OFFERED, offered, decision.reason)
        return decision

    def _accepted(self, leg: LegName, decision: Acceptance | Refusal, about: Feature) -> Acceptance | Refusal:
        self._report(decision, about)
        self.reason = decision.reason
        self.refused = isinstance(decision, Refusal)
        text = decision.text if isinstance(decision, Refusal) else "accepted"
        self._link(leg, ChainStep.POLICY, text, decision.reason)
        return decision

    def _report(self, decision: Attempt | Acceptance | Refusal, about: Feature) -> None:
        """Tell of a probable downgrade, once a call for each feature, and write it into the chain."""
        if not decision.is_downgrade or about in self._reported:
            return
        if isinstance(decision, Acceptance) and self._reported:
            return  # an answer repeats the report of its attempt
        self._reported += (about,)
        self._memory.report(self._provider, about, refused=isinstance(decision, Refusal))
        text = f"the peer did {str(about).upper()} before: a probable downgrade"
        self._link(LegName.CALLEE, ChainStep.POLICY, text, decision.reason)

    def _learn_of_provider(self, leg: Leg) -> None:
        is_secure = self._exposed.is_secure(leg)
        if is_secure:
            self._memory.saw(self._provider, Feature.TLS, did=True)
        if leg.media.encrypted is True and is_secure:
            self._was_encrypted = True
            self._memory.saw(self._provider, Feature.SRTP, did=True)
        elif leg.media.encrypted is False and self.reason in _LACKS_SRTP:
            self._memory.saw(self._provider, Feature.SRTP, did=False)

    def _learn_of_phone(self, leg: Leg) -> None:
        """A phone on TLS was offered SRTP; one that is not never was, and shows nothing by its RTP."""
        if not leg.flow.is_secure or leg.media.encrypted is None:
            return
        self._memory.saw(self._phone, Feature.SRTP, did=leg.media.encrypted)
        if not leg.media.encrypted and self._memory.known(self._phone).srtp:
            self._memory.report(self._phone, Feature.SRTP, refused=False)

    def _link(self, leg: LegName, step: ChainStep, text: str, code: Reason | None = None) -> None:
        self._record.add_reason(link(leg, step, text, "" if code is None else str(code)))
