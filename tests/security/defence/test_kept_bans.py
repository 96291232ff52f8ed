"""Bans outlive the process: with the time that is left, whatever was done to the clock, and to the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import attrs
import pytest

from gateway.security.defence.bans import HOUR, WEEK, Ban, Bans, BanState
from gateway.security.defence.kept_bans import KeptBans, Moment
from gateway.state.rescue import put_aside_unless_readable
from gateway.state.table import KeptTable, prepare
from tests.support.direct_database import DirectDatabase, got

T0 = 1_800_000_000.0


@attrs.define
class Machine:
    """A machine: the time that has passed since its start, and what its clock says."""

    path: Path
    boot: str = "first"
    passed: float = 5_000.0
    wall: float = T0

    def process(self) -> Process:
        """A gateway that is started now."""
        return Process(self)


class Process:
    """A gateway with its bans, that is killed or ended."""

    def __init__(self, machine: Machine) -> None:
        base = machine.wall - machine.passed

        def now() -> float:
            return base + machine.passed

        self.now = now
        self.database = DirectDatabase(machine.path)
        table = KeptTable(machine.path, self.database, self.database.clock)
        self.kept = KeptBans(table, now, lambda: machine.passed, lambda: machine.boot)
        self.bans = Bans(now, lambda source: True)
        kept: list[Ban] = got(self.kept.recall())
        self.bans.restore(kept)
        self.bans.listen(self.kept.keep)

    def kill(self) -> None:
        """No more is written."""
        self.database.close()

    def ban(self, source: str, seconds: float = HOUR, state: BanState = BanState.ACTIVE) -> Ban:
        now = self.now()
        told = {"evidence": ("REGISTER sip:x UDP",), "users": ("100",), "words": "by hand"}
        return self.bans.ban(Ban(source, "scan", now, now + seconds, state=state, **told))  # type: ignore[arg-type]

    def left(self, source: str) -> float:
        found = self.bans.of(source)
        assert found is not None
        return found.until - self.now()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "bans.sqlite")


def test_a_ban_outlives_a_kill_right_after_it_with_all_that_is_known(machine: Machine) -> None:
    first = machine.process()
    told = first.ban("192.0.2.1")
    first.kill()
    again = machine.process()
    assert again.bans.of("192.0.2.1") == told


def test_the_time_that_passed_meanwhile_counts(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1")
    first.kill()
    machine.passed += 600
    machine.wall += 600
    assert machine.process().left("192.0.2.1") == HOUR - 600


@pytest.mark.parametrize("jump", [-30 * 86_400.0, 30 * 86_400.0])
def test_a_clock_that_was_set_changes_nothing_in_one_run_of_the_machine(machine: Machine, jump: float) -> None:
    first = machine.process()
    first.ban("192.0.2.1")
    first.kill()
    machine.passed += 600
    machine.wall += 600 + jump
    assert machine.process().left("192.0.2.1") == pytest.approx(HOUR - 600)


def test_after_another_start_of_the_machine_the_clock_is_asked(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1")
    first.kill()
    machine.boot, machine.passed, machine.wall = "second", 10.0, machine.wall + 900
    assert machine.process().left("192.0.2.1") == HOUR - 900


def test_a_machine_that_starts_in_1970_begins_the_rest_anew(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1")
    first.kill()
    machine.boot, machine.passed, machine.wall = "second", 10.0, 10.0
    assert machine.process().left("192.0.2.1") == HOUR


def test_lifts_approvals_and_the_grace_outlive_it_too(machine: Machine) -> None:
    first = machine.process()
    waiting = first.ban("192.0.2.1", state=BanState.WAITING)
    first.ban("192.0.2.2")
    first.bans.lift("192.0.2.2", "ana")
    first.bans.approve(waiting.id, "ana")
    first.kill()
    again = machine.process()
    approved = again.bans.of("192.0.2.1")
    assert approved is not None
    assert (approved.state, approved.by) == (BanState.ACTIVE, "ana")
    assert again.bans.of("192.0.2.2") is None
    assert again.bans.is_spared("192.0.2.2")


def test_the_next_ban_of_a_week_is_known_to_be_the_second(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1", 600)
    machine.passed += 700
    machine.wall += 700
    first.bans.expire()
    first.kill()
    assert machine.process().ban("192.0.2.1", 600).times == 2


def test_long_ended_ones_are_forgotten_in_the_file(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1", 600)
    machine.passed += 3 * WEEK
    machine.wall += 3 * WEEK
    first.kept.tidy()
    first.kill()
    assert len(machine.process().bans) == 0


def test_rows_of_nobody_are_passed_over(machine: Machine) -> None:
    first = machine.process()
    first.ban("192.0.2.1")
    file = first.database._connection
    good = file.execute("SELECT value FROM kept").fetchone()[0]
    for number, bad in enumerate(
        [
            "{}",
            '{"source": 7, "written": null}',
            good.replace('"scan"', "null").replace('"active"', '"unheard of"'),
            good.replace('"passed":', '"past":'),
            good.replace('"times":1', '"times":"many"'),
        ]
    ):
        file.execute("INSERT INTO kept VALUES (?, ?, ?)", (str(number), T0 * 2, bad))
    file.commit()
    first.kill()
    assert [ban.source for ban in machine.process().bans.current()] == ["192.0.2.1"]


def test_a_file_that_is_none_is_put_aside_and_bans_go_on(machine: Machine) -> None:
    machine.path.write_bytes(b"no database at all" * 100)
    aside = put_aside_unless_readable(machine.path, prepare, "SELECT * FROM kept", lambda: T0)
    assert aside is not None
    assert aside.name.startswith("bans.sqlite.unusable-")
    process = machine.process()
    process.ban("192.0.2.1")
    process.kill()
    assert machine.process().bans.of("192.0.2.1") is not None


def test_two_readings_of_one_moment() -> None:
    written = Moment(100.0, 50.0, "a")
    assert written.as_seen(Moment(1000.0, 60.0, "a")) == 990.0
    assert written.as_seen(Moment(130.0, 5.0, "b")) == 100.0
    assert written.as_seen(Moment(20.0, 5.0, "b")) == 20.0


def test_a_real_database_holds_it_at_once(machine: Machine) -> None:
    process = machine.process()
    process.ban("192.0.2.1")
    assert process.database._connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    assert not process.database._connection.in_transaction
    process.kill()
    assert sqlite3.connect(machine.path).execute("SELECT key FROM kept").fetchone() == ("192.0.2.1",)
