"""Limits of calls: the counts of before the start, and the rounds that write them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import LoopingCall

from gateway.admin.security.limit_routes import LimitRoutes
from gateway.app.parts import Basis, GatewayPart
from gateway.app.start_checks import go_on_without
from gateway.config.model import Configuration
from gateway.security.limits.call_limits import CallLimits
from gateway.security.limits.tally_book import CAPACITY, TallyBook
from gateway.state.audit import AuditLog
from gateway.state.table import KeptTable

ROUND_SECONDS: Final = 1.0
"""Between two writes, and two looks for calls that are to be ended."""
ROUNDS_AN_HOUR: Final = 3600
WHY: Final = "the limit of its length is reached"

HangUp = Callable[[str, str], bool]
"""Ends a call by its id, with the reason."""


class LimitsPart(GatewayPart):
    """The limits of calls, and their counts."""

    def __init__(self, basis: Basis, audit: AuditLog, table: KeptTable) -> None:
        self._table = table
        self._book = TallyBook(table, basis.clock.now)
        self.limits = CallLimits(basis.configuration.limit, basis.clock, basis.metrics, self._book)
        basis.routes.extend(LimitRoutes(self.limits, audit).routes())
        self._rounds = 0
        self._round: LoopingCall | None = None

    @inlineCallbacks
    def start(self, hang_up: HangUp) -> Generator[Deferred[Any], Any, None]:
        """Read the counts; then begin the rounds. Fails with InUse."""
        kept = self._table.latest(CAPACITY).addCallback(lambda rows: self._book.recall(rows, self.limits.limits))
        yield kept.addErrback(go_on_without)
        self._round = LoopingCall(self._look, hang_up)
        self._round.start(ROUND_SECONDS)

    def stop(self) -> Deferred[None]:
        """Hand over the rest to be written. The calls have ended."""
        if self._round is not None and self._round.running:
            self._round.stop()
        self._book.write()
        return succeed(None)

    def adopt(self, configuration: Configuration) -> None:
        """Count by these limits from now on."""
        self.limits.adopt(configuration.limit)

    def _look(self, hang_up: HangUp) -> None:
        for call_id in self.limits.overdue():
            hang_up(call_id, WHY)
        if self._rounds % ROUNDS_AN_HOUR == 0:
            self._book.forget_old()
        self._rounds += 1
        self._book.write()
