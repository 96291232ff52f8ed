"""Fallback budgets: of the calls that end, and of those of the history."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.admin.security.budget_routes import BudgetRoutes
from gateway.app.parts import Basis, GatewayPart
from gateway.app.state_part import StatePart
from gateway.config.model import Configuration
from gateway.config.switches import Settings
from gateway.observe.figures import DomainBudget
from gateway.security.budget.budgets import Budgets
from gateway.security.budget.past_calls import PastCalls, read_past

log = Logger()


class BudgetPart(GatewayPart):
    """The budgets, and their routes."""

    def __init__(self, basis: Basis, settings: Settings, state: StatePart) -> None:
        self._ended_calls = state.ended_calls
        self._now = basis.clock.now
        self._budgets = Budgets(settings, basis.metrics, basis.clock.now, basis.reactor)
        basis.routes.extend(BudgetRoutes(self._budgets).routes())

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the calls of the history, which budgets can do without, and begin to count."""
        past = self._ended_calls.ask(lambda transaction: read_past(transaction, self._now()))
        found = yield past.addErrback(_without_history)
        self._budgets.start(found)

    def stop(self) -> Deferred[None]:
        """Count no more."""
        self._budgets.stop()
        return succeed(None)

    def adopt(self, configuration: Configuration) -> None:
        """Other domains may have budgets from now on."""
        self._budgets.adopt(configuration)

    def figures(self) -> tuple[DomainBudget, ...]:
        """How each budget stands."""
        return self._budgets.figures()


def _without_history(failure: Failure) -> PastCalls:
    """Whatever is wrong with the file, budgets count from now on, and telephones work."""
    log.error("fallback budgets begin without the calls of before: {reason}", reason=failure.getErrorMessage())
    return PastCalls()
