"""An sqlite file on a thread of its own: opened, locked and checked the same way for every store.

Here: the file, its version, and the errors that a store explains to an operator. Not here: tables, and the rescue
from a bad file (rescue.py).
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, TypeVar, cast

from twisted.enterprise.adbapi import ConnectionPool, Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from gateway.state.cluster.replica import Page, Replica
from gateway.state.cluster.row_copies import RowCopies

NOTHING_WRITTEN = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)
"""Errors of a file that may still be read."""


MEMORY: Final = "/dev/shm"  # noqa: S108 - in a directory of our own
MOST_COPIED: Final = 64 * 1024 * 1024
"""Bytes of a file that is read with its log on a disk that takes nothing; all but the history of calls are smaller."""


class StoreUnusable(Exception):
    """The file cannot be used; the message is one line: the file, and why. ``in_use``: another gateway has it."""

    in_use = False


class InUse(StoreUnusable):
    """Another gateway has the file: nothing may go on without it."""

    in_use = True


ROW_ERRORS = (UnicodeError, OverflowError, sqlite3.DataError, sqlite3.IntegrityError)
"""Errors of one row's values: no other row suffers from them, and another try does not help."""

LeftOut = list[tuple[object, Exception]]
"""Rows that cannot be written: the key of each, and the reason."""

Result = TypeVar("Result")
Preparation = Callable[[sqlite3.Connection], None]


class Database(Protocol):
    """The part of adbapi's ConnectionPool that is used."""

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """Run ``work`` in a transaction, off the reactor's thread."""

    def close(self) -> None:
        """Let go of the file."""


class PooledDatabase:
    """A Database on a thread of its own: sqlite3 under twisted.enterprise.adbapi."""

    def __init__(self, path: Path, reactor: IReactorTime, prepare: Preparation, replica: Replica | None = None) -> None:
        """``prepare`` makes a new connection's tables. A ``replica`` gets a copy of each row that is written."""
        self._path = path
        self._is_closed = False
        self._copies = None if replica is None else RowCopies(path.name, replica)
        if replica is not None:
            replica.add(path.name, self._page)
        self._pool = ConnectionPool(
            "sqlite3",
            str(path),
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_noisy=False,
            cp_openfun=lambda connection: self._opened(connection, prepare),
            check_same_thread=False,
            timeout=1.0,
        )

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """See Database. On a disk that takes nothing, the file is read all the same."""
        try:
            create_private(self._path)
        except OSError as error:
            return self._only_read(work) if error.errno in NOTHING_WRITTEN and self._path.exists() else fail()
        copies = self._copies
        if copies is None:
            return cast("Deferred[Result]", self._pool.runInteraction(work))
        return cast("Deferred[Result]", self._pool.runInteraction(copies.within(work)).addCallback(copies.committed))

    def close(self) -> None:
        """See Database."""
        self._is_closed = True
        self._pool.close()

    def _opened(self, connection: sqlite3.Connection, prepare: Preparation) -> None:
        prepare(connection)
        if self._copies is not None:
            self._copies.watch(connection)

    def _page(self, mark: Any) -> Deferred[Page]:
        """Of a file that is closed, too: the last copy of a node that stops comes after that."""
        copies = self._copies
        assert copies is not None
        ask = self._only_read if self._is_closed else self.run_interaction
        return ask(lambda transaction: copies.page(transaction, mark))

    def _only_read(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """On this thread, and without a lock: the disk takes nothing anyway."""
        try:
            with _readable(self._path) as path:
                where = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if path == self._path else ''}"
                with closing(sqlite3.connect(where, uri=True)) as connection:
                    return succeed(work(cast(Transaction, connection.cursor())))
        except (sqlite3.Error, ValueError, OSError):
            return fail()


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """The file, where it can be read by itself, else a copy of it in memory with the log that is beside it.

    A process that was killed has left its last transactions in the log, tables among them. Without it the rest would
    be of hours ago, and a user that was removed since would be let in. sqlite reads a log where it may write alone.
    Raises OSError where there is no room for the copy.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        yield path
        return
    if path.stat().st_size + log.stat().st_size > MOST_COPIED:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    with TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as place:
        copy = Path(place) / path.name
        for one in (path, log):
            shutil.copyfile(one, copy.with_name(one.name))
        yield copy


def write_rows(transaction: Transaction, statement: str, rows: Sequence[tuple[object, ...]]) -> LeftOut:
    """Run a statement with each row; those that cannot be written are left out, and given back.

    The usual batch is one call. Where a row spoils it, every row is run by itself, so the statement must be one that
    may run twice.
    """
    try:
        transaction.executemany(statement, rows)
    except ROW_ERRORS:
        return [left for row in rows if (left := _left_out(transaction, statement, row)) is not None]
    return []


def _left_out(transaction: Transaction, statement: str, row: tuple[object, ...]) -> tuple[object, Exception] | None:
    try:
        transaction.execute(statement, row)
    except ROW_ERRORS as error:
        return row[0], error
    return None


def is_in_use(error: BaseException) -> bool:
    """Whether another process has the file."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def create_private(path: Path) -> None:
    """Make the file and its directory unless they are there; only this user may read the file. Raises OSError, also for
    one that is there and cannot be written.

    A file that is there is never opened: to close any descriptor of it would give up every lock of this process on it
    (fcntl, POSIX), and another gateway could take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():  # a link to nowhere is made good, too
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def locked(connection: sqlite3.Connection) -> int:
    """Lock a new connection's file for us alone; the version of its tables, 0 for an empty file."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return _version(connection)


def check_version(found: int, ours: int) -> None:
    """Raises sqlite3.DatabaseError for tables that are neither ours nor yet to be made."""
    if found not in (0, ours):
        raise sqlite3.DatabaseError(f"was written by another version of the gateway (schema {found})")


def set_version(connection: sqlite3.Connection, version: int) -> None:
    """Note the version of the tables, unless it stands there: a full disk must not keep us from reading."""
    if _version(connection) != version:
        connection.execute(f"PRAGMA user_version = {version}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def explained(error: BaseException) -> str:
    text = str(error)
    if is_in_use(error):
        return "is in use by another gateway"
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    return f"is no usable binding store: {text}"


def is_surely_empty(path: Path, table: str) -> bool:
    """Whether a file is not there, or has no row in a table. False where another has it, or it cannot be read."""
    try:
        if not path.exists():
            return True
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.1)) as connection:
            return connection.execute(f"SELECT 1 FROM {table}").fetchone() is None  # noqa: S608 - a name of ours
    except (OSError, sqlite3.Error):
        return False
