"""The question that a list of calls answers: which calls, and from where on.

Here: the filter, places in the list and the cursors that name them, and the filter's meaning for a record in memory.
Not here: its meaning in SQL (page_query.py), the file (call_table.py), pages made of both (call_list.py).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from operator import attrgetter
from typing import Final

import attrs

from gateway.base.json_codec import Json, decode, encode
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.state.call_record import CallDirection, CallRecord

Row = dict[str, Json]

MOST: Final = 1_000
"""Calls of one page at most."""
_NO_CURSOR: Final = "no page gave this cursor"
EQUAL: Final = ("verdict", "reason", "domain", "provider", "direction")
"""The fields that a call has to have as they are given."""


@attrs.frozen
class CallFilter:
    """The calls that are wanted: those of which all that is given is true. None: never mind."""

    since: float | None = None
    """Seconds since the epoch: calls that began then or later."""
    until: float | None = None
    """Seconds since the epoch: calls that began before."""
    number: str | None = None
    """The user part of the caller's or callee's URI, such as +49301234, as it stands there."""
    user: str | None = None
    """The user part of the phone's URI: the caller's of an outbound call, the callee's of an inbound one."""
    verdict: str | None = None
    reason: str | None = None
    domain: str | None = None
    provider: str | None = None
    direction: CallDirection | None = None
    is_up: bool | None = None
    """True: those that are up; False: those that have ended."""
    is_answered: bool | None = None


@attrs.frozen
class CallsPage:
    """A page of a list."""

    calls: tuple[Row, ...]
    """Summaries (CallRecord.summary), the latest begin first."""
    next: str | None = None
    """The cursor of the page that follows; None on the last one."""


@attrs.frozen
class CallsCount:
    """How many calls there are."""

    calls: int
    is_all: bool
    """False where there are more than were counted."""


class BadCursor(ValueError):
    """A cursor that no page gave."""


@attrs.frozen(order=True)
class Place:
    """A place in the list, whose order is that of begin and then id, both falling."""

    started_at: float = math.inf
    id: str = ""

    @classmethod
    def of(cls, call: Row) -> Place:
        """The place of a call."""
        return cls(moment(call.get("started_at")) or 0.0, str(call.get("id")))

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that a cursor names, the top of the list without one. Raises BadCursor."""
        match _decoded(cursor):
            case None:
                return cls()
            case [float(at), str(call_id)]:
                return cls(at, call_id)
        raise BadCursor(_NO_CURSOR)

    def cursor(self) -> str:
        """The cursor that names this place."""
        return _encoded([self.started_at, self.id])


def cursor_of(*place: str) -> str:
    """The cursor of a list that is ordered by two texts."""
    return _encoded([*place])


def read_cursor(cursor: str | None) -> tuple[str, str] | None:
    """The place that such a cursor names. Raises BadCursor."""
    match _decoded(cursor):
        case None:
            return None
        case [str(first), str(second)]:
            return first, second
    raise BadCursor(_NO_CURSOR)


def _encoded(place: list[Json]) -> str:
    return base64.urlsafe_b64encode(encode(place)).decode()


def _decoded(cursor: str | None) -> object:
    if cursor is None:
        return None
    try:
        place = decode(base64.urlsafe_b64decode(cursor.encode()))
        json.dumps(place, ensure_ascii=False).encode()  # half a surrogate pair, which no file could be asked about
    except (ValueError, RecursionError):
        raise BadCursor(_NO_CURSOR) from None
    return () if place is None else place


def moment(value: Json) -> float | None:
    """A time in a row, or another number that is no nonsense; None where there is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
    return float(value) if is_number else None  # type: ignore[arg-type]


@lru_cache(maxsize=8192)
def user_of(party: str) -> str:
    """The user part of a party's URI, as a record shows it; empty where there is none."""
    try:
        return NameAddress.parse(party).uri.user or ""
    except MalformedMessage:
        return ""


def chosen(wanted: CallFilter, records: Iterable[CallRecord]) -> Iterable[CallRecord]:
    """The records of the calls that are wanted. Only what is given is looked at: most lists give little, of thousands
    of calls."""
    for test in _tests(wanted):
        records = filter(test, records)
    return records


def _tests(wanted: CallFilter) -> Iterator[Callable[[CallRecord], bool]]:
    """A test for each thing that is given, the quickest first."""
    since, until, number, user = wanted.since, wanted.until, wanted.number, wanted.user
    if since is not None:
        yield lambda record: record.started_at >= since
    if until is not None:
        yield lambda record: record.started_at < until
    if wanted.is_up is not None:
        yield lambda record: wanted.is_up is (record.ended_at is None)
    if wanted.is_answered is not None:
        yield lambda record: wanted.is_answered is (record.answered_at is not None)
    for name in EQUAL:
        if (value := getattr(wanted, name)) is not None:
            yield partial(_has, attrgetter(name), value)
    if number is not None:
        yield lambda record: number in (user_of(record.caller), user_of(record.callee))
    if user is not None:
        yield lambda record: user == _phone(record)


def _has(field: Callable[[CallRecord], object], value: object, record: CallRecord) -> bool:
    return field(record) == value


def _phone(record: CallRecord) -> str:
    return user_of(record.callee if record.direction is CallDirection.INBOUND else record.caller)
