"""The figures of an overview: calls by verdict over the last hour and day, the share that is encrypted, the reasons.

    tally, spread (the calls that are over) -> Counted --.
    records (the calls that are up) -> kinds_of, counted -+-> statistics -> Statistics

A call that is up counts as far as it has come: with its verdict once it was answered, as "" before.

A share is of the calls that claim something, those that were answered: refused and unanswered calls are not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs
from twisted.enterprise.adbapi import Transaction

from gateway.state.call_record import CallDirection, CallRecord
from gateway.state.listing.tallies import (
    HOUR,
    MINUTE,
    POST_DIAL,
    QUALITY,
    SET_UP,
    DayTallied,
    Spread,
    Tallied,
    daily,
    spreads,
    tallied,
)

DAY: Final = 24 * HOUR
MONTH: Final = 30 * DAY

ENCRYPTED: Final = frozenset({"ENCRYPTED", "ENCRYPTED_TO_PROVIDER"})
"""Verdicts of calls whose way to the provider was encrypted."""
WEAKER: Final = frozenset({"MEDIA_ONLY_WEAK", "SIGNALLING_ONLY"})
CLEAR: Final = frozenset({"CLEAR"})

Kind: TypeAlias = tuple[float, str, str, CallDirection, str, str]
"""All that a call is counted by: the minute of its begin since the epoch, domain, provider, direction, verdict,
reason."""


@attrs.frozen
class PeriodCount:
    """Calls that began in a minute or an hour, with one verdict."""

    at: int
    """The begin of the period, seconds since the epoch."""
    verdict: str
    """Empty: not known yet."""
    calls: int


@attrs.frozen
class DomainShare:
    """The answered calls of a domain in a time, by their protection toward the provider."""

    domain: str
    encrypted: int
    weaker: int
    clear: int
    refused: int
    unanswered: int
    share: float | None = attrs.field(init=False)
    """The encrypted ones of those that claim something, 0 to 1; None where there are none."""

    @share.default
    def _share(self) -> float | None:
        answered = self.encrypted + self.weaker + self.clear
        return self.encrypted / answered if answered else None


@attrs.frozen
class ReasonCount:
    """Calls that a reason explains; an empty one where none does."""

    reason: str
    verdict: str
    domain: str
    provider: str
    calls: int


@attrs.frozen
class Statistics:
    """The figures of one moment."""

    at: float
    """Seconds since the epoch."""
    hours: tuple[PeriodCount, ...]
    """Of the last 24 hours."""
    minutes: tuple[PeriodCount, ...]
    """Of the last 60 minutes."""
    domains_day: tuple[DomainShare, ...]
    domains_month: tuple[DomainShare, ...]
    reasons: tuple[ReasonCount, ...]
    """Of the last 24 hours, the most frequent first."""
    kinds: tuple[ReasonCount, ...]
    """All calls of those hours, with a reason or without."""
    days: tuple[DayTallied, ...]
    """Of the last 30 days."""
    post_dial: tuple[Spread, ...]
    """Seconds until a caller heard that the callee rings, by hour, over 24 hours."""
    set_up: tuple[Spread, ...]
    """Seconds until the callee answered, in the same way."""
    quality: tuple[Spread, ...]
    """Mean opinion scores of the worse direction, by hour, over 24 hours."""


@attrs.frozen
class Counted:
    """The figures of the calls that are over."""

    minutes: tuple[Tallied, ...] = ()
    hours: tuple[Tallied, ...] = ()
    """Of a day."""
    days: tuple[DayTallied, ...] = ()
    """Of a month: its hours are too many to be summed up here while a page is drawn."""
    post_dial: tuple[Spread, ...] = ()
    set_up: tuple[Spread, ...] = ()
    quality: tuple[Spread, ...] = ()


def read_counts(transaction: Transaction, now: float) -> Counted:
    """The figures in the file."""
    return Counted(
        tuple(tallied(transaction, MINUTE, now - HOUR)),
        tuple(tallied(transaction, HOUR, now - DAY)),
        tuple(daily(transaction, now - MONTH)),
        tuple(spreads(transaction, POST_DIAL, now - DAY)),
        tuple(spreads(transaction, SET_UP, now - DAY)),
        tuple(spreads(transaction, QUALITY, now - DAY)),
    )


def kinds_of(records: Iterable[CallRecord]) -> Iterator[Kind]:
    """The kind of each call. Thousands that are up have few in common: they are counted first, in one look at each, and
    made into figures then."""
    return (
        (one.started_at // MINUTE, one.domain, one.provider, one.direction, one.verdict, one.reason) for one in records
    )


def statistics(counted: Counted, up: Mapping[Kind, int], now: float) -> Statistics:
    """All figures, with the calls that are up, by kind."""
    going_on = _going_on(up)
    minutes = [*counted.minutes, *_periods_of(going_on, MINUTE, now - HOUR)]
    day = [*counted.hours, *_periods_of(going_on, HOUR, now - DAY)]
    days = [*counted.days, *(_of_day(one) for one in _periods_of(going_on, HOUR, now - MONTH))]
    # Whole hours up to now, as charts show them: 24.
    kinds = [*_kinds(one for one in day if one.at > now - DAY)]
    return Statistics(
        now,
        tuple(_periods(day)),
        tuple(_periods(minutes)),
        tuple(_shares(day)),
        tuple(_shares(days)),
        tuple(one for one in kinds if one.reason),
        tuple(kinds),
        tuple(days),
        counted.post_dial,
        counted.set_up,
        counted.quality,
    )


def _of_day(one: Tallied) -> DayTallied:
    return DayTallied(one.at // DAY * DAY, one.domain, one.verdict, one.calls)


def _going_on(calls: Mapping[Kind, int]) -> list[Tallied]:
    return [
        Tallied(int(minute) * MINUTE, domain, provider, str(direction), str(verdict), str(reason), number)
        for (minute, domain, provider, direction, verdict, reason), number in calls.items()
    ]


def _periods_of(minutes: Iterable[Tallied], width: int, since: float) -> Iterator[Tallied]:
    """The same calls by periods of ``width`` seconds that had not ended by ``since``, as the file counts them."""
    for one in minutes:
        at = one.at // width * width
        if at > since - width:
            yield attrs.evolve(one, at=at)


def _periods(tallies: Iterable[Tallied]) -> Iterator[PeriodCount]:
    calls: Counter[tuple[int, str]] = Counter()
    for one in tallies:
        calls[one.at, one.verdict] += one.calls
    return (PeriodCount(at, verdict, number) for (at, verdict), number in sorted(calls.items()))


def _shares(tallies: Iterable[Tallied | DayTallied]) -> Iterator[DomainShare]:
    calls: dict[str, Counter[str]] = {}
    for one in tallies:
        calls.setdefault(one.domain, Counter())[one.verdict] += one.calls
    for domain, verdicts in sorted(calls.items()):
        groups = (ENCRYPTED, WEAKER, CLEAR, {"REFUSED"}, {"UNANSWERED"})
        yield DomainShare(domain, *(sum(verdicts[verdict] for verdict in group) for group in groups))


def _kinds(tallies: Iterable[Tallied]) -> Iterator[ReasonCount]:
    calls: Counter[tuple[str, str, str, str]] = Counter()
    for one in tallies:
        calls[one.reason, one.verdict, one.domain, one.provider] += one.calls
    return (ReasonCount(*key, calls=number) for key, number in calls.most_common())
