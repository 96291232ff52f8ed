"""What the limits of calls cost a call: `python -m bench.limits`.

Microseconds of CPU, medians of rounds: numbers that nobody has dialled before (a fraudster's), numbers that are known,
the check of a call that no limit is about, and a call under two limits from the check to its end.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.base.telephone_numbers import known_number, read_number
from gateway.config.tables.limit_table import BUILT_IN
from gateway.observe.metrics import Metrics
from gateway.security.limits.call_limits import CallLimits
from gateway.security.limits.rules import LimitedCaller
from gateway.security.limits.tally_book import TallyBook

ROUNDS, CALLS = 15, 2_000
REGION = "DE"
USERS = [LimitedCaller(f"sip:{number}@example.com", "example.com", is_proved=True) for number in range(500)]


class NoTable:
    """Keeps nothing: the file has a thread of its own."""

    def put(self, key: str, at: float, value: object) -> None:
        """Written a second later, and not by the call."""

    def drop(self, key: str) -> None:
        """There is room."""

    def drop_before(self, at: float) -> None:
        """Nothing is old."""


def limits() -> CallLimits:
    """The limits that are built in, both at night."""
    timers: Any = Timers()
    clock = Clock(timers, lambda: 1_796_007_600.0, timers.seconds)
    return CallLimits(BUILT_IN, clock, Metrics(CollectorRegistry()), TallyBook(NoTable(), clock.now))


def dialled(chance: random.Random) -> list[str]:
    """Numbers as they are dialled: half at home, half abroad."""
    home = [f"0{chance.choice((30, 40, 89, 221, 711))}{chance.randrange(10**6, 10**8)}" for _ in range(CALLS // 2)]
    codes = ("0044207946", "+3314266", "00881612", "+4312345", "+252901")
    return home + [f"{chance.choice(codes)}{chance.randrange(10**4, 10**5)}" for _ in range(CALLS // 2)]


def timed(work: Callable[[], object]) -> float:
    """Microseconds for each of CALLS."""
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1000 / CALLS


def new_numbers(chance: random.Random) -> float:
    """Numbers that are read for the first time."""
    numbers = dialled(chance)
    known_number.cache_clear()
    return timed(lambda: [read_number(number, REGION) for number in numbers])


def known_numbers() -> float:
    """A number that is remembered."""
    return timed(lambda: [read_number("+4930123456", REGION) for _ in range(CALLS)])


def no_limit() -> float:
    """A call that no limit is about."""
    judge, number = limits(), read_number("030123456", REGION)
    return timed(lambda: [judge.may_reach("example.com", number) for _ in range(CALLS)])


def limited() -> float:
    """A call under two limits: checked, begun, answered, ended."""
    judge, number = limits(), read_number("+442079460958", REGION)

    def call(user: LimitedCaller, call_id: str) -> None:
        judge.begin(call_id, judge.check(user, number))
        judge.answered(call_id)
        judge.ended(call_id)

    def calls() -> None:
        for index in range(CALLS):
            call(USERS[index % len(USERS)], str(index))

    return timed(calls)


def main() -> None:
    """Print the table."""
    chance = random.Random(4)
    rows: dict[str, Callable[[], float]] = {
        "a number read for the first time": lambda: new_numbers(chance),
        "a number that is known": known_numbers,
        "a call that no limit is about": no_limit,
        "a call under two limits, to its end": limited,
    }
    for words, work in rows.items():
        print(f"{words:38} {median(work() for _ in range(ROUNDS)):6.1f} us")


if __name__ == "__main__":
    main()
