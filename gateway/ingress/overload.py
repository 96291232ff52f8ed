"""Whether this process keeps up, told by how late its own clock ticks.

Everything waits in one queue, the reactor's: when a tick that is due every TICK seconds comes late, so does every
message. Above ENTER the gateway sheds new calls (registrations are cheap and stay) until it is
below LEAVE again; calls that are up and emergency calls go on. A 503 early is better than an answer too late:
callers that time out send again and make it worse (RFC 6357).

Datagrams wait in the sockets, too, where no tick is late for them: the crowd (transport/crowd.py) is looked at each
tick. A call that has waited there too long is refused by itself (transaction/layer.py); those of other sources are not.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

TICK: Final = 0.1
"""Seconds between two ticks."""
ENTER: Final = 0.3
"""Seconds of lateness at which shedding begins: a caller's first retransmission comes after 0.5."""
LEAVE: Final = 0.05
"""Seconds of lateness at which it ends."""
SMOOTHING: Final = 0.3
"""Weight of the newest tick. One pause alone is no overload, however long: such as the rest of a start on a busy
machine. So the tick before has to have been late as well."""


class Queue(Protocol):
    """Messages that wait for their turn."""

    def look(self) -> None:
        """See whether messages have to wait."""


class Overload:
    """Watches the lateness of a clock, and the messages that wait."""

    def __init__(self, clock: IReactorTime, queue: Queue) -> None:
        self.lateness = 0.0
        """Seconds, smoothed."""
        self.is_shedding = False
        self.shed = 0
        """Calls refused so far."""
        self._queue = queue
        self._clock = clock
        self._due = self._late_before = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch, or begin anew: what was late so far does not count."""
        self.stop()
        self.lateness = self._late_before = 0.0
        self.is_shedding = False
        self._schedule()

    def stop(self) -> None:
        """Watch no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def count_shed(self) -> None:
        """A call was refused for it."""
        self.shed += 1

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + TICK
        self._call = self._clock.callLater(TICK, self._tick)

    def _tick(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        self.lateness += SMOOTHING * (late - self.lateness)
        before, self._late_before = self._late_before, late
        if not self.is_shedding and self.lateness > ENTER and before > LEAVE:
            self.is_shedding = True
            log.warn("overload: everything is {seconds:.1f}s late, new calls are refused", seconds=self.lateness)
        elif self.is_shedding and self.lateness < LEAVE:
            self.is_shedding = False
            log.warn("overload is over: {count} calls were refused so far", count=self.shed)
        self._schedule()
        self._queue.look()
