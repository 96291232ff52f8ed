"""Pages of ended calls in SQL: each is read from its place in an index on, and no page looks at all calls.

    CallFilter -> branches: an index, the values it is entered by, conditions on the rows found there
               -> for each: the rows below a place, in the order of the list -> page

One index serves a filter: the one that leaves the fewest calls. Conditions that it does not hold are tried on the rows
that it leads to, LOOKED_AT of them at most: a page may come out short, or empty, and the next one goes on from there.
So the longest question takes the thread of the file some 30 ms, however many calls there are.

A number may be the caller's or the callee's, which are two branches. Here: the SQL and its bounds. Not here: the calls
in memory, and the thread (call_list.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Final, cast

import attrs
from twisted.enterprise.adbapi import Transaction

from gateway.base.json_codec import Json
from gateway.state.call_record import CallDirection
from gateway.state.listing.call_filter import EQUAL, CallFilter, Place, Row
from gateway.state.listing.call_table import COLUMNS, INDEXES

LOOKED_AT: Final = 20_000
"""Rows of an index that a page looks at."""

_INBOUND: Final = str(CallDirection.INBOUND)
_ORDER: Final = "ORDER BY started_at DESC, id DESC"


@attrs.frozen
class Conditions:
    """Conditions in SQL, all of which have to hold, and their values."""

    texts: tuple[str, ...] = ()
    values: tuple[object, ...] = ()

    def and_(self, text: str, *values: object) -> Conditions:
        """These and one more."""
        return Conditions((*self.texts, text), (*self.values, *values))

    @property
    def sql(self) -> str:
        """Them as one condition."""
        return " AND ".join(self.texts) or "TRUE"


@attrs.frozen
class Branch:
    """One way to the calls that are wanted."""

    index: str
    """Empty: the table itself, in the order of the list."""
    entry: Conditions
    """Held by the index."""
    rest: Conditions
    """Tried on each row that it leads to."""

    def below(self, place: Place) -> Branch:
        """The same for rows that come later in the list."""
        return attrs.evolve(self, entry=self.entry.and_("(started_at, id) < (?, ?)", place.started_at, place.id))

    def looked_at(self, columns: str) -> str:
        """The rows that the index leads to."""
        by = f"INDEXED BY {self.index}" if self.index else ""
        return f"SELECT {columns} FROM listed {by} WHERE {self.entry.sql} {_ORDER}"  # noqa: S608 - our own words

    def rows(self, limit: int) -> tuple[str, tuple[object, ...]]:
        """The statement that reads the wanted ones, and its values."""
        if not self.rest.texts:
            return f"{self.looked_at(', '.join(COLUMNS))} LIMIT ?", (*self.entry.values, limit)
        # The rows come in their order: sqlite reads a bounded subquery row by row, and ends it when it has enough.
        asked = f"SELECT {', '.join(COLUMNS)} FROM ({self.looked_at('*')} LIMIT ?) WHERE {self.rest.sql} LIMIT ?"  # noqa: S608
        return asked, (*self.entry.values, LOOKED_AT, *self.rest.values, limit)

    def counted(self, most: int) -> tuple[str, tuple[object, ...]]:
        """The statement that finds the wanted ones for a count, and its values: where the index says it all, no row is
        looked at, and the order does not matter."""
        if self.rest.texts:
            return self.rows(most)
        by = f"INDEXED BY {self.index}" if self.index else ""
        return f"SELECT 1 FROM listed {by} WHERE {self.entry.sql} LIMIT ?", (*self.entry.values, most)  # noqa: S608


def branches(wanted: CallFilter) -> list[Branch]:
    """The ways to the calls that are wanted."""
    given = {name: str(value) for name in EQUAL if (value := getattr(wanted, name)) is not None}
    parties = [*_parties(wanted)]
    index = "" if parties else _index(given)
    entered = INDEXES[index] if index else ()
    times = _times(wanted)
    rest = Conditions()
    for name, value in given.items():
        if name in entered:
            times = times.and_(f"{name} = ?", value)
        else:
            rest = rest.and_(f"{name} = ?", value)
    if wanted.is_answered is not None:
        rest = rest.and_(f"answered_at IS {'NOT ' if wanted.is_answered else ''}NULL")
    if not parties:
        return [Branch(index, times, rest)]
    return [
        Branch(f"listed_{side}", times.and_(f"{side}_user = ?", name), rest.and_(text, *values))
        for side, name, text, values in parties
    ]


def page(transaction: Transaction, wanted: CallFilter, place: Place, limit: int) -> tuple[list[Row], Place | None]:
    """``limit`` calls below a place, and the place down to which all were looked at: None where nothing is left."""
    found: list[list[Row]] = []
    ends: list[Place] = []
    for branch in branches(wanted):
        below = branch.below(place)
        rows = _read(transaction, *below.rows(limit))
        found.append(rows)
        if len(rows) >= limit:
            ends.append(Place.of(rows[-1]))
        elif (stop := _stopped_at(transaction, below)) is not None:
            ends.append(stop)
    end = max(ends, default=None)
    merged = merge(*found, key=Place.of, reverse=True)
    return [*islice(_once(row for row in merged if end is None or Place.of(row) >= end), limit)], end


def count(transaction: Transaction, wanted: CallFilter, most: int) -> int:
    """How many calls are wanted; ``most`` for that many or more, or where too many had to be looked at."""
    total = 0
    for branch in branches(wanted):
        asked, values = branch.counted(most)
        transaction.execute(f"SELECT COUNT(*) FROM ({asked})", values)  # noqa: S608 - our own words
        total += cast("list[tuple[int]]", transaction.fetchall())[0][0]
        total = most if _stopped_at(transaction, branch) is not None else total
    return min(total, most)


def _parties(wanted: CallFilter) -> Iterator[tuple[str, str, str, tuple[object, ...]]]:
    """By the number or user that is wanted: the column of an index, its value, and one more condition."""
    if wanted.user is not None:
        has_number = "(? IS NULL OR ? IN (caller_user, callee_user))"
        for side, compared in (("caller", "<>"), ("callee", "=")):
            yield side, wanted.user, f"direction {compared} ? AND {has_number}", (_INBOUND, *[wanted.number] * 2)
    elif wanted.number is not None:
        yield "caller", wanted.number, "TRUE", ()
        yield "callee", wanted.number, "caller_user <> callee_user", ()


def _index(given: dict[str, str]) -> str:
    """The index that leaves the fewest calls, as a rule: reasons are rarer than verdicts, these than domains."""
    return next((name for name, columns in INDEXES.items() if set(columns) <= set(given)), "")


def _times(wanted: CallFilter) -> Conditions:
    times = Conditions()
    if wanted.since is not None:
        times = times.and_("started_at >= ?", wanted.since)
    return times if wanted.until is None else times.and_("started_at < ?", wanted.until)


def _stopped_at(transaction: Transaction, branch: Branch) -> Place | None:
    """The last row that was looked at, where there are more."""
    if not branch.rest.texts:
        return None
    asked = f"{branch.looked_at('started_at, id')} LIMIT 1 OFFSET {LOOKED_AT - 1}"
    rows = _read(transaction, asked, branch.entry.values, ("started_at", "id"))
    return Place.of(rows[0]) if rows else None


def _read(
    transaction: Transaction, asked: str, values: Sequence[object], columns: Sequence[str] = COLUMNS
) -> list[Row]:
    transaction.execute(asked, values)
    rows = [dict(zip(columns, row, strict=True)) for row in cast("list[tuple[Json, ...]]", transaction.fetchall())]
    for row in rows:
        if "emergency" in row:
            row["emergency"] = bool(row["emergency"])
    return rows


def _once(rows: Iterator[Row]) -> Iterator[Row]:
    """Each call once."""
    seen = None
    for row in rows:
        if row["id"] != seen:
            seen = row["id"]
            yield row
