"""Processes that the children leave behind, and their end.

What lives here: finding them. The gateway's media workers outlive it, so that a restarted gateway finds its calls
again; a demonstration must leave nothing. As a "child subreaper" this process becomes the parent of what its children
leave (prctl(2), Linux only), so that every one can be found by its parent's process id. What does not: our own
children (`children`).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 1.0  # seconds between SIGTERM and SIGKILL
_POLL = 0.05  # seconds


def adopt_orphans() -> None:
    """From now on, what our children leave behind is ours. Without effect where there is no prctl."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def end_stragglers(
    clock: IReactorTime,
    found: Callable[[], list[int]],
    kill: Callable[[int, signal.Signals], None] = os.kill,
) -> None:
    """End the processes that `found` gives, politely first; returns when it gives none, or when SIGKILL was sent."""
    _signal_all(found(), signal.SIGTERM, kill)
    for _ in range(round(_PATIENCE / _POLL)):
        if not found():
            return
        await deferLater(clock, _POLL)
    _signal_all(found(), signal.SIGKILL, kill)


def live_children(parent: int, proc: Path = Path("/proc")) -> list[int]:
    """The process ids of a process's children, without those that have ended already."""
    statuses = (_state_and_parent(entry) for entry in proc.iterdir() if entry.name.isdecimal())
    return sorted(pid for pid, state, its_parent in statuses if its_parent == parent and state not in "ZX")


def _state_and_parent(entry: Path) -> tuple[int, str, int]:
    """Process id, state and parent (proc(5)); a parent of -1 for a process that has gone meanwhile."""
    try:
        fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return int(entry.name), "X", -1
    return int(entry.name), fields[0], int(fields[1])


def _signal_all(pids: list[int], number: signal.Signals, kill: Callable[[int, signal.Signals], None]) -> None:
    for pid in pids:
        try:
            kill(pid, number)
        except ProcessLookupError:
            continue
