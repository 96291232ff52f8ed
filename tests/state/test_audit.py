"""The audit: entries with their author, and a chain that shows each line that was touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.state.audit import AuditLog, Author
from gateway.state.audit_chain import BEGIN, ending_of, verify_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def audit_of(path: Path, count: int = 0) -> AuditLog:
    audit = AuditLog(path, lambda: 1_700_000_000.5)
    for number in range(count):
        audit.write(Author("alice", "192.0.2.1"), "switch", domain="example.com", number=number)
    return audit


def faults(path: Path, expected: str | None = None) -> tuple[str, ...]:
    return verify_file(path, expected).faults


def test_an_entry_says_who_from_where_and_what(path: Path) -> None:
    audit = audit_of(path)
    audit.write(Author("token ci", "192.0.2.1"), "switch", domain="example.com", **{"from": "off", "to": "required"})
    audit.write("SIGHUP", "reload", changes=[])
    first, second = map(json.loads, path.read_text().splitlines())
    assert list(first.items())[:-1] == [
        ("at", "2023-11-14T22:13:20.500Z"),
        ("who", "token ci"),
        ("source", "192.0.2.1"),
        ("what", "switch"),
        ("domain", "example.com"),
        ("from", "off"),
        ("to", "required"),
    ]
    assert "source" not in second
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_line_names_the_sha_256_of_the_line_before(path: Path) -> None:
    audit_of(path, 3)
    lines = path.read_bytes().splitlines()
    named = [json.loads(line)["prev"] for line in lines]
    assert named == [BEGIN, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]
    assert faults(path) == ()


def test_the_chain_goes_on_after_a_restart(path: Path) -> None:
    for _ in range(3):
        audit_of(path, 2)
    assert (verify_file(path).lines, faults(path)) == (6, ())


def test_lines_from_before_the_chain_are_read_and_vouched_for(path: Path) -> None:
    old = '{"at": "2026-01-01T00:00:00Z", "who": "root", "what": "switch", "domain": "example.com"}\n'
    path.write_text(old * 3)
    audit = audit_of(path, 2)
    assert len(audit.about("example.com")) == 5
    found = verify_file(path)
    assert (found.lines, found.older, found.faults) == (5, 3, ())
    path.write_text(old * 2 + "".join(path.read_text().splitlines(keepends=True)[3:]).replace("x", "x"))
    assert faults(path) == (), "the same old line stands before it"
    path.write_text(path.read_text().replace("root", "rOOt"))
    assert len(faults(path)) == 1


Touch = Callable[[list[str]], list[str]]


@pytest.mark.parametrize(
    "touch",
    [
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:2], lines[2].replace("alice", "bob"), *lines[3:]],
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [*lines[:2], '{"who": "bob"}', *lines[2:]],
        lambda lines: [*lines[:2], "", *lines[2:]],
    ],
    ids=["taken out", "changed", "swapped", "doubled", "put in", "empty"],
)
def test_a_line_that_was_touched_is_seen(path: Path, touch: Touch) -> None:
    audit_of(path, 6)
    path.write_text("\n".join(touch(path.read_text().splitlines())) + "\n")
    assert any("line 3" in fault or "line 4" in fault for fault in faults(path))


def test_a_missing_end_is_seen_by_the_digest_that_is_known_elsewhere(path: Path) -> None:
    audit = audit_of(path, 5)
    look = audit.verified()
    assert look().faults == ()
    last = verify_file(path).last
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert faults(path) == ()
    assert len(faults(path, last)) == 1
    assert len(audit.verified()().faults) == 1, "the running gateway knows it"
    audit.write("root", "switch")
    assert len(faults(path)) == 1, "and so does the next line"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        audit.verified()()


def test_a_line_that_broke_off_is_no_fault_and_spoils_no_other(path: Path) -> None:
    audit_of(path, 2)
    with path.open("a") as file:
        file.write('{"at": "2026')
    assert ending_of(path).is_torn
    audit_of(path, 2)
    found = verify_file(path)
    assert (found.lines, found.torn, found.faults) == (5, 1, ())


def test_a_full_disk_breaks_no_chain(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = audit_of(path, 2)
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:20]))
    audit.write("root", "lost")
    monkeypatch.undo()
    audit.write("root", "kept")
    found = verify_file(path)
    assert (found.lines, found.torn, found.faults) == (4, 1, ())
    assert [entry["what"] for entry in audit.about(None)[-2:]] == ["lost", "kept"]


def test_the_end_of_a_long_file_is_found(path: Path) -> None:
    audit = audit_of(path)
    audit.write("root", "reload", changes=["x" * 200_000])
    audit.write("root", "reload", changes=["y" * 300_000])
    assert ending_of(path).last == verify_file(path).last
    assert audit_of(path).verified()().faults == ()


@pytest.mark.parametrize("before", [0, 1])
def test_the_chain_goes_on_after_a_last_line_that_reaches_to_the_begin_of_the_file(path: Path, before: int) -> None:
    audit_of(path, before).write("root", "reload", changes=["x" * 100_000])
    assert ending_of(path).last == verify_file(path).last
    audit_of(path, 1)
    assert faults(path) == ()


def test_an_empty_audit_is_whole(path: Path) -> None:
    assert audit_of(path).verified()().lines == 0
    path.touch()
    assert verify_file(path).lines == 0


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\x00", b"1" * 200_000, b"null"])
def test_a_line_of_nonsense_is_seen_and_keeps_nobody_from_starting(path: Path, line: bytes) -> None:
    AuditLog(path, lambda: 1.0).write("alice", "reload")
    path.write_bytes(path.read_bytes() + line + b"\n")
    audit = AuditLog(path, lambda: 2.0)
    audit.write("alice", "reload")
    assert [entry["who"] for entry in audit.about(None)] == ["alice", "alice"]
    assert audit.verified()().torn == 1
