"""The profile of one user's or domain's outgoing calls over 28 days: how many in each hour, to which countries.

    calls of each hour: a ring of five weeks, so that the same hour of the four weeks before is there
    countries: the hour that each was last called in      latest calls: their lengths and whether they were answered

A profile has a fixed size, 1.7 KB and some 100 bytes a country. It is made from the calls that are kept
(`baselines`), and goes on with each call that ends. Pure: times are arguments, seconds since the epoch.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from functools import lru_cache
from typing import Final, NamedTuple

from phonenumbers import NumberParseException, parse, region_code_for_number

HOUR: Final = 3600
WEEK: Final = 168
"""Hours."""
WEEKS: Final = 4
DAYS: Final = 28
RING: Final = WEEK * (WEEKS + 1)
"""Hours that are remembered: the current week, and the four before."""
RIPE_SECONDS: Final = 7 * 86_400
"""A profile of less than that says nothing: everything would be new."""
SHORT_SECONDS: Final = 6.0
LATEST: Final = 50
"""Calls whose answers are looked at."""
MOST_COUNTRIES: Final = 400
MOST_CALLS: Final = 65_535
"""Of one hour."""
_E164: Final = re.compile(r"\+[0-9]{4,15}")
NIGHT: Final = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
"""Hours of the day."""


class OutgoingCall(NamedTuple):
    """The part of an outgoing call that profiles are made of. A tuple, since each call makes one."""

    id: str
    domain: str
    user: str
    started_at: float
    ended_at: float
    hour: int
    """That it began in, since the epoch."""
    number: str
    """The callee's, in E.164 where it could be read."""
    country: str
    """Of that number; empty where it is not known."""
    is_answered: bool
    seconds: float
    """The answered length."""


@lru_cache(maxsize=4096)
def country_of(number: str) -> str:
    """The country of a number in E.164: `DE`, or `+881` where the code is of no single country; empty for others."""
    if not _E164.fullmatch(number):
        return ""
    try:
        read = parse(number, None)
    except NumberParseException:
        return number[:4]
    region = region_code_for_number(read)
    return region if region not in (None, "ZZ", "001") else f"+{read.country_code}"


class CallingProfile:
    """One user or domain."""

    def __init__(self) -> None:
        self._hours = array("H", bytes(2 * RING))
        self._latest_hour = 0
        self._first = float("inf")
        self._countries: dict[str, int] = {}
        self._answers: deque[bool] = deque(maxlen=LATEST)
        self._short: deque[float] = deque(maxlen=LATEST)
        """The ends of answered calls that were short."""
        self.calls = 0
        """Since the profile was made, and those that it was made of."""
        self.answered = 0

    def is_ripe(self, now: float) -> bool:
        """Whether it has a week of history."""
        return now - self._first >= RIPE_SECONDS

    def weeks(self, now: float) -> int:
        """Whole weeks of history, 1 to 4."""
        return max(1, min(WEEKS, int((now - self._first) // RIPE_SECONDS)))

    def add(self, call: OutgoingCall) -> None:
        """A call has ended."""
        self.add_hour(call.hour, 1, int(call.is_answered))
        self.add_country(call.country, call.hour)
        self._answers.append(call.is_answered)
        if call.is_answered and call.seconds < SHORT_SECONDS:
            self._short.append(call.ended_at)

    def add_hour(self, hour: int, calls: int, answered: int) -> None:
        """Calls of an hour (since the epoch)."""
        if hour != self._latest_hour and not self._advance(hour):
            return
        self._hours[hour % RING] = min(MOST_CALLS, self._hours[hour % RING] + calls)
        if hour * HOUR < self._first:
            self._first = hour * HOUR
        self.calls += calls
        self.answered += answered

    def add_country(self, country: str, hour: int) -> None:
        """A country was called in an hour. Beyond a bound, new ones take the place of the one called longest ago."""
        if not country or self._countries.get(country) == hour:
            return
        if country not in self._countries and len(self._countries) >= MOST_COUNTRIES:
            del self._countries[min(self._countries, key=self._countries.__getitem__)]
        self._countries[country] = max(hour, self._countries.get(country, 0))

    def in_hour(self, hour: int) -> int:
        """Calls of an hour; 0 for one that is not remembered."""
        return self._hours[hour % RING] if self._latest_hour - RING < hour <= self._latest_hour else 0

    def usual(self, hour: int, now: float) -> float:
        """Calls of the same hour of the week, on average over the weeks of history."""
        weeks = self.weeks(now)
        return sum(self.in_hour(hour - WEEK * week) for week in range(1, weeks + 1)) / weeks

    def countries(self, hour: int) -> set[str]:
        """Those that were called in the 28 days before an hour."""
        return {country for country, last in self._countries.items() if last > hour - 24 * DAYS}

    def is_known(self, country: str, hour: int) -> bool:
        """Whether a country was called in the 28 days before an hour."""
        return self._countries.get(country, -1) > hour - 24 * DAYS

    def was_at_night(self, hour: int, offset: float) -> bool:
        """Whether there was a call at night in the 28 days before an hour, or in it; ``offset`` is that of the local
        time, in seconds. The latest hours come first: a caller of each night is found at once."""
        first = max(hour - 24 * DAYS, self._latest_hour - RING + 1)
        return any(self.in_hour(one) and is_night(one * HOUR, offset) for one in range(hour, first - 1, -1))

    def short_since(self, at: float) -> int:
        """Answered calls of less than SHORT_SECONDS that ended then or later."""
        return sum(end >= at for end in self._short)

    def latest_answers(self) -> tuple[int, int]:
        """How many of the latest calls are known, and how many of these were answered."""
        return len(self._answers), sum(self._answers)

    def forget_short(self) -> None:
        """They were told of."""
        self._short.clear()

    def forget_answers(self) -> None:
        """They were told of."""
        self._answers.clear()

    def _advance(self, hour: int) -> bool:
        """Make room for an hour; whether it is one that is remembered. A clock that jumps ahead clears the ring."""
        passed = hour - self._latest_hour
        if passed > 0:
            for one in range(max(self._latest_hour + 1, hour - RING + 1), hour + 1):
                self._hours[one % RING] = 0
            self._latest_hour = hour
        return passed > -RING


def is_night(at: float, offset: float) -> bool:
    """Whether it is night at a time, where local time is so many seconds ahead."""
    return int((at + offset) // HOUR) % 24 in NIGHT
