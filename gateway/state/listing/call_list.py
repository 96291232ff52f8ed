"""All calls as one list: those that are up and those that ended not long ago are in memory, the others in the file.

    records (memory) --matches--> .
                                   >-- merged by place, each once --> CallsPage
    listed  (file)   --page------> '

A call that has just ended is in memory and, half a second later, in the file, too; there it counts once. So the list
has every call at every moment, also while the file cannot be written or read. Questions wait for the thread of the file
in a line; where that is long, more are refused.

Thousands of calls may be up, and calls go on meanwhile: those in memory are looked at in slices, one in a turn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any, Final, TypeVar

import attrs
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.state.call_record import CallRecord
from gateway.state.listing import page_query
from gateway.state.listing.call_filter import MOST, CallFilter, CallsCount, CallsPage, Place, Row, chosen
from gateway.state.listing.call_statistics import Counted, Kind, Statistics, kinds_of, read_counts, statistics
from gateway.state.listing.call_table import CallTable

log = Logger()

WAITING: Final = 32
"""Questions that wait for their answer at most."""
MOST_COUNTED: Final = 10_000
"""A count goes so far and no farther."""

SLICE: Final = 400
"""Calls in memory that are looked at in one go: a tenth of a millisecond."""

_place: Final = attrgetter("started_at", "id")

Answer = TypeVar("Answer")
Turn = Callable[[], Deferred[None]]
"""Fires when there is time for a slice."""


def _at_once() -> Deferred[None]:
    return succeed(None)


class TooManyQuestions(Exception):
    """The file is asked for more than it can answer now."""


class CallList:
    """The list. ``records`` gives those in memory, as they are at that moment: those that are up first, and of these
    and the others the latest; ``now`` seconds since the epoch, as people's clocks say."""

    def __init__(
        self,
        table: CallTable,
        records: Callable[[], Iterable[CallRecord]],
        now: Callable[[], float],
        turn: Turn = _at_once,
    ) -> None:
        self._table = table
        self._records = records
        self._now = now
        self._turn = turn
        self._waiting = 0

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        """A page of the calls that are wanted, the latest first; ``after`` is the cursor of the page before.

        Raises BadCursor; fails with TooManyQuestions.
        """
        place, limit = Place.read(after), max(1, min(limit, MOST))
        return self._answer(lambda: self._find(wanted, limit, place))

    async def _find(self, wanted: CallFilter, limit: int, place: Place) -> CallsPage:
        latest: list[CallRecord] = []
        async for records in self._slices():
            latest = _latest(latest, records, wanted, place, limit + 1)
        if wanted.is_up:
            return _page([record.summary() for record in latest], limit, None)
        nothing: tuple[list[Row], Place | None] = ([], None)
        question = partial(page_query.page, wanted=wanted, place=place, limit=limit + 1)
        rows, end = await self._ask(question, nothing)
        await self._turn()
        here = {record.id for record in latest}
        both = [record.summary() for record in latest] + [row for row in rows if row["id"] not in here]
        both = [row for row in sorted(both, key=Place.of, reverse=True) if end is None or Place.of(row) >= end]
        return _page(both, limit, end)

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        """How many are wanted. Fails with TooManyQuestions."""
        return self._answer(lambda: self._count(wanted))

    async def _count(self, wanted: CallFilter) -> CallsCount:
        number, any_state = 0, attrs.evolve(wanted, is_up=None)
        if wanted.is_up is not False:
            async for records in self._slices():
                number += sum(1 for _ in chosen(any_state, _up(records)))
        if not wanted.is_up:
            number += await self._ask(partial(page_query.count, wanted=wanted, most=MOST_COUNTED), 0)
        return CallsCount(min(number, MOST_COUNTED), number < MOST_COUNTED)

    def statistics(self) -> Deferred[Statistics]:
        """The figures of the last hour, day and month. Fails with TooManyQuestions."""
        return self._answer(self._statistics)

    async def _statistics(self) -> Statistics:
        now = self._now()
        going_on: Counter[Kind] = Counter()
        async for records in self._slices():
            going_on.update(kinds_of(_up(records)))
        counted = await self._ask(partial(read_counts, now=now), Counted())
        await self._turn()
        return statistics(counted, going_on, now)

    async def _slices(self) -> AsyncIterator[list[CallRecord]]:
        """The records in memory of this moment, some in each turn."""
        records = iter(self._records())
        while some := [*islice(records, SLICE)]:
            yield some
            if len(some) < SLICE:
                return
            await self._turn()

    def _answer(self, work: Callable[[], Coroutine[Deferred[Any], Any, Answer]]) -> Deferred[Answer]:
        """The answer to a question, unless too many wait for theirs."""
        if self._waiting >= WAITING:
            return fail(TooManyQuestions("too many questions about calls wait for an answer"))
        self._waiting += 1

        def answered(answer: Answer | Failure) -> Answer | Failure:
            self._waiting -= 1
            return answer

        return Deferred.fromCoroutine(work()).addBoth(answered)

    def _ask(self, question: Callable[[Transaction], Answer], without: Answer) -> Deferred[Answer]:
        """The file's answer; ``without`` where it cannot be read."""

        def unread(failure: Failure) -> Answer:
            log.error("the calls of before cannot be read: {reason}", reason=failure.value)
            return without

        return self._table.ask(question).addErrback(unread)


def _up(records: list[CallRecord]) -> list[CallRecord]:
    return [record for record in records if record.ended_at is None]


def _latest(
    found: list[CallRecord], records: list[CallRecord], wanted: CallFilter, place: Place, most: int
) -> list[CallRecord]:
    """The latest ``most`` records below a place that are wanted, of those found before and some more, in the order of
    the list. Records come nearly in that order: once there are enough, only those that began later are looked at."""
    floor = found[-1].started_at if len(found) == most else -math.inf
    late = [record for record in records if record.started_at >= floor]
    below = (place.started_at, place.id)
    fresh = [record for record in chosen(wanted, late) if _place(record) < below]
    return sorted(found + fresh, key=_place, reverse=True)[:most] if fresh else found


def _page(rows: list[Row], limit: int, end: Place | None) -> CallsPage:
    """The first rows as a page; ``end`` is where the looking ended, if more may be below."""
    shown = tuple(rows[:limit])
    if len(rows) > limit:
        return CallsPage(shown, Place.of(shown[-1]).cursor())
    return CallsPage(shown, None if end is None else end.cursor())
