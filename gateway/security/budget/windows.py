"""Calls in windows of time that slide, as running sums: a call, and a look, cost the same for every length.

    add(outcome, at) -> the count of its unit (a minute, an hour) -> the sum of each window that the unit is in
    sums(now)        -> units that have left a window are taken off its sum

Time is an argument: seconds that do not go back. Not here: the meaning of the counts (standing.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from gateway.security.budget.outcomes import BudgetOutcome


@attrs.frozen
class WindowSum:
    """The calls of one window."""

    kept: int = 0
    spent: int = 0
    excused: int = 0

    @property
    def counted(self) -> int:
        """Those that a share is of."""
        return self.kept + self.spent


class SlidingCounts:
    """Counts by unit, and their sums over the last ``widths`` units each, this one included."""

    def __init__(self, unit: int, widths: Sequence[int]) -> None:
        """``unit`` is in seconds; ``widths`` in units, in any order."""
        self._unit = unit
        self._widths = tuple(widths)
        self._size = max(widths)
        self._counts = [[0] * len(BudgetOutcome) for _ in range(self._size)]
        self._sums = [[0] * len(BudgetOutcome) for _ in self._widths]
        self._at = 0

    def add(self, outcome: BudgetOutcome, at: float, calls: int = 1) -> None:
        """Count calls of a moment. A moment older than the longest window counts nowhere."""
        unit = int(at // self._unit)
        self._advance(unit)
        if unit <= self._at - self._size:
            return
        self._counts[unit % self._size][outcome] += calls
        for width, total in zip(self._widths, self._sums, strict=True):
            if unit > self._at - width:
                total[outcome] += calls

    def sums(self, now: float) -> dict[int, WindowSum]:
        """The sum of each window that ends now, by its width."""
        self._advance(int(now // self._unit))
        return {width: WindowSum(*total) for width, total in zip(self._widths, self._sums, strict=True)}

    def _advance(self, unit: int) -> None:
        if unit - self._at >= self._size:
            self._counts = [[0] * len(BudgetOutcome) for _ in range(self._size)]
            self._sums = [[0] * len(BudgetOutcome) for _ in self._widths]
            self._at = unit
        while self._at < unit:
            self._step()

    def _step(self) -> None:
        """Begin the next unit: the oldest of each window leaves it."""
        self._at += 1
        for width, total in zip(self._widths, self._sums, strict=True):
            for outcome, calls in enumerate(self._counts[(self._at - width) % self._size]):
                total[outcome] -= calls
        self._counts[self._at % self._size] = [0] * len(BudgetOutcome)
