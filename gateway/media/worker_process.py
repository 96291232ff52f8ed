"""Keeping worker processes alive: start, adopt, start again.

In the manner of twisted.runner.procmon, with one difference that rules it out: its processes end with it, while a
worker must outlive the signalling process. A worker that already answers at its socket is adopted, not started; an
adopted one has no parent here, so its end is seen by its silence (`check`) instead of by SIGCHLD.

    start --nobody at the socket--> spawned --ends--> at once, or after a delay: start        `died` is called each time
          --somebody is-----------> adopted --check finds nobody--> start
    silent though there is a process (it hangs, it was stopped) --check--> killed, and then as above

Of one that is silent the kernel knows whether it can answer at all (`cannot_answer`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

import gateway
from gateway.config.model import GATHER_US, SILENCE_SECONDS

FIRST_DELAY_SECONDS: Final = 0.2
LONGEST_DELAY_SECONDS: Final = 30.0
LONG_LIFE_SECONDS: Final = 5.0
"""A worker that lived so long is started again at once."""

CANNOT_ANSWER: Final = "TZX"
"""States of a process (proc_pid_stat(5)): stopped by a signal, and dead. All others run, or will: a tracer lets go."""

log = Logger()


@attrs.frozen
class WorkerOptions:
    """The command line of a worker, as values. Ports inclusive."""

    socket: Path
    interfaces: tuple[str, ...]
    """[NAME/]ADDRESS[!ADVERTISED] each."""
    first_port: int
    last_port: int
    dscp: int = 46
    plain_rtcp: tuple[str, ...] = ()
    constant_ssrc: tuple[str, ...] = ()
    rtp_from_anywhere: tuple[str, ...] = ()
    follow_port: tuple[str, ...] = ()
    sequence_restarts: tuple[str, ...] = ()
    """Sides that need these quirks."""
    ng: str | None = None
    """HOST:PORT where it answers others, too."""
    loop: str = "auto"
    """Of packets: auto, native, python (packet_loop)."""
    gather_us: int = GATHER_US
    """Microseconds that a busy worker lets packets gather."""
    quarantine: float = 10.0
    """Seconds that a port stays bound and silent after its call."""
    media_timeout: float = float(SILENCE_SECONDS)
    """Seconds of silence that end a call."""
    follows: bool = False
    """Whether its addresses are those that interfaces have: one that was found running may have others."""

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "gateway.media.worker",
            f"--socket={self.socket}",
            *(f"--interface={interface}" for interface in self.interfaces),
            f"--ports={self.first_port}-{self.last_port}",
            f"--dscp={self.dscp}",
            *(f"--plain-rtcp={side}" for side in self.plain_rtcp),
            *(f"--constant-ssrc={side}" for side in self.constant_ssrc),
            *(f"--rtp-from-anywhere={side}" for side in self.rtp_from_anywhere),
            *(f"--follow-port={side}" for side in self.follow_port),
            *(f"--sequence-restarts={side}" for side in self.sequence_restarts),
            *([f"--ng={self.ng}"] if self.ng is not None else []),
            f"--loop={self.loop}",
            f"--gather={self.gather_us}",
            f"--quarantine={self.quarantine}",
            f"--media-timeout={self.media_timeout}",
        ]


class WorkerProcess(ProcessProtocol):
    """One worker, started from here or found running."""

    def __init__(self, clock: IReactorTime, processes: IReactorProcess, options: WorkerOptions) -> None:
        self.options = options
        self._died: Callable[[], None] | None = None
        self._clock = clock
        self._processes = processes
        self._is_wanted = False
        self._process: IProcessTransport | None = None
        self._adopted: int | None = None
        """The process id of a worker that was found running, once somebody asked."""
        self._started = 0.0
        self._delay = FIRST_DELAY_SECONDS
        self._timer: IDelayedCall | None = None

    @property
    def is_alive(self) -> bool:
        """Whether there is a process, as far as can be seen without asking it."""
        return self._process is not None or is_answered(self.options.socket)

    @property
    def pid(self) -> int | None:
        """Of the process, when it was started from here."""
        return self._process.pid if self._process is not None else None

    def cannot_answer(self) -> bool:
        """Whether its process was stopped, or is dead. False where nobody can tell which process it is."""
        pid = self.pid if self._process is not None else self._found()
        return pid is not None and state_of(pid) in CANNOT_ANSWER

    def _found(self) -> int | None:
        """The process id of a worker that was not started from here. Looking through all processes takes its time, and
        a number may be another's meanwhile."""
        argument = f"--socket={self.options.socket}"
        if self._adopted is None or argument.encode() not in _arguments(self._adopted):
            found = pids_with(argument)
            self._adopted = found[0] if len(found) == 1 else None
        return self._adopted

    def move(self, interfaces: tuple[str, ...]) -> None:
        """Be started with these the next time."""
        self.options = attrs.evolve(self.options, interfaces=interfaces)

    def start(self, died: Callable[[], None]) -> None:
        """Adopt the worker that answers at the socket, else start one; `died` is called each time it ended."""
        self._died = died
        self._start()

    def _start(self) -> None:
        self._is_wanted = True
        self._timer = None
        if is_answered(self.options.socket):
            log.info("media worker at {socket} found running", socket=str(self.options.socket))
            return
        self._started = self._clock.seconds()
        with Path(os.devnull).open("rb") as nothing:
            self._process = self._processes.spawnProcess(
                self, sys.executable, self.options.command(), _environment(), childFDs={0: nothing.fileno(), 1: 2, 2: 2}
            )

    def check(self) -> None:
        """After silence: start again when an adopted worker has gone, and end one that hangs."""
        if not self._is_wanted or self._timer is not None:
            return
        if self._process is None and not is_answered(self.options.socket):
            self._tell_death()
            self._start()
            return
        log.warn("media worker at {socket} hangs and is killed", socket=str(self.options.socket))
        if self._process is not None:
            self._signal("KILL")
            return
        self._signal_found(signal.SIGKILL)  # the next check finds it gone

    def stop(self) -> None:
        """Let go: it ends when it has no calls, and is not started again."""
        self._is_wanted = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._process is not None:
            self._signal("TERM")
        elif is_answered(self.options.socket):
            self._signal_found(signal.SIGTERM)

    def processEnded(self, reason: Failure) -> None:
        self._process = None
        if not self._is_wanted:
            return
        log.warn(
            "media worker at {socket} ended: {reason}", socket=str(self.options.socket), reason=reason.getErrorMessage()
        )
        self._tell_death()
        has_lived = self._clock.seconds() - self._started > LONG_LIFE_SECONDS
        self._timer = self._clock.callLater(0 if has_lived else self._delay, self._start)
        self._delay = FIRST_DELAY_SECONDS if has_lived else min(2 * self._delay, LONGEST_DELAY_SECONDS)

    def _tell_death(self) -> None:
        if self._died is not None:
            self._died()

    def _signal_found(self, number: signal.Signals) -> None:
        for pid in pids_with(f"--socket={self.options.socket}"):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _signal(self, name: str) -> None:
        if self._process is None:
            return
        try:
            self._process.signalProcess(name)
        except ProcessExitedAlready:
            pass


def is_answered(path: Path) -> bool:
    """Whether a process has the UNIX datagram socket at `path` open."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.connect(str(path))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def pids_with(argument: str) -> list[int]:
    """Of the processes that were started with that argument and may be signalled from here."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            if argument.encode() in _arguments(pid):
                os.kill(pid, 0)
                found.append(pid)
        except OSError:
            continue
    return found


def state_of(pid: int) -> str:
    """The state of a process in the kernel's one letter (proc_pid_stat(5)); X where there is none, S where the kernel
    does not say. /proc may hide a process that is unreadable (hidepid of proc(5), ProtectProc of systemd)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "S" if _is_there(pid) else "X"
    return fields[0].decode("ascii", "replace") if fields else "S"


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _arguments(pid: int) -> list[bytes]:
    """The command line of a process; nothing where there is none, or it may not be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _environment() -> dict[str, str]:
    """Ours, with the package importable from any working directory."""
    root = str(Path(gateway.__file__).resolve().parent.parent)
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}
