"""The tally of one user under one limit: calls begun of late, calls that are up, seconds of this day. Pure.

    begin(call) -> answered(call) -> ended(call)          counted: begun, up, destinations, seconds, short calls
          `-----> undone(call)                            as if it had never begun: it was challenged, or refused
          `-----> ended(call, until=...)                  nobody sees its end: it counts as up until then

Times are arguments: ``now`` in seconds that pass evenly, ``day`` as a number that grows by 1 at midnight of the limit's
zone. A call is known by its id, and news of one that is not up changes nothing: so no count is ever negative,
and the end of a call that began before a restart takes nothing away. Calls that are up are not kept over a restart:
they have died with the process. All lists are as long as the limit needs them, and no longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Final, cast

import attrs

from gateway.base.json_codec import Json
from gateway.config.tables.limit_table import CallLimit

MINUTE: Final = 60.0
HOUR: Final = 3600.0
SHORT: Final = 6.0
"""Seconds: an answered call that ended within them is a short one."""


@attrs.define
class Up:
    """A call that is up."""

    number: str
    begun: float
    before: float | None
    """When its number was called before, within the hour."""
    answered: float | None = None
    counted: float = 0.0
    """Seconds up to this moment are in the tally."""
    until: float | None = None
    """When it counts as over, for one that ends out of sight."""


@attrs.define(eq=False)
class LimitTally:
    """See the module."""

    limit: CallLimit
    begun: deque[float] = attrs.field(factory=deque)
    short: deque[float] = attrs.field(factory=deque)
    destinations: dict[str, float] = attrs.field(factory=dict)
    """Numbers, and when each was last called, the latest last."""
    day: int = 0
    seconds: float = 0.0
    """Of answered calls on that day."""
    held_at: float | None = None
    """Since when an operator has to lift it, seconds since the epoch."""
    up: dict[str, Up] = attrs.field(factory=dict)

    def turn(self, now: float, day: int) -> None:
        """Let time pass: forget everything that counts no more. A clock that was set back gives nobody a new day."""
        for call_id in [one for one, call in self.up.items() if call.until is not None and call.until <= now]:
            self.ended(call_id, cast(float, self.up[call_id].until))
        self._count(now)
        if day > self.day:
            self.seconds = 0.0
        self.day = day
        _forget(self.begun, now - HOUR)
        _forget(self.short, now - HOUR)
        while self.destinations and next(iter(self.destinations.values())) <= now - HOUR:
            del self.destinations[next(iter(self.destinations))]

    def measured(self, now: float) -> dict[str, int]:
        """How much there is of each measure of the limit, as of the last `turn`."""
        recent = sum(1 for at in self.begun if at > now - MINUTE) if self.limit.per_minute is not None else 0
        return {
            "calls": len(self.up),
            "per_minute": recent,
            "per_hour": len(self.begun),
            "minutes_per_day": int(self.seconds // 60),
            "destinations_per_hour": len(self.destinations),
            "short_calls_per_hour": len(self.short),
        }

    def begin(self, call_id: str, number: str, now: float) -> None:
        """A call begins."""
        limit = self.limit
        self.up[call_id] = Up(number, now, self.destinations.get(number))
        _add(self.begun, now, max(limit.per_hour or 0, limit.per_minute or 0))
        if limit.destinations_per_hour is not None:
            self.destinations.pop(number, None)
            self.destinations[number] = now
            if len(self.destinations) > limit.destinations_per_hour + 1:
                del self.destinations[next(iter(self.destinations))]

    def resume(self, call_id: str, number: str, begun: float, answered: float, now: float) -> None:
        """A call that began before this process is up; its seconds count from now on."""
        call = self.up[call_id] = Up(number, begun, self.destinations.get(number))
        call.answered, call.counted = answered, now

    def answered(self, call_id: str, now: float) -> None:
        """A call is answered: its seconds count from now on."""
        call = self.up.get(call_id)
        if call is not None and call.answered is None:
            call.answered = call.counted = now

    def ended(self, call_id: str, now: float, until: float | None = None) -> None:
        """A call is over; with ``until`` its end is out of sight, and it counts as up until then."""
        call = self.up.get(call_id)
        if call is None:
            return
        if until is not None and until > now:
            call.until = until
            return
        self._count_call(call, now)
        del self.up[call_id]
        if call.answered is not None and now - call.answered < SHORT and self.limit.short_calls_per_hour is not None:
            _add(self.short, now, self.limit.short_calls_per_hour)

    def undone(self, call_id: str) -> None:
        """A call that began was none."""
        call = self.up.pop(call_id, None)
        if call is None:
            return
        if call.begun in self.begun:
            self.begun.remove(call.begun)
        others = [other for other in self.up.values() if other.number == call.number]
        for other in others:
            other.before = call.before if other.before == call.begun else other.before
        is_latest = self.destinations.get(call.number) == call.begun
        if is_latest and all(other.begun != call.begun for other in others):
            del self.destinations[call.number]
            if call.before is not None:
                self.destinations[call.number] = call.before
                self.destinations = dict(sorted(self.destinations.items(), key=itemgetter(1)))

    def lift(self) -> None:
        """Count anew. Calls that are up stay so."""
        self.held_at, self.seconds = None, 0.0
        for counts in (self.begun, self.short, self.destinations):
            counts.clear()

    def as_json(self) -> dict[str, Json]:
        """All that is kept over a restart."""
        numbers: dict[str, Json] = {**self.destinations}
        return {
            "begun": [*self.begun],
            "short": [*self.short],
            "destinations": numbers,
            "day": self.day,
            "seconds": self.seconds,
            "held_at": self.held_at,
        }

    @classmethod
    def of(cls, limit: CallLimit, kept: Mapping[str, Json]) -> LimitTally:
        """The tally that was kept; a part that cannot be read counts as nothing."""
        numbers, day, held = kept.get("destinations"), kept.get("day"), kept.get("held_at")
        pairs = numbers.items() if isinstance(numbers, dict) else ()
        return cls(
            limit,
            deque(_times(kept.get("begun"))),
            deque(_times(kept.get("short"))),
            {name: float(at) for name, at in pairs if isinstance(at, int | float)},
            day if isinstance(day, int) else 0,
            max(0.0, next(_times([kept.get("seconds")]), 0.0)),
            float(held) if isinstance(held, int | float) else None,
        )

    def _count(self, now: float) -> None:
        for call in self.up.values():
            self._count_call(call, now)

    def _count_call(self, call: Up, now: float) -> None:
        if call.answered is not None and now > call.counted:
            self.seconds += now - call.counted
            call.counted = now


def _add(times: deque[float], now: float, most: int) -> None:
    """Note a moment; no more are kept than tell that there are too many."""
    times.append(now)
    while len(times) > most + 1:
        times.popleft()


def _forget(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()


def _times(values: object) -> Iterator[float]:
    return iter([float(one) for one in values if isinstance(one, int | float)] if isinstance(values, list) else [])
