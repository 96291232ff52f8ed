"""Processes that children leave behind are found by their parent and ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.demo.stragglers import end_stragglers, live_children


class Processes:
    """Some processes; those that are deaf need SIGKILL."""

    def __init__(self, *pids: int, deaf: tuple[int, ...] = ()) -> None:
        self.alive = [*pids, *deaf]
        self.signals: list[tuple[int, signal.Signals]] = []
        self._deaf = deaf

    def kill(self, pid: int, number: signal.Signals) -> None:
        self.signals.append((pid, number))
        if number is signal.SIGKILL or pid not in self._deaf:
            self.alive.remove(pid)


def end(processes: Processes, seconds: float) -> bool:
    clock = Clock()
    ending = Deferred.fromCoroutine(end_stragglers(clock, lambda: list(processes.alive), processes.kill))
    clock.pump([0.05] * round(seconds / 0.05))
    assert ending.called == (clock.getDelayedCalls() == [])
    return bool(ending.called)


def test_nobody_is_left() -> None:
    processes = Processes()
    assert end(processes, 0.0)
    assert processes.signals == []


def test_the_polite_way() -> None:
    processes = Processes(7, 8)
    assert end(processes, 0.0)
    assert processes.signals == [(7, signal.SIGTERM), (8, signal.SIGTERM)]


def test_the_deaf_are_killed() -> None:
    processes = Processes(7, deaf=(8,))
    assert not end(processes, 0.5)
    processes = Processes(7, deaf=(8,))
    assert end(processes, 1.2)
    assert processes.signals == [(7, signal.SIGTERM), (8, signal.SIGTERM), (8, signal.SIGKILL)]


def test_children_are_found_while_they_live() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in live_children(os.getpid())
    assert child.pid not in live_children(os.getpid())


def test_odd_process_names_and_zombies(tmp_path: Path) -> None:
    for pid, stat in {11: "11 (a) b (c)) S 5 1", 12: "12 (x) Z 5 1", 13: "13 (x) S 6 1"}.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat)
    (tmp_path / "14").mkdir()
    (tmp_path / "self").mkdir()
    assert live_children(5, tmp_path) == [11]
