"""Parts of a gateway with fakes at the edges: no files, no relay's process, no DNS.

What a test plays itself (the way to peers, their registrations, the relay) is handed in; calls and ingress are the
gateway's own parts, joined as it joins them.

    basis = basis_of(configuration, clock, Metrics(CollectorRegistry()))
    state, signalling = MemoryState(basis), GivenSignalling(transport, transactions, locator)
    peers = GivenPeers(registrar, pbx, trunk, admission, state.store)
    calls = CallsPart(basis, state, GivenMedia(relay), signalling, peers, GivenLimits(basis))
    ingress = IngressPart(basis, signalling, peers, calls)
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from gateway.app.media_part import MediaPart
from gateway.app.parts import Basis
from gateway.app.pbx.pbx_part import PbxPart
from gateway.app.peers_part import PeersPart
from gateway.app.security.limits_part import LimitsPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.base.clock import Clock
from gateway.base.json_codec import Json
from gateway.base.tokens import Random
from gateway.config.model import Configuration
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import LocationStore
from gateway.registrar.memory_store import MemoryStore
from gateway.routing.trunk import Trunk
from gateway.security.limits.call_limits import CallLimits
from gateway.security.limits.tally_book import TallyBook
from gateway.security.policy.peer_memory import PeerMemory
from gateway.state.history import CallHistory
from gateway.state.journal.live_journal import LiveJournal
from gateway.state.table import KeptTable, Value
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
    """Bindings and sightings in memory, and the ids of calls that ended; `journal` is of those that are up."""

    def __init__(self, basis: Basis, journal: LiveJournal | None = None) -> None:
        self.store = MemoryStore(basis.clock.now)  # type: ignore[assignment]
        self.memory = PeerMemory(basis.clock.now, basis.metrics)
        self.history = cast(CallHistory, _EndedCalls())
        self.known_sources = cast(KeptTable, MemoryTable())
        self.bans = cast(KeptTable, MemoryTable())
        self.journal = journal
        self._metrics = basis.metrics


class MemoryTable:
    """A kept table in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Value] = {}

    def put(self, key: str, at: float, value: Value) -> None:
        """Keep it until the end of the test."""
        self.rows[key] = value

    def latest(self, limit: int) -> Deferred[list[tuple[str, Value]]]:
        """All that is kept."""
        return succeed([*self.rows.items()])

    put_at_once = put

    def drop_before(self, at: float) -> None:
        """There is nothing."""

    def drop_beyond(self, count: int) -> None:
        """There is nothing."""


class _EndedCalls:
    """Remembers the records of calls that ended, as the CDR file would, and nothing else."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def ended(self, *records: Any) -> list[str]:
        """The records of calls are written."""
        ids = [str(record["id"]) for record in records]
        self.ids += ids
        return ids

    def recorded(self) -> frozenset[str]:
        """Of these calls there are records."""
        return frozenset(self.ids)

    def end_unseen(self, known: object = (), recorded: object = (), more: Iterable[Any] = ()) -> list[Any]:
        """Calls that cannot be gone on with."""
        self.ended(*more)
        return [*more]


class GivenLimits(LimitsPart):
    """Limits of calls, with counts in memory alone."""

    def __init__(self, basis: Basis) -> None:
        self.kept: dict[str, dict[str, Json]] = {}
        self.limits = CallLimits(
            basis.configuration.limit, basis.clock, basis.metrics, TallyBook(self, basis.clock.now)
        )

    def put(self, key: str, at: float, value: dict[str, Json]) -> None:
        self.kept[key] = value

    def drop(self, key: str) -> None:
        """There is room here."""

    def drop_before(self, at: float) -> None:
        """Nothing is old here."""


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


class NoCrowd:
    """No message waits, but as a test says."""

    def __init__(self) -> None:
        self.waited = 0.0

    def look(self) -> None:
        """Nothing to be seen."""


class GivenSignalling(SignallingPart):
    """A transport and a locator of the test's."""

    def __init__(self, transport: Any, transactions: TransactionLayer, locator: Any) -> None:
        self.transport = transport
        self.tracing: Any = NoTracing()
        self.transactions = transactions
        self.locator = locator


class GivenPeers(PeersPart):
    """A registrar and an admission of the test's."""

    def __init__(self, registrar: Any, pbx: PbxPart, trunk: Trunk, admission: Any, store: LocationStore) -> None:
        self.registrar = registrar
        self.pbx = pbx
        self.router = pbx.router(store)
        self.callers = pbx.callers(store, self.router.domain_named, trunk.memory)
        self.trunk = trunk
        self.admission = admission
