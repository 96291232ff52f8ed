"""The caretaker of calls that a process has left: it sees that somebody goes on with them, or ends them.

    a process stops and leaves calls --starts--> caretaker --the journal is taken--> ends without a word
                                                           `-nobody came in time---> starts the gateway by the same
                                                                                     command, which ends the calls

The journal is the file in which the calls stand (state/journal). Whoever goes on with them puts another in its place,
or takes it away; until then it stays as it was left. A process that has the lock of the state directory is about to do
so, however long it takes. Two caretakers do no harm: each looks after the journal that it was told of.

SIGTERM means that nobody will come: a service manager ends all that is left of a unit. A gateway that cannot start, as
where a port is taken, is started again after a while, for as long as its calls can be ended.

A program of its own that imports next to nothing, and so has two megabytes to itself: it runs for a minute after each
stop. Its process has no descriptor but the log's.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import time
from collections.abc import Callable

VARIABLE = "GATEWAY_ENDS_CALLS"
"""Of the environment of a gateway that is to end the calls of the process before: the seconds that nobody came for."""
DATABASE = "bindings.sqlite"
"""The file beside the journal that a gateway has locked as long as it runs."""
LOOK_SECONDS = 0.5
AGAIN_SECONDS = 10.0
LONGEST_SECONDS = 590.0
"""A journal is too old after ten minutes (STALE of state/journal): then nobody can end its calls any more."""

_LOCK_BYTES = 0x40000000, 512
"""Where sqlite locks a file, and how many bytes (sqlite.org/fileformat2.html, section 1.3.2, "lock-byte page")."""
_FLOCK = "hhqqi0q"
"""struct flock of fcntl(2)."""


def mark_of(journal: str) -> str:
    """The journal as it is now; empty where there is none."""
    try:
        now = os.stat(journal)  # noqa: PTH116 - without pathlib
    except OSError:
        return ""
    return f"{now.st_ino}:{now.st_size}:{now.st_mtime_ns}"


def is_locked(database: str) -> bool:
    """Whether a gateway has this file of the state directory for itself. Nothing is locked by the question, but a
    process that has the file open itself would lose its locks."""
    asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, *_LOCK_BYTES, 0)
    try:
        with open(database, "rb") as file:  # noqa: PTH123 - without pathlib
            answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    except OSError:
        return False
    return int(struct.unpack(_FLOCK, answer)[0]) != fcntl.F_UNLCK


def must_act(
    is_taken: Callable[[], bool],
    is_starting: Callable[[], bool],
    seconds: float,
    most: float = LONGEST_SECONDS,
    is_urged: Callable[[], bool] = bool,
) -> bool:
    """Wait. True: nobody came within so many seconds, or it is urged not to wait for that. False: somebody goes on with
    the calls, or `most` seconds are over."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < most:
        if is_taken():
            return False
        if (passed >= seconds or is_urged()) and not is_starting():
            return True
        time.sleep(LOOK_SECONDS)
    return False


def main(arguments: list[str]) -> None:
    """Look after the calls of a journal, and start the gateway that ends them where nobody else comes."""
    journal, mark, seconds, *command = arguments
    database = os.path.join(os.path.dirname(journal), DATABASE)  # noqa: PTH118, PTH120 - without pathlib
    urged: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: urged.append(number))
    begun, wait = time.monotonic(), float(seconds)

    def is_wanted() -> bool:
        left = begun + LONGEST_SECONDS - time.monotonic()
        return must_act(lambda: mark_of(journal) != mark, lambda: is_locked(database), wait, left, lambda: bool(urged))

    while is_wanted():
        environment = {**os.environ, VARIABLE: seconds}
        if os.spawnvpe(os.P_WAIT, command[0], command, environment) == 0:  # noqa: S606 - it has our own arguments
            return
        urged.clear()
        wait = AGAIN_SECONDS


if __name__ == "__main__":
    main(sys.argv[1:])
