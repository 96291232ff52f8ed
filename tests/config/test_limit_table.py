"""The tables [[limit]]: what they may say, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import ConfigurationError
from gateway.config.tables.limit_table import BUILT_IN, CallLimit, LimitAction, TimeWindow
from tests.support.small_configuration import SMALLEST

OFFICES = SMALLEST + 'region = "de"\n\n[[domain]]\nname = "example.org"\nprovider = "main"\n'
GOOD = '[[limit]]\nname = "night"\ndomains = ["example.com"]\ncalls = 1\n'


def read(tmp_path: Path, text: str) -> tuple[CallLimit, ...]:
    file = tmp_path / "gateway.toml"
    file.write_text(OFFICES + text)
    return load(file).limit


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    return [line.removeprefix(f"{tmp_path / 'gateway.toml'}: ") for line in raised.value.errors]


def test_without_a_table_those_built_in_hold(tmp_path: Path) -> None:
    assert read(tmp_path, "") == BUILT_IN


def test_every_key_is_read(tmp_path: Path) -> None:
    (limit,) = read(
        tmp_path,
        """
[[limit]]
name = "night"
domains = "Example.COM"
users = ["10*", "alice@example.com"]
to = ["international", "premium", "unallocated", "+881", "0900"]
hours = ["mon-fri 22:00-06:00", "sat,sun"]
timezone = "Europe/Berlin"
calls = 5
per_minute = 3
per_hour = 20
minutes_per_day = 120
destinations_per_hour = 10
short_calls_per_hour = 10
warn = 0.5
then = "hold"
end_calls_after_minutes = 60
""",
    )
    assert limit == CallLimit(
        name="night",
        domains=("example.com",),
        users=("10*", "alice@example.com"),
        to=("international", "premium", "unallocated", "+881", "0900"),
        hours=(
            TimeWindow(frozenset(range(5)), 22 * 60, 6 * 60),
            TimeWindow(frozenset({5, 6}), 0, 24 * 60),
        ),
        timezone="Europe/Berlin",
        calls=5,
        per_minute=3,
        per_hour=20,
        minutes_per_day=120,
        destinations_per_hour=10,
        short_calls_per_hour=10,
        warn=0.5,
        then=LimitAction.HOLD,
        end_calls_after_minutes=60,
    )
    assert [str(window) for window in limit.hours] == ["mon,tue,wed,thu,fri 22:00-06:00", "sat,sun 00:00-24:00"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("calls = -1", "limit[0].calls: found -1, allowed: a number from 0 to 20000"),
        ("calls = true", "limit[0].calls: found true, allowed: a number from 0 to 20000"),
        (
            'calls = 1\nto = ["cheap"]',
            'limit[0].to[0]: found "cheap", allowed: international, premium, unallocated, or the beginning of a number',
        ),
        (
            'calls = 1\nhours = ["22-6"]',
            'limit[0].hours[0]: found "22-6", allowed: hours such as "22:00-06:00", "mon-fri 18:00-08:00" or "sat,sun"',
        ),
        (
            'calls = 1\nhours = ["25:00-06:00"]',
            'limit[0].hours[0]: found "25:00-06:00", allowed: times from 00:00 to 24:00',
        ),
        (
            'calls = 1\nhours = ["10:60-11:00"]',
            'limit[0].hours[0]: found "10:60-11:00", allowed: times from 00:00 to 24:00',
        ),
        (
            'calls = 1\nhours = ["06:00-06:00"]',
            'limit[0].hours[0]: found "06:00-06:00", allowed: hours that begin and end at different times',
        ),
        (
            'calls = 1\ntimezone = "CET/Berlin"',
            'limit[0].timezone: found "CET/Berlin", allowed: a time zone such as "Europe/Berlin"',
        ),
        ('calls = 1\ntimezone = "../../etc/passwd"', "limit[0].timezone: found"),
        ("calls = 1\nwarn = 80", "limit[0].warn: found 80, allowed: a number from 0.1 to 1.0"),
        ('calls = 1\nthen = "ban"', 'limit[0].then: found "ban", allowed: report, refuse, hold'),
        (
            'calls = 1\nusers = ["sip:101@example.com"]',
            'limit[0].users[0]: found "sip:101@example.com", allowed: a user such as "101", "10*" or "alice',
        ),
        ("call = 1\ncalls = 1", "limit[0].call: is no key here, allowed: name, domains"),
        (
            "warn = 0.5",
            "limit[0]: limits nothing, at least one is needed of: calls, per_minute, per_hour, minutes_per_day, destin",
        ),
    ],
)
def test_a_wrong_value_is_one_line(tmp_path: Path, line: str, told: str) -> None:
    (found,) = mistakes(tmp_path, f'[[limit]]\nname = "night"\ndomains = ["example.com"]\n{line}\n')
    assert found.startswith(told)


def test_limits_that_do_not_fit_the_rest_are_one_line_each(tmp_path: Path) -> None:
    assert mistakes(tmp_path, GOOD + GOOD) == ['limit[1].name: found "night", which limit[0] has already']
    strange = '[[limit]]\nname = "x"\ndomains = ["example.net"]\ncalls = 1\n'
    assert mistakes(tmp_path, strange) == ['limit[0].domains: found "example.net", allowed: example.com, example.org']
    abroad = '[[limit]]\nname = "x"\nto = ["international"]\ncalls = 1\n'
    assert mistakes(tmp_path, abroad) == [
        'limit[0].to: international needs region in [[domain]] example.org (such as "DE"): home is unknown there'
    ]
    assert len(read(tmp_path, abroad + 'domains = ["example.com"]\n')) == 1


def test_a_region_is_a_country(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(OFFICES.replace('"de"', '"Germany"'))
    with pytest.raises(ConfigurationError, match='region: found "Germany", allowed: a country by its two letters'):
        load(file)
