"""CallFigures of all calls, counted once, when a call is over: charts cost the same with a million calls kept.

    tally    a period, domain, provider, direction, verdict, reason -> calls
    spread   an hour, a kind of measure, a bucket of its values     -> calls, of which percentiles are read

A call counts in the minute and hour in which it began. Periods are those of UTC. There is nothing personal in a figure,
so these outlive the calls: minutes for two hours, hours for a month. A percentile is exact to the width of its bucket:
5 % of a time, 0.05 of a mean opinion score.

Here: counting and reading. Not here: the calls that are up, which count too (call_statistics.py).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, cast

import attrs
from twisted.enterprise.adbapi import Transaction

from gateway.observe.clean_text import clean
from gateway.state.listing.call_filter import Row, moment

MINUTE: Final = 60
HOUR: Final = 3_600
KEPT: Final = {MINUTE: 2 * HOUR, HOUR: 31 * 24 * HOUR}
"""By the seconds of a period: the seconds that its figures are kept for."""

POST_DIAL: Final = "post_dial_delay"
"""Seconds from the INVITE until its caller heard that the callee rings, or answered."""
SET_UP: Final = "set_up"
"""Seconds from the INVITE until the callee answered."""
QUALITY: Final = "mos"
"""The mean opinion score of the worse direction."""
_RATIO: Final = math.log(1.1)
_LEAST: Final = 0.001
_STEP: Final = 0.05

_TEXTS: Final = ("domain", "provider", "direction", "verdict", "reason")
_KEY: Final = f"width, at, {', '.join(_TEXTS)}"
CREATE_TALLIES: Final = (
    f"CREATE TABLE IF NOT EXISTS tally ({_KEY}, calls, PRIMARY KEY ({_KEY})) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS spread (kind, at, bucket, calls, PRIMARY KEY (kind, at, bucket)) WITHOUT ROWID",
)
_ADD: Final = (
    "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"
)
_ADD_SPREAD: Final = "INSERT INTO spread VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"


@attrs.frozen
class Tallied:
    """Calls that have all of this in common."""

    at: int
    """The begin of the period, seconds since the epoch."""
    domain: str
    provider: str
    direction: str
    verdict: str
    reason: str
    calls: int


@attrs.frozen
class DayTallied:
    """Calls of one day (UTC) that have all of this in common."""

    at: int
    """The begin of the day, seconds since the epoch."""
    domain: str
    verdict: str
    calls: int


@attrs.frozen
class CallFigures:
    """The part of a call that is counted."""

    started_at: int
    texts: tuple[str, ...]
    """Domain, provider, direction, verdict, reason."""
    buckets: tuple[tuple[str, int], ...]
    """Of each measure that is known, by kind."""

    @classmethod
    def of(cls, call: Row) -> CallFigures:
        """That of a call, which may be of another version."""
        texts = tuple(clean(str(call.get(name) or "")) for name in _TEXTS)
        return cls(int(moment(call.get("started_at")) or 0.0), texts, tuple(_buckets(call)))


@attrs.frozen
class Spread:
    """How a measure is spread over the calls of an hour."""

    at: int
    """The begin of the hour, seconds since the epoch."""
    calls: int
    p50: float
    """Half of the calls have at most that."""
    p95: float
    """Of 20 calls 19 have at most that."""
    p5: float
    """Of 20 calls one has at most that."""


def tally(transaction: Transaction, calls: Iterable[CallFigures]) -> None:
    """Count calls that are over."""
    counted: Counter[tuple[object, ...]] = Counter()
    spread: Counter[tuple[object, ...]] = Counter()
    for call in calls:
        counted.update((width, call.started_at // width * width, *call.texts) for width in KEPT)
        spread.update((kind, call.started_at // HOUR * HOUR, bucket) for kind, bucket in call.buckets)
    transaction.executemany(_ADD, [(*key, number) for key, number in counted.items()])
    transaction.executemany(_ADD_SPREAD, [(*key, number) for key, number in spread.items()])


def tallied(transaction: Transaction, width: int, since: float) -> list[Tallied]:
    """The counts of the periods of ``width`` seconds that had not ended by ``since``, the oldest first."""
    columns = ", ".join(field.name for field in attrs.fields(Tallied))
    transaction.execute(f"SELECT {columns} FROM tally WHERE width = ? AND at > ? ORDER BY at", (width, since - width))  # noqa: S608
    return [Tallied(*row) for row in cast("list[tuple[int, str, str, str, str, str, int]]", transaction.fetchall())]


def daily(transaction: Transaction, since: float) -> list[DayTallied]:
    """The calls of each day that had not ended by ``since``, the oldest day first; summed up by the file."""
    transaction.execute(
        "SELECT at / 86400 * 86400 AS day, domain, verdict, SUM(calls) FROM tally WHERE width = ? AND at > ?"
        " GROUP BY day, domain, verdict ORDER BY day",
        (HOUR, since // 86_400 * 86_400 - 1),
    )
    return [DayTallied(*row) for row in cast("list[tuple[int, str, str, int]]", transaction.fetchall())]


def spreads(transaction: Transaction, kind: str, since: float) -> list[Spread]:
    """How a measure was spread in each hour since, the oldest first."""
    transaction.execute(
        "SELECT at, bucket, calls FROM spread WHERE kind = ? AND at > ? ORDER BY at, bucket", (kind, since - HOUR)
    )
    hours: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at, bucket, calls in cast("list[tuple[int, int, int]]", transaction.fetchall()):
        hours[at].append((bucket, calls))
    return [
        Spread(at, sum(calls for _, calls in buckets), *(_at(kind, buckets, share) for share in (0.5, 0.95, 0.05)))
        for at, buckets in hours.items()
    ]


def drop_old_tallies(transaction: Transaction, now: float) -> None:
    """Delete figures that are kept no longer."""
    for width, seconds in KEPT.items():
        transaction.execute("DELETE FROM tally WHERE width = ? AND at < ?", (width, int(now) - seconds))
    for kind in (POST_DIAL, SET_UP, QUALITY):
        transaction.execute("DELETE FROM spread WHERE kind = ? AND at < ?", (kind, int(now) - KEPT[HOUR]))


def post_dial_seconds(call: Row) -> float | None:
    """Seconds from a call's INVITE until its caller was told 18x or 2xx; None where it never was."""
    started_at, ladder = moment(call.get("started_at")), call.get("ladder")
    steps = [step for step in ladder if isinstance(step, dict)] if isinstance(ladder, list) else []
    for step in steps:
        if step.get("leg") != "caller":
            continue
        told = str(step.get("what"))
        if told == "CANCEL":
            return None  # the next 200 is the CANCEL's own
        if step.get("direction") == "sent" and told.startswith(("18", "2")):
            at = moment(step.get("at"))
            return None if started_at is None or at is None else at - started_at
    return None


def _buckets(call: Row) -> Iterator[tuple[str, int]]:
    started_at, answered_at = moment(call.get("started_at")), moment(call.get("answered_at"))
    set_up = None if started_at is None or answered_at is None else answered_at - started_at
    for kind, seconds in ((POST_DIAL, post_dial_seconds(call)), (SET_UP, set_up)):
        if seconds is not None:
            yield kind, round(math.log(max(seconds, _LEAST) / _LEAST) / _RATIO)
    score = moment(call.get("mos"))
    if score is not None:
        yield QUALITY, round(score / _STEP)


def _at(kind: str, buckets: list[tuple[int, int]], share: float) -> float:
    """The value that a share of the calls has at most."""
    wanted = share * sum(calls for _, calls in buckets)
    seen, found = 0, buckets[-1][0]
    for bucket, calls in buckets:
        seen += calls
        if seen >= wanted:
            found = bucket
            break
    return round(found * _STEP, 2) if kind == QUALITY else round(_LEAST * math.exp(found * _RATIO), 4)
