"""A limit on the lines of the log that one source can cause: a few at once, then one every few seconds.

    LineLimit.more(source) -> "" | " (and 12 others, not told)" | None: write no line

For lines about requests of senders that have proved nothing, else anybody could fill a disk. So that an operator still
sees a phone with a wrong password, the first ones are written, and then one now and then as long as it goes on. The
last words of a line that is written say how many were left out before it, of whatever source.

Not here: lines about calls. One that came to nothing is told, or left out, with its record (state/ended_calls.py); one
that was let in has a line for each milestone, however many calls there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.base.rate import Rate, RateLimit

LINES: Final = Rate(per_second=0.2, burst=10)
"""For each source."""
SOURCES: Final = 1000
"""Remembered; beyond, all new ones share one."""


class LineLimit:
    """Counts the lines of each source; ``seconds`` never go back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._limit = RateLimit(LINES, capacity=SOURCES)
        self._left_out = 0

    def more(self, source: str) -> str | None:
        """The end of a line about this source, an address; None when it has had enough of them."""
        if not self._limit.allows(source, self._seconds()):
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return f" (and {left_out} others, not told)" if left_out else ""
