"""The rules, each with 28 days of made-up calls: told once, with its figures; silent where all is usual."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.observe.events import EventName
from gateway.security.deviations.calling_profile import (
    HOUR,
    MOST_COUNTRIES,
    RING,
    CallingProfile,
    OutgoingCall,
    country_of,
)
from gateway.security.deviations.deviation_rules import Deviation, deviations_of

DAY = 86_400.0
MONDAY = 1_763_942_400.0  # 2025-11-24 00:00 UTC
BERLIN, CUBA = "+493012345678", "+5371234567"


def call(at: float, number: str = BERLIN, *, seconds: float | None = 60.0) -> OutgoingCall:
    is_answered = seconds is not None
    place = int(at // HOUR), number, country_of(number)
    return OutgoingCall("c1", "example.com", "alice", at, at + (seconds or 0.0), *place, is_answered, seconds or 0.0)


def office(until: float, days: int = 28, each_hour: int = 2) -> Iterator[OutgoingCall]:
    """Calls of an office: from 8 to 17 o'clock on working days, so many an hour; every fifth is not answered."""
    start = until - days * DAY
    for hour in range(int(start // HOUR), int(until // HOUR)):
        weekday, time_of_day = (hour // 24 + 3) % 7, hour % 24
        if weekday < 5 and 8 <= time_of_day < 17:
            for number in range(each_hour):
                seconds = None if (hour + number) % 5 == 0 else 60.0
                yield call(hour * HOUR + 60.0 * number, seconds=seconds)


def profile(until: float = MONDAY, days: int = 28) -> CallingProfile:
    made = CallingProfile()
    for one in office(until, days):
        made.add(one)
    return made


def told(made: CallingProfile, *calls: OutgoingCall, offset: float = 0.0, of_user: bool = True) -> list[Deviation]:
    return [found for one in calls for found in deviations_of(made, one, offset, of_user=of_user)]


def test_a_usual_week_tells_nothing() -> None:
    assert told(profile(), *office(MONDAY + 7 * DAY, 7)) == []


def test_a_call_to_a_new_country_is_told_once_with_the_count_of_countries() -> None:
    made = profile()
    at = MONDAY + 10 * HOUR
    (found, *none) = told(made, call(at, CUBA), call(at + 60, CUBA), call(at + 90))
    assert none == []
    assert found.name is EventName.DEVIATION_NEW_COUNTRY
    assert found.fields == {"country": "CU", "number": CUBA, "countries_before": 1, "days": 28}
    later = at + 29 * DAY
    for one in office(later):
        made.add(one)
    assert [one.name for one in told(made, call(later, CUBA))] == [EventName.DEVIATION_NEW_COUNTRY], "28 days later"


@pytest.mark.parametrize(
    ("number", "country"),
    [
        (BERLIN, "DE"),
        ("+18765551234", "JM"),
        ("+12125551234", "US"),
        ("+881612345678", "+881"),
        ("+25290123456", "SO"),
        ("4711", ""),
        ("alice", ""),
        ("+", ""),
        ("+<b>49", ""),
        ("+99912345", "+999"),
    ],
)
def test_the_country_of_a_number(number: str, country: str) -> None:
    assert country_of(number) == country


def test_five_times_the_usual_calls_of_this_hour_of_the_week_are_told_at_the_call_that_makes_them() -> None:
    made, at = profile(), MONDAY + 9 * HOUR
    found = told(made, *[call(at + second) for second in range(9)])
    assert found == []
    found = told(made, *[call(at + 60 + second) for second in range(30)])
    assert [(one.name, one.fields) for one in found] == [
        (EventName.DEVIATION_BUSY_HOUR, {"calls": 10, "usual": 2.0, "times": 5})
    ]
    evening = told(made, *[call(MONDAY + 19 * HOUR + second) for second in range(12)])
    assert [one.fields["usual"] for one in evening] == [0.0], "ten calls of an hour that has none usually"


def test_the_first_call_of_a_night_is_told_by_local_time() -> None:
    two = MONDAY + 2 * HOUR
    assert [one.name for one in told(profile(), call(two), call(two + 60))] == [EventName.DEVIATION_NIGHT_CALL]
    assert told(profile(), call(two), offset=7 * HOUR) == [], "nine o'clock there"
    made = profile(MONDAY - DAY)
    made.add(call(MONDAY - 22 * HOUR))
    assert told(made, call(two)) == [], "it called at night before"


def test_many_short_calls_are_told_once_and_counted_anew() -> None:
    made, at = profile(), MONDAY + 18 * HOUR

    def burst(first: float, count: int, apart: float) -> list[EventName]:
        calls = [call(first + number * apart, seconds=2.0) for number in range(count)]
        found = told(made, *calls)
        return [one.name for one in found if one.name is EventName.DEVIATION_SHORT_CALLS]

    assert burst(at, 10, 30.0) == []
    assert burst(at + 310, 1, 1.0) == [EventName.DEVIATION_SHORT_CALLS]
    assert burst(at + 3000, 20, 70.0) == [], "fewer than eleven in ten minutes"
    assert burst(at + 9000, 22, 1.0) == [EventName.DEVIATION_SHORT_CALLS] * 2


def test_few_answers_over_fifty_calls_are_told_beside_the_usual_share() -> None:
    made, at = profile(), MONDAY + 18 * HOUR
    calls = [call(at + number * 3700.0, seconds=5.0 if number % 25 == 0 else None) for number in range(50)]
    found = [one for one in told(made, *calls) if one.name is EventName.DEVIATION_UNANSWERED_CALLS]
    assert [one.fields for one in found] == [{"calls": 50, "answered": 4, "usual_answered_percent": 80}]
    seldom = CallingProfile()
    for number in range(500):
        seldom.add(call(MONDAY - 20 * DAY + number * HOUR, seconds=60.0 if number % 12 == 0 else None))
    calls = [call(at + number * 3700.0, seconds=None) for number in range(60)]
    names = {one.name for one in told(seldom, *calls)}
    assert EventName.DEVIATION_UNANSWERED_CALLS not in names, "as ever"


def test_nothing_is_told_in_the_first_seven_days_and_a_domain_has_no_short_calls() -> None:
    made = CallingProfile()
    first = MONDAY
    hostile = [call(first + 2 * HOUR + second, f"+{53 + second % 40}71234567", seconds=1.0) for second in range(100)]
    assert told(made, *hostile) == []
    assert told(made, call(first + 6.9 * DAY, "+881612345678")) == []
    assert told(made, call(first + 7.2 * DAY, "+870773111632")) != []
    names = {one.name for one in told(profile(), *[call(MONDAY + s, seconds=1.0) for s in range(40)], of_user=False)}
    assert EventName.DEVIATION_SHORT_CALLS not in names


def test_a_profile_is_bounded_and_stands_a_clock_that_jumps() -> None:
    made = profile()
    for number in range(2 * MOST_COUNTRIES):
        made.add_country(f"+{number}", number)
    assert len(made.countries(0)) <= MOST_COUNTRIES
    hour = int(MONDAY // HOUR)
    made.add(call(MONDAY + 5 * 365 * DAY))
    assert made.in_hour(hour - 100) == 0
    made.add(call(MONDAY))
    assert made.in_hour(hour) == 0, "an hour before the ring is not counted"
    assert sum(made.in_hour(one) for one in range(hour + 5 * 8760, hour + 5 * 8760 + RING)) == 1
    for _ in range(70_000):
        made.add_hour(hour + 5 * 8760, 1, 0)
