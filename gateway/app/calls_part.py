"""Calls: INVITE dialogs of two legs, subscriptions, requests outside of dialogs, and the record of each call."""

from __future__ import annotations

from itertools import takewhile

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.b2bua.b2bua import B2bua
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.leg import Leg, LegServices
from gateway.b2bua.out_of_dialog import Passing
from gateway.b2bua.outside_calls import OutsideCalls
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.subscriptions import Subscriptions
from gateway.b2bua.unanswered import UnansweredCalls
from gateway.media.reports import worst_score
from gateway.registrar.phones import Phones
from gateway.routing.router import own_hosts
from gateway.state.call_record import CallRecord
from gateway.state.ended_calls import EndedCalls

NOTING_SECONDS = 2.0
"""Between two looks for calls that last."""

LASTING_SECONDS = 10.0
"""A call that is up for so long is noted, should this process die under it."""


class CallsPart(GatewayPart):
    """The back-to-back user agent."""

    def __init__(
        self, basis: Basis, state: StatePart, media: MediaPart, signalling: SignallingPart, peers: PeersPart
    ) -> None:
        self._history = state.history
        self.relay = media.relay
        self._tracing = signalling.tracing
        self.health = peers.trunk.health
        """Of the targets that calls go to."""
        self._clock = basis.clock
        name, new_tag = basis.configuration.gateway.name, basis.random.token
        self.dialogs: Dialogs[Leg] = Dialogs()
        phones = Phones(state.store, signalling.transport.flow)
        services = LegServices(
            signalling.transactions,
            media.relay,
            name,
            basis.reactor,
            basis.clock.wall,
            new_tag,
            self.dialogs,
            phones,
            own_hosts(basis.configuration),
            basis.configuration.gateway.session_interval,
        )
        identities = Identities(basis.clock.now, new_tag, signalling.tracing.names)
        self.unanswered = UnansweredCalls(basis.configuration.limits, len(basis.configuration.media.ports))
        self._ended = EndedCalls(basis.metrics, self._keep, basis.reactor.seconds, new_tag)
        policy = OutsideCalls(peers.trunk.memory, basis.metrics, name)
        self.subscriptions = Subscriptions(services, peers.trunk, identities, policy)
        self.calls = Calls(
            services,
            peers.trunk,
            identities,
            self.unanswered,
            self._ended,
            self.subscriptions,
        )
        passing = Passing(services, peers.trunk, identities, policy)
        self.b2bua = B2bua(self.dialogs, self.calls, self.subscriptions, passing)
        self._noting = LoopingCall(self._note_lasting)

    def start(self) -> None:
        """Begin to note calls that last."""
        self._noting.start(NOTING_SECONDS)

    def stop(self) -> Deferred[None]:
        """End every call; fires when their media are released."""
        if self._noting.running:
            self._noting.stop()
        self.calls.end_all("The gateway is being stopped")
        self._ended.sum_up(is_last=True)
        return self.calls.released()

    def _keep(self, record: CallRecord) -> None:
        record.mos = worst_score(record.media)
        kept = record.as_json()
        self._history.ended(kept)
        self._tracing.ended(record.id, kept)

    def _note_lasting(self) -> None:
        """Note calls that last. One that nobody vouches for may come to nothing, and then many have no record."""
        self.calls.turned_away.expire()
        self._ended.sum_up()
        now = self._clock.wall()
        for record in takewhile(lambda record: record.ended_at is None, self.calls.records()):
            is_lasting = now - record.started_at > LASTING_SECONDS and record.is_vouched
            if is_lasting and not self._history.is_noted(record.id):
                self._history.goes_on(record.as_json())
