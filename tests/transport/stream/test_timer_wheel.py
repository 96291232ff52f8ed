"""Visits: never early, at most two seconds late, and none to who is gone."""

import random

from twisted.internet.task import Clock

from gateway.transport.stream.timer_wheel import SLOT, TimerWheel
from tests.support.memory_network import MemoryNetwork
from tests.support.transport_gateways import LogLines


class Visited:
    """Remembers its visits; wants the next at the times it is given."""

    def __init__(self, clock: Clock, wishes: list[float] | None = None) -> None:
        self.slot: int | None = None
        self.visits: list[float] = []
        self._wishes = wishes or []

    def visit(self, now: float) -> float | None:
        self.visits.append(now)
        return self._wishes.pop(0) if self._wishes else None


def advance(clock: Clock, seconds: float) -> None:
    clock.pump([0.25] * int(seconds * 4))


def test_a_visit_is_not_early_and_at_most_two_slots_late() -> None:
    chance = random.Random(5)
    for _ in range(50):
        clock = MemoryNetwork()
        clock.advance(chance.uniform(0, 100))
        wheel, visited = TimerWheel(clock), Visited(clock)
        wanted = clock.seconds() + chance.uniform(0, 50)
        wheel.visit_at(visited, wanted)
        advance(clock, 55)
        (visit,) = visited.visits
        assert wanted <= visit <= wanted + 2 * SLOT


def test_who_asks_again_is_visited_again() -> None:
    clock = MemoryNetwork()
    wheel, visited = TimerWheel(clock), Visited(clock, [10.0, 20.0])
    wheel.visit_at(visited, 3.0)
    advance(clock, 60)
    assert [round(visit) for visit in visited.visits] == [3, 10, 20]


def test_an_earlier_wish_wins() -> None:
    clock = MemoryNetwork()
    wheel, visited = TimerWheel(clock), Visited(clock)
    wheel.visit_at(visited, 40.0)
    wheel.visit_at(visited, 5.0)
    wheel.visit_at(visited, 50.0)
    advance(clock, 60)
    assert [round(visit) for visit in visited.visits] == [5]


def test_who_is_forgotten_is_not_visited_and_not_kept() -> None:
    clock = MemoryNetwork()
    wheel, visited, other = TimerWheel(clock), Visited(clock), Visited(clock)
    wheel.visit_at(visited, 5.0)
    wheel.visit_at(other, 5.0)
    wheel.forget(visited)
    wheel.forget(visited)
    advance(clock, 10)
    assert visited.visits == []
    assert len(other.visits) == 1


def test_nobody_waiting_means_no_timer() -> None:
    clock = MemoryNetwork()
    wheel, visited = TimerWheel(clock), Visited(clock)
    wheel.visit_at(visited, 2.0)
    advance(clock, 5)
    assert clock.getDelayedCalls() == []
    wheel.visit_at(visited, clock.seconds() + 2)
    assert len(clock.getDelayedCalls()) == 1
    wheel.stop()
    assert clock.getDelayedCalls() == []
    advance(clock, 5)
    assert len(visited.visits) == 1


def test_a_clock_that_jumps_skips_nobody() -> None:
    clock = MemoryNetwork()
    wheel = TimerWheel(clock)
    everybody = [Visited(clock) for _ in range(20)]
    for number, visited in enumerate(everybody):
        wheel.visit_at(visited, number * 3.0)
    clock.advance(1000)
    assert all(len(visited.visits) == 1 for visited in everybody)


def test_a_visit_with_a_bug_does_not_stop_the_round() -> None:
    class Broken(Visited):
        def visit(self, now: float) -> float | None:
            raise ZeroDivisionError

    clock = MemoryNetwork()
    wheel, broken, visited = TimerWheel(clock), Broken(clock), Visited(clock)
    wheel.visit_at(broken, 2.0)
    wheel.visit_at(visited, 2.0)
    with LogLines("critical") as log:
        advance(clock, 5)
    assert len(visited.visits) == len(log.events) == 1


def test_who_ends_another_of_the_same_second() -> None:
    clock = MemoryNetwork()
    wheel = TimerWheel(clock)

    class Ender(Visited):
        other: Visited

        def visit(self, now: float) -> float | None:
            wheel.forget(self.other)
            return super().visit(now)

    one, two = Ender(clock), Ender(clock)
    one.other, two.other = two, one
    wheel.visit_at(one, 2.0)
    wheel.visit_at(two, 2.0)
    advance(clock, 5)
    assert len(one.visits) == len(two.visits) == 1
