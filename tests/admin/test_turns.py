"""Work in turns: in order, a piece at a time, and nothing of one page in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred

from gateway.admin.turns import LULL_SECONDS, PATIENCE, PIECE_SECONDS, Turns


class OneTurn:
    """A reactor whose turns are taken one by one; what is asked for in one comes in the next, as in a real one."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, delay: float, work: Callable[[], None]) -> None:
        self.calls.append(work)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for work in calls:
            work()


class Line:
    """A line whose every text takes so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.timers = OneTurn()
        self.passed = 0.0
        self.seconds = seconds
        self.done: list[str] = []
        self.messages = 0
        self.turns = Turns(cast(Any, self.timers), lambda: self.passed, lambda: self.messages)

    def texts(self, name: str, number: int) -> Iterator[str]:
        for count in range(number):
            self.passed += self.seconds
            self.done.append(name)
            yield f"{name}{count} "

    def join(self, name: str, number: int) -> list[str]:
        joined: list[str] = []
        Deferred.fromCoroutine(self.turns.joined(self.texts(name, number))).addCallback(joined.append)
        return joined

    def turn(self) -> str:
        """The texts that are made in one turn of the reactor."""
        self.done.clear()
        self.timers.turn()
        return "".join(self.done)


def test_nothing_is_done_where_it_is_asked_for() -> None:
    line = Line(PIECE_SECONDS)
    joined = line.join("a", 1)
    assert not line.done
    assert line.turn() == "a"
    assert line.turn() == ""
    assert joined == ["a0 "]
    assert not line.timers.calls


def test_a_turn_takes_no_longer_than_a_piece_and_the_text_that_was_begun() -> None:
    line = Line(PIECE_SECONDS * 0.35)
    joined = line.join("a", 8)
    assert [line.turn() for _ in range(4)] == ["aaa", "aaa", "aa", ""]
    assert joined == ["a0 a1 a2 a3 a4 a5 a6 a7 "]


def test_texts_take_turns_in_the_order_in_which_they_came() -> None:
    line = Line(PIECE_SECONDS)
    first, second = line.join("a", 3), line.join("b", 1)
    assert [line.turn() for _ in range(3)] == ["a", "b", "a"]
    third = line.join("c", 1)
    assert [line.turn() for _ in range(5)] == ["", "a", "c", "", ""]
    assert (first, second, third) == (["a0 a1 a2 "], ["b0 "], ["c0 "])


@pytest.mark.parametrize("position", [0, 1])
def test_a_text_that_fails_stops_no_other(position: int) -> None:
    line = Line(PIECE_SECONDS)

    def broken() -> Iterator[str]:
        yield "x"
        raise ValueError("a mistake")

    failed: list[str] = []
    joined = [] if position else line.join("a", 3)
    Deferred.fromCoroutine(line.turns.joined(broken())).addErrback(lambda failure: failed.append(str(failure.value)))
    joined = line.join("a", 3) if position else joined
    for _ in range(10):
        line.turn()
    assert (failed, joined) == (["a mistake"], ["a0 a1 a2 "])


def test_a_piece_waits_while_messages_of_calls_come() -> None:
    line = Line(PIECE_SECONDS)
    joined = line.join("a", 2)
    for _ in range(3):
        line.messages += 1
        assert not line.turn()
    assert line.turn() == "a"
    line.messages += 1
    assert not line.turn()
    assert line.turn() == "a"
    line.turn()
    assert joined == ["a0 a1 "]


def test_a_piece_waits_no_longer_than_its_patience() -> None:
    line = Line(PIECE_SECONDS)
    line.join("a", 2)
    for _ in range(2):
        looks = 0
        while not line.done:
            line.messages += 1
            line.passed += LULL_SECONDS
            line.turn()
            looks += 1
        assert looks == round(PATIENCE / LULL_SECONDS) + 1
        line.done.clear()


def test_other_work_has_a_turn_of_its_own_before_a_piece() -> None:
    others = [True, False, True]
    line = Line(PIECE_SECONDS)
    line.turns = Turns(cast(Any, line.timers), lambda: line.passed, first=lambda: bool(others) and others.pop())
    joined = line.join("a", 2)
    assert [line.turn() for _ in range(5)] == ["", "a", "", "a", ""]
    assert joined == ["a0 a1 "]
