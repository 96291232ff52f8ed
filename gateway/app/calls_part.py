"""Calls: INVITE dialogs of two legs, subscriptions, requests outside of dialogs, and the record of each call."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.app.security.limits_part import LimitsPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.app.succession.last_words import LastWords
from gateway.app.survival_part import SurvivalPart
from gateway.b2bua.b2bua import B2bua
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.forgotten_invites import ForgottenInvites
from gateway.b2bua.legs.leg import Leg, LegServices
from gateway.b2bua.out_of_dialog import Passing
from gateway.b2bua.outside_calls import OutsideCalls
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.subscriptions import Subscriptions
from gateway.b2bua.unanswered import UnansweredCalls
from gateway.state.ended_calls import EndedCalls

log = Logger()

NOTING_SECONDS = 0.5
"""Between two looks for calls that last. Each that is noted takes a twentieth of a millisecond: so few come at once."""

LASTING_SECONDS = 10.0
"""A call that is up for so long is noted, should this process die under it."""


class CallsPart(GatewayPart):
    """The back-to-back user agent."""

    left = 0
    """Calls that its stop has left to the next process."""

    def __init__(
        self,
        basis: Basis,
        state: StatePart,
        media: MediaPart,
        signalling: SignallingPart,
        peers: PeersPart,
        limits: LimitsPart,
    ) -> None:
        self._history = state.history
        self.relay = media.relay
        self._survival = SurvivalPart(basis, state, signalling, peers)
        self.health = peers.trunk.health
        """Of the targets that calls go to."""
        self.limits = limits.limits
        self.admission = peers.admission
        """Of callers on the provider's side."""
        self._basis = basis
        name, new_tag = basis.configuration.gateway.name, basis.random.token
        self.dialogs: Dialogs[Leg] = Dialogs()
        forgotten = ForgottenInvites(signalling.transactions, basis.reactor.seconds)
        services = self._services = LegServices(
            signalling.transactions,
            media.relay,
            name,
            basis.reactor,
            basis.clock.wall,
            new_tag,
            self.dialogs,
            peers.pbx.phones(state.store),
            peers.router.own_hosts,
            basis.configuration.gateway.session_interval,
            self._survival.keeper,
            forgotten,
            limits.limits,
            peers.trunk.mediasec,
        )
        identities = Identities(basis.clock.now, new_tag, signalling.tracing.names)
        self.unanswered = UnansweredCalls(basis.configuration.limits, len(basis.configuration.media.ports))
        self._ended = EndedCalls(basis.metrics, self._survival.record, basis.reactor.seconds, new_tag)
        policy = OutsideCalls(peers.trunk.memory, basis.metrics, name)
        self.subscriptions = Subscriptions(services, peers.trunk, identities, policy)
        self.calls = Calls(services, peers.trunk, identities, self.unanswered, self._ended, self.subscriptions)
        passing = Passing(services, peers.trunk, identities, policy)
        self.b2bua = B2bua(self.dialogs, self.calls, self.subscriptions, passing, forgotten)
        self._noting, self._leaves = LoopingCall(self._note_lasting), False

    def rebuild(self) -> None:
        """Go on with the calls of the process before. Listeners have to be open, and nothing of theirs heard yet."""
        self._survival.rebuild(self._services, self.calls, self.subscriptions, self._ended, self.relay)

    def start(self) -> None:
        """Begin to note calls that last."""
        self._noting.start(NOTING_SECONDS)

    def leave_calls(self) -> None:
        """From now on a stop leaves calls that are up, and their media, to the next process."""
        self._leaves = True

    def end_calls(self, why: str, then: Callable[[], None]) -> None:
        """End every call, and call ``then`` when both sides know, but soon."""
        LastWords(self._basis.reactor, self.calls, self._services.transactions).say(why, then)

    def stop(self) -> Deferred[None]:
        """End every call, but those that are left to the next process; fires when their media are released."""
        if self._noting.running:
            self._noting.stop()
        left = self._survival.leave(self.calls.active) if self._leaves else frozenset[str]()
        self.calls.end_all("The gateway is being stopped", left)
        self._ended.sum_up(is_last=True)
        self._survival.write_records()
        self.left = len(left)
        if left:
            log.info("{count} calls go on: they are left to the next process", count=len(left))
        else:
            self._survival.stop()
        return self.calls.released().addCallback(lambda _: self._survival.write_records())

    def _note_lasting(self) -> None:
        """Note calls that last. One that nobody vouches for may come to nothing, and then many have no record."""
        self.calls.turned_away.expire()
        self._survival.tidy(self.calls.active)
        self.calls.end_longest(self._basis.configuration.gateway.longest_call)
        self._ended.sum_up()
        now = self._basis.clock.wall()
        for record in self.calls.up_but(self._history.noted):
            if record.ended_at is None and now - record.started_at > LASTING_SECONDS and record.is_vouched:
                self._history.goes_on(record.as_json())
