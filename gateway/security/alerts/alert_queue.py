"""The queue before one receiver of alerts: its events wait here, are tried, and are counted where they are lost.

    Alerts -> put(event) -> waiting (1,000 at most, the oldest go) -> Notice -> receiver.send, 3 tries -> sent, failed
                                                                        after the receiver's pause: the next

To put an event costs an append; everything else is in a later turn of the reactor. So a receiver that hangs keeps
nobody waiting but the events behind it: one try ends after the receiver's patience, and there is one try at a time.

An order on purpose: each try is bounded before it begins, and an event leaves the queue before it is tried. A receiver
that fails for ever therefore holds one notice and the queue, and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.clock import Clock
from gateway.observe.events import GatewayEvent
from gateway.security.alerts.notice import AlertReceiver, NotDelivered, Notice, reason_of

log = Logger()

WAITING: Final = 1_000
"""Events of one receiver at most; beyond that the oldest are lost, since the latest say more of the present."""
TRIES: Final = 3
WAITS: Final = (1.0, 5.0)
"""Seconds between the tries."""
REST: Final = 5.0
"""Seconds after a notice that failed."""
ENDING: Final = 2.0
"""Seconds that the end of the process waits for events that are to be told."""


@attrs.define
class Outcomes:
    """The outcomes of one receiver's events."""

    sent: int = 0
    failed: int = 0
    """Given up after the last try."""
    dropped: int = 0
    """Lost for want of room."""


@attrs.frozen
class DeliveryStanding:
    """How the delivery to one receiver stands."""

    counts: Outcomes
    waiting: int
    is_failing: bool
    """Whether the latest notice failed."""
    answer: str
    """The receiver's latest answer, or the reason of the latest failure."""
    last_sent: float | None
    """Seconds since the epoch."""

    @property
    def lost(self) -> int:
        """Events that it was never told of."""
        return self.counts.failed + self.counts.dropped


class AlertQueue:
    """The events for one receiver. ``notice`` makes a notice; ``told`` hears of the first failure in a row."""

    def __init__(
        self,
        receiver: AlertReceiver,
        notice: Callable[[tuple[GatewayEvent, ...]], Notice],
        lost: Callable[[int], GatewayEvent],
        told: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._receiver = receiver
        self._notice = notice
        self._lost_event = lost
        self._told = told
        self._timers: Any = clock.timers
        self._wall = clock.wall
        self._waiting: deque[GatewayEvent] = deque()
        self._running: Deferred[None] | None = None
        self._resting: Deferred[None] | None = None
        self._is_stopping = False
        """Events that wait are still told, in one try and without a pause."""
        self._is_over = False
        self._lost = 0
        """Events since the latest notice that was taken."""
        self._counts = Outcomes()
        self._is_failing = False
        self._answer = ""
        self._last_sent: float | None = None

    @property
    def standing(self) -> DeliveryStanding:
        """How it stands."""
        counts = attrs.evolve(self._counts)
        return DeliveryStanding(counts, len(self._waiting), self._is_failing, self._answer, self._last_sent)

    def put(self, event: GatewayEvent) -> None:
        """Tell of an event as soon as can be. Costs an append."""
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._counts.dropped += 1
            self._lost += 1
        self._waiting.append(event)
        if self._running is None and not self._is_stopping:
            self._running = running = deferLater(self._timers, 0, self._begin)
            running.addErrback(_told_of).addBoth(self._ended)

    def test(self, event: GatewayEvent) -> Deferred[str]:
        """Tell of this event now, in one try beside the queue; gives the answer, fails with NotDelivered."""

        def failed(failure: Failure) -> str:
            raise NotDelivered(reason_of(failure))

        return self._try(self._notice((event,))).addErrback(failed)

    def stop(self) -> Deferred[None]:
        """Give events that wait a moment, then let go of them; fires when the receiver's connections are closed."""
        self._is_stopping = True
        running = self._running
        if running is None:
            return self._receiver.stop()
        if self._resting is not None:
            self._resting.cancel()
        bound = self._timers.callLater(ENDING, self._give_up, running)
        ended: Deferred[None] = Deferred()
        running.addBoth(ended.callback)
        return ended.addCallback(lambda _: self._let_go(bound))

    def _give_up(self, running: Deferred[None]) -> None:
        self._is_over = True
        running.cancel()

    def _let_go(self, bound: Any) -> Deferred[None]:
        if bound.active():
            bound.cancel()
        if self._waiting:
            log.warn("{count} alerts were not told before the end", count=len(self._waiting))
        return self._receiver.stop()

    def _begin(self) -> Any:
        return Deferred.fromCoroutine(self._deliver())

    def _ended(self, result: object) -> object:
        self._running = None
        return result

    async def _deliver(self) -> None:
        """Notice after notice, until nothing waits."""
        while self._waiting and not self._is_over:
            events = tuple(self._waiting.popleft() for _ in range(min(len(self._waiting), self._receiver.at_once)))
            lost = self._lost
            told = (self._lost_event(lost), *events) if lost else events
            if await self._tell(self._notice(told), len(events)):
                self._lost -= lost
                await self._rest(self._receiver.pause)
            else:
                self._lost += len(events)
                await self._rest(REST)

    async def _tell(self, notice: Notice, count: int) -> bool:
        """Whether one of the tries was taken."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = await self._try(notice)
            except Exception:
                reason = reason_of(Failure())
                if self._is_stopping or attempt == TRIES:
                    self._failed(reason, count)
                    return False
                await self._rest(WAITS[attempt - 1])
            else:
                self._taken(answer, count)
                return True
        return False

    def _try(self, notice: Notice) -> Deferred[str]:
        return maybeDeferred(self._receiver.send, notice).addTimeout(self._receiver.patience, self._timers)

    def _taken(self, answer: str, count: int) -> None:
        if self._is_failing:
            log.info("alerts are taken again: {answer}", answer=answer)
        self._is_failing, self._answer, self._last_sent = False, answer, self._wall()
        self._counts.sent += count

    def _failed(self, reason: str, count: int) -> None:
        self._counts.failed += count
        is_first, self._is_failing, self._answer = not self._is_failing, True, reason
        if is_first:
            self._told(reason)

    def _rest(self, seconds: float) -> Deferred[None]:
        """Wait; the end of the process ends it at once."""
        if self._is_stopping or seconds <= 0:
            return succeed(None)
        self._resting = deferLater(self._timers, seconds)

        def over(result: object) -> None:
            self._resting = None
            if isinstance(result, Failure) and not self._is_stopping:
                result.raiseException()

        return self._resting.addBoth(over)


def _told_of(failure: Failure) -> None:
    """The end of the queue's work: by the process's end, or by a mistake of ours."""
    if failure.check(CancelledError) is None:
        log.failure("the delivery of alerts failed", failure)
