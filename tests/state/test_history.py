"""Calls that have ended: one CDR line each, told of again after a restart, dropped when they are old."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.observe.figures import KeptFile
from gateway.state.cdr import FIELDS, CdrFile, detail_record
from gateway.state.history import DAY_SECONDS, LISTING_SECONDS, UNSEEN, CallHistory, Row
from gateway.state.listing.call_table import BATCH, CallTable, prepare_calls
from gateway.state.table import KeptTable
from tests.support.clocks import clock_at
from tests.support.direct_database import DirectDatabase, got

NOW = 1_700_000_000.0


def call(number: int, ended_at: float = NOW, answered_at: float | None = NOW - 63.5) -> Row:
    return {
        "id": f"call-{number}",
        "caller": "sip:alice@example.com",
        "verdict": "ENCRYPTED_TO_PROVIDER",
        "answered_at": answered_at,
        "ended_at": ended_at,
        "ladder": [{"what": "INVITE"}],
        "chain": [],
    }


class Opened:
    """A history on a directory, as after a start."""

    def __init__(self, directory: Path, now: float = NOW, **ended: Any) -> None:
        self.directory = directory
        self.database = DirectDatabase(directory / "calls.sqlite", prepare_calls)
        self.clock = self.database.clock
        self.table = CallTable(directory / "calls.sqlite", self.database, self.clock)
        self.cdr = directory / "cdr.jsonl"
        self.history = CallHistory(self.table, CdrFile(self.cdr), clock_at(now, self.clock), days=30)
        got(self.history.start())
        self.unseen = self.history.end_unseen(**ended)

    def stop(self) -> None:
        got(self.history.stop())
        assert not self.clock.getDelayedCalls()


def test_a_call_is_told_of_after_a_restart(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    first.history.ended(call(1, NOW - 10))
    first.history.ended(call(2))
    assert got(first.history.find("call-1")) == call(1, NOW - 10)
    assert first.history.before() == []
    first.stop()
    second = Opened(tmp_path)
    assert second.history.before() == [call(2), call(1, NOW - 10)]
    assert got(second.history.find("call-2")) == call(2)
    assert got(second.history.find("call-3")) is None
    second.stop()


def test_what_is_older_than_the_retention_is_dropped(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    first.history.ended(call(1, NOW - 29 * DAY_SECONDS))
    first.history.ended(call(2, NOW - 28 * DAY_SECONDS))
    first.stop()
    later = Opened(tmp_path, NOW + 1.5 * DAY_SECONDS)
    later.stop()
    assert [row["id"] for row in Opened(tmp_path).history.before()] == ["call-2"]


def test_a_detail_record_has_its_fields_in_order_and_nothing_else(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    opened.history.ended(call(1))
    opened.history.ended(call(2, answered_at=None))
    first, second = map(json.loads, opened.cdr.read_text().splitlines())
    assert tuple(first) == FIELDS
    assert (first["id"], first["seconds"], second["seconds"]) == ("call-1", 63.5, 0)
    assert stat.S_IMODE(opened.cdr.stat().st_mode) == 0o600


def test_a_file_that_was_moved_away_is_opened_anew_when_told(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    opened.history.ended(call(1))
    moved = opened.cdr.rename(tmp_path / "cdr.old")
    opened.history.ended(call(2))
    opened.history.reopen()
    opened.history.ended(call(3))
    assert len(moved.read_text().splitlines()) == 2
    assert json.loads(opened.cdr.read_text())["id"] == "call-3"


def test_a_record_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    cdr = CdrFile(tmp_path / "file")
    cdr.write(detail_record(call(1)))
    cdr.close()


def test_what_a_full_disk_does_not_take_waits_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "cdr.jsonl"
    path.symlink_to("/dev/full")
    cdr = CdrFile(path)
    cdr.write({"id": 1})
    cdr.write({"id": 2})
    assert cdr.standing == KeptFile("cdr.jsonl", failures=2, is_failing=True)
    path.unlink()
    cdr.retry()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [1, 2]
    assert cdr.standing == KeptFile("cdr.jsonl", failures=2)
    cdr.close()


def test_of_a_record_that_fits_in_half_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cdr = CdrFile(tmp_path / "cdr.jsonl")
    cdr.write({"id": 1})
    write = os.write
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda descriptor, data: write(descriptor, data[:5]))
        cdr.write({"id": 2})
    cdr.write({"id": 3})
    cdr.close()
    assert [json.loads(line)["id"] for line in (tmp_path / "cdr.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_calls_that_end_together_have_a_line_each_however_little_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cdr = tmp_path / "cdr.jsonl", CdrFile(tmp_path / "cdr.jsonl")
    write, room = os.write, 100
    line = len(b'{"id":100}\n')

    def written(descriptor: int, data: bytes) -> int:
        nonlocal room
        fits = min(len(data), room)
        room -= fits
        return write(descriptor, data[:fits])

    def truncated(descriptor: int, length: int) -> None:
        nonlocal room
        room += os.fstat(descriptor).st_size - length
        truncate(descriptor, length)

    truncate = os.ftruncate
    with monkeypatch.context() as full:
        full.setattr("os.write", written)
        full.setattr("os.ftruncate", truncated)
        cdr.write(*({"id": 100 + number} for number in range(20)))
    told = [json.loads(one)["id"] for one in path.read_text().splitlines()]
    assert told == [100 + number for number in range(100 // line)]
    assert cdr.standing == KeptFile("cdr.jsonl", failures=1, is_failing=True)
    cdr.write(*({"id": 120 + number} for number in range(200)))
    cdr.close()
    assert [json.loads(one)["id"] for one in path.read_text().splitlines()] == [*range(100, 320)]


def test_a_call_that_cannot_be_kept_takes_no_other_with_it(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    odd: Any = object()
    opened.history.ended(call(1), {**call(2), "ending": odd}, call(3))
    assert [json.loads(line)["id"] for line in opened.cdr.read_text().splitlines()] == ["call-1", "call-3"]


def test_records_that_nobody_takes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.state.cdr.WAITING", 3)
    path = tmp_path / "cdr.jsonl"
    path.symlink_to("/dev/full")
    cdr = CdrFile(path)
    for number in range(5):
        cdr.write({"id": number})
    path.unlink()
    cdr.retry()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [2, 3, 4]


def test_the_length_that_was_measured_counts_more_than_the_clock() -> None:
    told = detail_record({"answered_at": 100.0, "ended_at": 7_300.0, "seconds": 12.3456})
    assert told["seconds"] == 12.346


@pytest.mark.parametrize("answered_at", [None, "soon"])
def test_the_length_of_what_was_not_answered_is_none(answered_at: object) -> None:
    assert detail_record({"answered_at": answered_at, "ended_at": 1.0})["seconds"] == 0  # type: ignore[dict-item]


def test_a_call_whose_end_nobody_saw_has_a_record_after_the_next_start(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    first.history.ended(call(1, NOW - 10))
    for number in (2, 3):
        assert f"call-{number}" not in first.history.noted
        first.history.goes_on({**call(number), "ended_at": None, "state": "established", "seconds": 0.0})
        assert f"call-{number}" in first.history.noted
    first.history.ended({**call(3, NOW - 5), "seconds": 7.0})
    first.clock.advance(1)  # and then it is killed
    first.database.close()

    second = Opened(tmp_path, NOW + 60)

    assert [row["id"] for row in second.history.before()] == ["call-2", "call-3", "call-1"]
    unseen = got(second.history.find("call-2"))
    assert unseen is not None
    assert second.unseen == [unseen]
    assert (unseen["state"], unseen["ended_at"], unseen["ending"]) == ("ended", NOW + 60, UNSEEN)
    records = [json.loads(line) for line in second.cdr.read_text().splitlines()]
    assert [(one["id"], one["seconds"]) for one in records] == [("call-1", 53.5), ("call-3", 7.0), ("call-2", None)]
    second.stop()
    third = Opened(tmp_path, NOW + 70)
    assert third.unseen == []
    assert [row["id"] for row in third.history.before()] == ["call-2", "call-3", "call-1"]
    assert len(third.cdr.read_text().splitlines()) == 3


def test_calls_that_go_on_or_have_their_line_in_the_cdr_file_get_no_other(tmp_path: Path) -> None:
    """One goes on, one has its line, one is left, and one was up for too short a time to be noted."""
    first = Opened(tmp_path)
    for number in (1, 2, 3):
        first.history.goes_on({**call(number), "ended_at": None, "state": "established"})
    first.clock.advance(1)  # and then it is killed
    first.database.close()

    second = Opened(tmp_path, known=frozenset({"call-1", "call-2"}), recorded=frozenset({"call-2"}), more=(call(4),))

    assert {row["id"] for row in second.unseen} == {"call-3", "call-4"}
    assert {json.loads(line)["id"] for line in second.cdr.read_text().splitlines()} == {"call-3", "call-4"}
    assert second.history.noted == {"call-1"}
    second.clock.advance(1)
    second.database.close()
    assert [row["id"] for row in Opened(tmp_path).unseen] == ["call-1"]


def test_the_cdr_file_tells_which_calls_it_has_whatever_else_is_in_it(tmp_path: Path) -> None:
    """Else a byte that is wrong would keep all calls from going on."""
    opened = Opened(tmp_path)
    assert opened.history.recorded() == frozenset()
    opened.history.ended(call(1))
    with opened.cdr.open("ab") as file:
        file.write(b'\0\xff{"id":"call-8"}\n{"id":"\xfe\xff"}\n{"id":"cut\n')
    opened.history.ended(call(2))

    assert opened.history.recorded() == {"call-1", "\ufffd\ufffd", "call-2"}


def test_calls_that_an_earlier_version_kept_are_put_into_the_list_while_the_gateway_is_at_work(tmp_path: Path) -> None:
    database = DirectDatabase(tmp_path / "calls.sqlite")
    old = KeptTable(tmp_path / "calls.sqlite", database, database.clock)
    for number in range(BATCH + 50):
        old.put(f"call-{number}", NOW - 60, call(number))
    got(old.stop())
    opened = Opened(tmp_path)
    assert got(opened.table.count_unlisted()) == 50
    opened.clock.advance(LISTING_SECONDS)
    assert got(opened.table.count_unlisted()) == 0
    opened.clock.advance(LISTING_SECONDS)
    opened.stop()


def test_a_gateway_that_ends_while_it_lists_leaves_nothing_behind(tmp_path: Path) -> None:
    database = DirectDatabase(tmp_path / "calls.sqlite")
    old = KeptTable(tmp_path / "calls.sqlite", database, database.clock)
    for number in range(BATCH + 50):
        old.put(f"call-{number}", NOW - 60, call(number))
    got(old.stop())
    Opened(tmp_path).stop()
