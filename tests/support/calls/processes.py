"""Programs of others as child processes: started, watched through their log, always ended.

Lives here: finding a program (or naming the Debian package that brings it), starting it with its output in a
file, waiting for a line of that file, ending it by its own process group. Not here: the command line
of any one program.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin"
POLL_SECONDS = 0.02


class MissingProgram(Exception):
    """A program the tests need is not installed; the text names the package that brings it."""


class ProgramFailed(AssertionError):
    """A program ended, or kept silent, where it should have gone on."""


def find_program(program: str, package: str) -> str:
    """The full path of a program; raises MissingProgram naming the Debian package."""
    found = shutil.which(program, path=SEARCH_PATH)
    if found is None:
        raise MissingProgram(f"{program} is not installed: apt-get install {package}")
    return found


def wait_until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Return as soon as `holds()`; raises ProgramFailed after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ProgramFailed(f"not within {seconds:.1f} s: {what}")
        time.sleep(POLL_SECONDS)


def is_readable(handle: int, seconds: float) -> bool:
    """Whether something can be read from a descriptor within this time. Not by `select`, which takes none above 1,023:
    a process that has run thousands of tests may have more."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Program:
    """One running program; its standard output and error go to `log`."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        steered: bool = False,
        answers: bool = False,
    ) -> None:
        """`steered`: standard input is a pipe; `answers`: standard output is a pipe too, only errors go to the log."""
        self.name = Path(argv[0]).name
        self.log = log
        with log.open("ab") as output:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                # It dies with us, should the tests be killed before they could end it.
                [find_program("setpriv", "util-linux"), "--pdeathsig", "TERM", "--", *argv],
                stdin=subprocess.PIPE if steered else subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def text(self) -> str:
        """All it wrote so far."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """The last lines it wrote: what a failed test shows."""
        return "\n".join(self.text().splitlines()[-lines:])

    def tell(self, line: str) -> None:
        """Write one line to its standard input."""
        assert self.process.stdin is not None, f"{self.name} is not steered"
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for_line(self, pattern: str, seconds: float = 5.0, after: int = 0) -> re.Match[str]:
        """The first match of a regular expression in the log, from character `after` on."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.is_running
            found = re.compile(pattern, re.MULTILINE).search(self.text(), after)
            if found is not None:
                return found
            if not running or time.monotonic() > deadline:
                raise ProgramFailed(self._why(f"no line {pattern!r}", seconds))
            time.sleep(POLL_SECONDS)

    def wait_until(self, what: str, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Return as soon as `holds()`; raises ProgramFailed when the program ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not holds():
            if not self.is_running or time.monotonic() > deadline:
                raise ProgramFailed(self._why(what, seconds))
            time.sleep(POLL_SECONDS)

    def wait_ended(self, seconds: float) -> int:
        """Its exit status; raises ProgramFailed when it is still there after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(self._why("did not end", seconds)) from None

    def stop(self, seconds: float = 3.0, first: signal.Signals = signal.SIGTERM) -> None:
        """End it and what it started: politely first, then for certain. Safe to call twice."""
        for sign in (first, signal.SIGKILL):
            self._signal_group(sign)
            try:
                self.process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self._signal_group(signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _signal_group(self, sign: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, sign)
        except ProcessLookupError:
            pass

    def _why(self, what: str, seconds: float) -> str:
        state = "still running" if self.is_running else f"ended with {self.process.returncode}"
        return f"{self.name}: {what} within {seconds:.1f} s ({state}); its log {self.log} ends:\n{self.tail()}"
