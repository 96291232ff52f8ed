"""JSON values that outlive the process: a table of key, time and value in a sqlite file, written behind.

Here: writing a moment later in one transaction, reading, and dropping old values. Not here: the meaning of the values.

    put(key, at, value), drop(key) -> noted -> (WRITE_DELAY) -> one transaction -> FILE -> all(), find(key)

A note is the latest state of one key, so the notes are bounded by the number of keys, and by NOTES while the disk
fails: then the oldest are dropped, for memory is needed more than history.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeAlias, cast

from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.json_codec import Json, decode, encode
from gateway.observe.clean_text import clean_json
from gateway.observe.figures import KeptFile
from gateway.state.cluster.replica import Replica
from gateway.state.sqlite import (
    Database,
    InUse,
    LeftOut,
    PooledDatabase,
    StoreUnusable,
    check_version,
    is_in_use,
    locked,
    set_version,
    write_rows,
)
from gateway.state.write_behind import WriteBehind

log = Logger()

WRITE_DELAY: Final = 0.5
"""Seconds from a change to its write."""
NOTES: Final = 20_000
SCHEMA_VERSION: Final = 1

Value: TypeAlias = dict[str, Json]
Note: TypeAlias = tuple[float, str]
"""The time and the JSON of a value."""
Notes: TypeAlias = dict[str, Note | None]
"""By key; None for a value that is to go."""


class KeptTable:
    """One table in the file ``path``. ``timers`` schedule the writes."""

    def __init__(self, path: Path, database: Database, timers: IReactorTime) -> None:
        self._path = path
        self._database = database
        self._behind: WriteBehind[str, Note] = WriteBehind(timers, WRITE_DELAY, self._write, self._not_written, NOTES)

    @property
    def standing(self) -> KeptFile:
        """The state of the file."""
        return KeptFile(self._path.name, self._behind.failures, self._behind.is_failing)

    def is_kept(self, key: str) -> bool:
        """Whether the latest value of a key is in the file: what must not be done twice may be done now."""
        return self._behind.is_written(key)

    def latest(self, limit: int) -> Deferred[list[tuple[str, Value]]]:
        """The newest ``limit`` values, oldest first. To be asked for first, at the start.

        Fails with StoreUnusable; the table may be gone on with all the same: writes are tried.
        """
        loaded = self._database.run_interaction(lambda transaction: _latest(transaction, limit))
        return loaded.addErrback(self._unusable)

    def since(self, at: float) -> Deferred[list[tuple[str, Value]]]:
        """The values of that time and later; fails with StoreUnusable, as ``latest`` does."""
        loaded = self._database.run_interaction(lambda transaction: _since(transaction, at))
        return loaded.addErrback(self._unusable)

    def find(self, key: str) -> Deferred[Value | None]:
        """The value of one key, None when there is none or it cannot be read now."""
        if key in self._behind.noted:
            noted = self._behind.noted[key]
            return succeed(None if noted is None else readable(noted[1]))
        return self._database.run_interaction(lambda transaction: _find(transaction, key)).addErrback(self._unread)

    def put(self, key: str, at: float, value: Value) -> None:
        """Keep a value; ``at`` is its time in seconds since the epoch."""
        self._behind.note(key, (at, encode(value).decode()))

    def put_at_once(self, key: str, at: float, value: Value) -> None:
        """The same, without the usual delay: for values that must outlive a process that is killed right afterwards."""
        self._behind.note_urgent(key, (at, encode(value).decode()))

    def hurry(self) -> None:
        """Write all that was put at once: several values that must outlive a kill, in one transaction."""
        self._behind.hurry()

    def drop(self, key: str) -> None:
        """Keep nothing under that key."""
        self._behind.note(key, None)

    def drop_before(self, at: float) -> None:
        """Keep nothing that is older."""
        self._forget(lambda transaction: self._delete(transaction, "at < ?", (at,)))

    def drop_beyond(self, count: int) -> None:
        """Keep the newest ``count`` values at most."""
        newest = "SELECT key FROM kept ORDER BY at DESC LIMIT -1 OFFSET ?"
        self._forget(lambda transaction: self._delete(transaction, f"key IN ({newest})", (count,)))

    def stop(self) -> Deferred[None]:
        """Write the notes and let go of the file. Never fails: notes that cannot be written are logged."""
        return self._behind.stop().addCallback(lambda _: self._database.close())

    def _write(self, notes: Notes) -> Deferred[LeftOut]:
        return self._database.run_interaction(lambda transaction: self._write_notes(transaction, notes))

    def _write_notes(self, transaction: Transaction, notes: Notes) -> LeftOut:
        """Write notes, in one transaction."""
        gone = [(key,) for key, note in notes.items() if note is None]
        kept = [(key, *note) for key, note in notes.items() if note is not None]
        left_out = write_rows(transaction, "DELETE FROM kept WHERE key = ?", gone)
        return left_out + write_rows(transaction, "INSERT OR REPLACE INTO kept (key, at, value) VALUES (?, ?, ?)", kept)

    def _delete(self, transaction: Transaction, which: str, arguments: Sequence[object]) -> None:
        """Delete the values of which a condition, in words of ours, is true."""
        transaction.execute(f"DELETE FROM kept WHERE {which}", arguments)  # noqa: S608 - our own words

    def _forget(self, work: Callable[[Transaction], None]) -> None:
        if not self._behind.stopped:
            self._database.run_interaction(work).addErrback(self._kept)

    def _not_written(self, why: BaseException | None) -> None:
        log.error("{path} cannot be written: {reason}", path=self._path, reason=why)

    def _unread(self, failure: Failure) -> None:
        log.error("{path} cannot be read: {reason}", path=self._path, reason=failure.value)

    def _kept(self, failure: Failure) -> None:
        log.error("old entries stay in {path}: {reason}", path=self._path, reason=failure.value)

    def _unusable(self, failure: Failure) -> NoReturn:
        error = failure.value
        if not isinstance(error, sqlite3.Error | OSError | ValueError):
            failure.raiseException()
        why = error.strerror if isinstance(error, OSError) else error
        if is_in_use(error):
            raise InUse(f"{self._path}: is in use by another gateway") from None
        raise StoreUnusable(f"{self._path}: cannot be used: {why}") from None


def table_in(path: Path, reactor: IReactorTime, replica: Replica | None = None) -> KeptTable:
    """The table of a file, on a thread of its own. The file is opened, and made, at the first question. A ``replica``
    gets a copy of each row."""
    return KeptTable(path, PooledDatabase(path, reactor, prepare, replica), reactor)


def prepare(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file for us alone, and make sure that its table is ours."""
    check_version(locked(connection), SCHEMA_VERSION)
    connection.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, at REAL, value TEXT) WITHOUT ROWID")
    connection.execute("CREATE INDEX IF NOT EXISTS kept_at ON kept (at)")
    set_version(connection, SCHEMA_VERSION)
    connection.commit()


def _latest(transaction: Transaction, limit: int) -> list[tuple[str, Value]]:
    transaction.execute("SELECT key, value FROM kept ORDER BY at DESC LIMIT ?", (limit,))
    rows = cast("list[tuple[str, str]]", transaction.fetchall())
    return [(key, readable(value)) for key, value in reversed(rows)]


def _since(transaction: Transaction, at: float) -> list[tuple[str, Value]]:
    transaction.execute("SELECT key, value FROM kept WHERE at >= ?", (at,))
    return [(key, readable(value)) for key, value in cast("list[tuple[str, str]]", transaction.fetchall())]


def _find(transaction: Transaction, key: str) -> Value | None:
    transaction.execute("SELECT value FROM kept WHERE key = ?", (key,))
    rows = cast("list[tuple[str]]", transaction.fetchall())
    return readable(rows[0][0]) if rows else None


def readable(text: str) -> Value:
    """The value that a row's JSON holds. Raises ValueError.

    Earlier versions kept half surrogate pairs, as escapes, which no page can be encoded with.
    """
    value = cast("Value", decode(text))
    return cast("Value", clean_json(value)) if "\\u" in text else value
