"""Children are heard line by line; they and the processes they leave are ended, politely, then not."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.demo.processes import Child, ChildEnded, Family, end_stragglers, live_children


class Process:
    """A process that ends when it is told to, or is deaf to SIGTERM."""

    def __init__(self, child: ProcessProtocol, is_deaf: bool) -> None:
        self.child = child
        self.is_deaf = is_deaf
        self.signals: list[str] = []
        self.is_gone = False

    def signalProcess(self, name: str) -> None:
        if self.is_gone:
            raise ProcessExitedAlready()
        self.signals.append(name)
        if name == "KILL" or not self.is_deaf:
            self.end(ProcessTerminated(signal=15))

    def end(self, reason: Exception) -> None:
        self.is_gone = True
        self.child.processExited(Failure(reason))
        self.child.processEnded(Failure(reason))


class Spawner:
    """The part of a reactor that starts processes, without any."""

    def __init__(self, is_deaf: bool = False) -> None:
        self.processes: list[Process] = []
        self._is_deaf = is_deaf

    def spawnProcess(
        self,
        protocol: ProcessProtocol,
        executable: str,
        args: Sequence[str] = (),
        **_: object,
    ) -> Process:
        process = Process(protocol, self._is_deaf)
        protocol.transport = process  # type: ignore[assignment]
        self.processes.append(process)
        return process


def start(spawner: Spawner, clock: Clock, logs: Path) -> tuple[Family, Child, list[str], list[ChildEnded]]:
    """A family of one; the list of its child's lines, and the list of the losses."""
    lines: list[str] = []
    losses: list[ChildEnded] = []
    family = Family(cast(IReactorProcess, spawner), clock, logs, losses.append)
    return family, family.start("gateway", ["/bin/true"], lines.append), lines, losses


def test_output_is_read_by_lines_and_logged(tmp_path: Path) -> None:
    _, child, lines, _ = start(Spawner(), Clock(), tmp_path)
    child.childDataReceived(1, b"one\ntw")
    child.childDataReceived(2, b"trouble\n")
    child.childDataReceived(1, b"o\nthree")
    assert lines == ["one", "two"]
    assert (tmp_path / "gateway.log").read_bytes() == b"one\ntwtrouble\no\nthree"


def test_a_child_that_ends_by_itself_is_a_loss(tmp_path: Path) -> None:
    spawner, clock = Spawner(), Clock()
    _, child, _, losses = start(spawner, clock, tmp_path)
    child.childDataReceived(2, b"listener phones: udp port 5060 of 127.0.0.20 is taken\n")
    spawner.processes[0].end(ProcessTerminated(exitCode=1))
    clock.advance(1)
    (loss,) = losses
    assert str(loss).startswith("The gateway ended by itself (")
    assert str(loss).endswith("\nlistener phones: udp port 5060 of 127.0.0.20 is taken")


def test_the_end_is_polite(tmp_path: Path) -> None:
    spawner, clock = Spawner(), Clock()
    family, _, _, losses = start(spawner, clock, tmp_path)
    ended = family.end()
    clock.advance(0.3)
    assert ended.called
    assert spawner.processes[0].signals == ["TERM"]
    assert losses == []
    assert clock.getDelayedCalls() == []


def test_a_child_that_heard_ctrl_c_itself_is_left_in_peace(tmp_path: Path) -> None:
    spawner, clock = Spawner(), Clock()
    family, _, _, _ = start(spawner, clock, tmp_path)
    ended = family.end()
    clock.advance(0.1)
    spawner.processes[0].end(ProcessTerminated(exitCode=0))
    assert ended.called
    assert clock.getDelayedCalls() == []
    assert spawner.processes[0].signals == []


def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    spawner, clock = Spawner(is_deaf=True), Clock()
    family, _, _, _ = start(spawner, clock, tmp_path)
    ended = family.end()
    clock.advance(1)
    assert spawner.processes[0].signals == ["TERM"]
    clock.advance(10)
    assert ended.called
    assert spawner.processes[0].signals == ["TERM", "KILL"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_end_waits_for_no_child_that_is_gone(tmp_path: Path, count: int) -> None:
    spawner = Spawner()
    family = Family(cast(IReactorProcess, spawner), Clock(), tmp_path, lambda loss: None)
    for number in range(count):
        family.start(f"child{number}", ["/bin/true"])
        spawner.processes[number].end(ProcessTerminated(exitCode=0))
    assert family.end().called


def test_a_signal_to_a_child_that_is_gone_is_nothing(tmp_path: Path) -> None:
    spawner = Spawner()
    _, child, _, _ = start(spawner, Clock(), tmp_path)
    spawner.processes[0].end(ProcessTerminated(exitCode=0))
    child.signal("TERM")
    assert spawner.processes[0].signals == []


class Stragglers:
    """Some processes; those that are deaf need SIGKILL."""

    def __init__(self, *pids: int, deaf: tuple[int, ...] = ()) -> None:
        self.alive = [*pids, *deaf]
        self.signals: list[tuple[int, signal.Signals]] = []
        self._deaf = deaf

    def kill(self, pid: int, number: signal.Signals) -> None:
        self.signals.append((pid, number))
        if number is signal.SIGKILL or pid not in self._deaf:
            self.alive.remove(pid)


def end_all(processes: Stragglers, seconds: float) -> bool:
    clock = Clock()
    ending = Deferred.fromCoroutine(end_stragglers(clock, lambda: list(processes.alive), processes.kill))
    clock.pump([0.05] * round(seconds / 0.05))
    assert ending.called == (clock.getDelayedCalls() == [])
    return bool(ending.called)


def test_nobody_is_left() -> None:
    processes = Stragglers()
    assert end_all(processes, 0.0)
    assert processes.signals == []


def test_the_polite_way() -> None:
    processes = Stragglers(7, 8)
    assert end_all(processes, 0.0)
    assert processes.signals == [(7, signal.SIGTERM), (8, signal.SIGTERM)]


def test_the_deaf_are_killed() -> None:
    processes = Stragglers(7, deaf=(8,))
    assert not end_all(processes, 0.5)
    processes = Stragglers(7, deaf=(8,))
    assert end_all(processes, 1.2)
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
