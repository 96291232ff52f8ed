"""A call: two legs and one outcome.

    ROUTING --the callee is reached--> ANSWERING --SDP from the relay--> ESTABLISHED
       any state --end()--> ENDED

1. A call is the record that verbs take: ``setup/reach`` searches the callee, ``setup/outcome`` takes the responses
   of the callee back, ``across/relay_failover`` moves the media. Verbs know the call; the call knows that its search
   can be begun and abandoned.
2. Each leg reports here, and knows nothing of the other leg. Here they are joined.
3. Everything is synchronous: targets, the relay's answers and responses come in as events, and one that comes after
   the end finds ENDED and does nothing.
4. `end` is the only way out, from wherever, and leaves nothing behind: no timer, no transaction without an owner, no
   port at the relay, and no reference in a circle.

Not here: decisions about security (``protection``), SDP (``media_path``), messages of a dialog (``legs``).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from enum import StrEnum
from operator import attrgetter
from typing import Protocol, cast

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.b2bua.across import reoffer
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.offer_answer import OfferAnswer
from gateway.b2bua.across.plain_request import PlainRequest
from gateway.b2bua.across.request import Crossing
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs import in_dialog
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.leg import Fields, Leg, LegServices
from gateway.b2bua.protection import Protection
from gateway.dialog.session_refresh import RenewalUser
from gateway.dialog.usages import Usage, Usages, usage_of
from gateway.security.policy.terms import Refusal
from gateway.sip.bodies.disguise import is_own_srtp
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request
from gateway.state.call_milestones import CallMilestones
from gateway.state.call_record import CallRecord, Passage
from gateway.transaction.server import ServerTransaction

log = Logger()


NewMilestones = Callable[[CallRecord, float], CallMilestones]
"""Those of the call of a record; with the time of its begin, seconds of the timers' clock."""


class CallState(StrEnum):
    """The stages of a call."""

    ROUTING = "routing"
    ANSWERING = "answering"
    ESTABLISHED = "established"
    ENDED = "ended"


class Search(Protocol):
    """The search for the callee."""

    def begin(self) -> None:
        """Make the first attempt."""

    def abandon(self, fields: Fields) -> None:
        """Give up, or hang up, as the callee's leg needs. `fields` go into its CANCEL or BYE."""


class CallsTable(Protocol):
    """The table of all calls."""

    def call_settled(self, call: Call) -> None:
        """Both sides have acknowledged a call."""

    def call_ended(self, call: Call) -> None:
        """A call is over."""


@attrs.define(eq=False)
class Call:
    """Joins a caller's leg to a callee's."""

    record: CallRecord
    protection: Protection
    services: LegServices
    _table: CallsTable
    milestones: CallMilestones
    caller: CallerLeg = attrs.field(init=False)
    callee: CalleeLeg | None = attrs.field(default=None, init=False)
    """The leg of the attempt under way, and in the end the one that answered."""
    search: Search | None = attrs.field(default=None, init=False)
    """None once the call has come about, or has ended."""
    media_path: MediaPath = attrs.field(init=False)
    exchange: OfferAnswer | None = attrs.field(default=None, init=False)
    """The offer and answer of the INVITE that is under way."""
    state: CallState = attrs.field(default=CallState.ROUTING, init=False)
    answered: float | None = attrs.field(default=None, init=False)
    """When; seconds of the timers' clock."""

    usages: Usages = attrs.field(init=False)
    """The subscriptions that were begun within it."""

    def __attrs_post_init__(self) -> None:
        self.usages = Usages(self.services.clock.seconds)
        self.media_path = MediaPath(self.record.id, self.services.relay, self.end_refused)

    id = cast(str, property(attrgetter("record.id"), doc="The call's name in logs, records and at the relay."))

    @guarded
    def begin(self) -> None:
        """Answer 100 and go looking for the callee."""
        self._greet()
        if self.search is not None:
            self.search.begin()

    @guarded
    def refuse(self, refusal: Refusal) -> None:
        """Answer 100 and refuse, by policy."""
        self._greet()
        self.end_refused(refusal)

    @guarded
    def cancelled(self, cancel: Request) -> None:
        """The caller gave up before the answer (RFC 3261 section 9.2)."""
        self.caller.note(Passage.RECEIVED, cancel)
        self.end("cancelled by the caller", 487, _reasons(cancel))

    def enter(self, state: CallState) -> None:
        """Be in this state from now on."""
        self.state = state
        self.record.state = str(state)
        if state is not CallState.ESTABLISHED:  # which waits for the caller's ACK
            self.services.keeper.note(self)

    def resume(self, seconds: float) -> None:
        """Go on with a call that was answered so many seconds ago, by another process."""
        self.state = CallState.ESTABLISHED
        self.answered = self.services.clock.seconds() - seconds

    def has_lasted(self, seconds: float) -> bool:
        """Whether it was answered so long ago."""
        return self.answered is not None and self.services.clock.seconds() - self.answered >= seconds

    def establish(self) -> None:
        """The callee's answer goes to the caller."""
        self.enter(CallState.ESTABLISHED)
        self.record.answered_at = self.services.wall()
        self.answered = self.services.clock.seconds()
        self.milestones.answered(self.answered)
        self.services.limits.answered(self.id)
        self.record.status = 200

    def settle(self) -> None:
        """Both sides have acknowledged the call: let go of all that was of use for its INVITEs alone."""
        if self.state is CallState.ESTABLISHED and self.callee is not None:
            self._table.call_settled(self)
            self.search = self.exchange = self.callee.request = None
            self.media_path.forget_answers()
            self.caller.settle()

    @guarded
    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the call crosses to the other leg."""
        peer = self.other_leg(leg)
        if peer is None and self.search is not None:
            response = request.response(500)  # until one of several phones has answered there is nowhere to cross to
            response.headers.add("Retry-After", "2")
            leg.respond(transaction, response)
            return
        if peer is None or peer.dialog is None or peer.ended:
            leg.respond(transaction, request.response(481))
            return
        if peer.way.is_awaited and in_dialog.puts_off(leg, transaction, peer):
            return
        if is_own_srtp(request):
            self.protection.declined(leg.spec.name)
            log.info("call {call_id}: x-sipura SRTP is declined; s-descriptor is understood", call_id=self.id)
            leg.respond(transaction, request.response(415))
            return
        if request.method in ("UPDATE", "PRACK") and not peer.session.takes_update:
            if not request.body and not request.beside:
                in_dialog.refreshed(leg, transaction, request)
                return
            if request.method == "PRACK":
                leg.respond(transaction, request.response(488))
                return
        if usage_of(request.method) is not Usage.CALL:
            PlainRequest((leg, peer), transaction, self.usages).begin()
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
            self.end_refused(refusal)
        elif self.state is CallState.ESTABLISHED:
            self.conclude()

    @guarded
    def leg_renews(self, leg: Leg, user: RenewalUser) -> None:
        """A leg's session is to be refreshed by a re-INVITE."""
        other = self.other_leg(leg)
        if other is None:
            user.postponed()
        else:
            reoffer.renew(self.media_path, (leg, other), user)

    def judge(self, leg: Leg, encrypted: bool | None) -> Refusal | None:
        """The policy's refusal of media on the provider's leg, before the relay is asked for anything."""
        return self.protection.judge(leg, encrypted)

    @guarded
    def media_barred(self, refusal: Refusal) -> None:
        """A peer's answer brings media that the policy forbids."""
        self.protection.barred(refusal)
        self.end_refused(refusal)

    @guarded
    def lost(self, why: str, text: str = "Media relay lost") -> None:
        """There is no media any more; its peers are given ``text``."""
        self.end(why, 500, (("Reason", f'Q.850;cause=41;text="{text}"'),))

    def is_at(self, listeners: Set[str]) -> bool:
        """Whether a leg is at one of these listeners, by name."""
        legs = (self.caller, self.callee)
        return any(leg is not None and leg.flow.listener.name in listeners for leg in legs)

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""
        return self.callee if leg is self.caller else self.caller

    def guard(self, failure: Failure) -> None:
        """The guard of callbacks of a Deferred."""
        if failure.check(CancelledError) is None:
            log.failure("call {call_id} broke", failure, call_id=self.id)
            self.end("internal error")

    def end(self, why: str, status: int = 500, fields: Fields = ()) -> None:
        """End both legs, in any state, and give the media back. `status` is for an unanswered caller."""
        if self.state is CallState.ENDED:
            return
        answered = self.state is CallState.ESTABLISHED
        if not answered:
            self.record.status = status
        self.enter(CallState.ENDED)
        self.media_path.close()
        self.record.ending = why
        self.record.ended_at = self.services.wall()
        if self.answered is not None:
            self.record.seconds = round(self.services.clock.seconds() - self.answered, 3)
        fields = tuple(fields)
        self.caller.leave(status, fields)
        if self.search is not None:
            self.search.abandon(fields)
        elif self.callee is not None:
            self.callee.abandon(fields)
        self.conclude()
        self._table.call_ended(self)
        self._let_go()

    def end_refused(self, refusal: Refusal) -> None:
        """End the call as the policy says, or for a fault that has a code."""
        self.protection.blame(refusal)
        self.end(refusal.text, refusal.status, refusal.headers(self.services.name))

    def _let_go(self) -> None:
        """Refer to nothing that refers to this call: so it is freed at once, and not by the garbage collector."""
        self.callee = self.search = self.exchange = None

    def conclude(self) -> None:
        """Write the verdict, as far as the legs have come."""
        provider, phone = self.by_side()
        answered = self.record.answered_at is not None
        self.protection.conclude(phone if answered else None, provider)

    def by_side(self) -> tuple[Leg | None, Leg | None]:
        """The leg toward the provider and the one toward a phone, where there is one; of two phones the callee's comes
        first."""
        if self.caller.is_toward_provider:
            return self.caller, self.callee
        return self.callee, self.caller

    def _greet(self) -> None:
        """Let the caller's leg begin. An INVITE that makes no dialog is the end of the call, not noise within one."""
        self.services.keeper.note(self)
        try:
            self.caller.begin()
        except MalformedMessage as error:
            raise Refused(error.status, error.reason) from None


def _reasons(message: Request) -> Fields:
    """The Reason fields of a BYE or CANCEL, for the other leg's (RFC 3326)."""
    if "reason" not in message.headers.present:
        return ()
    return tuple(("Reason", value) for value in message.headers.get_all("Reason"))
