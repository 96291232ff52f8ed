"""Whether the system's clock is set by a time server, and whether it jumped.

    kernel_state() -> adjtimex(2): True, False            where a sandbox forbids the call, it ends the caller
    file_state()   -> systemd-timesyncd's file: True, False, None where there is none

The gateway sets no clock and asks no server; certificates, nonces and records depend on those that do. Not here: when
to look, and telling of it (app/network/clock_watch.py).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

JUMP_SECONDS: Final = 30.0
"""A difference between two looks that no time server makes while it slews a clock."""

TIMESYNC: Final = Path("/run/systemd/timesync")
"""Of systemd-timesyncd, which makes the file `synchronized` once it has set the clock."""

_UNSYNCHRONIZED: Final = 0x40
"""STA_UNSYNC of adjtimex(2)."""
_ERROR: Final = 5
"""TIME_ERROR."""
_SIZE: Final = 512
"""Bytes kept for struct timex, which has 208 on 64-bit machines."""


def kernel_state() -> bool | None:
    """Whether the kernel counts the clock as synchronised; None where it does not say.

    Reading needs no right, but a filter of system calls may end a process that asks: try it in another process first.
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = (ctypes.c_long * (_SIZE // ctypes.sizeof(ctypes.c_long)))()  # modes = 0: nothing is set
    result = adjtimex(ctypes.byref(state))
    if result < 0:
        return None
    # struct timex: modes (int), then longs: offset, freq, maxerror, esterror, and status (int).
    status = ctypes.c_int.from_buffer(state, 5 * ctypes.sizeof(ctypes.c_long)).value
    return result != _ERROR and not status & _UNSYNCHRONIZED


def file_state(directory: Path = TIMESYNC) -> bool | None:
    """Whether systemd-timesyncd has set the clock since this machine's start; None where it does not run."""
    if not directory.is_dir():
        return None
    return (directory / "synchronized").exists()


class Jumps:
    """Finds jumps of the system's clock against the seconds that pass."""

    def __init__(self, wall: float, seconds: float) -> None:
        self._offset = wall - seconds

    def look(self, wall: float, seconds: float) -> float:
        """The seconds that the clock was set forward (back: negative) since the last look; 0.0 for less than a jump."""
        before, self._offset = self._offset, wall - seconds
        jump = self._offset - before
        return jump if abs(jump) > JUMP_SECONDS else 0.0


def main() -> int:
    """For a process that tries: ends with 0 where the kernel says anything."""
    return 0 if kernel_state() is not None else 1


if __name__ == "__main__":
    os._exit(main())
