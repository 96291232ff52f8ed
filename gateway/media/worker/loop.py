"""The event loop of a worker process: epoll, and one call per packet.

A descriptor is watched with a function that takes one packet from it. Polling is level-triggered: a socket with more
to read is reported again after every other ready one had its turn, so the fair share is one packet and no read is
wasted on finding a socket empty. A busy loop lets packets gather for a moment between polls (GATHER_SECONDS): a wake-up
costs as much as half a packet. An exception is a bug of ours: it is counted and logged, the packet is lost, the loop
goes on.

    epoll --[(descriptor, events)]--> receivers[descriptor]() --> stream.py | control.py
    every TICK_SECONDS -------------> tick(now)
"""

from __future__ import annotations

import select
import sys
import traceback
from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, Protocol

TICK_SECONDS: Final = 0.25
MAXIMUM_EVENTS: Final = 512
GATHER_SECONDS: Final = 0.0001
"""A busy loop lets packets gather for so long between polls: one wake-up for several, as a network card does."""
ENOUGH_EVENTS: Final = 32
"""A batch of so many needs no gathering: a loop that is behind must not sleep."""
BUSY_EVENTS: Final = 2_500
"""A tick. With fewer, a gathered packet would be alone and only be late."""


class Clock:
    """The time of the current batch of packets, in seconds; read once a batch."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = monotonic()


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def _ignore() -> None:
    """Stands in for a descriptor that was closed earlier in the same batch."""


class Loop:
    """Calls `receivers` for what is ready and `tick` four times a second until `running` is false."""

    def __init__(self, clock: Clock, tick: Callable[[float], None]) -> None:
        self.clock = clock
        self.running = True
        self.failures = 0
        self._events = self._batch = 0
        self._is_busy = self._is_behind = False
        self._first = -1
        self._tick = tick
        self._epoll = select.epoll()
        self._receivers: list[Callable[[], None]] = []
        """By descriptor: in hundreds of calls a list is in the cache when a dictionary is not."""

    def watch(self, source: _HasDescriptor, receive: Callable[[], None]) -> None:
        """Call `receive` whenever `source` can be read; again with another function to replace it."""
        descriptor = source.fileno()
        while descriptor >= len(self._receivers):
            self._receivers.append(_ignore)
        if self._receivers[descriptor] is _ignore:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._receivers[descriptor] = receive

    def unwatch(self, source: _HasDescriptor) -> None:
        """Stop watching; call before closing."""
        descriptor = source.fileno()
        if descriptor < len(self._receivers) and self._receivers[descriptor] is not _ignore:
            self._epoll.unregister(descriptor)
            self._receivers[descriptor] = _ignore

    def run(self) -> None:
        """Until `running` is false."""
        clock, due = self.clock, 0.0
        while self.running:
            try:
                self._serve(due - clock.now)
                if clock.now >= due:
                    due = clock.now + TICK_SECONDS
                    self._is_busy, self._events = self._events > BUSY_EVENTS, 0
                    self._tick(clock.now)
            except Exception:  # the one guard of this process
                self.fail()

    def fail(self) -> None:
        """Count and tell the exception at hand, a mistake of ours."""
        self.failures += 1
        traceback.print_exc(file=sys.stderr)

    def _serve(self, timeout: float) -> None:
        if self._is_busy and self._batch < ENOUGH_EVENTS and not self._is_behind:
            sleep(GATHER_SECONDS)
        events = self._epoll.poll(max(timeout, 0.0), MAXIMUM_EVENTS)
        self.clock.now = monotonic()
        self._batch = len(events)
        self._events += self._batch
        # The same socket twice running has packets queued: a few streams are behind, and gathering would hold them up.
        first = events[0][0] if events else -1
        self._is_behind, self._first = first == self._first, first
        receivers = self._receivers
        for descriptor, _ in events:
            receivers[descriptor]()
