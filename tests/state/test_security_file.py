"""The security log: events about security alone, a line each, in a file for one user."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gateway.observe.events import EventName, Events
from gateway.observe.figures import KeptFile
from gateway.state import security_file
from gateway.state.security_file import SecurityFile


class Kept:
    def __init__(self, path: Path) -> None:
        self.events = Events(lambda: 1.5)
        self.path = path
        self.file = SecurityFile(path)
        self.events.subscribe(self.file.note)

    @property
    def lines(self) -> list[str]:
        return [json.loads(line)["who"] for line in self.path.read_text().splitlines()]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "security.jsonl")


def test_events_about_security_are_kept_and_no_others(kept: Kept) -> None:
    kept.events.note(EventName.CALL_STARTED, who="no")
    kept.events.note(EventName.SECURITY_DOWNGRADE, who="main", feature="tls")
    assert not kept.path.exists(), "it is written behind"
    kept.file.write()
    kept.file.write()
    assert kept.lines == ["main"]
    assert json.loads(kept.path.read_text())["fields"] == {"feature": "tls"}
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_a_file_that_was_moved_away_is_begun_anew(kept: Kept) -> None:
    kept.events.note(EventName.SECURITY_DOWNGRADE, who="one")
    kept.file.write()
    kept.path.rename(kept.path.with_suffix(".old"))
    kept.events.note(EventName.SECURITY_DOWNGRADE, who="two")
    kept.file.write()
    assert kept.lines == ["two"]


def test_lines_wait_for_a_disk_that_takes_none_up_to_a_bound(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.path.mkdir()
    for number in range(security_file.WAITING + 5):
        kept.events.note(EventName.SECURITY_DOWNGRADE, who=str(number))
    kept.file.write()
    assert kept.file.standing == KeptFile("security.jsonl", failures=1, is_failing=True)
    kept.path.rmdir()
    kept.file.write()
    assert kept.file.standing == KeptFile("security.jsonl", failures=1)
    assert (len(kept.lines), kept.lines[0]) == (security_file.WAITING, "5")


def test_of_lines_that_fit_in_half_none_stays(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    kept.events.note(EventName.SECURITY_DOWNGRADE, who="one")
    kept.file.write()
    kept.events.note(EventName.SECURITY_DOWNGRADE, who="two")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda descriptor, data: write(descriptor, data[:5]))
        kept.file.write()
    assert kept.lines == ["one"]
    kept.file.write()
    assert kept.lines == ["one", "two"]
