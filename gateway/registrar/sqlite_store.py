"""Bindings that outlive the process: a MemoryStore with a sqlite file written behind it.

Look-ups and changes touch memory only; a change is noted, and all notes are written in one transaction a moment
later, off the reactor's thread. A crash loses at most that moment: those phones are found again at their next refresh.

    save/remove -> MemoryStore, noted -> (WRITE_DELAY) -> one transaction -> FILE          start(): FILE -> MemoryStore

The file is locked exclusively while it is open, so that two gateways never share one state directory. A note holds the
latest state of one binding, never a list of changes, so the notes are bounded by the number of bindings.
"""

import sqlite3
from collections.abc import Callable, Iterable
from operator import attrgetter
from pathlib import Path
from typing import NoReturn, cast

import attrs
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.observe.figures import KeptFile
from gateway.registrar.binding import Binding
from gateway.registrar.memory_store import Key, MemoryStore
from gateway.state.sqlite import (
    Database,
    InUse,
    LeftOut,
    StoreUnusable,
    check_version,
    explained,
    is_in_use,
    locked,
    set_version,
    write_rows,
)
from gateway.state.write_behind import WriteBehind
from gateway.transport.flow import FlowKey

log = Logger()

WRITE_DELAY = 0.05
"""Seconds from a change to its write: bursts become one transaction."""
SCHEMA_VERSION = 3


Row = tuple[object, ...]

_COLUMNS = tuple(field.name for field in attrs.fields(Binding) if field.metadata.get("is_kept", True))
_fields_of: Callable[[Binding], Row] = attrgetter(*_COLUMNS)
_CREATE = f"CREATE TABLE IF NOT EXISTS binding ({', '.join(_COLUMNS)}, PRIMARY KEY (aor, contact)) WITHOUT ROWID"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM binding"  # noqa: S608 - names of our own fields
_INSERT = f"INSERT OR REPLACE INTO binding ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_ADDED = {1: "service_route DEFAULT ''", 2: "source DEFAULT NULL"}
"""By version of the schema: the column that the next one added."""
_DELETE = "DELETE FROM binding WHERE aor = ? AND contact = ?"

_NUMBERS = ("expires_at", "cseq", "q", "provider_expires_at", "provider_interval")
_MISSING = ("instance", "source")
_TYPES: dict[str, tuple[type, ...]] = {
    name: (int, float) if name in _NUMBERS else (str, type(None)) if name in _MISSING else (str,) for name in _COLUMNS
}

Notes = dict[Key, Binding | None]


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
        """Read the file's bindings; fails with StoreUnusable. It may be gone on with all the same: writes are tried."""
        loaded = self._database.run_interaction(_load)
        loaded.addErrback(self._unusable)
        return loaded.addCallback(self._fill)

    def stop(self) -> Deferred[None]:
        """Write all notes and let go of the file. Never fails: notes that cannot be written are logged."""
        return self._behind.stop().addCallback(lambda _: self._database.close())

    def page(self, place: tuple[str, int], limit: int) -> Deferred[list[Binding]]:
        """``limit`` bindings as the file has them, by address of record and contact, from that address of record on;
        without so many of the first ones.

        The file has them a moment later than the memory. Fails with sqlite3.Error where it cannot be read.
        """
        return self._database.run_interaction(lambda transaction: _page(transaction, place, limit))

    def save(self, binding: Binding) -> None:
        """See LocationStore."""
        super().save(binding)
        self._behind.note((binding.aor, binding.contact), binding)

    def remove(self, aor: str, contact: str) -> None:
        """See LocationStore."""
        super().remove(aor, contact)
        self._behind.note((aor, contact), None)

    def _write(self, notes: Notes) -> Deferred[LeftOut]:
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
        raise kind(f"{self._path}: {explained(failure.value)}") from None


def prepare_bindings(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file for us alone, and make sure that its table is ours."""
    version = locked(connection)
    for known, column in _ADDED.items():
        if version == known:
            connection.execute(f"ALTER TABLE binding ADD COLUMN {column}")
            version = known + 1
    check_version(version, SCHEMA_VERSION)
    connection.execute(_CREATE)
    set_version(connection, SCHEMA_VERSION)
    connection.commit()


def _load(transaction: Transaction) -> list[Binding]:
    transaction.execute(_SELECT)
    return [_binding(row) for row in cast("Iterable[Row]", transaction.fetchall())]


def _page(transaction: Transaction, place: tuple[str, int], limit: int) -> list[Binding]:
    aor, skipped = place
    transaction.execute(f"{_SELECT} WHERE aor >= ? ORDER BY aor, contact LIMIT ? OFFSET ?", (aor, limit, skipped))
    return [_binding(row) for row in cast("Iterable[Row]", transaction.fetchall())]


def _store(transaction: Transaction, notes: Notes) -> LeftOut:
    gone = [key for key, binding in notes.items() if binding is None]
    kept = [_row(binding) for binding in notes.values() if binding is not None]
    return write_rows(transaction, _DELETE, gone) + write_rows(transaction, _INSERT, kept)


def _row(binding: Binding) -> Row:
    return tuple(str(value) if isinstance(value, FlowKey) else value for value in _fields_of(binding))


def _binding(row: Row) -> Binding:
    """The binding in a row; ValueError when somebody else wrote it."""
    fields = dict(zip(_COLUMNS, row, strict=True))
    for name, wanted in _TYPES.items():
        if not isinstance(fields[name], wanted):
            raise ValueError(f"a row holds a wrong {name}")
    fields["flow"] = FlowKey.parse(str(fields["flow"]))
    fields["source"] = fields["source"] and FlowKey.parse(str(fields["source"]))
    return Binding(**fields)  # type: ignore[arg-type]
