"""The last words to calls of the process before: BYE on both sides, and time for it to arrive.

A process that stops has every connection open, and each BYE leaves at once. A process that has only started to end
calls is still opening connections to their peers; a phone on TLS may come back, or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.leg import Leg
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.tables import NON_INVITE_CLIENT, State

log = Logger()

LOOK_SECONDS: Final = 0.1
LAST_WORDS_SECONDS: Final = 10.0
"""For which a BYE may wait for its way and its answer. Over UDP it has been sent five times by then."""


class LastWords:
    """Ends calls, and waits until both sides of each have answered BYE, but not for long."""

    def __init__(self, clock: IReactorTime, calls: Calls, transactions: TransactionLayer) -> None:
        self._clock = clock
        self._calls = calls
        self._transactions = transactions
        self._legs: tuple[Leg, ...] = ()

    def say(self, why: str, then: Callable[[], None]) -> None:
        """End every call; ``then`` is called once."""
        calls = self._calls.active
        self._legs = tuple(leg for call in calls for leg in (call.caller, call.callee) if leg is not None)
        self._calls.end_all(why)
        self._wait(then, self._clock.seconds() + LAST_WORDS_SECONDS)

    def _wait(self, then: Callable[[], None], until: float) -> None:
        is_over = self._is_heard() or self._clock.seconds() >= until
        if is_over and not self._calls.active:  # a call for help that came meanwhile has until the drain's deadline
            unheard = sum(not leg.ended for leg in self._legs)
            if unheard:
                log.warn("{count} sides of calls cannot be told of their end: no way leads there", count=unheard)
            then()
        else:
            self._clock.callLater(LOOK_SECONDS, self._wait, then, until)

    def _is_heard(self) -> bool:
        """Other requests of ours are waited for as well: few are open, and none for long."""
        open_ones = self._transactions.counts()[NON_INVITE_CLIENT.name]
        return all(leg.ended for leg in self._legs) and not open_ones[State.TRYING] + open_ones[State.PROCEEDING]
