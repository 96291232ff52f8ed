"""Rows of sqlite files as copies: told when they are written, read page by page, put into another node's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.accounts.store import prepare_accounts
from gateway.base.json_codec import decode, encode
from gateway.registrar.sqlite_store import prepare_bindings
from gateway.state.cluster.replica import Pages
from gateway.state.cluster.row_copies import ROWS, RowCopies, restore
from gateway.state.devices.device_table import prepare_devices
from gateway.state.table import prepare


class Taking:
    """A replica that keeps all in a dict."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.count = 0

    def note(self, file: str, key: bytes, value: bytes | None) -> None:
        self.count += 1
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value

    def add(self, file: str, pages: Pages) -> None:
        pass


class File:
    """A sqlite file that is watched, as a store uses it."""

    def __init__(self, path: Path, preparation: Callable[[sqlite3.Connection], None] = prepare) -> None:
        self.replica = Taking()
        self.copies = RowCopies(path.name, self.replica)
        self.connection = sqlite3.connect(path)
        preparation(self.connection)
        self.copies.watch(self.connection)

    def run(self, statement: str, *values: Any) -> None:
        work = self.copies.within(lambda cursor: cursor.execute(statement, values))
        with self.connection:
            outcome = work(self.connection.cursor())
        self.copies.committed(outcome)

    def rows(self, table: str = "kept") -> list[tuple[Any, ...]]:
        return sorted(self.connection.execute(f"SELECT * FROM {table}"))

    def all_pages(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        mark = None
        while True:
            page = self.copies.page(self.connection.cursor(), mark)
            found.update(page.entries)
            mark = page.following
            if mark is None:
                return found


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    made = File(tmp_path / "peers.sqlite")
    yield made
    made.connection.close()


def restored(path: Path, entries: dict[bytes, bytes], preparation: Any = prepare, table: str = "kept") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        preparation(connection)
        restore(connection, entries.values())
        return sorted(connection.execute(f"SELECT * FROM {table}"))


def test_all_that_is_written_changed_and_deleted_is_copied(file: File, tmp_path: Path) -> None:
    file.run("INSERT INTO kept VALUES (?, ?, ?)", "a", 1.5, '{"x":1}')
    file.run("INSERT INTO kept VALUES (?, ?, ?)", "b", 2.0, "{}")
    file.run("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", "a", 3.0, "{}")
    file.run("UPDATE kept SET key = ? WHERE key = ?", "c", "b")
    file.run("INSERT INTO kept VALUES (?, ?, ?)", "old", 0.5, "{}")
    file.run("DELETE FROM kept WHERE at < ?", 1.0)
    assert file.rows() == [("a", 3.0, "{}"), ("c", 2.0, "{}")]
    assert restored(tmp_path / "other.sqlite", file.replica.entries) == file.rows()
    assert file.all_pages() == file.replica.entries


def test_a_row_that_keeps_its_key_is_told_once(file: File) -> None:
    file.run("INSERT INTO kept VALUES ('a', 1.0, '{}'), ('b', 1.0, '{}')")
    file.run("UPDATE kept SET at = 2.0")
    assert file.replica.count == 4
    file.run("DELETE FROM kept WHERE key = 'a'")
    assert file.replica.count == 5
    assert file.all_pages() == file.replica.entries


def test_a_file_without_tables_has_no_pages(tmp_path: Path) -> None:
    """Else the other node would take its rows for gone."""
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.DatabaseError, match="no tables"):
        RowCopies("bans.sqlite", Taking()).page(connection.cursor(), None)


def test_pages_of_a_file_that_is_only_read_are_those_of_its_tables(file: File) -> None:
    file.run("INSERT INTO kept VALUES ('a', 1.0, '{}')")
    page = RowCopies("peers.sqlite", Taking()).page(file.connection.cursor(), None)
    assert dict(page.entries) == file.replica.entries


def test_a_transaction_that_was_rolled_back_is_not_copied(file: File) -> None:
    def fails(cursor: Any) -> None:
        cursor.execute("INSERT INTO kept VALUES ('a', 1.0, '{}')")
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"), file.connection:
        file.copies.within(fails)(file.connection.cursor())
    file.run("INSERT INTO kept VALUES ('b', 1.0, '{}')")
    assert len(file.replica.entries) == 1
    assert file.all_pages() == file.replica.entries


def test_many_rows_come_page_by_page_each_once(file: File) -> None:
    with file.connection:
        file.connection.executemany(
            "INSERT INTO kept VALUES (?, 1.0, '{}')", [(f"{number:06}",) for number in range(3 * ROWS)]
        )
    assert len(file.all_pages()) == 3 * ROWS


def test_files_of_several_tables_with_bytes_and_odd_texts_come_back(tmp_path: Path) -> None:
    users = File(tmp_path / "users.sqlite", prepare_accounts)
    users.run("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", "hex:00", "admin", "str:x", 1.0, 1, b"\x00\xff", "[]")
    users.run("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)", "t", "viewer", "d", "hex:00", 1.0, 2.0)
    for table in ("user", "token"):
        rows = restored(tmp_path / f"{table}.sqlite", users.replica.entries, prepare_accounts, table)
        assert rows == users.rows(table)
        assert rows
    users.connection.close()


@pytest.mark.parametrize("preparation", [prepare_bindings, prepare_devices, prepare_accounts, prepare])
def test_every_table_of_every_file_has_a_key_to_copy_it_by(tmp_path: Path, preparation: Any) -> None:
    made = File(tmp_path / "any.sqlite", preparation)
    found = made.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert {shape.name for shape in made.copies._tables} == {name for (name,) in found}
    made.connection.close()


def test_what_this_node_had_before_is_gone_after_a_restore(tmp_path: Path, file: File) -> None:
    file.run("INSERT INTO kept VALUES ('new', 1.0, '{}')")
    other = File(tmp_path / "other.sqlite")
    other.run("INSERT INTO kept VALUES ('stale', 1.0, '{}')")
    other.connection.close()
    assert restored(tmp_path / "other.sqlite", file.replica.entries) == [("new", 1.0, "{}")]


def test_rows_of_another_version_are_left_out_and_counted(tmp_path: Path, file: File) -> None:
    file.run("INSERT INTO kept VALUES ('a', 1.0, '{}')")
    (row,) = file.replica.entries.values()
    told = decode(row)
    assert isinstance(told, dict)
    rows = [row, encode({**told, "version": 99}), encode({**told, "table": "strange"}), b"[]", b"nonsense"]
    rows.append(encode({**told, "row": {"key": "b", "strange": 1}}))
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        prepare(connection)
        assert restore(connection, rows) == 5
        assert connection.execute("SELECT key FROM kept").fetchall() == [("a",)]
