"""One of several phones that ring: its INVITE, made again where it takes other media, and the end of its part.

It is the owner of its leg as long as others ring, too. Until one has answered there is no other side to cross to: a
request within its early dialog gets 500 and may come again (RFC 3261 section 14.2, RFC 3311 section 5.2). The call
owns the leg of the phone that has answered.

Here: one phone. Not here: the others, and the choice between them (forks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs

from gateway.b2bua.across.offer_answer import FinalAnswer
from gateway.b2bua.call import Call
from gateway.b2bua.forking.best import PhoneOutcome
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.leg import Fields, Leg, LegSpec
from gateway.b2bua.setup.first_request import Identity
from gateway.b2bua.setup.invite import invite_for
from gateway.b2bua.setup.plan import Plan
from gateway.dialog.session_refresh import RenewalUser
from gateway.dialog.session_timer import preferences_for
from gateway.media.relay import Encryption, SdpWish
from gateway.security.policy.terms import Attempt, MediaFailure, PeerFailure, Refusal
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallRecord, LegName
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

_UNFIT: Final = (("Reason", 'SIP;cause=488;text="The answer does not fit the offer"'),)

_RETRY: Final = (("Retry-After", "2"),)


class Ringing(Protocol):
    """All phones that ring for one call."""

    @property
    def call(self) -> Call:
        """The call."""

    def offer(self, wish: SdpWish, then: Callable[[bytes], None]) -> None:
        """Give the caller's offer in that form."""

    def phone_progressed(self, leg: CalleeLeg, offered: bytes, response: Response) -> None:
        """One of them sent a provisional response other than 100, to that offer."""

    def phone_answered(self, phone: PhoneBranch, leg: CalleeLeg, response: Response) -> None:
        """One of them has answered with media that may stand."""

    def phone_refused(self, phone: PhoneBranch, answer: PhoneOutcome) -> None:
        """One of them will not have the call."""


@attrs.frozen
class PhonePlace:
    """The number of one of several phones, from 1, and the way to it."""

    number: int
    border: Border
    flow: Flow
    identity: Identity
    plan: Plan


class PhoneBranch:
    """One phone that rings, and the owner of its leg."""

    def __init__(self, all_phones: Ringing, place: PhonePlace) -> None:
        self.number = place.number
        self.leg: CalleeLeg | None = None
        """The leg of the INVITE under way."""
        self.is_over = False
        self._all = all_phones
        self._call = all_phones.call
        self._place = place
        self._plan = place.plan
        self._preferences = preferences_for(self._call.services.session_interval)
        self._offered = b""
        self._wish: SdpWish | None = None
        self._has_rung = False

    @property
    def id(self) -> str:
        """The call's name in logs."""
        return self._call.id

    @property
    def record(self) -> CallRecord:
        """The record of the call."""
        return self._call.record

    @guarded
    def begin(self) -> None:
        """Let it ring."""
        self._place.flow.allowance.fill()  # a phone that has proved nothing has to ring, too
        self._go_on(self._plan.first(), None)

    def abandon(self, fields: Fields = ()) -> None:
        """Let it ring no longer. `fields` go into its CANCEL, or into the BYE of a 2xx that crosses it."""
        self.is_over = True
        leg, self.leg = self.leg, None
        if leg is not None:
            leg.abandon(fields)

    def end(self, why: str, status: int = 500, fields: Fields = ()) -> None:
        """See `guarded`: this phone is out, and the others ring on."""
        self._over(PhoneOutcome(Refusal(status, None, why)))

    # -- the sender of its INVITE

    @guarded
    def callee_progressed(self, leg: CalleeLeg, response: Response) -> None:
        """It rings, or has something to be heard."""
        self._has_rung = True
        if not self.is_over:
            self._all.phone_progressed(leg, self._offered, response)

    @guarded
    def callee_answered(self, leg: CalleeLeg, response: Response) -> None:
        """It has answered. Where its media may not stand it is hung up, and rings again with others if it may."""
        answered = FinalAnswer.read(leg, self._offered, response)
        if self.is_over or answered.fault or not answered.is_fit:
            leg.turn_down(response, _UNFIT)
            self._go_on(self._plan.after(MediaFailure.UNFIT, answered.fault), None)
            return
        decision = self._plan.answered(answered.encrypted)
        if isinstance(decision, Refusal):
            leg.turn_down(response, decision.headers(self._call.services.name))
            self._go_on(self._plan.after(MediaFailure.ANSWERED_CLEAR), None)
            return
        self.leg = None
        self.is_over = True
        self._all.phone_answered(self, leg, response)

    @guarded
    def callee_refused(self, leg: CalleeLeg, response: Response) -> None:
        """It says no, to this offer or at all. A session interval below its own is raised, once."""
        is_ours = self._preferences == preferences_for(self._call.services.session_interval)
        if response.status == 422 and is_ours and self._wish is not None:
            self._preferences = self._preferences.raised_by(response)
            self._send(self._wish, self._offered)
            return
        self._go_on(self._plan.after(response.status), response)

    @guarded
    def callee_failed(self, leg: CalleeLeg, failure: TransactionFailure) -> None:
        """It cannot be reached, or rang for too long."""
        if failure.transport is not None:
            self._go_on(self._plan.after(failure.transport.kind), None)
        elif self._has_rung:
            self._go_on(self._plan.after(408, "it rang for too long"), None)
        else:
            self._go_on(self._plan.after(PeerFailure.NO_ANSWER), None)

    # -- the owner of its leg

    def other_leg(self, leg: Leg) -> Leg | None:
        """There is none before an answer."""
        return None

    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A request within an early dialog has to wait for the answer."""
        response = request.response(500)
        response.headers.add_all(_RETRY)
        leg.respond(transaction, response)

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """It said BYE before its answer (RFC 3261 section 15 lets a caller alone do so)."""
        self._break_off(leg, "it hung up before it answered")

    def leg_broke(self, leg: Leg, why: str) -> None:
        """It is gone."""
        self._break_off(leg, why)

    def leg_renews(self, leg: Leg, user: RenewalUser) -> None:
        """There is no session yet."""
        user.postponed()

    def media_settled(self, leg: Leg) -> None:
        """Its early media are heard."""
        self._call.media_settled(leg)

    def judge(self, leg: Leg, encrypted: bool | None) -> Refusal | None:
        """See `Call.judge`."""
        return self._call.judge(leg, encrypted)

    def media_barred(self, refusal: Refusal) -> None:
        """See `Call.media_barred`."""
        self._call.media_barred(refusal)

    # -- its attempts

    def _go_on(self, decision: Attempt | Refusal, response: Response | None) -> None:
        if self.is_over:
            return
        if isinstance(decision, Refusal):
            self._over(PhoneOutcome(decision, response, self.leg))
            return
        wish = self._plan.media(decision.encryption)
        if decision.encryption is not Encryption.NONE:
            wish = attrs.evolve(wish, fork=self.number)
        self._all.offer(wish, lambda sdp: self._send(wish, sdp))

    @guarded
    def _send(self, wish: SdpWish, sdp: bytes) -> None:
        if self.is_over:
            return
        call, place = self._call, self._place
        self._wish, self._offered, self._has_rung = wish, sdp, False
        user = call.caller.invite.from_.uri.user or ""
        spec = LegSpec(LegName.CALLEE, wish.side, wish, user, place.border, fork=self.number)
        leg = self.leg = CalleeLeg(spec, place.flow, call.services, self, self)
        leg.session.preferences = self._preferences
        request = invite_for(leg, call.caller.invite, place.identity, sdp)
        if isinstance(request, Refusal):
            self._over(PhoneOutcome(request))
        else:
            leg.invite(request)

    def _break_off(self, leg: Leg, why: str) -> None:
        if leg is self.leg:
            self._over(PhoneOutcome(Refusal(480, None, "The phone cannot be reached", cause=why)))

    def _over(self, answer: PhoneOutcome) -> None:
        """Its part has ended; an INVITE of it that has no final response is cancelled."""
        if self.is_over:
            return
        self.is_over = True
        if answer.response is None and self.leg is not None:
            self.leg.abandon()
        self._all.phone_refused(self, answer)
        self.leg = None
