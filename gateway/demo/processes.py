"""The processes that the demonstration starts, those that these leave behind, and the end of both.

Lives here: a child whose output is read line by line, and which is ended by its process id, politely first; and the
stragglers. The gateway's media workers outlive it, so that a restarted gateway finds its calls again; a demonstration
must leave nothing. As a "child subreaper" this process becomes the parent of all that its children leave (prctl(2),
Linux only), so that every one can be found by its parent's process id. Not here: the list of children.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

_GRACE = 0.25  # seconds for a child that has heard of the end from the terminal: Ctrl-C reaches the whole group

_PATIENCE = 8.0  # seconds between SIGTERM and SIGKILL of a child

_LAST_WORDS = 0.2  # seconds for reading what a lost child wrote last

_KEPT_LINES = 15

_STDOUT, _STDERR = 1, 2

_PR_SET_CHILD_SUBREAPER = 36

_STRAGGLER_PATIENCE = 1.0  # seconds between SIGTERM and SIGKILL of a straggler

_POLL = 0.05  # seconds


@frozen
class ChildEnded(Exception):
    """A child ended that was still needed; `last_lines` is the end of its output."""

    name: str
    how: str
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"The {self.name} ended by itself ({self.how}). It wrote last:", *self.last_lines])


class Child(ProcessProtocol):
    """One process; its lines go to a log file, those of its standard output also to `receive_line`."""

    def __init__(self, name: str, log: BinaryIO, receive_line: Callable[[str], None]) -> None:
        self.name = name
        self.exited: Deferred[str] = Deferred()
        """Fires, never fails, when the process is gone; says how it ended."""
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.is_running = True
        self._log = log
        self._receive_line = receive_line
        self._rest = dict.fromkeys((_STDOUT, _STDERR), b"")

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        """Part of the child's output."""
        self._log.write(data)
        self._log.flush()
        *lines, self._rest[descriptor] = (self._rest[descriptor] + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            self.last_lines.append(text)
            if descriptor == _STDOUT:
                self._receive_line(text)

    def processExited(self, reason: Failure) -> None:
        """The process is gone. Its output may be open yet: in the hands of processes that it started."""
        self.is_running = False
        self.exited.callback(str(reason.value))

    def processEnded(self, reason: Failure) -> None:
        """All of its output was read."""
        self._log.close()

    def signal(self, name: str) -> None:
        """Send a signal, such as "TERM", to this child's process id; nothing when it is gone."""
        try:
            if self.transport is not None:
                self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return


class Family:
    """All children of the demonstration; `lost` receives each that ends without being asked to."""

    def __init__(
        self, reactor: IReactorProcess, clock: IReactorTime, logs: Path, lost: Callable[[ChildEnded], None]
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._logs = logs
        self._lost = lost
        self._is_ending = False
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], receive_line: Callable[[str], None] = lambda _: None) -> Child:
        """A new child; its output is written to NAME.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        child = Child(name, (self._logs / f"{name}.log").open("wb"), receive_line)
        self._children.append(child)
        child.exited.addCallback(self._child_exited, child)
        self._reactor.spawnProcess(child, command[0], list(command), env=None)
        return child

    def end(self) -> Deferred[None]:
        """End all children, the last one first; fires when all are gone."""
        self._is_ending = True
        waiting = [self._end_one(child) for child in reversed(self._children) if child.is_running]
        done: Deferred[None] = Deferred()
        DeferredList(waiting).addCallback(lambda _: done.callback(None))
        return done

    def _child_exited(self, how: str, child: Child) -> str:
        if not self._is_ending:
            self._clock.callLater(_LAST_WORDS, self._tell_loss, child, how)
        return how

    def _tell_loss(self, child: Child, how: str) -> None:
        if not self._is_ending:
            self._lost(ChildEnded(child.name, how, tuple(child.last_lines)))

    def _end_one(self, child: Child) -> Deferred[None]:
        gone: Deferred[None] = Deferred()
        signals = [self._clock.callLater(_GRACE, child.signal, "TERM")]
        signals.append(self._clock.callLater(_PATIENCE, child.signal, "KILL"))

        def told(how: str) -> str:
            for waiting in signals:
                if waiting.active():
                    waiting.cancel()
            gone.callback(None)
            return how

        child.exited.addCallback(told)
        return gone


def adopt_orphans() -> None:
    """Become the parent of all that our children leave behind. Without effect where there is no prctl."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def end_stragglers(
    clock: IReactorTime,
    found: Callable[[], list[int]],
    kill: Callable[[int, signal.Signals], None] = os.kill,
) -> None:
    """End the processes that `found` gives, politely first; returns when it gives none, or when SIGKILL was sent."""
    _signal_all(found(), signal.SIGTERM, kill)
    for _ in range(round(_STRAGGLER_PATIENCE / _POLL)):
        if not found():
            return
        await deferLater(clock, _POLL)
    _signal_all(found(), signal.SIGKILL, kill)


def live_children(parent: int, proc: Path = Path("/proc")) -> list[int]:
    """The process ids of a process's children, without those that have ended already."""
    statuses = (_state_and_parent(entry) for entry in proc.iterdir() if entry.name.isdecimal())
    return sorted(pid for pid, state, its_parent in statuses if its_parent == parent and state not in "ZX")


def _state_and_parent(entry: Path) -> tuple[int, str, int]:
    """Process id, state and parent (proc(5)); a parent of -1 for a process that has gone meanwhile."""
    try:
        fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return int(entry.name), "X", -1
    return int(entry.name), fields[0], int(fields[1])


def _signal_all(pids: list[int], number: signal.Signals, kill: Callable[[int, signal.Signals], None]) -> None:
    for pid in pids:
        try:
            kill(pid, number)
        except ProcessLookupError:
            continue
