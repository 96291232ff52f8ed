"""The caretaker of calls that were left: whom it waits for, and what it is told."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.app.succession import caretaker, successor
from gateway.state.journal.live_journal import FILE, STALE, LiveJournal
from gateway.state.sqlite import locked

SECRET = bytes(32)


@pytest.fixture(autouse=True)
def passing(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes by being slept: as it is now."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(caretaker, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return now


def after(looks: int) -> Callable[[], bool]:
    """A question that is answered with yes after so many looks."""
    answers = iter([False] * looks)
    return lambda: next(answers, True)


def never() -> bool:
    return False


def always() -> bool:
    return True


def test_it_acts_when_nobody_came_in_time() -> None:
    assert caretaker.must_act(never, never, 60)


def test_it_ends_as_soon_as_somebody_goes_on_with_the_calls() -> None:
    assert not caretaker.must_act(after(119), never, 60)
    assert caretaker.must_act(after(122), never, 60), "a second too late"


def test_a_process_that_has_the_state_directory_is_waited_for() -> None:
    starting = iter([True] * 20)
    assert not caretaker.must_act(after(130), always, 60)
    assert caretaker.must_act(never, lambda: next(starting, False), 60), "it has ended without the calls"


def test_one_that_is_urged_acts_at_once_but_for_a_process_that_is_starting() -> None:
    """A service manager that ends the rest of a unit sends SIGTERM."""
    starting = iter([True] * 3)
    assert caretaker.must_act(after(2), never, 60, is_urged=always)
    assert caretaker.must_act(after(9), lambda: next(starting, False), 60, is_urged=always)
    assert not caretaker.must_act(always, never, 60, is_urged=always), "somebody goes on with them"


def test_a_gateway_that_cannot_start_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passing: list[float]
) -> None:
    """As where a port is taken: until its calls cannot be ended any more."""
    path = tmp_path / FILE
    path.write_bytes(b"sealed")
    started: list[tuple[float, str]] = []
    statuses = iter([1, 127, 0])

    def run(mode: int, program: str, command: list[str], environment: dict[str, str]) -> int:
        started.append((passing[0], environment[caretaker.VARIABLE]))
        assert (mode, program, command) == (os.P_WAIT, "twist", ["twist", "gateway"])
        return next(statuses, 1)

    monkeypatch.setattr(os, "spawnvpe", run)
    monkeypatch.setattr(caretaker, "signal", SimpleNamespace(SIGTERM=15, signal=lambda *_: None))
    told = [str(path), caretaker.mark_of(str(path)), "60", "twist", "gateway"]
    caretaker.main(told)
    assert started == [(1060.0, "60"), (1070.0, "60"), (1080.0, "60")]
    caretaker.main(told)
    assert 50 < len(started) < 60


def test_it_gives_up_before_the_journal_is_too_old() -> None:
    assert caretaker.LONGEST_SECONDS < STALE
    assert not caretaker.must_act(never, always, 1)


def test_a_journal_is_taken_when_another_stands_in_its_place_and_when_none_does(tmp_path: Path) -> None:
    path = tmp_path / FILE
    left = LiveJournal(path, SECRET)
    left.renew([("call", b"its record")])
    mark = caretaker.mark_of(str(path))
    assert mark
    LiveJournal(path, SECRET).load(0.0)
    assert caretaker.mark_of(str(path)) == mark, "to read it is not to take it"

    LiveJournal(path, SECRET).renew([("call", b"its record")])
    taken = caretaker.mark_of(str(path))
    assert taken not in ("", mark)
    path.unlink()
    assert caretaker.mark_of(str(path)) == ""


def test_it_sees_the_lock_of_a_gateway_and_not_that_of_a_reader(tmp_path: Path) -> None:
    path = tmp_path / caretaker.DATABASE
    assert not caretaker.is_locked(str(path)), "there is no file"
    with closing(sqlite3.connect(path)) as connection:
        locked(connection)
        connection.execute("CREATE TABLE t (a)")
    assert not caretaker.is_locked(str(path)), "nobody has it"
    assert not asked_elsewhere(path, "")
    assert asked_elsewhere(path, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; SELECT * FROM t")
    assert not asked_elsewhere(path, "PRAGMA query_only = ON; BEGIN; SELECT * FROM t")


def asked_elsewhere(path: Path, statements: str) -> bool:
    """The answer of another process, while this one has done that with the file."""
    program = "import sys; from gateway.app.succession.caretaker import is_locked; "
    with closing(sqlite3.connect(path)) as connection:
        for statement in filter(None, statements.split(";")):
            connection.execute(statement).fetchall()
        told = subprocess.run(
            [sys.executable, "-c", f"{program} sys.exit(is_locked(sys.argv[1]))", str(path)], check=False
        )
    return bool(told.returncode)


def test_its_command_line_has_paths_and_figures_and_the_command_of_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"sealed")
    started: list[list[str]] = []

    class Started:
        pid = 4711

        def __init__(self, argv: list[str], **how: object) -> None:
            started.append(argv)
            assert how == {"stdin": subprocess.DEVNULL, "start_new_session": True, "close_fds": True}

    command = ["/opt/gateway/bin/twist", "gateway", "--config", "/etc/gateway.toml"]
    monkeypatch.setattr(successor, "command", lambda: command)
    monkeypatch.setattr(subprocess, "Popen", Started)
    assert successor.start_caretaker(path, 60) == 4711
    python = [sys.executable, "-I", "-S", str(Path(caretaker.__file__).resolve())]
    assert started == [[*python, str(path), caretaker.mark_of(str(path)), "60", *command]]
