"""The lock on a file of the state directory lasts as long as its connection."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.state.sqlite import PooledDatabase, create_private, locked
from gateway.state.table import prepare
from tests.support.cluster.memory_replica import MemoryReplica

_ANOTHER_PROCESS = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("SELECT * FROM kept").fetchall()
except sqlite3.OperationalError as error:
    print(error)
else:
    print("open")
"""


def seen_by_another_process(path: Path) -> str:
    command = [sys.executable, "-c", _ANOTHER_PROCESS, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_a_write_does_not_give_up_the_lock(tmp_path: Path) -> None:
    """POSIX: to close any descriptor of a file drops every lock of the process on it."""
    path = tmp_path / "kept.sqlite"
    create_private(path)
    connection = sqlite3.connect(path)
    locked(connection)
    connection.execute("CREATE TABLE kept (value)")
    connection.commit()
    assert seen_by_another_process(path) == "database is locked"
    create_private(path)  # as before each transaction
    connection.execute("INSERT INTO kept VALUES (1)")
    connection.commit()
    assert seen_by_another_process(path) == "database is locked"
    connection.close()
    assert seen_by_another_process(path) == "open"


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "kept.sqlite"
    create_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_file_that_is_not_there_yet_leads_to_a_private_one(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "elsewhere.sqlite")
    create_private(tmp_path / "link.sqlite")
    assert (tmp_path / "elsewhere.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_closed_is_copied_all_the_same(tmp_path: Path) -> None:
    """The last copy of a node that stops comes when its files are closed."""
    path, replica = tmp_path / "kept.sqlite", MemoryReplica()
    database = PooledDatabase(path, None, prepare, replica)  # type: ignore[arg-type]
    with closing(sqlite3.connect(path)) as connection, connection:
        prepare(connection)
        connection.execute("INSERT INTO kept VALUES ('a', 1.0, '{}')")
    database.close()
    assert len(replica.all_of("kept.sqlite")) == 1


def test_a_closed_file_that_is_gone_is_no_empty_one(tmp_path: Path) -> None:
    replica = MemoryReplica()
    PooledDatabase(tmp_path / "kept.sqlite", None, prepare, replica).close()  # type: ignore[arg-type]
    with pytest.raises(sqlite3.OperationalError):
        replica.all_of("kept.sqlite")
