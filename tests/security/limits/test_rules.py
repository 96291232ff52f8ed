"""Callers, numbers and hours that a limit is about, and the memory of all tallies."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
import pytest

from gateway.base.telephone_numbers import read_number
from gateway.config.model import CallLimit
from gateway.config.tables.limit_table import BUILT_IN, time_window
from gateway.security.limits import tally_book
from gateway.security.limits.rules import LimitedCaller, LimitRule
from gateway.security.limits.tally_book import TallyBook

BERLIN = ZoneInfo("Europe/Berlin")
ALICE = LimitedCaller("sip:alice@example.com", "example.com", is_proved=True)
STRANGER = LimitedCaller("192.0.2.66", "example.com", is_proved=False)


@pytest.mark.parametrize(
    ("users", "fits"),
    [
        (("*",), True),
        (("alice",), True),
        (("al*",), True),
        (("alice@example.com",), True),
        (("*@example.com",), True),
        (("bob", "a?ice"), True),
        (("ALICE",), True),
        (("lice",), False),
        (("alice@example.org",), False),
        ((), False),
    ],
)
def test_users(users: tuple[str, ...], fits: bool) -> None:
    rule = LimitRule(CallLimit("x", users=users, calls=1))
    assert rule.fits(ALICE, read_number("4711", "DE")) is fits
    assert rule.fits(STRANGER, read_number("4711", "DE"))


@pytest.mark.parametrize(
    ("to", "number", "fits"),
    [
        ((), "4711", True),
        (("international",), "+442079460958", True),
        (("international",), "0301234567", False),
        (("premium",), "+442079460958", False),
        (("premium",), "09001234567", True),
        (("unallocated",), "+25290123456", True),
        (("+881", "0900"), "00881612345678", True),
        (("+881", "0900"), "+499001234567", True),
        (("+881", "0900"), "0301234567", False),
        (("0180",), "01803123456", True),
        (("*21*",), "*21*00442079460958#", True),  # call forwarding
        (("*21*",), "2100442079460958", False),
    ],
)
def test_destinations(to: tuple[str, ...], number: str, fits: bool) -> None:
    assert LimitRule(CallLimit("x", to=to, calls=1)).fits(ALICE, read_number(number, "DE")) is fits


@pytest.mark.parametrize(
    ("hours", "moment", "holds"),
    [
        ("22:00-06:00", "2026-11-30T03:00", True),
        ("22:00-06:00", "2026-11-30T06:00", False),
        ("22:00-06:00", "2026-11-30T22:00", True),
        ("mon-fri 18:00-08:00", "2026-11-30T03:00", False),  # Monday: the window of Sunday is none
        ("mon-fri 18:00-08:00", "2026-12-05T07:59", True),  # Saturday: Friday's goes on
        ("mon-fri 18:00-08:00", "2026-12-05T18:00", False),
        ("sat,sun", "2026-12-06T23:59", True),
        ("sat-mon", "2026-12-07T00:00", True),
        ("sat-mon", "2026-12-08T00:00", False),
        ("00:00-24:00", "2026-12-08T00:00", True),
    ],
)
def test_hours(hours: str, moment: str, holds: bool) -> None:
    rule = LimitRule(CallLimit("x", hours=(time_window(hours),), timezone="Europe/Berlin", calls=1))
    assert rule.holds_at(rule.local(datetime.fromisoformat(moment).replace(tzinfo=BERLIN).timestamp())) is holds


def test_summer_time_moves_the_hours() -> None:
    rule = LimitRule(CallLimit("x", hours=(time_window("22:00-06:00"),), timezone="Europe/Berlin", calls=1))
    at_four_in_utc = {
        moment: rule.holds_at(rule.local(datetime.fromisoformat(f"{moment}T04:30:00+00:00").timestamp()))
        for moment in ("2026-01-15", "2026-03-28", "2026-03-29", "2026-07-15", "2026-10-24", "2026-10-25")
    }
    # In winter it is 05:30 then, in summer 06:30; clocks change at the end of March and of October.
    assert [*at_four_in_utc.values()] == [True, True, False, False, False, True]


def test_the_hour_that_comes_twice_is_in_the_window_twice() -> None:
    rule = LimitRule(CallLimit("x", hours=(time_window("02:00-03:00"),), timezone="Europe/Berlin", calls=1))
    begin = datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN).timestamp()
    hours = [rule.holds_at(rule.local(begin + hour * 3600 + 60)) for hour in range(4)]
    assert hours == [False, True, True, False]
    assert len({rule.local(begin + hour * 3600).toordinal() for hour in range(24)}) == 1  # a day of 25 hours


def test_a_clock_change_at_midnight_begins_one_day() -> None:
    rule = LimitRule(CallLimit("x", timezone="America/Havana", minutes_per_day=1))  # 00:00 comes twice there
    begin = datetime(2026, 10, 31, 23, 0, tzinfo=ZoneInfo("America/Havana")).timestamp()
    days = [rule.local(begin + quarter * 900).toordinal() for quarter in range(16)]
    assert days == sorted(days)
    assert len(set(days)) == 2


def test_built_in_limits_report_alone_and_allow_half_at_night() -> None:
    day, night = BUILT_IN
    assert {str(limit.then) for limit in BUILT_IN} == {"report"}
    assert (day.calls, day.per_hour, day.minutes_per_day) == (5, 20, 120)
    assert (night.calls, night.per_hour, night.minutes_per_day) == (2, 10, 60)
    rule = LimitRule(night)
    assert rule.holds_at(datetime(2026, 7, 15, 3, 0, tzinfo=BERLIN))
    assert not rule.holds_at(datetime(2026, 7, 15, 12, 0, tzinfo=BERLIN))


class Rows:
    """The table, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}
        self.dropped = 0.0

    def put(self, key: str, at: float, value: dict[str, object]) -> None:
        self.rows[key] = value

    def drop(self, key: str) -> None:
        self.rows.pop(key, None)

    def drop_before(self, at: float) -> None:
        self.dropped = at


def test_forged_sources_push_out_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_book, "STRANGERS", 10)
    monkeypatch.setattr(tally_book, "USERS", 10)
    limit, book = CallLimit("x", calls=1), TallyBook(Rows(), lambda: 0.0)  # type: ignore[arg-type]
    alice = book.of(limit, ALICE)
    for number in range(100):
        book.of(limit, attrs.evolve(STRANGER, name=f"198.18.0.{number}"))
    assert book.of(limit, ALICE) is alice
    assert len(book) == 11
    held = book.of(limit, attrs.evolve(ALICE, name="sip:held@example.com"))
    held.held_at = 1.0
    for number in range(100):
        book.of(limit, attrs.evolve(ALICE, name=f"sip:{number}@example.com"))
    assert len(book) == 20
    assert book.of(limit, attrs.evolve(ALICE, name="sip:held@example.com")) is held


def test_forged_sources_fill_no_file_and_push_no_hold_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_book, "STRANGERS", 10)
    rows, limit = Rows(), CallLimit("x", calls=1)
    book = TallyBook(rows, lambda: 1000.0)  # type: ignore[arg-type]
    held = book.of(limit, ALICE)
    held.held_at = 999.0
    book.changed(limit, ALICE, held)
    for number in range(1_000):
        forged = attrs.evolve(STRANGER, name=f"198.18.{number >> 8}.{number & 255}")
        book.changed(limit, forged, book.of(limit, forged))
        if number % 7 == 0:
            book.write()
    book.write()
    assert len(rows.rows) == len(book) == 11
    assert "x|sip:alice@example.com" in rows.rows


def test_counts_and_holds_are_there_after_a_restart_and_old_ones_go() -> None:
    rows, limit = Rows(), CallLimit("x", calls=1, per_hour=10)
    book = TallyBook(rows, lambda: 1000.0)  # type: ignore[arg-type]
    tally = book.of(limit, ALICE)
    tally.begin("a", "1", 1000.0)
    tally.held_at = 999.0
    book.changed(limit, ALICE, tally)
    book.of(limit, STRANGER)
    book.write()
    assert [*rows.rows] == ["x|sip:alice@example.com"]

    after = TallyBook(rows, lambda: 1001.0)  # type: ignore[arg-type]
    gone = {"gone|sip:alice@example.com": rows.rows["x|sip:alice@example.com"]}
    after.recall([*rows.rows.items(), *gone.items()], [limit])  # type: ignore[list-item]
    again = after.of(limit, ALICE)
    assert (len(again.begun), again.held_at, again.up) == (1, 999.0, {})
    assert len(after) == 1
    rows.rows.clear()
    after.forget_old()
    assert rows.dropped < 0
    assert [*rows.rows] == ["x|sip:alice@example.com"]  # written anew, since it is held
