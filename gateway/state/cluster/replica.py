"""The seam between files of state and their copies in a cluster's store.

    a file changes -> note(file, key, value)            one changed entry; None: it is gone
    add(file, pages) <- asked for a whole copy          all entries of a file, some at a time

Without [cluster] nothing is copied (`NoReplica`), and files are written as ever. A key and a value are bytes of the
file's own making, which it reads again at the next start of the other node (restored). Here: the seam alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from twisted.internet.defer import Deferred


class Page(NamedTuple):
    """Some entries of a file."""

    entries: list[tuple[bytes, bytes]]
    """Keys and values."""
    following: Any
    """The mark to ask for the next ones with; None when these were the last."""


Pages: TypeAlias = Callable[[Any], Deferred[Page]]
"""The entries after a mark; the first ones for None."""


class Replica(Protocol):
    """Takes copies of entries of files. Nothing waits for it, and nothing of it raises."""

    def note(self, file: str, key: bytes, value: bytes | None) -> None:
        """An entry has another value; None: there is none any more."""

    def add(self, file: str, pages: Pages) -> None:
        """Ask here for all entries of a file."""


class NoReplica:
    """Copies nothing."""

    def note(self, file: str, key: bytes, value: bytes | None) -> None:
        """See Replica."""

    def add(self, file: str, pages: Pages) -> None:
        """See Replica."""
