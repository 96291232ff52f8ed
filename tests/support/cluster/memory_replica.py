"""A replica in memory: all that it was told, and the pages of the files that were added."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.state.cluster.replica import Page, Pages


class MemoryReplica:
    """Of one node."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, bytes | None]] = []
        """Keys and values, in order."""
        self.files: dict[str, Pages] = {}
        self.asked = 0
        """Pages."""

    def note(self, file: str, key: bytes, value: bytes | None) -> None:
        self.told.append((key, value))

    def add(self, file: str, pages: Pages) -> None:
        self.files[file] = pages

    def all_of(self, file: str) -> dict[bytes, bytes]:
        """All entries of a file, whose pages are there at once. Raises the error of a page that failed."""
        entries: dict[bytes, bytes] = {}
        mark = None
        while True:
            page = outcome(self.files[file](mark))
            self.asked += 1
            entries.update(page.entries)
            mark = page.following
            if mark is None:
                return entries


def outcome(waiting: Deferred[Page]) -> Page:
    """The page that is there. Raises its error."""
    found: list[Any] = []
    waiting.addBoth(found.append)
    (page,) = found
    if isinstance(page, Failure):
        page.raiseException()
    assert isinstance(page, Page)
    return page
