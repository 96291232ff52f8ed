"""Facts for the posture: the limits that a thief with one stolen password cannot go round."""

from __future__ import annotations

import pytest

from gateway.admin.security.posture_gathering import NIGHTS, WEEK, is_guard, unguarded
from gateway.config.tables.limit_table import CallLimit, time_window

EVERY = CallLimit("every", to=("international", "premium"), calls=5)
DAYS = (time_window("mon-fri 06:00-22:00"),)
OTHERS = (time_window("22:00-06:00"), time_window("sat,sun"))


@pytest.mark.parametrize(
    "limit",
    [
        CallLimit("few", users=("999",), per_minute=1),
        CallLimit("one number", to=("0900",), calls=0),
        CallLimit("premium alone", to=("premium",), calls=0),
        CallLimit("length alone", end_calls_after_minutes=60),
    ],
)
def test_a_limit_of_a_few_users_or_numbers_is_no_guard(limit: CallLimit) -> None:
    assert not is_guard(limit)
    assert is_guard(EVERY)
    assert is_guard(CallLimit("all numbers", calls=2))


def test_a_domain_without_a_limit_is_named() -> None:
    one = CallLimit("one", domains=("a.example",), calls=1)
    assert unguarded([one], ["A.example", "b.example"], WEEK) == ("b.example",)
    assert unguarded([one, EVERY], ["a.example", "b.example"], WEEK) == ()
    assert unguarded([], ["a.example"], WEEK) == ("a.example",)


def test_limits_of_day_and_night_are_one_guard_together() -> None:
    by_day, otherwise = (CallLimit("x", hours=hours, calls=1) for hours in (DAYS, OTHERS))
    assert unguarded([by_day, otherwise], ["a.example"], WEEK) == ()
    assert unguarded([by_day], ["a.example"], WEEK) == ("a.example",)
    assert unguarded([by_day], ["a.example"], NIGHTS) == ("a.example",)
    assert unguarded([otherwise], ["a.example"], NIGHTS) == ()
    assert unguarded([otherwise], ["a.example"], WEEK) == ("a.example",)
