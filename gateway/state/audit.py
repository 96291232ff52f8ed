"""The audit: author, subject and time of every change, in a file of JSON lines that is only ever added to.

Here: writing an entry, and the latest entries. Not here: permission to change anything (gateway/admin), the changes
themselves (settings). An entry that cannot be written is an error for the operator, not a reason to undo the change.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from twisted.logger import Logger

from gateway.base.json_codec import Json

log = Logger()

REMEMBERED: Final = 500
"""Entries in memory; the file has them all."""

Entry: TypeAlias = dict[str, Json]


class Author(str):
    """The name of a change's author, and the address that the change came from; empty where that is not known."""

    source: str

    def __new__(cls, name: str, source: str = "") -> Author:
        """See the class."""
        author = super().__new__(cls, name)
        author.source = source
        return author


class AuditLog:
    """The entries in the file ``path``. ``wall`` gives seconds since the epoch, for people."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._latest: deque[Entry] = deque(_read(path), maxlen=REMEMBERED)

    def write(self, who: str, what: str, **details: Json) -> None:
        """Add an entry: the author, the kind of change, and its details."""
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry: Entry = {"at": at, "who": who, "what": what, **details}
        self._latest.append(entry)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            log.error("{path} cannot be written: {reason}", path=self._path, reason=error.strerror)

    def about(self, name: str | None) -> list[Entry]:
        """The latest entries that speak of a domain or peer, or all of them, oldest first."""
        return [entry for entry in self._latest if name is None or _is_about(entry, name.lower())]


def _is_about(entry: Entry, name: str) -> bool:
    changes = entry.get("changes")
    lines = [line for line in changes if isinstance(line, str)] if isinstance(changes, list) else []
    named = (entry.get("domain"), entry.get("peer"))
    return name in (str(value).lower() for value in named) or any(f" {name}: " in line.lower() for line in lines)


def _read(path: Path) -> list[Entry]:
    """The entries there are; a line that cannot be read is passed over."""
    entries = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=REMEMBERED):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    entries.append(entry)
    except OSError:
        return []
    return entries
