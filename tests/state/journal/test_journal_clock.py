"""The time of a journal: it passes evenly from one process to the next, and says where the system's clock was set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from gateway.state.journal.journal_clock import JournalClock, this_boot
from gateway.state.journal.live_journal import CLOCK, FILE, STALE, LiveJournal

DAY = 86_400.0
SECRET = bytes(32)


class Machine:
    """The clocks of a machine."""

    def __init__(self) -> None:
        self.wall, self.since_boot, self.boot = 1e9, 500.0, "first"

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds

    def starts_anew(self) -> None:
        self.boot, self.since_boot = "second", 3.0

    def clock(self) -> JournalClock:
        """That of a new process."""
        return JournalClock(lambda: self.wall, lambda: self.since_boot, self.boot)


@pytest.mark.parametrize("is_set_by", [0.0, -DAY, DAY])
def test_ages_are_by_the_time_that_has_passed(is_set_by: float) -> None:
    machine = Machine()
    first = machine.clock()
    machine.passes(100)
    begun = first.now()
    kept = first.kept

    machine.passes(20)
    machine.wall += is_set_by
    after = machine.clock()

    with capturedLogs() as told:
        assert after.go_on(kept) == pytest.approx(20)
    assert after.now() - begun == pytest.approx(20)
    assert len(told) == (1 if is_set_by else 0)


def test_a_jump_under_a_process_is_not_told_by_the_next() -> None:
    """The watch over the clock has told of it."""
    machine = Machine()
    first = machine.clock()
    machine.wall -= DAY
    kept = first.kept
    machine.passes(5)
    after = machine.clock()
    with capturedLogs() as told:
        assert after.go_on(kept) == pytest.approx(5)
    assert told == []


def test_after_a_boot_the_systems_clock_says_how_long_it_took() -> None:
    machine = Machine()
    first = machine.clock()
    begun, kept = first.now(), first.kept
    machine.wall += 40
    machine.starts_anew()
    after = machine.clock()
    assert after.go_on(kept) is None
    assert after.now() - begun == pytest.approx(40)

    kept = after.kept
    machine.passes(7)
    again = machine.clock()
    assert again.go_on(kept) == pytest.approx(7)
    assert again.now() - begun == pytest.approx(47)


@pytest.mark.parametrize("kept", [None, b"", b"null", b"[]", b'["first"]', b'["first",1,"x",3]', b"{}", b"\xff"])
def test_without_a_time_it_is_the_systems_as_in_versions_before(kept: bytes | None) -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.go_on(kept) is None
    assert clock.now() == pytest.approx(machine.wall)


@pytest.mark.parametrize(("is_set_by", "passes", "is_of_now"), [(DAY, 30, True), (-DAY, 30, True), (-DAY, 700, False)])
def test_a_journal_is_of_now_by_the_time_that_has_passed(
    tmp_path: Path, is_set_by: float, passes: float, is_of_now: bool
) -> None:
    machine = Machine()
    journal = LiveJournal(tmp_path / FILE, SECRET, clock=machine.clock())
    journal.renew([("one", b"data")])
    os.utime(tmp_path / FILE, (machine.wall, machine.wall))

    machine.passes(passes)
    machine.wall += is_set_by
    found = LiveJournal(tmp_path / FILE, SECRET, clock=machine.clock()).load(machine.wall)

    assert found == ({"one": (b"data",)} if is_of_now else {})
    assert CLOCK not in found


def test_one_that_is_touched_is_of_now(tmp_path: Path) -> None:
    machine = Machine()
    journal = LiveJournal(tmp_path / FILE, SECRET, clock=machine.clock())
    journal.renew([("one", b"data")])
    machine.passes(STALE + 100)
    journal.touch()
    machine.passes(STALE - 1)
    assert [*LiveJournal(tmp_path / FILE, SECRET, clock=machine.clock()).load(machine.wall)] == ["one"]


def test_the_kernel_names_this_boot() -> None:
    assert this_boot() == this_boot() != ""
