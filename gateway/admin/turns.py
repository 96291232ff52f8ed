"""Turns: work for readers of pages in pieces, between those of the reactor, so that no call waits for a page.

    await turns.next() --> the reactor looks at its sockets and timers --> one piece of one page --> again

The process has one thread for calls and pages, and a page takes it up to some milliseconds. In pieces, a message of a
call waits for one piece at most: all that arrived meanwhile is dealt with before the next piece, whoever's it is. So
pages wait for calls, and for each other in the order in which they came.

Here: the line, and texts that are made piece by piece. Not here: the pages (`pages`), HTTP (`routes`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

PIECE_SECONDS: Final = 0.0003
"""A piece is so long, and the last step of it that was begun."""


class Turns:
    """A line of pieces, of which one is done in each turn of the reactor. ``now`` gives seconds that pass evenly."""

    def __init__(self, timers: IReactorTime, now: Callable[[], float] = time.perf_counter) -> None:
        self._timers = timers
        self._now = now
        self._waiting: deque[Deferred[None]] = deque()

    def next(self) -> Deferred[None]:
        """Fires in a later turn of the reactor, after all that were asked for before: a piece begins."""
        own: Deferred[None] = Deferred()
        self._waiting.append(own)
        if len(self._waiting) == 1:
            self._timers.callLater(0, self._give)
        return own

    async def joined(self, texts: Iterable[str]) -> str:
        """The texts as one. They are made while they are read, a piece in each turn."""
        parts: list[str] = []
        await self.next()
        end = self._now() + PIECE_SECONDS
        for text in texts:
            parts.append(text)
            if self._now() >= end:
                await self.next()
                end = self._now() + PIECE_SECONDS
        return "".join(parts)

    def _give(self) -> None:
        """The first in the line has its turn. It stays there meanwhile, so that its next piece is no second line."""
        self._waiting[0].callback(None)
        self._waiting.popleft()
        if self._waiting:
            self._timers.callLater(0, self._give)
