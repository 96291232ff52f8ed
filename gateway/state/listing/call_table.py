"""The calls that have ended, in the file `calls.sqlite`: each whole, and beside it a row to find it by.

    kept (id -> all that is known, JSON)  --one transaction-->  listed (a row of columns), tally, spread (tallies.py)

The table `kept` is the one of every KeptTable. All that is in `listed` can be made of it: so a file that an earlier
version wrote, or went on with after us, is listed from the newest backwards while the gateway is at work, and no start
waits for it. Rows are clean (observe/clean_text.py), even of calls that an earlier version kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar, cast

import attrs
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred

from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean
from gateway.state.call_record import CallDirection
from gateway.state.listing.call_filter import Row, moment, user_of
from gateway.state.listing.tallies import CREATE_TALLIES, CallFigures, drop_old_tallies, tally
from gateway.state.sqlite import LeftOut, write_rows
from gateway.state.table import KeptTable, Notes, prepare, readable

Answer = TypeVar("Answer")

STILL_UP: Final = 1e11
"""The time that calls are kept under while they are up, seconds since the epoch: later than any that ended."""
BATCH: Final = 200
"""Calls of an earlier version that are listed in one go."""

COLUMNS: Final = (
    *("id", "started_at", "direction", "domain", "provider", "verdict", "reason"),
    *("caller", "callee", "state", "answered_at", "ended_at", "seconds", "status", "ending", "mos", "cause"),
    *("emergency", "caller_number", "callee_number"),
)
"""The fields of a summary."""
_USERS: Final = ("caller_user", "callee_user")
_ALL: Final = (*COLUMNS, *_USERS)

INDEXES: Final = {
    "listed_reason": ("reason",),
    "listed_domain_verdict": ("domain", "verdict"),
    "listed_verdict": ("verdict",),
    "listed_provider": ("provider",),
    "listed_domain": ("domain",),
    "listed_caller": ("caller_user",),
    "listed_callee": ("callee_user",),
}
"""The columns of each index, which goes on in the order of the list: started_at, id."""

_CREATE_LISTED: Final = (
    f"CREATE TABLE IF NOT EXISTS listed ({', '.join(_ALL)}, PRIMARY KEY (started_at, id)) WITHOUT ROWID"
)
_CREATE: Final = (
    "CREATE INDEX IF NOT EXISTS listed_id ON listed (id)",
    *(
        f"CREATE INDEX IF NOT EXISTS {name} ON listed ({', '.join(columns)}, started_at, id)"
        for name, columns in INDEXES.items()
    ),
    *CREATE_TALLIES,
)
_INSERT: Final = f"INSERT OR REPLACE INTO listed ({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))})"  # noqa: S608
_DELETE: Final = "DELETE FROM listed WHERE (started_at, id) IN (SELECT started_at, id FROM listed WHERE id = ?)"
_KNOWN: Final = "SELECT id FROM listed WHERE id IN (SELECT value FROM json_each(?))"
_LOOK: Final = (
    "SELECT (SELECT COUNT(*) FROM kept WHERE at < ?), (SELECT COUNT(*) FROM listed), COALESCE("
    "(SELECT 1 FROM listed WHERE id = (SELECT key FROM kept WHERE at < ? ORDER BY at DESC LIMIT 1)), 0)"
)
_UNLISTED: Final = (
    "SELECT at, key, value FROM kept WHERE (at, key) < (?, ?)"
    " AND NOT EXISTS (SELECT 1 FROM listed WHERE listed.id = kept.key) ORDER BY at DESC, key DESC LIMIT ?"
)


def prepare_calls(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file for us alone, and make sure that its tables are ours."""
    prepare(connection)
    connection.text_factory = _text
    connection.execute(_CREATE_LISTED)
    there = {str(row[1]) for row in connection.execute("PRAGMA table_info(listed)")}
    for column in _ALL:
        if column not in there:  # of a version before it: calls of then have nothing there
            connection.execute(f"ALTER TABLE listed ADD COLUMN {column}")
    for statement in _CREATE:
        connection.execute(statement)
    connection.commit()


def forget_calls_up(connection: sqlite3.Connection) -> None:
    """Forget all calls that were up: another node has gone on with them. Raises sqlite3.Error."""
    with connection:
        connection.execute("DELETE FROM kept WHERE at >= ?", (STILL_UP,))


Kept: TypeAlias = tuple[float, str, str]
"""A row of `kept`: the time and key of a call, and all that is known of it, as JSON."""
Mark = tuple[float, str]
"""The time and key down to which calls of another version are listed."""
TOP: Final[Mark] = (STILL_UP, "")


@attrs.frozen
class Listed:
    """The part of a call that is written beside it."""

    key: str
    row: tuple[object, ...]
    figures: CallFigures

    @classmethod
    def of(cls, key: str, call: Row) -> Listed:
        """That of a call, which may be of another version."""
        values: dict[str, Json] = {name: _clean(call.get(name)) for name in COLUMNS}
        values["id"], values["started_at"] = key, moment(call.get("started_at")) or 0.0
        values["direction"] = str(call.get("direction") or CallDirection.OUTBOUND)
        values["caller_user"] = user_of(str(values["caller"] or ""))
        values["callee_user"] = user_of(str(values["callee"] or ""))
        return cls(key, tuple(map(values.__getitem__, _ALL)), CallFigures.of(call))


class CallTable(KeptTable):
    """The table of calls. Keys are their ids, and their time is that of their end."""

    def count_unlisted(self) -> Deferred[int]:
        """How many calls another version kept, and nobody listed."""
        return self._database.run_interaction(_count_unlisted)

    def list_more(self, mark: Mark = TOP) -> Deferred[Mark | None]:
        """List some of these, the newest below ``mark`` first; the mark to go on from, None when that was all."""
        return self._database.run_interaction(lambda transaction: _list_more(transaction, mark))

    def ask(self, question: Callable[[Transaction], Answer]) -> Deferred[Answer]:
        """The answer to a question in SQL, which changes nothing."""
        return self._database.run_interaction(question)

    def drop_old_tallies(self, now: float) -> None:
        """Keep no figures of hours and minutes that nobody asks about any more."""
        self._forget(lambda transaction: drop_old_tallies(transaction, now))

    def _write_notes(self, transaction: Transaction, notes: Notes) -> LeftOut:
        left_out = super()._write_notes(transaction, notes)
        spoilt = {key for key, _ in left_out}
        transaction.executemany(_DELETE, [(key,) for key, note in notes.items() if note is None])
        over = [(key, note) for key, note in notes.items() if note and note[0] < STILL_UP and key not in spoilt]
        calls, rowless = _rows_of((at, key, value) for key, (at, value) in over)
        return left_out + rowless + _list(transaction, calls)

    def _delete(self, transaction: Transaction, which: str, arguments: Sequence[object]) -> None:
        places = f"SELECT started_at, id FROM listed WHERE id IN (SELECT key FROM kept WHERE {which})"  # noqa: S608
        transaction.execute(f"DELETE FROM listed WHERE (started_at, id) IN ({places})", arguments)  # noqa: S608
        super()._delete(transaction, which, arguments)


def _rows_of(rows: Iterable[Kept]) -> tuple[list[Listed], LeftOut]:
    """The rows of calls, made of all that is known of them here, where a file is written: no message waits for that.
    Those that our bug lets no row be made of are left out, so that no other call suffers from it."""
    calls: list[Listed] = []
    rowless: LeftOut = []
    for row in rows:
        try:
            calls.extend(_readable([row]))
        except Exception as error:
            rowless.append((row[1], error))
    return calls, rowless


def _list(transaction: Transaction, calls: Iterable[Listed]) -> LeftOut:
    """Write the rows of calls, and count those that had none."""
    listed = {one.key: one for one in calls}
    known = _known(transaction, [*listed])
    transaction.executemany(_DELETE, [(key,) for key in known])
    left_out = write_rows(transaction, _INSERT, [one.row for one in listed.values()])
    old = {*known, *(key for key, _ in left_out)}
    tally(transaction, [one.figures for key, one in listed.items() if key not in old])
    return left_out


def _known(transaction: Transaction, keys: Sequence[str]) -> set[str]:
    """Those that have a row."""
    transaction.execute(_KNOWN, (json.dumps(keys),))
    return {key for (key,) in cast("list[tuple[str]]", transaction.fetchall())}


def _clean(value: Json) -> Json:
    """A value that a column takes: no list, no text that cannot be encoded, no number of more than 64 bits."""
    if isinstance(value, str):
        return clean(value)
    return value if isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63) else None


def _count_unlisted(transaction: Transaction) -> int:
    """All are listed where there are as many rows as calls, and the latest call has one: another version that went on
    with the file would have kept a later one. Else rows without a call go, and calls without a row are counted."""
    transaction.execute(_LOOK, (STILL_UP, STILL_UP))
    kept, listed, is_latest_listed = cast("list[tuple[int, int, int]]", transaction.fetchall())[0]
    if kept == listed and is_latest_listed:
        return 0
    transaction.execute("DELETE FROM listed WHERE id NOT IN (SELECT key FROM kept)")
    transaction.execute("SELECT COUNT(*) FROM kept WHERE at < ? AND key NOT IN (SELECT id FROM listed)", (STILL_UP,))
    return cast("list[tuple[int]]", transaction.fetchall())[0][0]


def _list_more(transaction: Transaction, mark: Mark) -> Mark | None:
    transaction.execute(_UNLISTED, (*mark, BATCH))
    rows = cast("list[Kept]", transaction.fetchall())
    _list(transaction, _readable(rows))
    return rows[-1][:2] if rows else None


def _readable(rows: Iterable[Kept]) -> Iterator[Listed]:
    """Those that hold a call."""
    for _, key, value in rows:
        try:
            call = readable(value)
        except (ValueError, RecursionError):
            continue
        if isinstance(call, dict):
            yield Listed.of(key, call)


def _text(encoded: bytes) -> str:
    """A text in the file. Bytes that are no UTF-8, which another program may have put there, spoil no page."""
    return encoded.decode("utf-8", "replace")
