"""The watch over the system's clock: whether a time server sets it, and whether it jumped.

    every LOOK_SECONDS: kernel, else systemd-timesyncd's file -> synchronized -> event, metric, posture
                        wall clock against seconds            -> jump         -> event, metric

A filter of system calls may end a process that asks the kernel (adjtimex), so another process asks first, once: where
that one is ended or refused, the file alone counts. Not here: the questions (clock_state).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.network import clock_state
from gateway.observe.events import EventName
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics

LOOK_SECONDS: Final = 10.0
"""Between two looks, each of some microseconds."""

PATIENCE: Final = 120.0
"""Seconds without a time server before it is told: a machine that was just started needs some."""

log = Logger()


class ClockWatch:
    """The state of the system's clock. ``wall`` gives seconds since the epoch, as people's clocks say."""

    def __init__(self, reactor: Any, wall: Callable[[], float], metrics: Metrics) -> None:
        self._reactor = reactor
        self._wall = wall
        self._metrics = metrics
        self._asks_kernel = False
        self._jumps = clock_state.Jumps(wall(), reactor.seconds())
        self._unset_since: float | None = None
        self._is_told = False
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor
        self.synchronized: bool | None = None
        """Whether a time server sets the clock; None where nobody says."""
        self.witness = ""
        """The source of that: kernel, timesyncd, or none."""
        metrics.asked.add(self._figures)

    def start(self) -> None:
        """Look now and then; the kernel is asked once it is known to answer."""
        self._looking.start(LOOK_SECONDS, now=False)
        asked: Deferred[Any] = getProcessOutputAndValue(
            sys.executable, ["-I", "-S", clock_state.__file__], env={}, path="/", reactor=self._reactor
        )
        asked.addCallbacks(self._tried, self._refused)
        asked.addErrback(lambda failure: log.failure("the clock's state is not known", failure))

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def look(self) -> None:
        """Compare the clock's state with that of the last look."""
        jump = self._jumps.look(self._wall(), self._reactor.seconds())
        if jump:
            self._tell_jump(jump)
        kernel = clock_state.kernel_state() if self._asks_kernel else None
        file = clock_state.file_state() if kernel is None else None
        self.synchronized = file if kernel is None else kernel
        self.witness = "kernel" if kernel is not None else "timesyncd" if file is not None else ""
        self._tell_state()

    def _tried(self, outcome: tuple[bytes, bytes, int]) -> None:
        self._asks_kernel = outcome[2] == 0
        self._first_look()

    def _refused(self, _failure: Failure) -> None:
        """It was ended, or could not be started."""
        self._first_look()

    def _first_look(self) -> None:
        if self._looking.running:
            self.look()

    def _tell_state(self) -> None:
        now = self._reactor.seconds()
        if self.synchronized is not False:
            self._unset_since = None
            if self._is_told and self.synchronized:
                self._is_told = False
                log.info("the system's clock is set by a time server again")
                self._metrics.events.note(EventName.NETWORK_CLOCK_SYNCHRONIZED, witness=self.witness)
            return
        self._unset_since = now if self._unset_since is None else self._unset_since
        if not self._is_told and now - self._unset_since >= PATIENCE:
            self._is_told = True
            log.warn("no time server sets the system's clock: certificates and records depend on it (timedatectl)")
            self._metrics.events.note(EventName.NETWORK_CLOCK_UNSYNCHRONIZED, witness=self.witness)

    def _tell_jump(self, jump: float) -> None:
        self._metrics.clock_jumps.inc()
        log.warn("the system's clock jumped by {seconds:+.0f} s", seconds=jump)
        self._metrics.events.note(EventName.NETWORK_CLOCK_JUMPED, seconds=round(jump))

    def _figures(self) -> Iterator[Sample]:
        if self.synchronized is not None:
            yield Metrics.clock_synchronized, (), self.synchronized
