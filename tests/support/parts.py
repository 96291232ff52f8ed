"""Parts of a gateway with fakes at the edges: no files, no relay's process, no DNS.

What a test plays itself (the way to peers, their registrations, the relay) is handed in; calls and ingress are the
gateway's own parts, joined as it joins them.

    basis = basis_of(configuration, clock, Metrics(CollectorRegistry()))
    state, signalling = MemoryState(basis), GivenSignalling(transport, transactions, locator)
    peers = GivenPeers(registrar, router, trunk, admission, state.store)
    calls = CallsPart(basis, state, GivenMedia(relay), signalling, peers)
    ingress = IngressPart(basis, signalling, peers, calls)
"""

from __future__ import annotations

import itertools
import random
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime

from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis
from gateway.app.peers_part import PeersPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.base.clock import Clock
from gateway.base.json_codec import Json
from gateway.base.tokens import Random
from gateway.config.model import Configuration
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import LocationStore
from gateway.registrar.callers import Callers
from gateway.registrar.memory_store import MemoryStore
from gateway.routing.router import Router
from gateway.routing.trunk import Trunk
from gateway.security.policy.peer_memory import PeerMemory
from gateway.state.history import CallHistory
from gateway.transaction.layer import TransactionLayer
from gateway.transport.trace.tracer import CallNames


class Numbered(Random):
    """The same random bytes in every run; a token is the next number."""

    def __init__(self, form: str) -> None:
        super().__init__(random.Random(7).randbytes)
        self._tokens = map(form.format, itertools.count(1))

    def token(self) -> str:
        return next(self._tokens)


def basis_of(configuration: Configuration, reactor: IReactorTime, metrics: Metrics, tokens: str) -> Basis:
    """All times are the reactor's; `tokens` is the form of a token, such as "tag{}"."""
    clock = Clock(reactor, reactor.seconds, reactor.seconds)
    return Basis(configuration, reactor, metrics, clock, Numbered(tokens))


class MemoryState(StatePart):
    """Bindings and sightings in memory; the records of calls that ended are dropped."""

    def __init__(self, basis: Basis) -> None:
        self.store = MemoryStore(basis.clock.now)  # type: ignore[assignment]
        self.memory = PeerMemory(basis.clock.now, basis.metrics)
        self.history = cast(CallHistory, _NoHistory())


class _NoHistory:
    def ended(self, record: object) -> None:
        """Drop it."""


class GivenMedia(MediaPart):
    """A relay of the test's."""

    def __init__(self, relay: Any) -> None:
        self.relay = relay


class NoTracing:
    """Names of calls, and nobody that traces."""

    def __init__(self) -> None:
        self.names = CallNames()

    def ended(self, call: str, record: Json) -> None:
        """Nobody wants it."""


class GivenSignalling(SignallingPart):
    """A transport and a locator of the test's."""

    def __init__(self, transport: Any, transactions: TransactionLayer, locator: Any) -> None:
        self.transport = transport
        self.tracing: Any = NoTracing()
        self.transactions = transactions
        self.locator = locator


class GivenPeers(PeersPart):
    """A registrar and an admission of the test's."""

    def __init__(self, registrar: Any, router: Router, trunk: Trunk, admission: Any, store: LocationStore) -> None:
        self.registrar = registrar
        self.router = router
        self.callers = Callers(store, router.domain_named)
        self.trunk = trunk
        self.admission = admission
