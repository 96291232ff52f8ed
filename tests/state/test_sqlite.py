"""The lock on a file of the state directory lasts as long as its connection."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from gateway.state.sqlite import create_private, locked

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
