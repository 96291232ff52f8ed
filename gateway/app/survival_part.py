"""Calls beyond their process: kept while they are up, rebuilt at the start, recorded when they are over.

A part of the calls' own: see calls_part.py.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.app.parts import Basis
from gateway.app.peers_part import PeersPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.b2bua.call import Call
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.leg import Leg, LegServices
from gateway.b2bua.legs.services import CallKeeping, NoKeeping
from gateway.b2bua.subscriptions import Subscriptions
from gateway.b2bua.survival import frozen_subscription
from gateway.b2bua.survival.call_keeper import CallKeeper
from gateway.b2bua.survival.kept_legs import KeptWays
from gateway.b2bua.survival.rebuilding import Rebuilding, Rebuilt
from gateway.b2bua.survival.rebuilt_subscriptions import RebuiltSubscriptions
from gateway.media.pool import RelayPool
from gateway.media.reports import worst_score
from gateway.state.call_record import CallRecord
from gateway.state.ended_calls import EndedCalls
from gateway.state.history import Row
from gateway.state.journal.live_journal import Kept

log = Logger()

RECORDS_SECONDS: Final = 0.05
"""From the end of a call to the writing of its record, together with those of others: the code for it is far from that
of messages, and a processor that has to fetch it anew for each call takes three times as long."""


class SurvivalPart:
    """The journal of calls that are up, and the records of those that are over."""

    def __init__(self, basis: Basis, state: StatePart, signalling: SignallingPart, peers: PeersPart) -> None:
        self._basis = basis
        self._state = state
        self._signalling = signalling
        self._peers = peers
        journal = state.journal
        self._kept = None if journal is None else CallKeeper(journal, basis.reactor.seconds)
        self.keeper: CallKeeping[Leg] = NoKeeping() if self._kept is None else self._kept
        self._unwritten: list[CallRecord] = []
        self._writing: IDelayedCall | None = None

    def record(self, record: CallRecord) -> None:
        """Keep the record of a call that is over, RECORDS_SECONDS from now at most. Until then it is in the journal as
        a call that ends, so that a process that is killed meanwhile leaves it to the next one."""
        record.mos = worst_score(record.media)
        self._unwritten.append(record)
        if self._writing is None:
            self._writing = self._basis.reactor.callLater(RECORDS_SECONDS, self.write_records)

    def write_records(self) -> None:
        """Write the records that wait; to be called before the process ends, too."""
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._writing = None
        records, self._unwritten = self._unwritten, []
        made = dict(_made(records))
        for call_id in self._state.history.ended(*made.values()):
            if self._kept is not None:
                self._kept.recorded(call_id)
        for call_id, call in made.items():
            self._signalling.tracing.ended(call_id, call)

    def rebuild(
        self, services: LegServices, calls: Calls, subscriptions: Subscriptions, ended: EndedCalls, relay: RelayPool
    ) -> None:
        """Go on with the calls and subscriptions of the process before, and end calls that cannot be gone on with. No
        fault of theirs keeps the gateway from starting, now or the next time."""
        try:
            self._rebuild(services, calls, subscriptions, ended, relay)
        except Exception:
            log.failure("the calls of the process before are not gone on with")
            if self._kept is not None:
                self._kept.begin(calls.active)

    def _rebuild(
        self, services: LegServices, calls: Calls, subscriptions: Subscriptions, ended: EndedCalls, relay: RelayPool
    ) -> None:
        history, journal = self._state.history, self._state.journal
        if journal is None:
            self._state.count_unseen(history.end_unseen())
            return
        listeners = {one.name: one for one in self._basis.configuration.listeners}
        ways = KeptWays(listeners, self._signalling.transport, self._peers.trunk)
        recorded = history.recorded()
        rebuilding = Rebuilding(services, calls, self._peers.router, ways, ended, recorded.__contains__)
        kept, kept_subscriptions = frozen_subscription.split(journal.load(self._basis.clock.wall()))
        rebuilt = _at_one_go(rebuilding, kept, journal.clock.now())
        others = RebuiltSubscriptions(services, subscriptions, self._peers.router, ways).rebuild(
            kept_subscriptions, journal.clock.now()
        )
        known = frozenset(call.id for call in rebuilt.up) | rebuilt.over
        left = [record.as_json() for record in rebuilt.left if record.id not in recorded]
        self._state.count_unseen(history.end_unseen(known, rebuilt.recorded, left))
        if self._kept is not None:
            self._kept.begin(rebuilt.up, others)
        for call_id in rebuilt.recorded | rebuilt.given_up:
            relay.delete(call_id)
        missing = relay.missing(call.id for call in rebuilt.up)
        if rebuilt.up:
            log.info(
                "{count} calls of the process before go on, {missing} of them with new media",
                count=len(rebuilt.up),
                missing=len(missing),
            )
        if others:
            log.info("{count} subscriptions of the process before go on", count=len(others))
        calls.media_lost(missing)

    def tidy(self, active: Iterable[Call]) -> None:
        """Keep the journal small and whole. To be called now and then."""
        if self._kept is not None:
            self._kept.tidy(active)

    def leave(self, active: Iterable[Call]) -> frozenset[str]:
        """Leave calls that are up to the next process. The ids of those that it will find."""
        return frozenset() if self._kept is None else self._kept.leave(active)

    def stop(self) -> None:
        """All calls are over: the next process finds none."""
        if self._kept is not None:
            self._kept.stop()


def _made(records: Iterable[CallRecord]) -> Iterator[tuple[str, Row]]:
    """Each record by its call's id. One that cannot be made is left to the next process, which finds its call."""
    for record in records:
        try:
            yield record.id, record.as_json()
        except Exception:
            log.failure("the record of call {call_id} cannot be made", call_id=record.id)


def _at_one_go(rebuilding: Rebuilding, kept: Kept, now: float) -> Rebuilt:
    """Rebuild without the garbage collector: nothing is thrown away, and its rounds double the time."""
    gc.disable()
    try:
        return rebuilding.rebuild(kept, now)
    finally:
        gc.enable()
