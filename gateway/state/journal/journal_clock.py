"""The time that a journal counts by: it passes evenly through all its processes, however the system's clock is set.

    of one boot: CLOCK_BOOTTIME --kept in the journal--> after another boot: the same, and the difference

How long a call was up, when its session was agreed, whether a journal is of now: by the system's clock all of that
would be wrong by hours after it was set back or forward while no gateway ran. From one boot to the next, or to another
machine, nothing but the system's clock is left to count by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger

from gateway.base.json_codec import decode, encode

log = Logger()

_PASSED: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
TOLD_FROM: Final = 10.0
"""Seconds by which the system's clock was set, from which on it is told."""


def this_boot() -> str:
    """A name for the time since the machine was started; empty where the kernel gives none."""
    try:
        return BOOT.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


class JournalClock:
    """Seconds since a moment that means nothing."""

    def __init__(
        self, wall: Callable[[], float] = time.time, since_boot: Callable[[], float] = _PASSED, boot: str | None = None
    ) -> None:
        self.now = since_boot
        """The time that all ages in the journal are counted by."""
        self._wall = wall
        self._passed = since_boot
        self._boot = this_boot() if boot is None else boot
        self._ahead = 0.0

    @property
    def kept(self) -> bytes:
        """All that the next process needs to go on with it."""
        return encode([self._boot, self._ahead, self.now(), self._wall()])

    def go_on(self, kept: bytes | None) -> float | None:
        """Count as the process before did. The seconds since that was kept; None where it was in another boot, or by a
        version that counted by the system's clock, and kept nothing."""
        try:
            said: Any = decode(kept or b"")
            boot, ahead, at, wall = str(said[0]), float(said[1]), float(said[2]), float(said[3])
        except (ValueError, TypeError, LookupError):
            self._be_ahead(self._wall() - self._passed())
            return None
        age = self._passed() + ahead - at
        if not boot or boot != self._boot or age < 0:
            self._be_ahead(at + max(self._wall() - wall, 0.0) - self._passed())
            return None
        self._be_ahead(ahead)
        is_set_by = self._wall() - wall - age
        if abs(is_set_by) >= TOLD_FROM:
            log.warn(
                "the system's clock was set {way} by {seconds} s while no gateway ran; calls go on all the same",
                way="back" if is_set_by < 0 else "forward",
                seconds=round(abs(is_set_by)),
            )
        return age

    def _be_ahead(self, seconds: float) -> None:
        self._ahead = seconds
        self.now = (lambda: self._passed() + seconds) if seconds else self._passed
