"""The files of a node that takes over, from the copies of the node before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.state.cluster.copying import ALL_OF_IT
from gateway.state.cluster.file_copies import FILES
from gateway.state.cluster.restored import Found, restore_all
from gateway.state.cluster.row_copies import RowCopies
from gateway.state.journal.journal_copies import key_of
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.state.table import prepare
from tests.support.cluster.memory_replica import MemoryReplica

SECRET = b"s" * 32
DATABASES = {"bans.sqlite": prepare, "limits.sqlite": prepare}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The state directory of a node that was active before, with a ban and a limit of its own."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "switches.json").write_bytes(b"own")
    for name in DATABASES:
        with closing(sqlite3.connect(tmp_path / name)) as connection, connection:
            prepare(connection)
            connection.execute("INSERT INTO kept VALUES ('own', 1.0, '{}')")
    return tmp_path


def copied(name: str) -> dict[bytes, bytes]:
    """The rows of another node's file."""
    with closing(sqlite3.connect(":memory:")) as connection:
        prepare(connection)
        connection.execute("INSERT INTO kept VALUES ('other', 1.0, '{}')")
        return dict(RowCopies(name, MemoryReplica()).page(connection.cursor(), None).entries)


def keys(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM kept ORDER BY key")]


def test_a_file_that_is_whole_takes_the_place_of_our_own(place: Path) -> None:
    whole = {ALL_OF_IT: b"1"}
    files = {
        "bans.sqlite": {**copied("bans.sqlite"), **whole},
        "limits.sqlite": {**whole},
        FILES: {b"secret": SECRET, **whole},
        FILE: whole,
    }
    restore_all(Found(files), place, DATABASES, 1000.0)
    assert keys(place / "bans.sqlite") == ["other"]
    assert keys(place / "limits.sqlite") == []
    assert not (place / "switches.json").exists()


def test_files_that_the_other_node_could_not_read_stay_our_own(place: Path) -> None:
    """Without its bans, limits and users a node would let in whomever the other had shut out."""
    files = {
        "bans.sqlite": copied("bans.sqlite"),
        FILES: {b"switches.json": b"half"},
    }
    restore_all(Found(files), place, DATABASES, 1000.0)
    assert keys(place / "bans.sqlite") == ["own"]
    assert keys(place / "limits.sqlite") == ["own"]
    assert (place / "switches.json").read_bytes() == b"own"


def test_calls_of_a_journal_that_was_not_read_to_its_end_go_on(place: Path) -> None:
    files = {FILE: {key_of("call"): b"whole", key_of("call", 1): b"change", key_of("lost", 1): b"change"}}
    restore_all(Found(files), place, DATABASES, 1000.0)
    assert LiveJournal(place / FILE, SECRET).load(1001.0) == {"call": (b"whole", b"change")}
