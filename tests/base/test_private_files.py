"""Files that this user alone may read: whole or not at all, over whatever a crash has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.base.private_files import SECRET_BYTES, kept_secret, replace_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_takes_the_place_of_another_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with path.open("rb") as old:
        replace_private(path, b"new")
        assert old.read() == b"old"
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_the_half_of_a_file_that_a_crash_has_left_is_written_over(tmp_path: Path) -> None:
    left = tmp_path / ".file.new"
    left.write_bytes(b"half of a longer file")
    left.chmod(0o644)
    replace_private(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert mode(tmp_path / "file") == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / ".file.new").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        replace_private(tmp_path / "file", b"ours")
    assert elsewhere.read_bytes() == b"theirs"


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_private(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    made = kept_secret(path)
    assert len(made) == SECRET_BYTES
    assert mode(path) == 0o600
    assert kept_secret(path) == made
    path.write_bytes(made[:-1])
    with pytest.raises(OSError, match="is not the secret of a gateway"):
        kept_secret(path)
