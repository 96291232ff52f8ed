"""The event loop of a worker process: epoll, and one call per packet.

A descriptor is watched with a function that takes one packet from it. Polling is level-triggered: a socket with more
to read is reported again after every other ready one had its turn, so the fair share is one packet and no read is
wasted on finding a socket empty. A busy loop lets packets gather for a moment between polls (GATHER_SECONDS): a wake-up
costs as much as half a packet. Other work (a look at every call now and then, a new socket for a party that was heard
first) is cut into small jobs, and a batch of packets waits for few of them. An exception is a bug of ours: it is
counted and logged, the packet is lost, the loop goes on.

    epoll --[(descriptor, events)]--> receivers[descriptor]() --> streams | ng listener
    after a batch ------------------> the first jobs that were put off by `later`
    every TICK_SECONDS, about ------> tick(now)
"""

from __future__ import annotations

import select
import sys
import traceback
from collections import deque
from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, Protocol

TICK_SECONDS: Final = 0.25
MAXIMUM_EVENTS: Final = 512
GATHER_SECONDS: Final = 0.0001
"""A busy loop lets packets gather for so long between polls: one wake-up for several, as a network card does."""
ENOUGH_EVENTS: Final = 32
"""A batch of so many needs no gathering: a loop that is behind must not sleep."""
BUSY_EVENTS: Final = 5_000
"""A tick: 200 calls. With fewer, a gathered packet would be almost alone and only be late."""
EVENTS_A_JOB: Final = 8
"""A batch of packets is followed by one job, and by one more for so many packets."""


class LoopClock:
    """The time of the current batch of packets, in seconds; read once a batch."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = monotonic()


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def _ignore() -> None:
    """Stands in for a descriptor that was closed earlier in the same batch."""


class Loop:
    """Calls the receivers of ready sockets, and `tick` four times a second, until `running` is false."""

    name = "python"
    """In reports."""

    def __init__(self, clock: LoopClock, tick: Callable[[float], None], gather: float = GATHER_SECONDS) -> None:
        """`gather` in seconds; 0: every packet is taken at once, for a fifth more CPU."""
        self.clock = clock
        self.gather = gather
        self.running = True
        self.failures = 0
        self._due = 0.0
        self._jobs: deque[Callable[[], object]] = deque()
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

    def later(self, job: Callable[[], object]) -> None:
        """Call `job` soon, between batches of packets; it should take no longer than a few packets."""
        self._jobs.append(job)

    @property
    def is_free(self) -> bool:
        """Whether nothing is put off."""
        return not self._jobs

    def run(self) -> None:
        """Until `running` is false."""
        while self.running:
            try:
                self._serve()
            except Exception:  # the one guard of this process
                self.fail()

    def fail(self) -> None:
        """Count and tell the exception at hand, a mistake of ours."""
        self.failures += 1
        traceback.print_exc(file=sys.stderr)

    def _serve(self) -> None:
        """Until `running` is false or something raises. Nothing here calls a method of ours: each batch pays for it."""
        clock, poll, receivers, jobs, gather = self.clock, self._epoll.poll, self._receivers, self._jobs, self.gather
        batch = total = 0
        first, is_busy, is_behind = -1, False, False
        while self.running:
            if is_busy and batch < ENOUGH_EVENTS and not is_behind:
                sleep(gather)
            events = poll(0.0 if jobs else TICK_SECONDS, MAXIMUM_EVENTS)
            clock.now = now = monotonic()
            for descriptor, _ in events:
                receivers[descriptor]()

            batch = len(events)
            total += batch
            if is_busy and batch:
                # The same socket twice running has packets queued: a few streams are behind, gathering would hold them.
                is_behind, first = events[0][0] == first, events[0][0]
            if jobs:
                for _ in range(min(1 + batch // EVENTS_A_JOB, len(jobs))):
                    jobs.popleft()()
            if now >= self._due:
                self._due = now + TICK_SECONDS
                is_busy, total = gather > 0 and total > BUSY_EVENTS, 0
                self._tick(now)
