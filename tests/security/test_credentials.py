"""The file of passwords: private, well formed, or one line that says why not and shows nothing of it."""

import os
from pathlib import Path

import pytest

from gateway.security.credentials import CredentialsError, Passwords


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.toml"
    path.write_text('alice = "s3cret"\n"bob@example.com" = "hunter2"\n', encoding="utf-8")
    path.chmod(0o600)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(CredentialsError) as failure:
        Passwords.load(path)
    text = str(failure.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert failure.value.__cause__ is None
    return text


def test_passwords_are_read_and_not_shown(path: Path) -> None:
    passwords = Passwords.load(path)
    assert (passwords.of("alice"), passwords.of("bob@example.com"), passwords.of("eve")) == ("s3cret", "hunter2", None)
    assert len(passwords) == 2
    assert repr(passwords) == "<Passwords of 2 users>"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert f"mode {mode:04o}" in error_of(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_taken(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert Passwords.load(path).of("alice") == "s3cret"


@pytest.mark.parametrize(
    "content",
    [
        b"alice = s3cret\n",
        b'alice = "s3cret\n',
        b"alice = 7\n",
        b'alice = ""\n',
        b'"" = "s3cret"\n',
        b'[alice]\npassword = "s3cret"\n',
        b'alice = "s3cret"\nalice = "s3cret"\n',
        b'alice = "s3cret\xff"\n',
    ],
)
def test_a_malformed_file_is_refused_without_showing_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "s3cret" not in error_of(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "No such file" in error_of(tmp_path / "missing.toml")
    assert "Is a directory" in error_of(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "is no file" in error_of(pipe)


def test_an_empty_file_knows_nobody(path: Path) -> None:
    path.write_bytes(b"")
    assert len(Passwords.load(path)) == 0


def test_weak_passwords_are_counted_and_not_shown() -> None:
    passwords = {"alice": "alice-2026-xy", "bob": "short", "carol": "x" * 16, "dave": "x" * 16, "eve": "r8Jq2LmZ0p"}
    assert Passwords(passwords).weak() == (2, 1, 2, 5)
    assert Passwords({}).weak() == (0, 0, 0, 0)
