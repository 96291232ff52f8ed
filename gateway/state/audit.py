"""The audit: author, subject and time of every change, in a file of JSON lines that is only ever added to.

Here: writing an entry, and the latest entries. Not here: the chain of its lines (audit_chain), permission to change
anything (gateway/admin), the changes themselves (settings). An entry that cannot be written is an error for an
operator, not a reason to undo the change.
"""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from twisted.logger import Logger

from gateway.base.json_codec import Json
from gateway.observe.events import EventName, Events
from gateway.state.audit_chain import BEGIN, KEY, AuditJudgement, LastLine, digest, ending_of, verify, verify_file

log = Logger()

REMEMBERED: Final = 500
"""Entries in memory; the file has them all."""

_TOLD: Final = {
    "switch": EventName.DOMAIN_SWITCHED,
    "reload": EventName.CONFIGURATION_RELOADED,
    "refused": EventName.SECURITY_CHANGE_REFUSED,
}
"""The events of changes, by their kind."""

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

    def __init__(self, path: Path, wall: Callable[[], float], events: Events | None = None) -> None:
        self._path = path
        self._events = events
        self._wall = wall
        self._latest: deque[Entry] = deque(_read(path), maxlen=REMEMBERED)
        self._ending = self._look()

    def write(self, who: str, what: str, **details: Json) -> None:
        """Add an entry: the author, the kind of change, and its details."""
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        place: Entry = {"source": who.source} if isinstance(who, Author) and who.source else {}
        entry: Entry = {"at": at, "who": who, **place, "what": what, **details, KEY: self._ending.last}
        self._latest.append(entry)
        self._tell(who, what, details)
        line = json.dumps(entry).encode()
        try:
            self._append((b"\n" if self._ending.is_torn else b"") + line + b"\n")
        except OSError as error:
            log.error("{path} cannot be written: {reason}", path=self._path, reason=error.strerror)
            self._ending = self._look()
        else:
            self._ending = LastLine(digest(line))

    def verified(self) -> Callable[[], AuditJudgement]:
        """The look at the whole file as it is now, to be taken in a thread; it raises OSError."""
        size, last = self._path.stat().st_size if self._path.exists() else 0, self._ending.last
        return lambda: verify_file(self._path, last, size) if size or last != BEGIN else verify(())

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def _look(self) -> LastLine:
        """The end of the file: at the start, and where a write may have left a part of a line."""
        try:
            return ending_of(self._path)
        except OSError as error:
            log.error("{path} cannot be read: {reason}", path=self._path, reason=error.strerror)
            return LastLine()

    def _tell(self, who: str, what: str, details: dict[str, Json]) -> None:
        """An event of the changes that have one."""
        if self._events is None or what not in _TOLD:
            return
        name, domain, fields = _TOLD[what], details.get("domain"), {}
        for key in ("from", "to", "change"):
            if isinstance(details.get(key), str):
                fields[key] = str(details[key])
        changes = details.get("changes")
        if isinstance(changes, list):
            fields["changes"] = "; ".join(map(str, changes))
        source = getattr(who, "source", "")
        self._events.note(name, who=who, domain=str(domain or ""), source=source, **fields)

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
                except (ValueError, RecursionError):
                    continue
                if isinstance(entry, dict):
                    entries.append(entry)
    except OSError:
        return []
    return entries
