"""A call: two legs and one outcome.

    ROUTING --the callee is reached (approach)--> ANSWERING --SDP from the relay--> ESTABLISHED
       any state --end()--> ENDED

The call decides nothing about security (``protection``), reaches nobody (``approach``), touches no SDP (``media_path``)
and builds no message of a dialog (``leg``): it joins them. Everything is synchronous: targets, the relay's answers and
responses come in as events, and one that comes after the end finds ENDED and does nothing. `end` is the only way out,
from wherever, and leaves nothing behind: no timer, no transaction without an owner, no port at the relay.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.b2bua.across.headers import crossing_with_capabilities
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.offer_answer import OfferAnswer
from gateway.b2bua.across.relay_failover import Reanchoring
from gateway.b2bua.across.request import Crossing, is_own_srtp
from gateway.b2bua.across.transfer import redirections
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs import in_dialog
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.leg import Fields, Leg, LegServices
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.protection import Protection
from gateway.b2bua.setup.reach import Approach
from gateway.security.policy.terms import Refusal
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallRecord, Passage
from gateway.transaction.server import ServerTransaction

log = Logger()


class CallState(StrEnum):
    """Where a call stands."""

    ROUTING = "routing"
    ANSWERING = "answering"
    ESTABLISHED = "established"
    ENDED = "ended"


@attrs.define(eq=False)
class Call:
    """Joins a caller's leg to a callee's."""

    record: CallRecord
    caller: CallerLeg = attrs.field(init=False)
    approach: Approach | None = attrs.field(default=None, init=False)
    """The way to the callee, until the call has ended."""
    protection: Protection
    media_path: MediaPath = attrs.field(init=False)
    _services: LegServices
    _ended: Callable[[Call], None]
    _state: CallState = attrs.field(default=CallState.ROUTING, init=False)
    _answered: float | None = attrs.field(default=None, init=False)
    """When, in seconds of the timers' clock."""
    _exchange: OfferAnswer | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.media_path = MediaPath(self.record.id, self._services.relay, self.end)

    @property
    def id(self) -> str:
        """The call's name in logs, records and at the relay."""
        return self.record.id

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self._state

    @property
    def callee(self) -> CalleeLeg | None:
        """The leg toward who is called, once there is one."""
        return None if self.approach is None else self.approach.leg

    @guarded
    def begin(self) -> None:
        """Answer 100 and go looking for the callee."""
        self._greet()
        if self.approach is not None:
            self.approach.begin()

    @guarded
    def refuse(self, refusal: Refusal) -> None:
        """Answer 100 and refuse, by policy."""
        self._greet()
        self._refuse(refusal, None)

    @guarded
    def cancelled(self, cancel: Request) -> None:
        """The caller gave up before the answer (RFC 3261 section 9.2)."""
        self.caller.note(Passage.RECEIVED, cancel)
        self.end("cancelled by the caller", 487, _reasons(cancel))

    @guarded
    def callee_progressed(self, leg: CalleeLeg, response: Response) -> None:
        """Pass a provisional response back, its SDP through the relay."""
        exchange = self._exchange_with(leg)
        exchange.carry_response(
            response,
            lambda sdp: self.caller.progress(response.status, response.reason, self._back(response, sdp), sdp),
        )

    @guarded
    def callee_answered(self, leg: CalleeLeg, response: Response) -> None:
        """Pass the 2xx back, its SDP through the relay."""
        self._enter(CallState.ANSWERING)
        exchange = self._exchange_with(leg)
        exchange.acknowledge(response)
        exchange.carry_response(response, lambda sdp: self._accept(response, sdp))

    @guarded
    def callee_unreachable(self, refusal: Refusal, response: Response | None) -> None:
        """Tell the caller: the callee's own answer, or why policy or transport ended it here."""
        self._refuse(refusal, response)

    @guarded
    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the call crosses to the other leg."""
        peer = self.other_leg(leg)
        if peer is None or peer.dialog is None or peer.ended:
            leg.respond(transaction, request.response(481))
            return
        if is_own_srtp(request):
            self.protection.declined(leg.spec.name)
            log.info("call {call_id}: x-sipura SRTP is declined; s-descriptor is understood", call_id=self.id)
            leg.respond(transaction, request.response(415))
            return
        if request.method == "UPDATE" and not request.body and not peer.session.takes_update:
            in_dialog.refreshed(leg, transaction, request)
            return
        try:
            Crossing(self.media_path, (leg, peer), transaction).begin()
        except MalformedMessage as error:
            leg.respond(transaction, request.response(error.status, error.reason))

    @guarded
    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """One side said BYE."""
        self.end(f"{leg.spec.name} hung up", 487, _reasons(bye))

    @guarded
    def leg_broke(self, leg: Leg, why: str) -> None:
        """One side is gone."""
        self.end(f"{leg.spec.name}: {why}", 408, (("Reason", 'SIP;cause=408;text="The other side is gone"'),))

    @guarded
    def media_settled(self, leg: Leg) -> None:
        """An answer settled a leg's media, which the policy may not allow."""
        refusal = self.protection.settled(leg)
        if refusal is not None:
            self.end(refusal.text, refusal.status, refusal.headers(self._services.name))
        elif self._state is CallState.ESTABLISHED:
            self._conclude()

    @guarded
    def media_lost(self) -> None:
        """The relay that carried this call is gone: another takes over where there is one."""
        provider, phone = self._by_side()
        if self._state is CallState.ESTABLISHED and phone is not None and provider is not None:
            Reanchoring(self, phone, provider).begin()
        else:
            self.lost("the media relay was lost")

    @guarded
    def lost(self, why: str) -> None:
        """There is no media any more."""
        self.end(why, 500, (("Reason", 'Q.850;cause=41;text="Media relay lost"'),))

    @guarded
    def reanchored(self) -> None:
        """Another relay carries the call."""
        self._conclude()

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""
        return self.callee if leg is self.caller else self.caller

    def guard(self, failure: Failure) -> None:
        """The guard of what comes back through a Deferred."""
        if failure.check(CancelledError) is None:
            log.failure("call {call_id} broke", failure, call_id=self.id)
            self.end("internal error")

    def end(self, why: str, status: int = 500, fields: Fields = ()) -> None:
        """End both legs, whatever state they are in, and give the media back. `status` is for an unanswered caller."""
        if self._state is CallState.ENDED:
            return
        answered = self._state is CallState.ESTABLISHED
        self._enter(CallState.ENDED)
        self.media_path.close()
        self.record.ending = why
        self.record.ended_at = self._services.now()
        if self._answered is not None:
            self.record.seconds = round(self._services.clock.seconds() - self._answered, 3)
        fields = tuple(fields)
        if not answered:
            self.record.status = status
        self.caller.leave(status, fields)
        if self.approach is not None:
            self.approach.abandon(fields)
        self._conclude()
        self._let_go()
        self._ended(self)

    def _let_go(self) -> None:
        """Refer to nothing that refers to this call: so it is freed at once, and not by the garbage collector."""
        if self.approach is not None:
            self.approach.let_go()
        self.approach = self._exchange = None

    def _greet(self) -> None:
        """Let the caller's leg begin. An INVITE that makes no dialog is the end of the call, not noise within one."""
        try:
            self.caller.begin()
        except MalformedMessage as error:
            raise Refused(error.status, error.reason) from None

    def _accept(self, response: Response, sdp: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            raise AssertionError("an answer without an exchange")
        self._enter(CallState.ESTABLISHED)
        self.record.answered_at = self._services.now()
        self._answered = self._services.clock.seconds()
        self.record.status = 200
        fields = self._back(response, sdp)
        self.caller.accept(response.reason, fields, sdp, lambda ack: self._acknowledged(exchange, response, ack))
        self._conclude()
        log.info(
            "call {call_id} answered after {seconds:.1f}s: {verdict} {reason}",
            call_id=self.id,
            seconds=self.record.answered_at - self.record.started_at,
            verdict=self.record.verdict,
            reason=self.record.reason,
        )

    @guarded
    def _acknowledged(self, exchange: OfferAnswer, response: Response, ack: Request) -> None:
        exchange.acknowledged(response, ack)

    def _refuse(self, refusal: Refusal, response: Response | None) -> None:
        if response is None or refusal.reason is not None:
            self.end(refusal.text, refusal.status, refusal.headers(self._services.name))
            return
        domain = self.record.domain if self.caller.is_toward_provider else None
        fields = self._back(response, b"")
        fields.add_all(redirections(response, domain))
        self.caller.refuse(response.status, response.reason, fields)
        self.end(f"callee answered {response.status}", response.status)

    def _conclude(self) -> None:
        provider, phone = self._by_side()
        answered = self.record.answered_at is not None
        self.protection.conclude(phone if answered else None, provider)

    def _by_side(self) -> tuple[Leg | None, Leg | None]:
        provider: Leg | None = None
        phone: Leg | None = None
        for leg in (self.callee, self.caller):  # of two on one side, the caller's counts
            if leg is not None and leg.is_toward_provider:
                provider = leg
            elif leg is not None:
                phone = leg
        return provider, phone

    def _exchange_with(self, leg: CalleeLeg) -> OfferAnswer:
        if self._exchange is None or self._exchange.asked is not leg:
            self._exchange = OfferAnswer(self.media_path, self.caller, leg, has_sdp(self.caller.invite))
        return self._exchange

    def _back(self, response: Response, body: bytes) -> Headers:
        return crossing_with_capabilities(response.headers, self.caller.spec.side, body)

    def _enter(self, state: CallState) -> None:
        self._state = state
        self.record.state = str(state)


def _reasons(message: Request) -> Fields:
    """The Reason fields of a BYE or CANCEL, for the other leg's (RFC 3326)."""
    return tuple(("Reason", value) for value in message.headers.get_all("Reason"))
