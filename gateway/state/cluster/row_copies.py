"""Rows of a sqlite file as entries of a replica: each that a transaction changed, and all of them page by page.

    a connection is opened -> a trigger on each table calls back here with each row that is written or deleted
    transaction committed  -> its rows are noted, in order          rolled back: none is
    page(mark)             -> the next rows of a table, by primary key
    restore(rows)          <- at the start of the node that takes over: the rows of another node, in place of all

The triggers are temporary: they belong to this connection and are not in the file. So every store is copied as it is
written, and none knows of it. A row is JSON of its columns by name, beside the version of the file's tables: rows of
another version are left out at the restore. Not here: sealing, the store, the meaning of the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, cast

import attrs
from twisted.logger import Logger

from gateway.base.json_codec import decode, encode
from gateway.state.cluster.replica import Page, Replica

log = Logger()

ROWS: Final = 200
"""Of a page."""
_BYTES: Final = "hex:"
_TEXT: Final = "str:"

Result = TypeVar("Result")
Work = Callable[[Any], Result]


@attrs.frozen
class Shape:
    """A table: its columns, and those of its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


def shapes(connection: Any) -> tuple[Shape, ...]:
    """The tables of a file that have a primary key, those of sqlite itself left out."""
    named = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    found = []
    for (name,) in sorted(named.fetchall()):
        rows = connection.execute(f"PRAGMA main.table_info({name})").fetchall()
        key = tuple(row[1] for row in sorted(rows, key=lambda row: int(row[5])) if row[5])
        if key:
            found.append(Shape(str(name), tuple(str(row[1]) for row in rows), key))
    return tuple(found)


class RowCopies:
    """Copies the rows of `file`."""

    def __init__(self, file: str, replica: Replica) -> None:
        self._file = file
        self._replica = replica
        self._tables: tuple[Shape, ...] = ()
        self._version = 0
        self._changed: list[tuple[bytes, bytes | None]] = []

    def watch(self, connection: sqlite3.Connection) -> None:
        """Hear of each row that this connection writes or deletes, from now on."""
        self._tables = shapes(connection)
        self._version = _version(connection)
        connection.create_function("row_is", -1, self._note_row)
        connection.create_function("row_was", -1, self._note_gone)
        for index, table in enumerate(self._tables):
            new, old = _named("NEW", table.columns), _named("OLD", table.key)
            is_new, was = f"SELECT row_is({index}, {new});", f"SELECT row_was({index}, {old})"
            moved = f"{was} WHERE ({old}) IS NOT ({_named('NEW', table.key)});"
            for event, done in (("INSERT", is_new), ("UPDATE", moved + is_new), ("DELETE", f"{was};")):
                name = f"copy_{table.name}_{event}"
                connection.execute(
                    f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {event} ON main.{table.name} BEGIN {done} END"
                )

    def within(self, work: Work[Result]) -> Work[tuple[Result, list[tuple[bytes, bytes | None]]]]:
        """The same work, with the entries that it has changed. To be run in a transaction, one after the other."""

        def watched(transaction: Any) -> tuple[Result, list[tuple[bytes, bytes | None]]]:
            self._changed = []  # those of a transaction that was rolled back count no more
            result = work(transaction)
            changed, self._changed = self._changed, []
            return result, changed

        return watched

    def committed(self, outcome: tuple[Result, list[tuple[bytes, bytes | None]]]) -> Result:
        """The result of the work; the replica is told."""
        result, changed = outcome
        for key, value in changed:
            self._replica.note(self._file, key, value)
        return result

    def page(self, transaction: Any, mark: tuple[int, tuple[object, ...]] | None) -> Page:
        """The rows after a mark: the index of a table, and the key of the row before. Raises sqlite3.Error, also for a
        file without tables, which none is that could be read."""
        if not self._tables:  # a file on a disk that takes nothing is read, and never opened for writing
            self._tables, self._version = shapes(transaction), _version(transaction)
        if not self._tables:
            raise sqlite3.DatabaseError("has no tables")
        index, last = mark or (0, ())
        if index >= len(self._tables):
            return Page([], None)
        table = self._tables[index]
        key, columns = ", ".join(table.key), ", ".join(table.columns)
        after = f"WHERE ({key}) > ({', '.join('?' * len(last))})" if last else ""
        transaction.execute(f"SELECT {columns} FROM {table.name} {after} ORDER BY {key} LIMIT {ROWS}", last)  # noqa: S608
        rows = cast("list[tuple[object, ...]]", transaction.fetchall())
        entries = [self._entry(table, row) for row in rows]
        if len(rows) < ROWS:
            return Page(entries, (index + 1, ()) if index + 1 < len(self._tables) else None)
        return Page(entries, (index, _key_of(table, rows[-1])))

    def _note_row(self, index: int, *row: object) -> None:
        """Called by sqlite: an exception would fail the write, so that none leaves."""
        try:
            self._changed.append(self._entry(self._tables[index], row))
        except Exception:
            log.failure("a row of {file} is not copied", file=self._file)

    def _note_gone(self, index: int, *key: object) -> None:
        """The same for a row of that key which is gone."""
        try:
            self._changed.append((encode([self._tables[index].name, *map(_plain, key)]), None))
        except Exception:
            log.failure("a row of {file} is not copied as gone", file=self._file)

    def _entry(self, table: Shape, row: tuple[object, ...]) -> tuple[bytes, bytes]:
        values = {name: _plain(value) for name, value in zip(table.columns, row, strict=True)}
        key = encode([table.name, *(values[name] for name in table.key)])
        return key, encode({"version": self._version, "table": table.name, "row": values})


def restore(connection: sqlite3.Connection, rows: Iterable[bytes]) -> int:
    """Put these rows in the place of all that the file has; the number of rows of another version, which are left out.
    One transaction: an error leaves the file as it was. Raises sqlite3.Error."""
    version, tables = _version(connection), {table.name: table for table in shapes(connection)}
    left_out = 0
    with connection:
        for name in tables:
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of ours
        for row in rows:
            found = _read(row, version, tables)
            if found is None:
                left_out += 1
                continue
            table, values = found
            named, marks = ", ".join(values), ", ".join("?" * len(values))
            connection.execute(f"INSERT OR REPLACE INTO {table} ({named}) VALUES ({marks})", [*values.values()])  # noqa: S608
    return left_out


def _read(row: bytes, version: int, tables: dict[str, Shape]) -> tuple[str, dict[str, object]] | None:
    try:
        told = decode(row)
        if not isinstance(told, dict) or told["version"] != version:
            return None
        table, values = tables[str(told["table"])], told["row"]
        if not isinstance(values, dict) or not values.keys() <= set(table.columns):
            return None
        return table.name, {str(name): _original(value) for name, value in values.items()}
    except (ValueError, KeyError, RecursionError):
        return None


def _plain(value: object) -> object:
    """A column's value as JSON has it: bytes, and texts that look like those, behind a mark."""
    if isinstance(value, bytes):
        return _BYTES + value.hex()
    return _TEXT + value if isinstance(value, str) and value.startswith((_BYTES, _TEXT)) else value


def _original(value: object) -> object:
    if not isinstance(value, str):
        return value
    return bytes.fromhex(value.removeprefix(_BYTES)) if value.startswith(_BYTES) else value.removeprefix(_TEXT)


def _key_of(table: Shape, row: tuple[object, ...]) -> tuple[object, ...]:
    values = dict(zip(table.columns, row, strict=True))
    return tuple(values[name] for name in table.key)


def _named(row: str, columns: tuple[str, ...]) -> str:
    return ", ".join(_columns(row, columns))


def _columns(row: str, columns: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{row}.{column}" for column in columns)


def _version(connection: Any) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
