"""The processes that the demonstration starts, and their end.

What lives here: a child whose output is read line by line, and which is ended by its process id, politely first. What
does not: which children there are (`orchestrate`).
"""

from __future__ import annotations

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
from twisted.python.failure import Failure

_PATIENCE = 8.0  # seconds between SIGTERM and SIGKILL
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
        self.ended: Deferred[ChildEnded] = Deferred()
        """Fires, never fails, when the process is gone."""
        self._log = log
        self._receive_line = receive_line
        self._rest = dict.fromkeys((_STDOUT, _STDERR), b"")
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.is_running = True

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        """Part of what the child writes."""
        self._log.write(data)
        self._log.flush()
        *lines, self._rest[descriptor] = (self._rest[descriptor] + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            self._last_lines.append(text)
            if descriptor == _STDOUT:
                self._receive_line(text)

    def processEnded(self, reason: Failure) -> None:
        """The child is gone and all of its output was read."""
        self.is_running = False
        self._log.close()
        how = str(reason.value) or type(reason.value).__name__
        self.ended.callback(ChildEnded(self.name, how, tuple(self._last_lines)))

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
        self._ending = False
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], receive_line: Callable[[str], None] = lambda _: None) -> Child:
        """A new child; its output is written to NAME.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        child = Child(name, (self._logs / f"{name}.log").open("wb"), receive_line)
        self._children.append(child)
        child.ended.addCallback(self._child_ended)
        self._reactor.spawnProcess(child, command[0], list(command), env=None)
        return child

    def end(self) -> Deferred[None]:
        """End all children, the last one first; fires when all are gone."""
        self._ending = True
        waiting = [self._end_one(child) for child in reversed(self._children) if child.is_running]
        done: Deferred[None] = Deferred()
        DeferredList(waiting).addCallback(lambda _: done.callback(None))
        return done

    def _child_ended(self, ended: ChildEnded) -> ChildEnded:
        if not self._ending:
            self.lost(ended)
        return ended

    def _end_one(self, child: Child) -> Deferred[None]:
        gone: Deferred[None] = Deferred()
        kill = self._clock.callLater(_PATIENCE, child.signal, signal.SIGKILL.name.removeprefix("SIG"))

        def told(ended: ChildEnded) -> ChildEnded:
            if kill.active():
                kill.cancel()
            gone.callback(None)
            return ended

        child.ended.addCallback(told)
        child.signal("TERM")
        return gone
