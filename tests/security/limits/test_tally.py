"""Counts of one user under one limit: right under any order of begins, ends and restarts, and never negative."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.base.json_codec import decode, encode
from gateway.config.model import CallLimit
from gateway.security.limits.tally import HOUR, MINUTE, SHORT, LimitTally

LIMIT = CallLimit(
    "all",
    calls=100,
    per_minute=1000,
    per_hour=1000,
    minutes_per_day=1_000_000,
    destinations_per_hour=1000,
    short_calls_per_hour=1000,
)
DAY = 86_400.0


@attrs.define
class Expected:
    """One call, as it went."""

    number: str
    begun: float
    answered: float | None = None
    ended: float | None = None
    until: float | None = None
    is_undone: bool = False
    is_dead: bool = False
    """It was up when the process ended."""

    def over(self, now: float) -> float | None:
        """When it was over, if it is."""
        return self.until if self.until is not None and self.until <= now else self.ended

    def is_up(self, now: float) -> bool:
        return self.over(now) is None and not self.is_undone and not self.is_dead


@attrs.define
class World:
    """A tally, and all that was done to it."""

    tally: LimitTally = attrs.field(factory=lambda: LimitTally(LIMIT))
    now: float = 10 * DAY
    calls: dict[str, Expected] = attrs.field(factory=dict)

    @property
    def day(self) -> int:
        return int(self.now // DAY)

    def begin(self, key: str, number: str) -> None:
        self.tally.begin(key, number, self.now)
        self.calls[key] = Expected(number, self.now)

    def answer(self, key: str) -> None:
        self.tally.answered(key, self.now)
        call = self._up(key)
        if call is not None and call.answered is None:
            call.answered = self.now

    def end(self, key: str) -> None:
        self.tally.ended(key, self.now)
        call = self._up(key)
        if call is not None:
            call.ended, call.until = self.now, None

    def hide(self, key: str) -> None:
        self.tally.ended(key, self.now, self.now + HOUR)
        call = self._up(key)
        if call is not None:
            call.until = self.now + HOUR

    def undo(self, key: str) -> None:
        """Of a call that was answered nobody says that it was none."""
        call = self.calls.get(key)
        if call is None or (call.answered is None and call.until is None):
            self.tally.undone(key)
            if self._up(key) is not None and call is not None:
                call.is_undone = True

    def restart(self) -> None:
        kept = decode(encode(self.tally.as_json()))
        assert isinstance(kept, dict)
        self.tally = LimitTally.of(LIMIT, kept)
        for call in self.calls.values():
            if call.is_up(self.now):
                call.is_dead, call.ended, call.until = True, self.now, None

    def _up(self, key: str) -> Expected | None:
        call = self.calls.get(key)
        return call if call is not None and call.is_up(self.now) else None


KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
VERBS = {"answer": World.answer, "end": World.end, "hide": World.hide, "undo": World.undo}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "restart", *VERBS]),
        KEYS,
        st.sampled_from(["+491", "+492", "+493"]),
        st.integers(0, 900).map(float),
    ),
    max_size=50,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_counts_are_those_of_the_calls_under_any_order(steps: list[tuple[str, str, str, float]]) -> None:
    world = World()
    names: dict[str, str] = {}
    for index, (verb, key, number, seconds) in enumerate(steps):
        world.now += seconds
        world.tally.turn(world.now, world.day)
        if verb == "begin":  # a new call each time
            names[key] = f"{key}{index}"
            world.begin(names[key], number)
        elif verb == "restart":
            world.restart()
        else:
            VERBS[verb](world, names.get(key, key))
        world.tally.turn(world.now, world.day)
        _compare(world)


def _compare(world: World) -> None:
    now, measured = world.now, world.tally.measured(world.now)
    assert all(count >= 0 for count in measured.values())
    assert world.tally.seconds >= 0
    counted = [call for call in world.calls.values() if not call.is_undone]
    up = [call for call in counted if call.is_up(now)]
    assert measured["calls"] == len(up)
    assert measured["per_minute"] == sum(call.begun > now - MINUTE for call in counted)
    assert measured["per_hour"] == sum(call.begun > now - HOUR for call in counted)
    recent = {call.number for call in counted if call.begun > now - HOUR}
    assert measured["destinations_per_hour"] == len(recent)
    short = [
        over
        for call in counted
        if call.answered is not None
        and not call.is_dead
        and (over := call.over(now)) is not None
        and over - call.answered < SHORT
    ]
    assert measured["short_calls_per_hour"] == sum(over > now - HOUR for over in short)
    spent = sum(min(now, call.over(now) or now) - call.answered for call in counted if call.answered is not None)
    assert world.tally.seconds <= spent + 0.001
    if world.day == 10:  # before the first midnight nothing is forgotten
        assert abs(world.tally.seconds - spent) < 0.001


def test_a_call_over_midnight_counts_on_both_days() -> None:
    tally = LimitTally(LIMIT)
    tally.turn(0.0, 1)
    tally.begin("a", "1", 0.0)
    tally.answered("a", 0.0)
    tally.turn(600.0, 1)
    assert tally.measured(600.0)["minutes_per_day"] == 10
    tally.turn(660.0, 2)
    assert tally.measured(660.0)["minutes_per_day"] == 0
    tally.ended("a", 780.0)
    tally.turn(780.0, 2)
    assert tally.measured(780.0)["minutes_per_day"] == 2


def test_a_clock_that_is_set_back_gives_nobody_a_new_day() -> None:
    tally = LimitTally(LIMIT)
    for day in (5, 4, 4):
        tally.turn(0.0, day)
        tally.seconds += 60
    assert tally.seconds == 180
    tally.turn(0.0, 5)
    assert tally.seconds == 0


def test_lists_are_no_longer_than_the_limit_needs() -> None:
    tally = LimitTally(CallLimit("few", per_hour=3, destinations_per_hour=2, short_calls_per_hour=1))
    for number in range(100):
        tally.begin(str(number), str(number), float(number))
        tally.answered(str(number), float(number))
        tally.ended(str(number), number + 0.5)
    assert (len(tally.begun), len(tally.destinations), len(tally.short)) == (4, 3, 2)
    nothing = LimitTally(CallLimit("none", calls=1))
    nothing.begin("a", "1", 0.0)
    assert (len(nothing.begun), len(nothing.destinations)) == (1, 0)


def test_what_was_kept_may_be_anything() -> None:
    for kept in ({}, {"begun": "x", "destinations": 4, "day": "y", "seconds": -3, "held_at": "z", "short": [None]}):
        tally = LimitTally.of(LIMIT, kept)  # type: ignore[arg-type]
        tally.turn(0.0, 0)
        assert set(tally.measured(0.0).values()) == {0}
        assert tally.held_at is None
