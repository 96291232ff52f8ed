"""One timer for any number of things that want a look at some time.

An idle connection asks for attention once a minute or an hour; a delayed call for each of 50,000 of them would cost
more than the connections' own state. They are kept in slots of one second instead, and each visit returns the time of
the next. Deadlines that move later with every message need not be moved here: the visit finds them and goes on.
"""

import math
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.transport.sockets import TransportReactor

log = Logger()

SLOT = 1.0
"""Seconds: a visit is up to two of them late, which no deadline of a connection minds."""


class Visited(Protocol):
    """Something that wants to be looked at from time to time."""

    slot: int | None
    """Where TimerWheel keeps it; None at first."""

    def visit(self, now: float) -> float | None:
        """Do the work due at now; returns the time of the next visit (seconds, reactor time), None for never."""


class TimerWheel:
    """Visits each thing when it asked to be visited, never early."""

    def __init__(self, clock: TransportReactor) -> None:
        self._clock = clock
        self._slots: dict[int, set[Visited]] = {}
        self._next = 0
        self._call: IDelayedCall | None = None

    def visit_at(self, visited: Visited, when: float) -> None:
        """Visit at when (seconds, reactor time), unless an earlier visit is planned already: it will ask again."""
        slot = math.ceil(when / SLOT)
        if visited.slot is not None:
            if visited.slot <= slot:
                return
            self._slots[visited.slot].discard(visited)
        if self._call is None:
            self._next = math.floor(self._clock.seconds() / SLOT)
            self._call = self._clock.callLater(SLOT, self._tick)
        slot = visited.slot = max(slot, self._next)
        self._slots.setdefault(slot, set()).add(visited)

    def forget(self, visited: Visited) -> None:
        """No more visits."""
        if visited.slot is not None:
            self._slots[visited.slot].discard(visited)
            visited.slot = None

    def stop(self) -> None:
        """No more visits to anybody."""
        for visited in [one for slot in self._slots.values() for one in slot]:
            self.forget(visited)
        self._slots.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        self._call = None
        now = self._clock.seconds()
        due: list[Visited] = []
        while self._next <= now / SLOT:
            due.extend(self._slots.pop(self._next, ()))
            self._next += 1
        if any(self._slots.values()) or due:
            self._call = self._clock.callLater(SLOT, self._tick)
        else:
            self._slots.clear()
        for visited in due:
            visited.slot = None
        for visited in due:
            self._visit(visited, now)

    def _visit(self, visited: Visited, now: float) -> None:
        try:
            when = visited.visit(now)
        except Exception:  # the guard: one connection's bug does not stop the round
            log.failure("a visit met a bug")
            return
        if when is not None:
            self.visit_at(visited, when)
