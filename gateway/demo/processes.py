"""The processes that the demonstration starts, and their end.

What lives here: a child whose output is read line by line, and which is ended by its process id, politely first. What
does not: which children there are (`orchestrate`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

_GRACE = 0.25  # seconds for a child that has heard of the end from the terminal: Ctrl-C reaches the whole group
_PATIENCE = 8.0  # seconds between SIGTERM and SIGKILL
_LAST_WORDS = 0.2  # seconds for reading what a lost child wrote last
_KEPT_LINES = 15
_STDOUT, _STDERR = 1, 2


@frozen
class ChildEnded(Exception):
    """A child ended that was still needed; `last_lines` is the end of what it wrote."""

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
        """Part of what the child writes."""
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
    """All children of the demonstration. `lost` is told of one that ends without being asked to."""

    def __init__(self, reactor: IReactorProcess, clock: IReactorTime, logs: Path) -> None:
        self._reactor = reactor
        self._clock = clock
        self._logs = logs
        self.lost: Callable[[ChildEnded], None] = lambda _: None
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
            self.lost(ChildEnded(child.name, how, tuple(child.last_lines)))

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
