"""How a domain's fallback budget stands: calls left, how fast they are spent, and whether somebody should be told.

    windows of calls, the budget -> standing() -> BudgetStanding(allowed, left, burns, level)

A burn is the share of calls that fell back in a window, divided by the share that may: at 1 the budget of 30 days lasts
30 days, at 14.4 it is gone in two. One long and one short window must both burn, so that an alert comes soon and ends
soon. The rates are those of Google's SRE workbook, chapter 5; an office makes few calls, so that one that falls back at
night would be a burn of 100. Hence LEAST calls in the long window, and a floor of calls that are always free.

Pure functions. Not here: counting (windows.py), and telling (budgets.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

from gateway.security.budget.windows import WindowSum

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
BURN_WINDOWS: Final = {"5m": 5 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY}
"""The seconds of each window that burns are told of."""
WINDOW: Final = 30 * DAY
"""Seconds that a budget is for."""
LEAST: Final = 3
"""Calls in the long window without which no burn is told; 1 where no call may fall back."""
FAST: Final = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
"""Long window, short window, and the burn that both must be above."""
SLOW: Final = (("3d", "6h", 1.0),)


class BudgetLevel(StrEnum):
    """The state of a budget, the worst last."""

    GOOD = "good"
    BURNS = "burns"
    """It will not last: somebody should look in working hours."""
    BURNS_FAST = "burns_fast"
    """It is gone within days or hours: somebody should look now."""
    SPENT = "spent"


@attrs.frozen
class FallbackBudget:
    """Calls that a domain lets fall back."""

    share: float
    """Of its calls in 30 days that may fall back, 0 to 1."""
    floor: int
    """Calls that may in any case, unless the share is 0."""

    def allowed(self, calls: int) -> int:
        """How many of so many calls may fall back."""
        return max(self.floor, math.floor(self.share * calls)) if self.share else 0


@attrs.frozen
class BudgetStanding:
    """A budget at one moment."""

    budget: FallbackBudget
    month: WindowSum
    """The calls of 30 days."""
    burns: Mapping[str, float | None]
    """By window; None where it has no calls."""
    level: BudgetLevel
    pace: float
    """Calls that fell back in a second of the last 3 days."""

    @property
    def allowed(self) -> int:
        """Calls that may fall back in 30 days."""
        return self.budget.allowed(self.month.counted)

    @property
    def left(self) -> int:
        """Of these, those that have not."""
        return max(0, self.allowed - self.month.spent)

    @property
    def seconds_left(self) -> float | None:
        """Until it is spent, at the pace of the last 3 days; None: never."""
        return self.left / self.pace if self.pace else None


def standing(budget: FallbackBudget, windows: Mapping[str, WindowSum], month: WindowSum) -> BudgetStanding:
    """How a budget stands, by the calls of each burn window and of 30 days."""
    burns = {name: _burn(budget, windows[name]) for name in BURN_WINDOWS}
    pace = windows["3d"].spent / BURN_WINDOWS["3d"]
    return BudgetStanding(budget, month, burns, _level(budget, windows, burns, month), pace)


def _burn(budget: FallbackBudget, window: WindowSum) -> float | None:
    if not window.counted:
        return None
    if not budget.share:
        return float(LARGEST_BURN if window.spent else 0)
    return window.spent / window.counted / budget.share


LARGEST_BURN: Final = 1_000_000
"""Told of a budget of nothing of which a call was spent: a number, as JSON and metrics want one."""


def _level(
    budget: FallbackBudget, windows: Mapping[str, WindowSum], burns: Mapping[str, float | None], month: WindowSum
) -> BudgetLevel:
    least = LEAST if budget.share else 1

    def burn_all(rules: tuple[tuple[str, str, float], ...]) -> bool:
        return any(
            (burns[long] or 0) > rate and (burns[short] or 0) > rate and windows[long].spent >= least
            for long, short, rate in rules
        )

    if month.spent > budget.allowed(month.counted):
        return BudgetLevel.SPENT
    if burn_all(FAST):
        return BudgetLevel.BURNS_FAST
    return BudgetLevel.BURNS if burn_all(SLOW) else BudgetLevel.GOOD
