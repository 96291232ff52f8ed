"""Ingress: the gate before the transactions, and the core that sorts new requests."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.app.signalling_part import SignallingPart
from gateway.ingress.core import UasCore
from gateway.ingress.drain import Drain
from gateway.ingress.gate import Gate
from gateway.ingress.overload import Overload
from gateway.ingress.own_identities import OwnIdentities
from gateway.ingress.pbx_rights import PbxScreening
from gateway.ingress.refusal_log import Refusals
from gateway.ingress.sender_rights import Screening
from gateway.security.guesses import Guesses


class IngressPart(GatewayPart):
    """Every message's first look."""

    def __init__(self, basis: Basis, signalling: SignallingPart, peers: PeersPart, calls: CallsPart) -> None:
        self.transport = signalling.transport
        self.overload = Overload(basis.reactor, signalling.transport.crowd)
        self.drain = Drain(basis.reactor, calls.calls, basis.metrics.events)
        limits, seconds = basis.configuration.limits, basis.reactor.seconds
        self.guesses = Guesses(limits, seconds, basis.metrics, peers.callers)
        admission = peers.admission
        pbx, common = peers.pbx, (admission, self.overload, self.drain, self.guesses)
        self.screening = (
            PbxScreening((peers.router, peers.callers, pbx.pbxs), *common)
            if pbx.is_used
            else Screening(peers.router, peers.callers, *common)
        )
        self.core = UasCore(
            calls.b2bua,
            peers.registrar,
            self.screening,
            pbx.ways if pbx.is_used else signalling.transport,
            basis.metrics,
            Refusals(seconds, basis.metrics.observations),
        )
        self.identities = OwnIdentities(peers.callers, signalling.transactions.receive)
        self.gate = Gate(
            peers.admission,
            calls.b2bua.is_in_dialog,
            self.identities.receive,
            peers.registrar.flow_ended,
            basis.metrics,
            basis.reactor.seconds,
        )

    def is_listening(self) -> bool:
        """Whether every listener is open."""
        return self.transport.is_listening

    def start(self) -> None:
        """Begin to watch whether this process keeps up."""
        self.overload.start()

    def started(self) -> None:
        """All has started. The rest of a start, which takes long on a busy machine, is no overload."""
        self.overload.start()

    def stop(self) -> Deferred[None]:
        """Watch no more."""
        self.overload.stop()
        self.drain.stop()
        return succeed(None)
