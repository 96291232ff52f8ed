"""The drain: no new calls, those that are up go on, and at a deadline the rest is ended.

    begin(seconds) --no call is left-------------> drained --cancel()--> as before
                   `-the deadline: calls are ended -^ `then` is called once, which may end the process

New calls are refused with 503 and Retry-After, so that a phone goes to another gateway or comes back; calls to
emergency numbers are put through until the very end. Everything else goes on: requests of calls that are up,
registrations, which a gateway that is started again finds kept. A drain that ends the process cannot be cancelled:
whatever sent the signal would kill it in the end, and its calls without a word. Where the next process goes on with
calls that are up, it waits for the others alone.

Not here: the signal and the process (app/service.py), the question of a service manager (readiness.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.observe.events import EventName, Events, Field, GatewayEvent
from gateway.sip.errors import Refused

log = Logger()

LOOK_SECONDS: Final = 0.2
"""Between two looks whether a call is left."""

SOONEST, LATEST = 5, 300
"""Seconds of Retry-After: by then another gateway is up, or this one again."""


class CallsUp(Protocol):
    """The calls of this gateway."""

    def __len__(self) -> int: ...

    def end_all(self, why: str) -> None:
        """End every call, on both sides."""


def _nothing() -> None:
    """A drain by command ends nothing but calls."""


class Drain:
    """Whether new calls are taken, and the end of those that are up."""

    def __init__(self, clock: IReactorTime, calls: CallsUp, events: Events | None = None) -> None:
        self.is_draining = False
        self.is_final = False
        """Whether the process ends with it."""
        self.refused = 0
        """Calls refused for it so far."""
        self._clock = clock
        self._all = self._calls = calls
        self._events = events
        self._deadline = 0.0
        self._then = _nothing
        self._look: IDelayedCall | None = None

    @property
    def seconds_left(self) -> float:
        """Until the calls that are left are ended; 0 for none, or no drain."""
        return max(0.0, self._deadline - self._clock.seconds()) if self.is_draining and len(self._calls) else 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether calls are left, and their deadline is to come."""
        return self._look is not None

    @property
    def calls_left(self) -> int:
        """Calls that are waited for; 0 without a drain."""
        return len(self._calls) if self.is_draining else 0

    def begin(self, seconds: float, then: Callable[[], None] | None = None, awaited: CallsUp | None = None) -> None:
        """Take no new calls from now on, and end those that are left after so many seconds.

        ``then`` is called as soon as no call is left: it ends the process. ``awaited`` are the calls that are waited
        for, where it is not all. A drain under way gets this deadline.
        """
        self.stop()
        self._calls = self._all if awaited is None else awaited
        self.is_draining, self._deadline = True, self._clock.seconds() + seconds
        if then is not None:
            self.is_final, self._then = True, then
        count = len(self._calls)
        said = "draining: {count} calls may go on for {seconds:.0f} s, new ones are refused"
        log.warn(said, count=count, seconds=seconds)
        self._tell(EventName.GATEWAY_DRAINING, calls=count, seconds=seconds)
        self._see()

    def cancel(self) -> bool:
        """Take calls again. False: there is no drain, or it ends the process."""
        if not self.is_draining or self.is_final:
            return False
        self.stop()
        self.is_draining = False
        log.warn("the drain is cancelled: new calls are taken again")
        self._tell(EventName.GATEWAY_DRAIN_CANCELLED)
        return True

    def stop(self) -> None:
        """Look no more; no call is ended by the deadline then."""
        look, self._look = self._look, None
        if look is not None:
            look.cancel()

    def check_new(self) -> None:
        """A new call that is for no emergency number asks to be taken. Raises Refused 503 during a drain."""
        if not self.is_draining:
            return
        self.refused += 1
        after = min(max(int(self.seconds_left), SOONEST), LATEST) + random.randint(0, SOONEST)
        raise Refused(503, "Being Stopped", (("Retry-After", str(after)),))

    def _tell(self, name: EventName, **fields: Field) -> None:
        if self._events is not None:
            self._events.tell(GatewayEvent.of(name, self._events.now(), fields=fields))

    def _see(self) -> None:
        self._look = None
        left = len(self._calls)
        if left and self._clock.seconds() < self._deadline:
            self._look = self._clock.callLater(LOOK_SECONDS, self._see)
            return
        if left:
            log.warn("the time of the drain is over: {count} calls are ended", count=left)
            self._calls.end_all("The gateway is being stopped")
        log.warn(
            "drained: no call is left" if self._calls is self._all else "drained: calls that are up are left to go on"
        )
        then, self._then = self._then, _nothing
        then()
