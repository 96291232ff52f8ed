"""Levels of a budget: burns of a long and a short window, a floor for quiet offices, a budget of nothing."""

from __future__ import annotations

import pytest

from gateway.security.budget.standing import BURN_WINDOWS, BudgetLevel, BudgetStanding, FallbackBudget, standing
from gateway.security.budget.windows import WindowSum

MONTH = WindowSum(kept=100_000)
NONE = dict.fromkeys(BURN_WINDOWS, WindowSum())


def found(budget: FallbackBudget, month: WindowSum | None = None, **windows: tuple[int, int]) -> BudgetStanding:
    """``windows``: kept and spent, by name with w before it."""
    given = {name.removeprefix("w"): WindowSum(*counts) for name, counts in windows.items()}
    return standing(budget, {**NONE, **given}, month or MONTH)


ONE_PERCENT = FallbackBudget(0.01, 3)


@pytest.mark.parametrize(
    ("windows", "level"),
    [
        ({}, BudgetLevel.GOOD),
        ({"w1h": (84, 16), "w5m": (7, 2)}, BudgetLevel.BURNS_FAST),
        ({"w1h": (84, 16), "w5m": (9, 0)}, BudgetLevel.GOOD),  # it is over
        ({"w1h": (86, 14), "w5m": (7, 2)}, BudgetLevel.GOOD),  # 14 is not above 14.4
        ({"w6h": (930, 70), "w30m": (60, 10)}, BudgetLevel.BURNS_FAST),
        ({"w6h": (980, 20), "w3d": (8_000, 120)}, BudgetLevel.BURNS),
        ({"w6h": (1000, 0), "w3d": (8_000, 120)}, BudgetLevel.GOOD),
        ({"w6h": (980, 20), "w3d": (8_000, 80)}, BudgetLevel.GOOD),
    ],
)
def test_two_windows_have_to_burn(windows: dict[str, tuple[int, int]], level: BudgetLevel) -> None:
    assert found(ONE_PERCENT, None, **windows).level is level


def test_one_call_at_night_wakes_nobody() -> None:
    """A burn of 100, and one call: 40 calls a day are no flow."""
    quiet = found(ONE_PERCENT, WindowSum(1_000, 1), w5m=(0, 1), w30m=(0, 1), w1h=(0, 1), w6h=(0, 1), w3d=(120, 1))
    assert quiet.burns["1h"] == pytest.approx(100)
    assert quiet.level is BudgetLevel.GOOD


def test_three_calls_of_a_quiet_office_are_free_and_the_fourth_is_not() -> None:
    assert found(ONE_PERCENT, WindowSum(50, 3)).level is BudgetLevel.GOOD
    spent = found(ONE_PERCENT, WindowSum(50, 4))
    assert (spent.level, spent.allowed, spent.left) == (BudgetLevel.SPENT, 3, 0)


def test_a_share_of_many_calls_counts_above_the_floor() -> None:
    assert found(ONE_PERCENT, WindowSum(9_900, 100)).level is BudgetLevel.GOOD
    assert found(ONE_PERCENT, WindowSum(9_899, 101)).level is BudgetLevel.SPENT


def test_a_budget_of_nothing_tells_each_call() -> None:
    nothing = FallbackBudget(0.0, 3)
    assert found(nothing, WindowSum(1_000, 0)).level is BudgetLevel.GOOD
    assert found(nothing, WindowSum(1_000, 1)).level is BudgetLevel.SPENT


def test_excused_calls_are_in_no_share() -> None:
    assert found(ONE_PERCENT, WindowSum(0, 0, 500)).left == 3


def test_no_call_has_no_burn_and_divides_by_nothing() -> None:
    empty = found(ONE_PERCENT, WindowSum())
    assert set(empty.burns.values()) == {None}
    assert (empty.level, empty.seconds_left) == (BudgetLevel.GOOD, None)


def test_the_day_on_which_it_is_spent() -> None:
    """30 in 3 days, 70 left: 7 days more."""
    assert found(ONE_PERCENT, WindowSum(9_970, 30), w3d=(970, 30)).seconds_left == pytest.approx(7 * 86_400, rel=0.01)
