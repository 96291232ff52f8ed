"""A look at the machine for the posture: room on the disk of the state, the mark of the last backup.

It waits for a disk, so it is for a thread of its own (posture_gathering). Nothing is changed; a thing that the system
does not tell is None. Not here: its clock, which has a watch of its own (gateway/app/network/clock_watch.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import attrs

BACKUP_MARK: Final = "last-backup"
"""The file in the state directory whose time is that of the last backup."""


@attrs.frozen
class MachineFacts:
    """The machine, as far as it was asked."""

    disk_free: float | None
    backup_at: float | None
    """Seconds since the epoch; None: no backup was ever noted."""


def look_at_machine(state: Path) -> MachineFacts:
    """The machine. Waits for its disk."""
    try:
        usage = shutil.disk_usage(state)
        free = usage.free / usage.total if usage.total else None
    except OSError:
        free = None
    try:
        backup: float | None = (state / BACKUP_MARK).stat().st_mtime
    except OSError:
        backup = None
    return MachineFacts(free, backup)
