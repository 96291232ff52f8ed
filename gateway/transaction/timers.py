"""The timers of RFC 3261 section 17 (table 4) and RFC 6026 in seconds, and a cheap way to run thousands of them.

There are about a dozen different durations in SIP, and timers of one duration expire in the order in which they were
started. So each duration has a queue, to start a timer is an append, and only the head of a queue is known to the
reactor. A cancelled timer lets go of its owner and stands where it is until its turn, or until half of its queue are
such. (A reactor's own delayed call costs several times as much to start and cancel: bench/transactions.py. So that of a
queue stays while any timer runs.)

Each wake of the reactor for one timer costs ten times the end of a transaction, most of all on a quiet processor. So
timers of T4 and longer, which nobody waits for to the moment, expire together, up to GATHERED late.

Not here: the meaning of an expired timer (tables.py).
"""

from collections import deque
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

GATHERED = 0.25
"""Seconds that a timer of T4 or longer may be late while others of its duration expire."""

FEW = 1_024
"""Timers of a queue that may stand there cancelled, however few others there are."""

LOOK_SECONDS = 4.0
"""Between two looks at a queue at most: nobody may fill the memory with timers that are cancelled at once."""


def duration(timer: Event, is_reliable: bool) -> float:
    """Seconds of the first run of a timer; 0 where the transport makes it needless (RFC 3261 table 4)."""
    return 0.0 if is_reliable and timer in NEVER_RELIABLE | ZERO_RELIABLE else DURATION[timer]


class Expires(Protocol):
    """The owner of a timer."""

    def timer_expired(self, event: Event) -> None:
        """The timer has run out. Does not raise."""


class _Running:
    """How many timers run, in all queues together."""

    __slots__ = ("count", "none_left")

    def __init__(self, none_left: Callable[[], None]) -> None:
        self.count = 0
        self.none_left = none_left


class Timer:
    """One run of a timer."""

    __slots__ = ("_running", "due", "event", "owner")

    def __init__(self, due: float, owner: Expires, event: Event, running: _Running) -> None:
        self.due = due  # seconds of the clock
        self.owner: Expires | None = owner
        """None once it has expired or was cancelled."""
        self.event = event
        self._running = running

    def cancel(self) -> None:
        """Stop the timer; nothing happens when it has expired or was cancelled before. The reactor's delayed call stays
        for the next one, which is not far while others run: most timers are cancelled at once."""
        if self.owner is not None:
            self.owner = None
            running = self._running
            running.count -= 1
            if not running.count:
                running.none_left()


class _Queue:
    """The timers of one duration, soonest first."""

    __slots__ = ("_call", "_clock", "_late", "_seconds", "is_awake", "most", "running", "timers")

    def __init__(self, clock: IReactorTime, seconds: float, running: _Running) -> None:
        self._clock = clock
        self._seconds = seconds
        self._late = GATHERED if seconds >= T4 else 0.0
        self.running = running
        self.timers: deque[Timer] = deque()
        self.most = FEW
        """With more timers, those that were cancelled are looked for."""
        self.is_awake = False
        """Whether the reactor will look at it, or it looks at its timers just now."""
        self._call: IDelayedCall | None = None

    def wake(self) -> None:
        """Let the reactor look at it when the timer that was started now is due."""
        self.is_awake = True
        self._call = self._clock.callLater(min(self._seconds, LOOK_SECONDS), self._expire)

    def tidy(self) -> None:
        """Let go of timers that were cancelled: each is looked at once or twice, on the average."""
        self.timers = deque(timer for timer in self.timers if timer.owner is not None)
        self.most = max(FEW, 2 * len(self.timers))

    def clear(self) -> None:
        for timer in tuple(self.timers):
            timer.cancel()

    def rest(self) -> None:
        """No timer runs, here or elsewhere."""
        self.timers.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
            self.is_awake = False

    def _expire(self) -> None:
        self._call = None
        try:
            self._expire_due(self._clock.seconds() + SOON)
            if len(self.timers) > self.most:
                self.tidy()
        finally:
            self.is_awake = bool(self.timers)
            if self.is_awake:
                left = self.timers[0].due - self._clock.seconds()
                self._call = self._clock.callLater(min(max(left, self._late), LOOK_SECONDS), self._expire)

    def _expire_due(self, now: float) -> None:
        """Those that are due; cancelled ones at the head go as well, so that nobody wakes for them."""
        running = self.running
        while self.timers:
            timer = self.timers[0]
            owner = timer.owner
            if owner is not None and timer.due > now:
                return
            self.timers.popleft()
            if owner is not None:
                timer.owner = None
                running.count -= 1
                if not running.count:
                    running.none_left()
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
        running = queue.running
        timer = Timer(self._clock.seconds() + seconds, owner, event, running)
        queue.timers.append(timer)
        running.count += 1
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
