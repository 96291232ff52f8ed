"""Sliding sums equal a naive count, whatever the order of calls and looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.security.budget.outcomes import BudgetOutcome
from gateway.security.budget.windows import SlidingCounts, WindowSum

UNIT = 60
WIDTHS = (5, 30, 60)
STEPS = st.lists(
    st.tuples(st.sampled_from(BudgetOutcome), st.integers(0, 40 * UNIT), st.integers(1, 9)), min_size=1, max_size=40
)


def naive(calls: list[tuple[BudgetOutcome, int, int]], now: int) -> dict[int, WindowSum]:
    unit = now // UNIT
    return {
        width: WindowSum(
            *(
                sum(n for what, at, n in calls if what is outcome and unit - width < at // UNIT <= unit)
                for outcome in BudgetOutcome
            )
        )
        for width in WIDTHS
    }


@given(STEPS, st.integers(0, 10**9))
def test_sums_are_those_of_a_naive_count(steps: list[tuple[BudgetOutcome, int, int]], begin: int) -> None:
    counts, calls, now = SlidingCounts(UNIT, WIDTHS), [], begin
    for outcome, passed, number in steps:
        now += passed
        calls.append((outcome, now, number))
        counts.add(outcome, now, number)
        assert counts.sums(now) == naive(calls, now)
    assert counts.sums(now + 61 * UNIT) == dict.fromkeys(WIDTHS, WindowSum())


@given(st.lists(st.tuples(st.sampled_from(BudgetOutcome), st.integers(10_000, 13_600), st.integers(1, 9)), max_size=40))
def test_calls_of_the_past_come_in_any_order(calls: list[tuple[BudgetOutcome, int, int]]) -> None:
    counts, now = SlidingCounts(UNIT, WIDTHS), 13_600
    counts.sums(now)
    for outcome, at, number in calls:
        counts.add(outcome, at, number)
    assert counts.sums(now) == naive(calls, now)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    counts = SlidingCounts(UNIT, WIDTHS)
    counts.add(BudgetOutcome.SPENT, 100 * UNIT)
    counts.add(BudgetOutcome.SPENT, 99 * UNIT)
    assert counts.sums(98 * UNIT)[5].spent == 2


def test_a_moment_before_every_window_counts_nowhere() -> None:
    counts = SlidingCounts(UNIT, WIDTHS)
    counts.add(BudgetOutcome.KEPT, 1000 * UNIT)
    counts.add(BudgetOutcome.SPENT, 900 * UNIT)
    assert counts.sums(1000 * UNIT)[60] == WindowSum(kept=1)
