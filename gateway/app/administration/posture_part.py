"""The posture: its facts from all parts, its reports, and the round that keeps one from time to time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.admin.security.posture_gathering import HasUsers, PostureGathering
from gateway.admin.security.posture_reports import PostureReports
from gateway.admin.security.posture_routes import PostureRoutes
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import go_on_without
from gateway.app.state_part import StatePart
from gateway.base.build import build
from gateway.config.switches import Settings
from gateway.security.posture.posture_facts import Surroundings
from gateway.security.posture.signature import ReportKey

log = Logger()

LOOK_SECONDS = 300.0
"""Between two looks whether a report is due. The first report has so much time of evidence, too."""


class PosturePart(GatewayPart):
    """Reports, and their routes."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        state: StatePart,
        signalling: SignallingPart,
        calls: CallsPart,
        surroundings: Callable[[], Surroundings],
    ) -> None:
        self._users: HasUsers | None = None
        clock = basis.clock
        gathering = PostureGathering(
            settings,
            basis.metrics,
            clock,
            basis.reactor,
            state.ended_calls,
            state.devices,
            state.store,
            state.memory,
            signalling.transport,
            calls.health,
            calls.admission,
            build().version,
            clock.wall(),
            surroundings,
        )
        self._reports = PostureReports(
            gathering,
            state.posture,
            basis.configuration.posture,
            ReportKey(basis.configuration.gateway.state_directory),
            basis.metrics.events,
            clock.wall,
            lambda: self._users is not None and self._users(),
        )
        basis.metrics.asked.add(self._reports.figures)
        self._round = LoopingCall(self._look)
        self._round.clock = basis.reactor
        routes = PostureRoutes(self._reports, settings.audit)
        basis.routes.extend(routes.routes())
        basis.pages.append(routes.pages)

    def start(self, has_users: HasUsers) -> Deferred[Any]:
        """Read the reports that are kept, and begin to look whether one is due. Fails with InUse."""
        self._users = has_users
        self._round.start(LOOK_SECONDS, now=False)
        return Deferred.fromCoroutine(self._reports.start()).addErrback(go_on_without)

    def stop(self) -> Deferred[None]:
        """Make no more."""
        if self._round.running:
            self._round.stop()
        return succeed(None)

    def _look(self) -> Deferred[None]:
        kept = Deferred.fromCoroutine(self._reports.keep_if_due())
        return kept.addErrback(lambda failure: log.failure("no report of the posture was made", failure=failure))
