"""How a call between phones is protected: both legs are judged, each as the phone that it is to.

    required   TLS and SRTP on both legs, or the call is refused
    preferred  each leg as well as it can; a phone that did TLS or SRTP before and does not now is a probable downgrade,
               refused where the domain has ``downgrade = "refuse"``
    off        nothing is refused

No provider's leg is there beside which a phone in clear could stand, so the domain's word counts for the phones. The
rules are those of an inbound call (security/policy/decisions.py): a phone's TLS is that of its registration, and so is
verified. The verdict claims nothing that does not hold on both legs.

Here: the state of one such call. Not here: attempts at the phone that is called (local_plan).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.chain_words import CAME_OVER, media
from gateway.b2bua.exposed_legs import signalling_of
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.local.phones_exposure import PhonesExposure
from gateway.b2bua.protection import Protection
from gateway.config.model import Side
from gateway.media.relay import Encryption, PhonesWish, SdpWish
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.security.access_list import Proof
from gateway.security.policy.decisions import accepts_change, accepts_inbound, takes_clear
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import Acceptance, Capability, InboundSignalling, Reason, Refusal
from gateway.state.call_record import CallRecord, ChainStep, LegName
from gateway.transport.flow import Flow


@attrs.define
class PhoneStanding:
    """One of the two users, as far as the policy knows its phones."""

    peer: Peer
    known: Capability
    """As of the beginning of the call."""
    was_encrypted: bool = False

    @classmethod
    def of(cls, phone: Binding, memory: PeerMemory) -> PhoneStanding:
        """That of a phone's user."""
        peer = Peer(phone.aor)
        return cls(peer, memory.known(peer))


class PhonesProtection(Protection):
    """The security side of one call between phones."""

    __slots__ = ("_standing", "_told")

    def __init__(self, record: CallRecord, route: Route, memory: PeerMemory, clock: IReactorTime) -> None:
        """`route` is local."""
        if route.caller is None or route.binding is None:
            raise AssertionError("a call between phones has two")
        super().__init__(record, route, "", Peer(route.caller.aor), memory, clock)
        self._standing = {
            LegName.CALLER: PhoneStanding.of(route.caller, memory),
            LegName.CALLEE: PhoneStanding.of(route.binding, memory),
        }
        self._told: set[tuple[LegName, Feature]] = set()
        self._exposed = PhonesExposure(record, clock)

    @property
    def kept(self) -> dict[str, object]:
        """See ``Protection.kept``."""
        were = {str(name): one.was_encrypted for name, one in self._standing.items()}
        return {**super().kept, "phones_were_encrypted": were}

    def resume(self, kept: Mapping[str, Any], age: float) -> None:
        """See ``Protection.resume``."""
        super().resume(kept, age)
        for name, was_encrypted in kept["phones_were_encrypted"].items():
            self._standing[LegName(name)].was_encrypted = bool(was_encrypted)

    def weigh(self, name: LegName, flow: Flow, encrypted: bool | None) -> Acceptance | Refusal:
        """Whether a phone's signalling over ``flow``, and media if there are any, may stand."""
        standing = self._standing[name]
        came_over = InboundSignalling.VERIFIED if flow.is_secure else InboundSignalling.CLEAR
        decision = accepts_inbound(self.terms, came_over, encrypted, standing.known)
        self._tell(name, decision, Feature.SRTP if flow.is_secure else Feature.TLS)
        if isinstance(decision, Refusal):
            self._link(name, ChainStep.POLICY, decision.text, decision.reason)
        return decision

    def inbound(self, flow: Flow, encrypted: bool | None, proof: Proof | None) -> Acceptance | Refusal:
        """Whether the calling phone's INVITE, which came over ``flow``, may go on."""
        came_over = CAME_OVER[InboundSignalling.VERIFIED if flow.is_secure else InboundSignalling.CLEAR]
        self._link(LegName.CALLER, ChainStep.ADMITTED, "the caller is registered, and has given its password")
        self._link(LegName.CALLER, ChainStep.OFFERED, f"{came_over}, {media(encrypted)}")
        decision = self.weigh(LegName.CALLER, flow, encrypted)
        if isinstance(decision, Acceptance):
            self._link(LegName.CALLER, ChainStep.POLICY, "accepted", decision.reason)
            self.because(decision.reason)
        return decision

    def because(self, reason: Reason | None) -> None:
        """A leg of the call is weaker than wanted, for this reason; the first one counts."""
        self.reason = self.reason or reason

    def blame(self, refusal: Refusal) -> None:
        """See ``Protection.blame``. Of several phones one may be refused, and the call goes on: this is its end."""
        super().blame(refusal)
        if refusal.is_by_policy:
            self.barred(refusal)

    def judge(self, leg: Leg, encrypted: bool | None) -> Refusal | None:
        """See ``Protection.judge``."""
        name = leg.spec.name
        decision = accepts_change(self.terms, encrypted, self._standing[name].was_encrypted)
        if not isinstance(decision, Refusal):
            return None
        self._tell(name, decision, Feature.SRTP)
        self._link(name, ChainStep.POLICY, decision.text, decision.reason)
        return decision

    def settled(self, leg: Leg) -> Refusal | None:
        """See ``Protection.settled``."""
        name, encrypted = leg.spec.name, leg.media.encrypted
        self._record.note_terms(name, leg.flow.terms)
        self._link(name, ChainStep.OUTCOME, f"{signalling_of(leg)}, {media(encrypted)}")
        decision = accepts_change(self.terms, encrypted, self._standing[name].was_encrypted)
        self._exposed.hear(leg, encrypted, self.reason or decision.reason)
        self._learn(leg)
        if isinstance(decision, Refusal):
            self._link(name, ChainStep.POLICY, decision.text, decision.reason)
            return decision
        self._tell(name, decision, Feature.SRTP)
        return None

    def media(self, encryption: Encryption) -> SdpWish:
        """The form of SDP toward a phone: there is no provider."""
        return self.phone_media(encryption)

    def phone_media(self, encryption: Encryption) -> SdpWish:
        """The form of SDP toward a phone. Media in clear that would be refused are not opened before that."""
        may_be_clear = takes_clear(self.terms, self._standing[LegName.CALLEE].known)
        suites, is_urgent = self._route.provider.suites, self._route.is_urgent
        return PhonesWish(Side.PHONES, encryption, suites, may_be_clear, is_urgent)

    def _tell(self, name: LegName, decision: Acceptance | Refusal, about: Feature) -> None:
        """Tell of a probable downgrade, once a call for each phone and feature."""
        if not decision.is_downgrade or (name, about) in self._told:
            return
        self._told.add((name, about))
        self._memory.report(self._standing[name].peer, about, refused=isinstance(decision, Refusal))
        text = f"the phone did {str(about).upper()} before: a probable downgrade"
        self._link(name, ChainStep.POLICY, text, decision.reason)

    def _learn(self, leg: Leg) -> None:
        """A phone on TLS was offered SRTP; one that is not never was, and shows nothing by its RTP."""
        standing, encrypted = self._standing[leg.spec.name], leg.media.encrypted
        if not leg.flow.is_secure or encrypted is None:
            return
        standing.was_encrypted = standing.was_encrypted or encrypted
        self._memory.saw(standing.peer, Feature.SRTP, did=encrypted)
