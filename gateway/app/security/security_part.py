"""Security that is of no single message: limits and budgets of calls, alerts with their receivers, deviations of calls.

Here since the composition root has no room for each of them: parts of one purpose are joined where they are built. It
comes right after the state, so that the receivers of alerts hear of all that the others begin and end.

Not here: the defence at the sockets and of each request, which other parts take part in, and the file of security
events (`state_part`).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks

from gateway.admin.security.alert_routes import AlertRoutes
from gateway.admin.security.deviation_pages import DeviationPages
from gateway.admin.security.deviation_routes import DeviationRoutes
from gateway.app.parts import Basis, GatewayPart
from gateway.app.security.budget_part import BudgetPart
from gateway.app.security.limits_part import HangUp, LimitsPart
from gateway.app.state_part import StatePart
from gateway.config.model import Configuration
from gateway.config.switches import Settings
from gateway.observe.figures import UnheardReceiver
from gateway.security.alerts.alerts import Alerts
from gateway.security.deviations.deviations import Deviations


class SecurityPart(GatewayPart):
    """Limits and budgets of calls, the receivers of alerts, the search for deviations, and their routes."""

    def __init__(self, basis: Basis, settings: Settings, state: StatePart) -> None:
        """Raises ConfigurationError for a secret, a password or authorities of a receiver that cannot be read."""
        metrics = basis.metrics
        self.limits = LimitsPart(basis, settings.audit, state.limits)
        self.budgets = BudgetPart(basis, settings, state)
        self._alerts = Alerts(basis.configuration, metrics.events, basis.clock, basis.random.token, basis.reactor)
        metrics.asked.add(self._alerts.figures)
        deviations = Deviations(state.ended_calls, state.deviations, metrics.events, _ahead)
        state.history.follow(deviations.ended)
        basis.routes.extend(AlertRoutes(self._alerts, settings.audit).routes())
        basis.routes.extend(DeviationRoutes(deviations, basis.clock.wall).routes())
        basis.pages.append(lambda desk: DeviationPages(deviations, desk).routes())

    def unheard(self) -> tuple[UnheardReceiver, ...]:
        """The receivers of alerts that took none lately."""
        return tuple(
            UnheardReceiver(one.terms.name, one.terms.to, one.standing.answer, one.standing.lost)
            for one in self._alerts.standing()
            if one.standing.is_failing
        )

    @inlineCallbacks
    def start(self, hang_up: HangUp) -> Generator[Deferred[Any], Any, None]:
        """Read the counts of limits and budgets; `hang_up` ends calls that are too long. Fails with InUse."""
        yield self.limits.start(hang_up)
        yield self.budgets.start()

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Write the counts; tell alerts that wait, for a moment."""
        yield self.budgets.stop()
        yield self.limits.stop()
        yield self._alerts.stop()

    def adopt(self, configuration: Configuration) -> None:
        """Limit and count calls by this configuration from now on."""
        self.limits.adopt(configuration)
        self.budgets.adopt(configuration)


def _ahead(at: float) -> float:
    """The seconds that this machine's local time is ahead of UTC at a time."""
    return float(time.localtime(at).tm_gmtoff)
