"""The composition root: builds every part, starts them in order and stops them in reverse, and reloads them.

    state -> security -> media -> signalling -> peers -> calls -> ingress -> defence -> operation -> admin

Nothing is decided here; a part that needs another gets it as an argument. Starting goes from the parts that answer
nobody to those that answer everybody: bindings are read, media workers are there and bans are in force before a port is
open, so that the first request finds everything it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from gateway.app.administration.admin_part import AdminPart
from gateway.app.administration.operation_part import OperationPart
from gateway.app.calls_part import CallsPart
from gateway.app.defence_part import DefencePart
from gateway.app.ingress_part import IngressPart
from gateway.app.media_part import MediaPart
from gateway.app.parts import Adopt, Basis, ClusterNode, GatewayPart, Parentage
from gateway.app.peers_part import PeersPart
from gateway.app.security.security_part import SecurityPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import made_state_directory, on_this_machine
from gateway.app.state_part import StatePart
from gateway.base.clock import Clock
from gateway.config.model import Configuration
from gateway.config.switches import Settings
from gateway.observe.events import EventName, Events
from gateway.observe.figures import Figures
from gateway.observe.log import LogOutput
from gateway.observe.metrics import Metrics
from gateway.state.audit import AuditLog

log = Logger()


class Gateway:
    """All parts of one gateway, joined. The reactor's interfaces are checked where it is handed over."""

    def __init__(
        self,
        configuration: Configuration,
        log_output: LogOutput,
        reactor: Any,
        cluster: ClusterNode | None = None,
        parentage: Parentage | None = None,
    ) -> None:
        state = made_state_directory(configuration)
        clock = Clock(reactor)
        metrics = Metrics(CollectorRegistry(), self._figures, Events(clock.wall))
        audit = AuditLog(state / "audit.jsonl", clock.wall, metrics.events)
        settings = Settings(configuration, audit, clock, self)
        self._log_output, self._is_stopping = log_output, False
        self._events = metrics.events
        basis = Basis(
            on_this_machine(settings.current),
            reactor,
            metrics,
            clock,
            written=settings.current,
            cluster=cluster,
            parentage=Parentage.now() if parentage is None else parentage,
        )
        self._state = StatePart(basis, log_output)
        self._security = SecurityPart(basis, settings, self._state)
        self.media = MediaPart(basis)
        self.signalling = SignallingPart(basis, self._state.store.sources)
        self._peers = PeersPart(basis, self._state, self.signalling, settings)
        limits = self._security.limits
        self._calls = CallsPart(basis, self._state, self.media, self.signalling, self._peers, limits)
        self._ingress = IngressPart(basis, self.signalling, self._peers, self._calls)
        self.defence = DefencePart(basis, self._state, self.signalling, self._peers, self._calls, self._ingress)
        self._operation = OperationPart(basis, settings, self.media, self._peers, self._calls, self._ingress)
        self._admin = AdminPart(basis, settings, self._state, self.signalling, self._calls, self._operation)

    @property
    def _parts(self) -> tuple[GatewayPart, ...]:
        before = self._state, self._security, self.media, self.signalling
        middle = self._peers, self._calls, self._ingress, self.defence, self._operation
        return *before, *middle, self._admin.provisioning, self._admin

    @property
    def is_listening(self) -> bool:
        """Whether every listener is open."""
        return self._ingress.is_listening()

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Open everything; fails with one of OPERATORS_ERRORS."""
        yield self._state.start()
        yield self._security.start(self._calls.calls.hang_up)
        yield self.media.start(self._calls.calls)
        yield self.defence.start()
        yield self.signalling.start(self.defence.lookout, self._ingress.core)
        self._calls.rebuild()
        self._peers.start()
        self._calls.start()
        self._ingress.start()
        self._operation.start()
        yield self._admin.start()
        self._ingress.started()
        log.info("ready")
        self._events.note(EventName.GATEWAY_READY)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """End the calls, then close everything: each part before those that it is built on."""
        self._is_stopping = True
        self._events.note(EventName.GATEWAY_STOPPING)
        for part in reversed(self._parts):
            yield part.stop()

    def terminate(self, end: Callable[[], None]) -> None:
        """Leave calls that are up to the next process, or let them end; then ``end`` the process. Asked a second time,
        end it at once."""
        if not self._is_stopping:
            self._operation.terminate(end)

    def leave_nothing(self) -> None:
        """The process is being stopped, and ends its calls: `terminate` has no effect any more."""
        self._is_stopping = True

    def end_calls(self, end: Callable[[], None]) -> None:
        """End the calls of the process before, which nobody else has gone on with, then ``end`` this one."""
        self._operation.end_calls(end)

    @property
    def left_calls(self) -> int:
        """How many calls its stop has left to the next process."""
        return self._calls.left

    def hand_over(self, end: Callable[[], None]) -> None:
        """Leave calls that are up to the process that follows, let the others end, then ``end`` this one."""
        self._operation.hand_over(end)

    def reload(self) -> None:
        """Read the configuration, certificates and passwords again; a mistake leaves everything as it was."""
        self._state.history.reopen()
        self._admin.reload("SIGHUP")

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read again the files that a configuration names, for every part; raises as OPERATORS_ERRORS, and nothing is
        changed then."""
        prepared = [part.prepare(configuration) for part in self._parts]

        def adopt() -> None:
            for one in prepared:
                one()

        return adopt

    def adopt(self, configuration: Configuration) -> None:
        """New calls and registrations go by this configuration; those in progress keep their own."""
        for part in self._parts:
            part.adopt(configuration)

    def _figures(self) -> Figures:
        """The figures of this moment, for a scrape of the metrics."""
        return Figures(
            self._log_output.lost,
            self._ingress.overload.shed + self.signalling.shed,
            self._ingress.overload.lateness,
            self._peers.trunk.health.targets(),
            self.media.nodes,
            self._state.files,
            self.signalling.transactions.room.held,
            self.signalling.transactions.refused,
            self._calls.unanswered.refused,
            self._ingress.guesses.stopped(),
            self._security.unheard(),
            self.defence.bans.figures(),
            self._security.budgets.figures(),
            self._peers.pbx_figures(),
        )
