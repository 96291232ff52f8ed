"""The next process: it is loaded while this one serves, and takes over when this one has stopped.

    SIGUSR2 -> begin: the same command runs again ---loaded--> its code and its configuration are in memory
               leave: calls that are up are left to it, all is closed
               stopped --------------------------------go----> it starts (turn.py), and finds the calls

Most of a start is the loading of code: a second of work, which takes many on a busy machine, and nobody would be
answered meanwhile. Here nobody waits for longer than the parts take to stop and to start. A next process that ends
before it is loaded, as with a mistake in its configuration, changes nothing.

The service manager is told of its new main process last: until then it watches this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.app.succession import caretaker
from gateway.app.succession.turn import GO, LOADED, VARIABLE
from gateway.app.watchdog import ServiceManager

log = Logger()

LOAD_SECONDS: Final = 120.0
"""For which the next process may load."""
TELLS, HEARS = 3, 4
"""Its descriptors for LOADED and for GO."""


def command() -> list[str]:
    """The command that this process was started by. A script is run as it stands now, by the Python that it names:
    after an upgrade another one."""
    script = Path(sys.argv[0])
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


def start_caretaker(journal: Path, seconds: int) -> int:
    """Have a process that outlives this one look after the calls of the journal, which stays as it is now; its process
    id. Raises OSError."""
    told = [str(journal.absolute()), caretaker.mark_of(str(journal)), str(seconds)]
    # The standard library alone, whatever the environment says: the caretaker imports nothing of others.
    argv = [sys.executable, "-I", "-S", str(Path(caretaker.__file__).resolve()), *told, *command()]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, close_fds=True).pid


class Successor(ProcessProtocol):
    """The next process, if one is asked for. ``leave`` begins the end of this one, once the next is loaded."""

    def __init__(self, reactor: Any, manager: ServiceManager, leave: Callable[[], None]) -> None:
        self._reactor = reactor
        self._manager = manager
        self._leave = leave
        self._process: IProcessTransport | None = None
        self._word: int | None = None
        self._timer: IDelayedCall | None = None
        self.is_loaded = False

    def begin(self) -> None:
        """Load the next process."""
        if self._process is not None:
            log.warn("SIGUSR2: the next process is there already")
            return
        log.info("SIGUSR2: the next process is loaded, this one serves until then")
        argv = command()
        hears, self._word = os.pipe()
        environment = {**os.environ, **self._manager.environment, VARIABLE: f"{TELLS},{HEARS}"}
        try:
            with Path(os.devnull).open("rb") as nothing:
                descriptors = {0: nothing.fileno(), 1: 1, 2: 2, TELLS: "r", HEARS: hears}
                self._process = self._reactor.spawnProcess(self, argv[0], argv, environment, childFDs=descriptors)
        except OSError as error:
            self._forget()
            log.error("the next process cannot be started: {reason}; this one goes on", reason=error.strerror)
            return
        finally:
            os.close(hears)
        self._timer = self._reactor.callLater(LOAD_SECONDS, self._too_slow)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """It is loaded."""
        if childFD == TELLS and LOADED in data and not self.is_loaded:
            self.is_loaded = True
            self._stop_waiting()
            log.info("the next process is loaded: this one leaves its calls, and stops")
            self._leave()

    def processEnded(self, reason: Failure) -> None:
        """It came to nothing. Once it was loaded this process leaves, and cannot be kept from that any more."""
        why = reason.getErrorMessage()
        if self.is_loaded:
            log.error(
                "the next process has ended, but this one stops all the same, and has to be started again: {reason}",
                reason=why,
            )
        else:
            log.error("the next process has ended, this one goes on: {reason}", reason=why)
        self._forget()

    def stopped(self) -> None:
        """This process has closed everything and ends now: the next one may start."""
        process, word = self._process, self._word
        if process is None or word is None or not self.is_loaded:
            return
        self._manager.tell(f"MAINPID={process.pid}")
        with suppress(OSError):
            os.write(word, GO)

    def _too_slow(self) -> None:
        self._timer = None
        if self._process is not None:
            with suppress(ProcessExitedAlready):
                self._process.signalProcess("KILL")

    def _stop_waiting(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _forget(self) -> None:
        self._stop_waiting()
        word, self._word = self._word, None
        if word is not None:
            os.close(word)
        self._process, self.is_loaded = None, False
