"""One limit as a rule: the callers, numbers and hours that it is about, and whether a tally is full by it. Pure.

A caller that proved nothing is met by every limit of its domain, of whichever users: its name is its sender's claim,
and a limit that a false name could evade would be none. It counts by its address, never against the user that it names:
else anybody could use up another's calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import translate
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from gateway.base.telephone_numbers import DestinationClass, TelephoneNumber
from gateway.config.tables.limit_table import MEASURES, CallLimit
from gateway.security.limits.tally import LimitTally

WORDS: Final = {
    "calls": "calls at once",
    "per_minute": "calls in a minute",
    "per_hour": "calls in an hour",
    "minutes_per_day": "minutes in a day",
    "destinations_per_hour": "numbers in an hour",
    "short_calls_per_hour": "short calls in an hour",
}
"""Each measure for people."""


@attrs.frozen
class LimitedCaller:
    """A caller as limits count it."""

    name: str
    """The address of record ("sip:101@example.com") that is registered over the flow of the request, in lower case;
    else the source: an address, or a network of IPv6."""
    domain: str
    """In lower case."""
    is_proved: bool
    source: str = ""
    """The address that its request came from."""

    @property
    def user(self) -> str:
        """A proved caller's user part."""
        return self.name.removeprefix("sip:").rpartition("@")[0]


@attrs.frozen
class LimitCount:
    """How much there is of one measure, and how much is allowed."""

    measure: str
    count: int
    most: int

    def __str__(self) -> str:
        return f"{self.count} of {self.most} {WORDS[self.measure]}"


@attrs.frozen
class LimitRule:
    """A limit, ready to be asked."""

    limit: CallLimit
    _users: re.Pattern[str] = attrs.field(init=False)
    _zone: ZoneInfo | None = attrs.field(init=False)

    @_users.default
    def _compiled(self) -> re.Pattern[str]:
        users = "|".join(translate(pattern.casefold()) for pattern in self.limit.users)
        return re.compile(users or r"(?!)")

    @_zone.default
    def _zone_named(self) -> ZoneInfo | None:
        return ZoneInfo(self.limit.timezone) if self.limit.timezone else None

    def fits(self, caller: LimitedCaller, number: TelephoneNumber) -> bool:
        """Whether calls of a caller to a number are counted."""
        return self._reaches(number) and (not caller.is_proved or self._names(caller))

    def local(self, wall: float) -> datetime:
        """A moment in the limit's zone, summer time and all."""
        moment = datetime.fromtimestamp(wall, UTC)
        return moment.astimezone(self._zone)  # None: this machine's

    def holds_at(self, moment: datetime) -> bool:
        """Whether the limit holds at that hour."""
        return not self.limit.hours or any(window.contains(moment) for window in self.limit.hours)

    def full(self, tally: LimitTally, number: str, now: float) -> LimitCount | None:
        """The first measure with no room for one more call."""
        for found in self.counts(tally, now):
            is_known = found.measure == "destinations_per_hour" and number in tally.destinations
            if found.count >= found.most and not is_known:
                return found
        return None

    def nearly_full(self, tally: LimitTally, now: float) -> LimitCount | None:
        """The first measure that has come to the share that is warned of. Of a single call nobody is warned."""
        for found in self.counts(tally, now):
            if found.most > 1 and self.limit.warn * found.most <= found.count <= found.most:
                return found
        return None

    def counts(self, tally: LimitTally, now: float) -> Iterator[LimitCount]:
        """Each measure that the limit has."""
        measured = tally.measured(now)
        for measure in MEASURES:
            most = getattr(self.limit, measure)
            if most is not None:
                yield LimitCount(measure, measured[measure], most)

    def _reaches(self, number: TelephoneNumber) -> bool:
        to = self.limit.to
        return not to or any(one in number.classes or number.begins_with(one) for one in to)

    def _names(self, caller: LimitedCaller) -> bool:
        return (
            self._users.match(caller.user) is not None
            or self._users.match(f"{caller.user}@{caller.domain}") is not None
        )


@attrs.frozen
class DomainRules:
    """The rules that hold in a domain."""

    rules: tuple[LimitRule, ...]
    _are_of_classes: bool
    """Whether all of them are about classes of destinations alone, as those that are built in."""

    @classmethod
    def of(cls, limits: Iterable[CallLimit], domain: str) -> DomainRules:
        """Those of the limits that cover it."""
        rules = tuple(LimitRule(limit) for limit in limits if limit.covers(domain))
        return cls(rules, all(rule.limit.to and {*rule.limit.to} <= {*DestinationClass} for rule in rules))

    def may_reach(self, number: TelephoneNumber) -> bool:
        """Whether any of them may be about a number: a quick look, since most calls are to none of any class."""
        return not self._are_of_classes or bool(number.classes)
