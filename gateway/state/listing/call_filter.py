"""The question that a list of calls answers: which calls, and from where on.

A filter is a list of conditions, each of which is known in two forms: as SQL for calls in the file, and as a predicate
for calls in memory (those that are up, and those that are not written yet). Both come from one table, so that they
cannot say different things.

Here: the filter, the cursor, a call's row in lists. Not here: the file (call_table), the reading of pages (call_list).
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from typing import Final

import attrs

from gateway.base.json_codec import Json, decode, encode
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.state.call_record import CallDirection

Row = dict[str, Json]

MOST: Final = 1_000
"""Calls of one page at most."""
MOST_COUNTED: Final = 10_000
"""A count goes so far and no farther."""


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
        started_at = call.get("started_at")
        return cls(float(started_at) if isinstance(started_at, int | float) else 0.0, str(call.get("id")))

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that a cursor names, the top of the list without one. Raises BadCursor."""
        if cursor is None:
            return cls()
        try:
            place = decode(base64.urlsafe_b64decode(cursor.encode()))
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise BadCursor("no page gave this cursor") from None
        match place:
            case [float(at), str(call_id)]:
                return cls(at, call_id)
        raise BadCursor("no page gave this cursor")

    def cursor(self) -> str:
        """The cursor that names this place."""
        return base64.urlsafe_b64encode(encode([self.started_at, self.id])).decode()


def user_of(party: Json) -> str:
    """The user part of a party's URI, as a record shows it; empty where there is none."""
    try:
        return NameAddress.parse(str(party or "")).uri.user or ""
    except MalformedMessage:
        return ""


def listed(call: Row) -> Row:
    """A call's row: its summary, and the fields that a filter looks at and a summary does not have."""
    caller, callee = user_of(call.get("caller")), user_of(call.get("callee"))
    phone = callee if call.get("direction") == CallDirection.INBOUND else caller
    return {**call, "numbers": [caller, callee], "user": phone}


def matches(wanted: CallFilter, row: Row) -> bool:
    """Whether a row, as `listed` makes it, is wanted."""
    started_at = Place.of(row).started_at
    numbers = row.get("numbers")
    return (
        (wanted.since is None or started_at >= wanted.since)
        and (wanted.until is None or started_at < wanted.until)
        and (wanted.number is None or (isinstance(numbers, list) and wanted.number in numbers))
        and (wanted.is_up is None or wanted.is_up is (row.get("ended_at") is None))
        and (wanted.is_answered is None or wanted.is_answered is (row.get("answered_at") is not None))
        and all(row.get(name) == value for name, value in _equal(wanted))
    )


def _equal(wanted: CallFilter) -> Iterator[tuple[str, str]]:
    """The fields that have to have a value."""
    for name in ("verdict", "reason", "domain", "provider", "direction", "user"):
        value = getattr(wanted, name)
        if value is not None:
            yield name, str(value)
