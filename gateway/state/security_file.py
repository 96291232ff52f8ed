"""The security log: events whose names begin with `security.` or `fraud.`, one JSON line each; others rotate the file.

    Events -> note -> waiting (at most WAITING lines) -> write(), every few seconds and at the end -> FILE (0600)

Written behind: nobody who tells an event waits for the disk. When that takes nothing, the oldest lines that wait are
dropped. The events themselves are limited where they are told, by source.

Here: the file. Not here: the events (observe/events.py), the log for operators (observe/log.py).
"""

from __future__ import annotations

import errno
import os
from collections import deque
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from gateway.base.json_codec import encode
from gateway.observe.events import GatewayEvent
from gateway.observe.figures import KeptFile

log = Logger()

PREFIXES: Final = ("security.", "fraud.")
WAITING: Final = 10_000
"""Lines that wait for a disk at most."""


class SecurityFile:
    """The file ``path``, which only this user may read. Each write opens it: one that was moved away is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[bytes] = deque(maxlen=WAITING)
        self._failures = 0
        self._is_failing = False

    @property
    def standing(self) -> KeptFile:
        """The state of the file."""
        return KeptFile(self._path.name, self._failures, self._is_failing)

    def note(self, number: int, event: GatewayEvent) -> None:
        """A subscriber of events: keep this one, if it is about security."""
        if event.name.startswith(PREFIXES):
            self._waiting.append(encode(event.as_json()) + b"\n")

    def write(self) -> None:
        """Write the lines that wait. To be called now and then, and at the end."""
        if not self._waiting:
            return
        lines = b"".join(self._waiting)
        try:
            self._add(lines)
        except OSError as error:
            if not self._is_failing:
                log.error("{path} cannot be written: {reason}", path=self._path, reason=error.strerror)
            self._failures += 1
            self._is_failing = True
        else:
            self._waiting.clear()
            self._is_failing = False

    def _add(self, lines: bytes) -> None:
        """Add all lines, or none: the part that fitted on a full disk is taken back."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if os.write(descriptor, lines) < len(lines):
                os.ftruncate(descriptor, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
