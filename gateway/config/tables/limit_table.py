"""The tables [[limit]] and [limits]: how many calls a user may make, and how much of all may wait for one source.

Here: keys, types and ranges of one limit; hours of a week; the limits that hold where the file has none; the shares of
sources. Not here: the counts (gateway/security/limits), the shares' keepers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import attrs

from gateway.base.telephone_numbers import DestinationClass
from gateway.config import fields
from gateway.config.structuring import Mistake, Unacceptable, each, known, number, repeated

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE_DAY: Final = 24 * 60
MEASURES: Final = (
    "calls",
    "per_minute",
    "per_hour",
    "minutes_per_day",
    "destinations_per_hour",
    "short_calls_per_hour",
)
"""The keys of a limit that count something."""

_DAYS: Final = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_WINDOW: Final = re.compile(
    rf"(?P<days>{_DAYS}(?:[-,]{_DAYS})*)?(?:(?:^|\s+)(?P<from>\d{{2}}:\d{{2}})-(?P<to>\d{{2}}:\d{{2}}))?"
)
_PATTERN: Final = re.compile(r"[!-~]{1,100}")
_PREFIX: Final = re.compile(r"\+?[0-9*#]{1,15}")


class LimitAction(StrEnum):
    """The fate of a call beyond a limit."""

    REPORT = "report"
    REFUSE = "refuse"
    HOLD = "hold"
    """Refused, and all further ones until an operator lifts it."""


@attrs.frozen
class TimeWindow:
    """Hours of a week."""

    days: frozenset[int]
    """0 is Monday. A window over midnight is of the day on which it begins."""
    begin: int
    """Minutes after midnight."""
    end: int
    """The same, not included; before `begin`: of the next day."""

    def __str__(self) -> str:
        days = "" if len(self.days) == len(DAYS) else ",".join(DAYS[day] for day in sorted(self.days))
        hours = f"{self.begin // 60:02}:{self.begin % 60:02}-{self.end // 60:02}:{self.end % 60:02}"
        return f"{days} {hours}".strip()

    def contains(self, moment: datetime) -> bool:
        """Whether a moment, of the zone that the hours are of, is in it."""
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


def time_window(value: object) -> TimeWindow:
    """ "22:00-06:00", "mon-fri 18:00-08:00" or "sat,sun". Raises Unacceptable."""
    found = _WINDOW.fullmatch(value.strip().lower()) if isinstance(value, str) and value.strip() else None
    if found is None:
        raise Unacceptable(value, 'hours such as "22:00-06:00", "mon-fri 18:00-08:00" or "sat,sun"')
    days = frozenset(_days(found["days"])) if found["days"] else frozenset(range(7))
    if found["from"] is None:
        return TimeWindow(days, 0, WHOLE_DAY)
    begin, end = _minute(value, found["from"]), _minute(value, found["to"])
    if begin == end:
        raise Unacceptable(value, "hours that begin and end at different times; without hours a limit holds always")
    return TimeWindow(days, begin, end)


def _days(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, *others = (DAYS.index(day) for day in part.split("-"))
        last = others[-1] if others else first
        yield from ((first + step) % 7 for step in range((last - first) % 7 + 1))


def _minute(value: object, text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > WHOLE_DAY:
        raise Unacceptable(value, "times from 00:00 to 24:00")
    return hours * 60 + minutes


def time_zone(value: object) -> str:
    """The name of a zone of IANA's. Raises Unacceptable."""
    try:
        return ZoneInfo(value).key if isinstance(value, str) and value else _no_zone(value)
    except (OSError, ValueError, KeyError):
        return _no_zone(value)


def _no_zone(value: object) -> str:
    raise Unacceptable(value, 'a time zone such as "Europe/Berlin"')


def user_pattern(value: object) -> str:
    """A user, with "*" for any text, "?" for any character; alone or with @domain. Raises Unacceptable."""
    if not isinstance(value, str) or not _PATTERN.fullmatch(value) or value.startswith("sip:"):
        raise Unacceptable(value, 'a user such as "101", "10*" or "alice@example.com"')
    return value


def destination(value: object) -> str:
    """A class of destinations, or how numbers begin. Raises Unacceptable."""
    if isinstance(value, str) and (value in [*DestinationClass] or _PREFIX.fullmatch(value)):
        return value
    words = ", ".join(DestinationClass)
    raise Unacceptable(value, f'{words}, or the beginning of a number such as "+881" or "0900"')


def share(value: object) -> float:
    """A share from 0.1 to 1. Raises Unacceptable."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 1:
        raise Unacceptable(value, "a number from 0.1 to 1.0")
    return float(value)


@attrs.frozen
class CallLimit:
    """[[limit]]: calls of each user that fits, to destinations that fit. 0 allows none."""

    name: Annotated[str, fields.name]
    domains: Annotated[tuple[str, ...], fields.domains] = ()
    """Empty: all."""
    users: tuple[Annotated[str, user_pattern], ...] = ("*",)
    to: tuple[Annotated[str, destination], ...] = ()
    """Empty: everybody."""
    hours: tuple[Annotated[TimeWindow, time_window], ...] = ()
    """Empty: always."""
    timezone: Annotated[str, time_zone] | None = None
    """Of `hours`, and of the day of `minutes_per_day`; None: this machine's."""
    calls: Annotated[int, number(0, 20_000)] | None = None
    """At once."""
    per_minute: Annotated[int, number(0, 1_000)] | None = None
    per_hour: Annotated[int, number(0, 5_000)] | None = None
    minutes_per_day: Annotated[int, number(0, 1_000_000)] | None = None
    destinations_per_hour: Annotated[int, number(0, 1_000)] | None = None
    """Different numbers."""
    short_calls_per_hour: Annotated[int, number(0, 1_000)] | None = None
    """Calls that were answered and ended within six seconds."""
    warn: Annotated[float, share] = 0.8
    """The share of each that is told of before it is reached."""
    then: LimitAction = LimitAction.REPORT
    end_calls_after_minutes: Annotated[int, number(1, 1_440)] | None = None
    """Of a call to one of the destinations; None: never."""

    def covers(self, domain: str) -> bool:
        """Whether it holds in a domain, given in lower case."""
        return not self.domains or domain in self.domains


_BUILT_IN: Final = CallLimit(
    name="international",
    to=(DestinationClass.INTERNATIONAL, DestinationClass.PREMIUM),
    calls=5,
    per_hour=20,
    minutes_per_day=120,
)
BUILT_IN: Final = (
    _BUILT_IN,
    attrs.evolve(
        _BUILT_IN,
        name="international-at-night",
        hours=(TimeWindow(frozenset(range(7)), 22 * 60, 6 * 60),),
        calls=2,
        per_hour=10,
        minutes_per_day=60,
    ),
)
"""The limits that hold where the file has no table [[limit]]: they report and refuse nothing."""


def regions_of(domains: Iterable[tuple[str, object]]) -> dict[str, str | None]:
    """The regions of domains by their names, of those with mistakes as well."""
    return {str(known(domain, "name")): known(domain, "region") for _, domain in domains}


def limit_mistakes(regions: dict[str, str | None], entries: list[tuple[str, CallLimit]]) -> Iterator[Mistake]:
    """The mistakes of the tables, each given with its path; `regions` are those of all domains, by name."""
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    yield from each(entries, _counts_nothing, partial(_domain_mistakes, regions))


def _counts_nothing(path: str, entry: CallLimit) -> Iterator[Mistake]:
    """Raises Unread for a count that is wrong: it is told of, and is no missing one."""
    if all(getattr(entry, key) is None for key in (*MEASURES, "end_calls_after_minutes")):
        yield Mistake(path, f"limits nothing, at least one is needed of: {', '.join(MEASURES)}")


def _domain_mistakes(regions: dict[str, str | None], path: str, entry: CallLimit) -> Iterator[Mistake]:
    domains, to = known(entry, "domains"), known(entry, "to") or ()
    strange = sorted(set(domains or ()) - regions.keys())
    if strange:
        yield Mistake(f"{path}.domains", str(Unacceptable(strange[0], ", ".join(sorted(regions)) or "none")))
    without = sorted(name for name in (domains or regions) if name in regions and regions[name] is None)
    if domains is not None and DestinationClass.INTERNATIONAL in to and without:
        yield Mistake(
            f"{path}.to", f'international needs region in [[domain]] {without[0]} (such as "DE"): home is unknown there'
        )


@attrs.frozen
class SourceLimits:
    """[limits]: the share of one source in all that waits for others. Emergency calls have a reserve beyond it."""

    unanswered_calls_per_source: Annotated[int, number(1, 20_000)] = 200
    """Calls that nobody has answered yet, of one address (IPv6: one /64) on the phones' side, whose callers are not
    registered here; an office behind NAT is one address. They have a quarter of the media ports, too."""
    unanswered_calls_per_phone: Annotated[int, number(1, 20_000)] = 500
    """The same of one registered address of record over its own flow, which may be a telephone system's."""
    waiting_mib_per_source: Annotated[int, number(1, 4096)] = 48
    """MiB of requests that wait, and of answers kept for copies of requests, of one address on the phones' side."""
    longest_request_kib: Annotated[int, number(4, 64)] = 32
    """KiB of one request of a phone."""
    waiting_mib: Annotated[int, number(1, 65_536)] = 256
    """The same of all together."""
    wrong_passwords_per_source: Annotated[int, number(1, 100)] = 5
    """Wrong passwords for one user from one address before more are answered here."""
    wrong_passwords_per_user: Annotated[int, number(1, 1000)] = 10
    """The same for one user from all addresses, and from one address for all users, where no phone is known there."""
    wrong_password_seconds: Annotated[int, number(10, 86_400)] = 300
    """Seconds that a wrong password counts."""
