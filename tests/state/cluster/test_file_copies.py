"""Small files as copies: looked at, read as a whole, put into another node's directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from gateway.state.cluster.file_copies import FILES, LONGEST, FileCopies, restore_files
from tests.support.cluster.memory_replica import MemoryReplica


@pytest.fixture
def noted() -> MemoryReplica:
    return MemoryReplica()


def test_each_change_is_told_once_and_a_file_that_goes_is_told_as_gone(tmp_path: Path, noted: MemoryReplica) -> None:
    copies = FileCopies(tmp_path, noted)
    (tmp_path / "switches.json").write_bytes(b"1")
    copies.look()
    copies.look()
    (tmp_path / "switches.json").write_bytes(b"22")
    copies.look()
    (tmp_path / "switches.json").unlink()
    copies.look()
    copies.look()
    assert noted.told == [(b"switches.json", b"1"), (b"switches.json", b"22"), (b"switches.json", None)]


def test_a_file_that_cannot_be_read_is_not_taken_for_gone(tmp_path: Path, noted: MemoryReplica) -> None:
    copies = FileCopies(tmp_path, noted)
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "switches.json").mkdir()
    with pytest.raises(IsADirectoryError):
        noted.all_of(FILES)
    (tmp_path / "switches.json").rmdir()
    assert noted.all_of(FILES) == {b"secret": b"s"}
    copies.look()
    assert noted.told == []


def test_a_file_is_read_again_where_that_failed(tmp_path: Path, noted: MemoryReplica) -> None:
    copies = FileCopies(tmp_path, noted)
    broken = tmp_path / "switches.json"
    broken.mkdir()
    copies.look()
    broken.rmdir()
    broken.write_bytes(b"1")
    copies.look()
    assert noted.told == [(b"switches.json", b"1")]


def test_a_file_that_is_too_long_is_told_and_the_others_are_copied_as_they_change(
    tmp_path: Path, noted: MemoryReplica
) -> None:
    copies = FileCopies(tmp_path, noted)
    (tmp_path / "switches.json").write_bytes(b"x" * (LONGEST + 1))
    (tmp_path / "secret").write_bytes(b"s")
    with capturedLogs() as logged:
        copies.look()
        copies.look()
    assert [event["reason"] for event in logged] == ["File too large"]
    assert noted.told == [(b"secret", b"s")]
    with pytest.raises(OSError, match="too large"):
        noted.all_of(FILES)


def test_files_that_the_other_node_did_not_have_go(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"old")
    (tmp_path / "switches.json").write_bytes(b"old")
    restore_files(tmp_path, {b"secret": b"new"})
    assert (tmp_path / "secret").read_bytes() == b"new"
    assert not (tmp_path / "switches.json").exists()
