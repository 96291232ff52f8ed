"""Bindings that outlive the process: a MemoryStore with a sqlite file written behind it.

Look-ups and changes touch memory only; a change is noted, and what was noted is written in one transaction a moment
later, off the reactor's thread. A crash loses at most that moment: those phones are found again at their next refresh.

    save/remove -> MemoryStore, noted -> (WRITE_DELAY) -> one transaction -> FILE          start(): FILE -> MemoryStore

The file is locked exclusively while it is open, so that two gateways never share one state directory. A note holds the
latest state of one binding, never a list of changes, so what waits is bounded by the number of bindings.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar, cast

import attrs
from twisted.enterprise.adbapi import ConnectionPool, Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.observe.metrics import KeptFile
from gateway.registrar.binding import Binding
from gateway.registrar.memory_store import Key, MemoryStore
from gateway.state.write_behind import WriteBehind
from gateway.transport.flow import FlowKey

log = Logger()

WRITE_DELAY = 0.05
"""Seconds from a change to its write: bursts become one transaction."""
SCHEMA_VERSION = 2

NOTHING_WRITTEN = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)
"""Errors of a file that may still be read."""

Row = tuple[object, ...]

_COLUMNS = tuple(field.name for field in attrs.fields(Binding))
_fields_of: Callable[[Binding], Row] = attrgetter(*_COLUMNS)
_CREATE = f"CREATE TABLE IF NOT EXISTS binding ({', '.join(_COLUMNS)}, PRIMARY KEY (aor, contact)) WITHOUT ROWID"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM binding"  # noqa: S608 - names of our own fields
_INSERT = f"INSERT OR REPLACE INTO binding ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_DELETE = "DELETE FROM binding WHERE aor = ? AND contact = ?"

_NUMBERS = ("expires_at", "cseq", "q", "provider_expires_at", "provider_interval")
_TYPES: dict[str, tuple[type, ...]] = {
    name: (int, float) if name in _NUMBERS else (str, type(None)) if name == "instance" else (str,) for name in _COLUMNS
}

Result = TypeVar("Result")
Notes = dict[Key, Binding | None]
Preparation = Callable[[sqlite3.Connection], None]


class StoreUnusable(Exception):
    """The file cannot be used; the message is one line: the file, and why. ``in_use``: another gateway has it."""

    in_use = False


class InUse(StoreUnusable):
    """Another gateway has the file: nothing may go on without it."""

    in_use = True


class Database(Protocol):
    """What is used of adbapi's ConnectionPool."""

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """Run ``work`` in a transaction, off the reactor's thread."""

    def close(self) -> None:
        """Let go of the file."""


class SqliteStore(MemoryStore):
    """A LocationStore kept in the file ``path``. ``clock`` schedules the writes, ``now`` is seconds since the epoch."""

    def __init__(
        self, path: Path, database: Database, clock: IReactorTime, now: Callable[[], float], capacity: int = 200_000
    ) -> None:
        super().__init__(now, capacity)
        self._path = path
        self._database = database
        self._behind: WriteBehind[Key, Binding] = WriteBehind(clock, WRITE_DELAY, self._write, self._not_written)

    @property
    def standing(self) -> KeptFile:
        """How it stands with the file."""
        return KeptFile(self._path.name, self._behind.failures, self._behind.is_failing)

    def start(self) -> Deferred[None]:
        """Read what the file holds; fails with StoreUnusable. It may be gone on with all the same: writes are tried."""
        loaded = self._database.run_interaction(_load)
        loaded.addErrback(self._unusable)
        return loaded.addCallback(self._fill)

    def stop(self) -> Deferred[None]:
        """Write what is noted and let go of the file. Never fails: what cannot be written is logged."""
        return self._behind.stop().addCallback(lambda _: self._database.close())

    def save(self, binding: Binding) -> None:
        """See LocationStore."""
        super().save(binding)
        self._behind.note((binding.aor, binding.contact), binding)

    def remove(self, aor: str, contact: str) -> None:
        """See LocationStore."""
        super().remove(aor, contact)
        self._behind.note((aor, contact), None)

    def _write(self, notes: Notes) -> Deferred[None]:
        return self._database.run_interaction(lambda transaction: _store(transaction, notes))

    def _not_written(self, why: BaseException | None) -> None:
        log.error("bindings cannot be written to {path}: {reason}", path=self._path, reason=why)

    def _fill(self, bindings: list[Binding]) -> None:
        now = self._now()
        for binding in bindings:
            if binding.expires_at > now and len(self) < self._capacity:
                super().save(binding)
                self.remove_flow(binding.flow)  # no connection outlives the process that had it
            else:
                self._behind.note((binding.aor, binding.contact), None)

    def _unusable(self, failure: Failure) -> NoReturn:
        if not isinstance(failure.value, sqlite3.Error | OSError | ValueError):
            failure.raiseException()
        kind = InUse if is_in_use(failure.value) else StoreUnusable
        raise kind(f"{self._path}: {_explained(failure.value)}") from None


class PooledDatabase:
    """A Database on a thread of its own: sqlite3 under twisted.enterprise.adbapi."""

    def __init__(self, path: Path, reactor: IReactorTime, prepare: Preparation | None = None) -> None:
        """``prepare`` makes a new connection's tables; bindings' unless told."""
        self._path = path
        self._pool = ConnectionPool(
            "sqlite3",
            str(path),
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_noisy=False,
            cp_openfun=prepare or prepare_bindings,
            check_same_thread=False,
            timeout=1.0,
        )

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """See Database. Where nothing can be written, what is there is read all the same."""
        try:
            create_private(self._path)
        except OSError as error:
            return self._only_read(work) if error.errno in NOTHING_WRITTEN and self._path.exists() else fail()
        return cast("Deferred[Result]", self._pool.runInteraction(work))

    def close(self) -> None:
        """See Database."""
        self._pool.close()

    def _only_read(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        """On this thread, and without a lock: the disk takes nothing anyway."""
        try:
            with closing(
                sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            ) as connection:
                return succeed(work(cast(Transaction, connection.cursor())))
        except (sqlite3.Error, ValueError):
            return fail()


def is_in_use(error: BaseException) -> bool:
    """Whether another process has the file."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def create_private(path: Path) -> None:
    """Make the file and its directory unless they are there; only this user may read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def prepare_bindings(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file for us alone, and make sure that its table is ours."""
    version = locked(connection)
    if version == 1:
        connection.execute("ALTER TABLE binding ADD COLUMN service_route DEFAULT ''")
        version = SCHEMA_VERSION
    check_version(version, SCHEMA_VERSION)
    connection.execute(_CREATE)
    set_version(connection, SCHEMA_VERSION)
    connection.commit()


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


def _load(transaction: Transaction) -> list[Binding]:
    transaction.execute(_SELECT)
    return [_binding(row) for row in cast("Iterable[Row]", transaction.fetchall())]


def _store(transaction: Transaction, notes: Notes) -> None:
    gone = [key for key, binding in notes.items() if binding is None]
    kept = [_row(binding) for binding in notes.values() if binding is not None]
    transaction.executemany(_DELETE, gone)
    transaction.executemany(_INSERT, kept)


def _row(binding: Binding) -> Row:
    return tuple(str(value) if isinstance(value, FlowKey) else value for value in _fields_of(binding))


def _binding(row: Row) -> Binding:
    """The binding in a row; ValueError when somebody else wrote it."""
    fields = dict(zip(_COLUMNS, row, strict=True))
    for name, wanted in _TYPES.items():
        if not isinstance(fields[name], wanted):
            raise ValueError(f"a row holds a wrong {name}")
    fields["flow"] = FlowKey.parse(str(fields["flow"]))
    return Binding(**fields)  # type: ignore[arg-type]


def _explained(error: BaseException) -> str:
    text = str(error)
    if is_in_use(error):
        return "is in use by another gateway"
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    return f"is no usable binding store: {text}"
