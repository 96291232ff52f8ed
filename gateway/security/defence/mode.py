"""The mode of the defence: report in the first week, then defend, unless the configuration says which.

    FILE (seconds since the epoch of the first run, kept) + [defence] mode -> ModeNow.mode: report | defend | off

A week of reports shows an administrator which phones would have been turned away, before any is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from gateway.base.private_files import replace_private

log = Logger()

WEEK: Final = 7 * 86_400.0


class Mode(StrEnum):
    """The consequence of a judgement."""

    OFF = "off"
    """Nothing is watched."""
    REPORT = "report"
    """It is told, and nothing else."""
    DEFEND = "defend"


class ModeNow:
    """The mode as time passes. ``now`` gives seconds since the epoch, passing evenly."""

    def __init__(self, since: float, now: Callable[[], float]) -> None:
        self.defends_from = since + WEEK
        """When the week of reports ends or ended."""
        self.mode = Mode.REPORT
        """The mode at the last look."""
        self._now = now
        self._wanted: Mode | None = None
        self._was_first_week = False
        self.look()

    def adopt(self, wanted: str | None) -> None:
        """Go by the mode of a configuration; None is a week of reports, then defence."""
        self._wanted = None if wanted is None else Mode(wanted)
        self.look()

    def look(self) -> None:
        """See whether the week is over. To be called every few seconds."""
        is_over = self._now() >= self.defends_from
        if self._was_first_week and is_over and self._wanted is None:
            log.warn("the first week of the defence is over: it bans and drops from now on")
        self.mode = self._wanted or (Mode.DEFEND if is_over else Mode.REPORT)
        self._was_first_week = self.is_first_week

    def tell(self) -> None:
        """A line for the log of a start."""
        until = self.defends_from - self._now()
        more = f", for {until / 86_400:.1f} days more" if self.is_first_week else ""
        log.info("the defence is in the mode {mode}{more}", mode=str(self.mode), more=more)

    @property
    def is_first_week(self) -> bool:
        """Whether it reports since the gateway is new to it, and not since the configuration says so."""
        return self._wanted is None and self.mode is Mode.REPORT


def first_run(file: Path, now: float) -> float:
    """When the gateway first ran with the defence: read from a file, or now, which is written there.

    A time to come was written under a clock that was wrong: it counts as now. An error of the disk makes the week begin
    anew at the next start, and stops nothing.
    """
    try:
        since = float(file.read_text())
        if since <= now:
            return since
    except (OSError, ValueError):
        pass
    try:
        replace_private(file, f"{now:.0f}\n".encode())
    except OSError as error:
        log.error("{file} cannot be written: {reason}", file=file, reason=error.strerror)
    return now
