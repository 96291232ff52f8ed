"""Turns: work for readers of pages in pieces, between those of the reactor, so that no call waits for a page.

    await turns.next() --> the reactor looks at its sockets and timers --> one piece of one page --> again

The process has one thread for calls and pages, and a page takes it up to some milliseconds. In pieces, a message of a
call waits for one piece at most: all that arrived meanwhile is dealt with before the next piece, whoever's it is. So
pages wait for calls, and for each other in the order in which they came.

One message brings others: while a call is set up, the relay and the other side answer within a millisecond where they
are near. So a piece waits for a lull, a millisecond without a message, lest each message of the call waits for a
piece of its own. Where no lull comes, the piece has its turn PATIENCE later all the same: pages get on under any load.

Here: the line, texts and lists piece by piece. Not here: the pages (`pages`), HTTP (`routes`).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

PIECE_SECONDS: Final = 0.0003
"""A piece is so long, and the last step of it that was begun."""


LULL_SECONDS: Final = 0.001
PATIENCE: Final = 0.005
"""Seconds that a piece waits for a lull."""


async def pieces(items: Sequence[T], size: int, rest: Callable[[], Awaitable[None]]) -> AsyncIterator[Sequence[T]]:
    """The items, so many in each piece; ``rest`` gives calls a moment before it."""
    for start in range(0, len(items), size):
        await rest()
        yield items[start : start + size]


def _no_messages() -> int:
    return 0


def _nothing_else() -> bool:
    return False


class Turns:
    """A line of pieces, of which one is done in each turn of the reactor.

    ``now`` gives seconds that pass evenly; ``messages``: how many messages of calls have come so far; ``first``: has
    this turn, if it has work for one.
    """

    def __init__(
        self,
        timers: IReactorTime,
        now: Callable[[], float] = time.perf_counter,
        messages: Callable[[], int] = _no_messages,
        first: Callable[[], bool] = _nothing_else,
    ) -> None:
        self._timers = timers
        self._now = now
        self._messages = messages
        self._first = first
        self._seen = 0
        self._due = math.inf
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
        """The first in the line has its turn, unless it waits for a lull. It stays there meanwhile, so that its next
        piece is no second line."""
        if not self._is_time():
            self._timers.callLater(LULL_SECONDS, self._give)
            return
        self._due = math.inf
        if not self._first():
            self._waiting[0].callback(None)
            self._waiting.popleft()
        if self._waiting:
            self._timers.callLater(0, self._give)

    def _is_time(self) -> bool:
        """Whether no message has come since the last look, or the first in the line has waited long enough."""
        before, self._seen = self._seen, self._messages()
        if before == self._seen:
            return True
        now = self._now()
        self._due = min(self._due, now + PATIENCE)
        return now >= self._due
