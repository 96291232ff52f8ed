"""All calls: begun here, found here by transaction, and counted. Their records go to ``ended_calls``.

The relay is asked for its counters once, when a call ends, and then told to let go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gateway.b2bua.across import relay_failover
from gateway.b2bua.across.bodies import admit
from gateway.b2bua.call import Call, CallState
from gateway.b2bua.legs import in_dialog
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.protection import Protection
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.setup.new_call import NewCalls
from gateway.b2bua.turned_away import CHALLENGES, TurnedAway
from gateway.b2bua.unanswered import CEILING, RESERVE, CallSource, UnansweredCalls, check_media, streams_of
from gateway.dialog.dialog import key_of
from gateway.media.relay import JSON, RelayFailure
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.state.call_record import CallRecord, LegName
from gateway.state.ended_calls import EndedCalls
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()


LOOK_SECONDS: Final = 10.0
"""Between two looks for calls that have lasted too long."""
TOO_LONG: Final = "the longest length of a call is reached"


class Heirs(Protocol):
    """The subscriptions that calls leave behind."""

    def outlive(self, call: Call) -> None:
        """Let the subscriptions that were begun in a call go on after it, as long as there is room."""


class Calls:
    """Every call of this gateway."""

    def __init__(
        self,
        services: LegServices,
        trunk: Trunk,
        identities: Identities,
        unanswered: UnansweredCalls,
        ended: EndedCalls,
        heirs: Heirs,
    ) -> None:
        self._services = services
        self._new = NewCalls(services, trunk, identities, self, ended.milestones_of)
        self._unanswered = unanswered
        self._ended = ended
        self._active: dict[str, Call] = {}
        self._by_domain: Counter[str] = Counter()
        self._by_transaction: dict[ServerTransaction, Call] = {}
        self._releasing: set[Deferred[None]] = set()
        self._heirs = heirs
        self._look_at = 0.0
        self.turned_away = TurnedAway(services, ended)
        """Those that were refused before they were calls, or challenged and did not come again."""
        ended.metrics.active_calls.set_function(lambda: len(self._active))

    def __len__(self) -> int:
        return len(self._active)

    @property
    def is_idle(self) -> bool:
        """Whether no call is up, and no INVITE of one is remembered."""
        return not self._active and not self._by_transaction

    @property
    def active(self) -> tuple[Call, ...]:
        """The calls that are up, the oldest first."""
        return tuple(self._active.values())

    def start(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> None:
        """Begin the call that an INVITE asks for; `phone_flow` reaches its phone when the call is inbound.

        Raises Refused 403, 415, 482, 488 or 503.
        """
        try:
            self._start(transaction, route, phone_flow)
        except Refused as refused:
            self.turned_away.note(transaction, route, refused, outbound=phone_flow is None)
            raise

    def _start(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> None:
        invite, is_outbound = transaction.request, phone_flow is None or route.is_local
        source, streams = CallSource.of(route, transaction.flow), streams_of(invite)
        is_urgent = is_outbound and self._unanswered.is_urgent(source, route)
        if len(self._active) >= CEILING + (RESERVE if is_urgent else 0):
            raise Refused(503, "Too many calls", (("Retry-After", "10"),))
        self.turned_away.came(transaction)
        if is_outbound and not is_urgent:
            self._unanswered.check(source, streams)
        admit(invite, route)
        if is_outbound:
            check_media(source, streams)
        if route.is_urgent is not is_urgent:
            route = attrs.evolve(route, is_urgent=is_urgent)
        call = self._new.call(transaction, route, phone_flow)
        self._active[call.id] = call
        self._by_domain[call.record.domain] += 1
        if is_outbound:
            self._unanswered.add(source, call.record, streams, is_urgent=is_urgent)
        self._by_transaction[transaction] = call
        call.milestones.begun(transaction.flow.source)
        refusal = call.protection.first_refusal(transaction, route.proof, is_inbound=phone_flow is not None)
        if refusal is not None:
            call.refuse(refusal)
        else:
            call.begin()

    def resume(self, call: Call) -> None:
        """Go on with a call that is up, and was begun by another process."""
        self._active[call.id] = call
        self._by_domain[call.record.domain] += 1

    def cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The INVITE of this transaction was cancelled: one that began a call, or one within it."""
        call = self._by_transaction.get(transaction)
        if call is not None:
            call.cancelled(cancel)
            return
        leg = self._services.dialogs.leg_of(key_of(cancel))
        if leg is not None:
            in_dialog.receive_cancel(leg, transaction, cancel)

    def media_lost(self, ids: Iterable[str]) -> None:
        """The relay lost the media of these calls: another takes over, or they end on both sides and say why."""
        for call_id in ids:
            call = self._active.get(call_id)
            if call is not None:
                relay_failover.move_media(call)

    def address_changed(self, listeners: Set[str], *, do_media_move: bool) -> int:
        """The gateway has another address: calls of these listeners, or all where their media move, go on from there,
        or end and say why. How many that is."""
        moved = [call for call in self.active if do_media_move or call.is_at(listeners)]
        for call in moved:
            relay_failover.move_address(call)
        return len(moved)

    def media_ended(self, ids: Iterable[str]) -> None:
        """The relay ended these calls: no media came for a while. They end on both sides and say why."""
        for call_id in ids:
            call = self._active.get(call_id)
            if call is not None:
                call.end("no media", 500, (("Reason", 'Q.850;cause=102;text="No media"'),))

    def media_in_clear(self, ids: Iterable[str]) -> None:
        """RTCP came in clear beside the SRTP of these calls: their verdicts say so from now on."""
        for call_id in ids:
            call = self._active.get(call_id)
            if call is not None:
                asked = self._services.relay.query(call_id).addCallback(call.protection.reported)
                asked.addErrback(lambda failure: failure.trap(RelayFailure))

    def media_mismatched(self, ids: Iterable[str]) -> None:
        """A web phone's certificate was not the one of its SDP: nothing was opened or sealed, and these calls end."""
        for call_id in ids:
            call = self._active.get(call_id)
            if call is not None:
                is_caller = call.caller.flow.transport.is_web
                call.media_barred(call.protection.mismatched(LegName.CALLER if is_caller else LegName.CALLEE))

    def end_all(self, why: str, but: Set[str] = frozenset()) -> None:
        """End every call, but those of these ids."""
        for call in self.active:
            if call.id not in but:
                call.end(why, 503, (("Reason", f'SIP;cause=503;text="{why}"'),))

    def hang_up(self, call_id: str, why: str) -> bool:
        """End a call on both sides; False where none of that id is up."""
        call = self._active.get(call_id)
        if call is None:
            return False
        call.end(why, 480, (("Reason", f'Q.850;cause=31;text="{why}"'),))
        return True

    def end_longest(self, seconds: float) -> None:
        """End calls that were answered so long ago, but those to emergency numbers; 0: none. To be called often, it
        looks now and then."""
        now = self._services.clock.seconds()
        if not seconds or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        for call in self.active:
            if call.has_lasted(seconds) and not call.record.is_emergency:
                log.warn("call {call_id} has lasted {seconds} s and is hung up", call_id=call.id, seconds=seconds)
                self._ended.metrics.too_long_calls.inc()
                self.hang_up(call.id, TOO_LONG)

    def released(self) -> Deferred[None]:
        """Fires when the relay has let go of every call that has ended."""
        return DeferredList([*self._releasing]).addCallback(lambda _: None)

    def records(self) -> Iterator[CallRecord]:
        """The records of all calls that are up, then of those that ended; of both the latest first, and all as they are
        when the first is taken."""
        ended = [*self._ended]
        yield from (call.record for call in reversed([*self._active.values()]))
        yield from ended

    def up_by_domain(self) -> Mapping[str, int]:
        """How many calls of each domain are up."""
        return self._by_domain

    def up_but(self, known: Set[str]) -> list[CallRecord]:
        """The records of calls that are up, but for those of these ids."""
        return [self._active[call_id].record for call_id in self._active.keys() - known]

    def record(self, call_id: str) -> CallRecord | None:
        """The record of one call, up or ended not long ago."""
        call = self._active.get(call_id)
        return next((one for one in self._ended if one.id == call_id), None) if call is None else call.record

    def call_settled(self, call: Call) -> None:
        """A call is up: its INVITE can be cancelled no more, and waits for no answer."""
        if call.caller.opening is not None:
            self._by_transaction.pop(call.caller.opening, None)
            self._unanswered.remove(call.id)

    def call_ended(self, call: Call) -> None:
        """Count a call that is over, keep its record, and give its media back."""
        record = call.record
        if self._active.pop(call.id, None) is not None:
            self._by_domain[record.domain] -= 1
        if call.caller.opening is not None:
            self.call_settled(call)
        self._heirs.outlive(call)
        # The caller comes again with its answer, and that is the call; unless this was the answer, and a wrong one.
        is_challenge = record.status in CHALLENGES and not record.reason
        if is_challenge:
            call.milestones.challenged()
            self._services.limits.undone(call.id)
            self.turned_away.challenged(record, call.caller.invite, call.caller.transaction.flow.source)
        else:
            call.milestones.ended(record.status, self._services.clock.seconds())
            self._services.limits.ended(call.id)
        is_kept = not is_challenge and self._ended.takes(record, call.caller.way.flow.source)
        if call.media_path.anchored:
            released = self._release(record, call.protection)
            if is_kept:  # now that the relay's last word is in its verdict
                released.addCallback(lambda _: self._ended.keep(record))
        elif is_kept:
            self._ended.keep(record)

    def _release(self, record: CallRecord, protection: Protection) -> Deferred[None]:
        def counted(media: dict[str, JSON]) -> None:
            record.media = media
            protection.reported(media)

        # Media that the policy forbids must not flow for another moment.
        at_once = protection.refused
        releasing = self._services.relay.delete(record.id, at_once=at_once).addCallback(counted)
        releasing.addErrback(
            lambda failure: log.failure("media of call {call_id} was not released", failure, call_id=record.id)
        )
        self._releasing.add(releasing)
        return releasing.addCallback(lambda _: self._releasing.discard(releasing))


@attrs.frozen
class Unsettled:
    """The calls that the next process could not go on with: those that both sides have not acknowledged yet."""

    calls: Calls

    def __len__(self) -> int:
        return sum(not is_settled(call) for call in self.calls.active)

    def end_all(self, why: str) -> None:
        """End these, on both sides."""
        self.calls.end_all(why, {call.id for call in self.calls.active if is_settled(call)})


def is_settled(call: Call) -> bool:
    """Whether both sides have acknowledged a call."""
    return call.state is CallState.ESTABLISHED and call.caller.is_confirmed
