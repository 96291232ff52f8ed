"""The timers of RFC 3261 section 17 (table 4) and RFC 6026 in seconds, and a cheap way to run thousands of them.

There are about a dozen different durations in SIP, and timers of one duration expire in the order in which they were
started. So each duration has a queue, to start a timer is an append, and only the head of a queue is known to the
reactor. A cancelled timer is forgotten where it stands. (A reactor's own delayed call costs several times as much to
start and cancel: bench/transactions.py. So that of a queue stays while any timer runs.)

Not here: the meaning of an expired timer (tables.py).
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.transaction.tables import NEVER_RELIABLE, ZERO_RELIABLE, Event

T1 = 0.5
"""Seconds: an estimate of the round-trip time (RFC 3261 section 17.1.1.1)."""
T2 = 4.0
"""Seconds: the longest interval between copies of a non-INVITE request or an INVITE response."""
T4 = 5.0
"""Seconds: the longest time that a message stays in the network."""
DURATION: Mapping[Event, float] = {
    Event.TIMER_A: T1,
    Event.TIMER_B: 64 * T1,
    Event.TIMER_D: 64 * T1,  # "at least 32 seconds"
    Event.TIMER_E: T1,
    Event.TIMER_F: 64 * T1,
    Event.TIMER_G: T1,
    Event.TIMER_H: 64 * T1,
    Event.TIMER_I: T4,
    Event.TIMER_J: 64 * T1,
    Event.TIMER_K: T4,
    Event.TIMER_L: 64 * T1,
    Event.TIMER_M: 64 * T1,
    Event.TIMER_CANCELLED: 64 * T1,
    Event.TIMER_TRYING: 0.2,  # 17.2.1
    Event.TIMER_LATE_TRYING: T2 - T1,  # RFC 4320: when the client sets its timer E to T2, after T1 + 2*T1 + 4*T1
    Event.TIMER_EXPIRED: 64 * T1,
}
"""Seconds of the first run of each timer over an unreliable transport."""

LONGEST_INTERVAL: Mapping[Event, float] = {Event.TIMER_A: 64 * T1, Event.TIMER_E: T2, Event.TIMER_G: T2}
"""Seconds at which the doubling of the retransmission timers ends; timer B ends the doubling of timer A anyway."""

SOON = 1e-6
"""Seconds: a timer due so soon is due now; floating-point time cannot tell."""


def duration(timer: Event, is_reliable: bool) -> float:
    """Seconds of the first run of a timer; 0 where the transport makes it needless (RFC 3261 table 4)."""
    return 0.0 if is_reliable and timer in NEVER_RELIABLE | ZERO_RELIABLE else DURATION[timer]


def longer(timer: Event, interval: float) -> float:
    """Seconds of the next run of timer A, E or G after a run of `interval` (RFC 3261 sections 17.1.1.2 and
    17.1.2.2)."""
    return min(2 * interval, LONGEST_INTERVAL[timer])


class Expires(Protocol):
    """The owner of a timer."""

    def timer_expired(self, event: Event) -> None:
        """The timer has run out. Does not raise."""


class Timer:
    """One run of a timer."""

    __slots__ = ("_queue", "due", "event", "owner")

    def __init__(self, queue: "_Queue", due: float, owner: Expires, event: Event) -> None:
        self._queue: _Queue | None = queue
        self.due = due  # seconds of the clock
        self.event = event
        self.owner: Expires | None = owner

    def cancel(self) -> None:
        """Stop the timer; nothing happens when it has expired or was cancelled before. The reactor's delayed call stays
        for the next one, which is not far while others run: most timers are cancelled at once."""
        queue = self._queue
        if queue is not None:
            self.owner = self._queue = None
            del queue.timers[self]
            running = queue.running
            running.count -= 1
            if running.count == 0:
                running.none_left()

    def forget(self) -> Expires | None:
        """Let go of everything; returns the owner."""
        owner, self.owner, self._queue = self.owner, None, None
        return owner


class _Running:
    """How many timers run, in all queues together."""

    __slots__ = ("count", "none_left")

    def __init__(self, none_left: Callable[[], None]) -> None:
        self.count = 0
        self.none_left = none_left

    def one_less(self) -> None:
        self.count -= 1
        if self.count == 0:
            self.none_left()


class _Queue:
    """The timers of one duration, soonest first. An ordered dictionary, so that any of them leaves at the same cost."""

    __slots__ = ("_call", "_clock", "_seconds", "is_awake", "running", "timers")

    def __init__(self, clock: IReactorTime, seconds: float, running: _Running) -> None:
        self._clock = clock
        self._seconds = seconds
        self.running = running
        self.timers: OrderedDict[Timer, None] = OrderedDict()
        self.is_awake = False
        """Whether the reactor will look at it, or it looks at its timers just now."""
        self._call: IDelayedCall | None = None

    def wake(self) -> None:
        """Let the reactor look at it when the timer that was started now is due."""
        self.is_awake = True
        self._call = self._clock.callLater(self._seconds, self._expire)

    def clear(self) -> None:
        for timer in self.timers:
            timer.forget()
        self.running.count -= len(self.timers)
        self.timers.clear()
        self.rest()

    def rest(self) -> None:
        """No timer runs, here or elsewhere."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
            self.is_awake = False

    def _expire(self) -> None:
        self._call = None
        try:
            self._expire_due(self._clock.seconds() + SOON)
        finally:
            self.is_awake = bool(self.timers)
            if self.is_awake:
                due = next(iter(self.timers)).due
                self._call = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._expire)

    def _expire_due(self, now: float) -> None:
        while self.timers:
            timer = next(iter(self.timers))
            if timer.due > now:
                return
            del self.timers[timer]
            owner = timer.forget()
            assert owner is not None
            self.running.one_less()
            owner.timer_expired(timer.event)


class TimerQueues:
    """Runs timers over a clock, which can be a reactor or a task.Clock."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._running = _Running(self._rest)
        self._queues: dict[float, _Queue] = {}

    def start(self, seconds: float, owner: Expires, event: Event) -> Timer:
        """Tell the owner of the event after that many seconds. Durations are few: each one keeps a queue for good."""
        queue = self._queues[seconds] if seconds in self._queues else self._new_queue(seconds)
        timer = Timer(queue, self._clock.seconds() + seconds, owner, event)
        queue.timers[timer] = None
        self._running.count += 1
        if not queue.is_awake:
            queue.wake()
        return timer

    def stop(self) -> None:
        """Cancel every timer; their owners hear nothing."""
        for queue in self._queues.values():
            queue.clear()

    def _new_queue(self, seconds: float) -> _Queue:
        queue = self._queues[seconds] = _Queue(self._clock, seconds, self._running)
        return queue

    def _rest(self) -> None:
        for queue in self._queues.values():
            queue.rest()
