"""A bad file is put aside, a file in use is left alone, and one that the disk keeps from us stays where it is."""

import os
import sqlite3
from pathlib import Path

import pytest

from gateway.registrar.sqlite_store import prepare_bindings
from gateway.state.rescue import put_aside_unless_readable
from gateway.state.sqlite import InUse, PooledDatabase, locked
from gateway.state.table import prepare

LOOK = "SELECT * FROM kept"


def aside(path: Path) -> Path | None:
    return put_aside_unless_readable(path, prepare, LOOK, lambda: 1700000000.4)


def made(path: Path, *statements: str) -> Path:
    """A file of ours, with something done to it."""
    connection = sqlite3.connect(path)
    prepare(connection)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_a_good_file_and_none_are_left_alone(tmp_path: Path) -> None:
    path = made(tmp_path / "calls.sqlite", "INSERT INTO kept VALUES ('a', 1.0, '{}')")
    assert aside(path) is None
    assert aside(tmp_path / "none.sqlite") is None
    assert [*tmp_path.iterdir()] == [path]


def test_what_is_no_database_gets_another_name(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"zeros and nonsense after a power cut" * 100)
    assert aside(path) == tmp_path / "calls.sqlite.unusable-1700000000"
    assert [found.name for found in tmp_path.iterdir()] == ["calls.sqlite.unusable-1700000000"]
    assert aside(path) is None


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 99", "DROP TABLE kept"])
def test_the_database_of_another_version_gets_another_name(tmp_path: Path, statement: str) -> None:
    path = made(tmp_path / "calls.sqlite", statement)
    found = put_aside_unless_readable(path, prepare, "SELECT key, at, value, newer FROM kept")
    assert found is not None
    assert not path.exists()


def test_a_page_that_is_torn_is_found(tmp_path: Path) -> None:
    path = made(tmp_path / "calls.sqlite", *(f"INSERT INTO kept VALUES ('{n}', {n}, '{'x' * 900}')" for n in range(50)))
    data = bytearray(path.read_bytes())
    data[8192:40960] = bytes(len(data[8192:40960]))
    path.write_bytes(data)
    assert aside(path) is not None


def test_what_another_gateway_has_open_is_left_alone(tmp_path: Path) -> None:
    path = made(tmp_path / "calls.sqlite")
    holder = sqlite3.connect(path)
    prepare(holder)
    holder.execute("INSERT INTO kept VALUES ('a', 1.0, '{}')")
    with pytest.raises(InUse, match=r"calls.sqlite: is in use by another gateway$"):
        aside(path)
    holder.close()


def test_a_file_that_the_disk_keeps_from_us_stays(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.mkdir()
    assert aside(path) is None
    assert path.exists()


def test_what_cannot_be_written_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bindings.sqlite"
    connection = sqlite3.connect(path)
    prepare_bindings(connection)
    connection.close()

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("gateway.state.sqlite.create_private", refuse)
    database = PooledDatabase(path, None, prepare_bindings)  # type: ignore[arg-type]
    done: list[object] = []
    database.run_interaction(lambda cursor: cursor.execute("SELECT 1 + count(*) FROM binding").fetchone()).addBoth(
        done.append
    )
    assert done == [(1,)]
    database.run_interaction(lambda cursor: cursor.execute("DELETE FROM binding")).addErrback(done.append)
    assert "readonly" in str(done[1])


def killed(path: Path, statements: tuple[str, ...]) -> None:
    """Let a process write, and die without closing the file."""
    if (pid := os.fork()) == 0:
        try:
            connection = sqlite3.connect(path)
            locked(connection)
            for statement in statements:
                connection.execute(statement)
                connection.commit()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def on_a_disk_that_takes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> object:
    """What a statement gives there: its rows, or the failure."""

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("gateway.state.sqlite.create_private", refuse)
    database = PooledDatabase(path, None, prepare_bindings)  # type: ignore[arg-type]
    done: list[object] = []
    database.run_interaction(lambda cursor: cursor.execute(statement).fetchall()).addBoth(done.append)
    return done[0]


def test_what_a_killed_process_wrote_last_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the log beside the file: a user who was removed last must not come back."""
    path = tmp_path / "users.sqlite"
    killed(path, ("CREATE TABLE user (name)", "INSERT INTO user VALUES ('mallory')", "PRAGMA wal_checkpoint(TRUNCATE)"))
    killed(path, ("DELETE FROM user", "INSERT INTO user VALUES ('alice')"))
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    assert on_a_disk_that_takes_nothing(path, monkeypatch, "SELECT name FROM user") == [("alice",)]
    refused = on_a_disk_that_takes_nothing(path, monkeypatch, "DELETE FROM user RETURNING name")
    assert "readonly" in str(refused)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_what_does_not_fit_into_memory_is_not_read_without_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.sqlite"
    killed(path, ("CREATE TABLE call (id)",))
    monkeypatch.setattr("gateway.state.sqlite.MOST_COPIED", 1000)
    assert "File too large" in str(on_a_disk_that_takes_nothing(path, monkeypatch, "SELECT id FROM call"))
