"""All calls as one list: those that are up and those that ended not long ago are in memory, the others in the file.

    records (memory) --matches--> .
                                   >-- merged by place, each once --> CallsPage
    listed  (file)   --page------> '

A call that has just ended is in memory and, half a second later, in the file, too; there it counts once. So the list
has every call at every moment, also while the file cannot be written or read. Questions wait for the thread of the file
in a line; where that is long, more are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter
from typing import Final, TypeVar

import attrs
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.state.call_record import CallRecord
from gateway.state.listing import page_query
from gateway.state.listing.call_filter import MOST, CallFilter, CallsCount, CallsPage, Place, Row, chosen
from gateway.state.listing.call_statistics import Counted, Statistics, read_counts, statistics
from gateway.state.listing.call_table import CallTable

log = Logger()

WAITING: Final = 32
"""Questions that wait for the file at most."""
MOST_COUNTED: Final = 10_000
"""A count goes so far and no farther."""

_place: Final = attrgetter("started_at", "id")

Answer = TypeVar("Answer")


class TooManyQuestions(Exception):
    """The file is asked for more than it can answer now."""


class CallList:
    """The list. ``records`` gives those in memory, those that are up first, and of these and the others the latest;
    ``now`` seconds since the epoch, as people's clocks say."""

    def __init__(self, table: CallTable, records: Callable[[], Iterable[CallRecord]], now: Callable[[], float]) -> None:
        self._table = table
        self._records = records
        self._now = now
        self._waiting = 0

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        """A page of the calls that are wanted, the latest first; ``after`` is the cursor of the page before.

        Raises BadCursor; fails with TooManyQuestions.
        """
        place, limit = Place.read(after), max(1, min(limit, MOST))
        latest = _latest(self._records(), wanted, place, limit + 1)
        here = {record.id for record in latest}
        if wanted.is_up:
            return succeed(_page([record.summary() for record in latest], limit, None))

        def merged(read: tuple[list[Row], Place | None]) -> CallsPage:
            rows, end = read
            both = [record.summary() for record in latest] + [row for row in rows if row["id"] not in here]
            both = [row for row in sorted(both, key=Place.of, reverse=True) if end is None or Place.of(row) >= end]
            return _page(both, limit, end)

        nothing: tuple[list[Row], Place | None] = ([], None)
        return self._ask(partial(page_query.page, wanted=wanted, place=place, limit=limit + 1), nothing).addCallback(
            merged
        )

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        """How many are wanted. Fails with TooManyQuestions."""
        up = attrs.evolve(wanted, is_up=True)
        here = sum(1 for _ in chosen(up, self._records())) if wanted.is_up is not False else 0

        def counted(ended: int) -> CallsCount:
            total = here + ended
            return CallsCount(min(total, MOST_COUNTED), total < MOST_COUNTED)

        if wanted.is_up:
            return succeed(counted(0))
        return self._ask(partial(page_query.count, wanted=wanted, most=MOST_COUNTED), 0).addCallback(counted)

    def statistics(self) -> Deferred[Statistics]:
        """The figures of the last hour, day and month. Fails with TooManyQuestions."""
        now = self._now()
        up = [record for record in self._records() if record.ended_at is None]
        read = self._ask(partial(read_counts, now=now), Counted())
        return read.addCallback(lambda counted: statistics(counted, up, now))

    def _ask(self, question: Callable[[Transaction], Answer], without: Answer) -> Deferred[Answer]:
        """The file's answer; ``without`` where it cannot be read."""
        if self._waiting >= WAITING:
            return fail(TooManyQuestions("too many questions about calls wait for an answer"))
        self._waiting += 1

        def answered(answer: Answer | Failure) -> Answer | Failure:
            self._waiting -= 1
            return answer

        def unread(failure: Failure) -> Answer:
            log.error("the calls of before cannot be read: {reason}", reason=failure.value)
            return without

        return self._table.ask(question).addBoth(answered).addErrback(unread)


def _latest(records: Iterable[CallRecord], wanted: CallFilter, place: Place, most: int) -> list[CallRecord]:
    """The latest ``most`` records below a place that are wanted, in the order of the list.

    They come nearly in that order. Once there are enough, only one that began later is looked at: so thousands of calls
    that are up cost a comparison each.
    """
    below = (place.started_at, place.id)
    found: list[CallRecord] = []
    floor = -math.inf

    def late() -> Iterator[CallRecord]:
        for record in records:
            if record.started_at >= floor:
                yield record

    for record in chosen(wanted, late()):
        if _place(record) < below:
            found.append(record)
            if len(found) == most:
                floor = min(one.started_at for one in found)
    return sorted(found, key=_place, reverse=True)[:most]


def _page(rows: list[Row], limit: int, end: Place | None) -> CallsPage:
    """The first rows as a page; ``end`` is where the looking ended, if more may be below."""
    shown = tuple(rows[:limit])
    if len(rows) > limit:
        return CallsPage(shown, Place.of(shown[-1]).cursor())
    return CallsPage(shown, None if end is None else end.cursor())
