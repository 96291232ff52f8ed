"""The drain: no new calls, those that are up go on, and the rest is ended at the deadline."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.ingress.drain import LATEST, LOOK_SECONDS, SOONEST, Drain
from gateway.ingress.readiness import Readiness
from gateway.observe.events import Events
from gateway.sip.errors import Refused
from tests.support.ladder import Ladder


class CallsOfATest:
    """A number of calls."""

    def __init__(self) -> None:
        self.number = 0
        self.ended: list[str] = []

    def __len__(self) -> int:
        return self.number

    def end_all(self, why: str) -> None:
        self.number = 0
        self.ended.append(why)


class Site:
    """A drain, its calls, and how often the process was ended."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.calls = CallsOfATest()
        self.events = Events(lambda: 0.0)
        self.drain = Drain(self.clock, self.calls, self.events)
        self.ends = 0

    def end(self) -> None:
        self.ends += 1

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK_SECONDS) + 1):
            self.clock.advance(LOOK_SECONDS)


@pytest.fixture
def site() -> Site:
    return Site()


def test_without_calls_it_is_over_at_once(site: Site) -> None:
    site.drain.begin(60, site.end)
    assert site.ends == 1
    assert not site.clock.getDelayedCalls()
    assert site.drain.is_draining


def test_it_ends_with_the_last_call(site: Site) -> None:
    site.calls.number = 2
    site.drain.begin(60, site.end)
    site.pass_time(10)
    assert (site.drain.calls_left, site.ends) == (2, 0)
    site.calls.number = 0
    site.pass_time(1)
    assert (site.ends, site.calls.ended) == (1, [])
    assert not site.clock.getDelayedCalls()


def test_at_the_deadline_the_rest_is_ended(site: Site) -> None:
    site.calls.number = 2
    site.drain.begin(10, site.end)
    site.pass_time(9)
    assert site.calls.ended == []
    assert 0 < site.drain.seconds_left < 2
    site.pass_time(2)
    assert (site.calls.ended, site.ends) == (["The gateway is being stopped"], 1)


def test_no_time_at_all_ends_calls_at_once(site: Site) -> None:
    site.calls.number = 2
    site.drain.begin(0, site.end)
    assert (len(site.calls.ended), site.ends) == (1, 1)


def test_a_drain_under_way_gets_another_deadline_and_the_signals_is_final(site: Site) -> None:
    site.calls.number = 1
    site.drain.begin(1000)
    site.pass_time(5)
    site.drain.begin(10, site.end)
    assert not site.drain.cancel()
    site.pass_time(11)
    assert site.ends == 1
    assert not site.drain.cancel()


def test_one_that_was_cancelled_ends_nothing(site: Site) -> None:
    assert not site.drain.cancel()
    site.calls.number = 1
    site.drain.begin(10)
    assert site.drain.cancel()
    site.pass_time(20)
    assert (site.calls.ended, site.drain.is_draining, site.drain.calls_left) == ([], False, 0)
    site.drain.check_new()


@pytest.mark.parametrize(("seconds", "least", "most"), [(1, SOONEST, 2 * SOONEST), (9999, LATEST, LATEST + SOONEST)])
def test_new_calls_are_told_when_to_come_back(site: Site, seconds: int, least: int, most: int) -> None:
    site.calls.number = 1
    site.drain.begin(seconds)
    with pytest.raises(Refused) as refused:
        site.drain.check_new()
    ((name, value),) = refused.value.headers
    assert (refused.value.status, name) == (503, "Retry-After")
    assert least <= int(value) <= most
    assert site.drain.refused == 1


def test_calls_of_both_sides_are_refused_and_emergency_calls_go_through() -> None:
    ladder = Ladder()
    ladder.drain.begin(60)
    ladder.phone.sends(ladder.phone.invite())
    refused = ladder.phone.receives_response(503)
    assert int(refused.headers.get("Retry-After") or 0) > 0
    ladder.provider.receives_nothing()
    ladder.phone.sends(ladder.phone.invite("sip:112@example.com", call_id="c2"))
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    assert ladder.drain.refused == 1


@pytest.mark.parametrize(
    ("is_listening", "relays", "targets", "providers", "reasons"),
    [
        (True, {True: 1}, {("a", True): 1, ("a", False): 0}, 1, ()),
        (True, {True: 1}, {("a", True): 1, ("a", False): 1, ("b", True): 0, ("b", False): 2}, 2, ()),
        (True, {True: 1}, {}, 1, ()),  # never asked: nobody knows better
        (True, {True: 1}, {("a", True): 0, ("a", False): 1}, 2, ()),
        (True, {True: 1}, {("a", True): 0, ("a", False): 1}, 1, ("no provider answers",)),
        (True, {True: 0, False: 2}, {("a", True): 1}, 1, ("no media relay is up",)),
        (False, {}, {("a", True): 0}, 1, ("a listener is not open", "no media relay is up", "no provider answers")),
    ],
)
def test_readiness(
    site: Site,
    is_listening: bool,
    relays: dict[bool, int],
    targets: dict[tuple[str, bool], int],
    providers: int,
    reasons: tuple[str, ...],
) -> None:
    readiness = Readiness(site.drain, lambda: is_listening, lambda: relays, lambda: targets, lambda: providers)
    assert readiness.reasons() == reasons
    site.drain.begin(10)
    assert readiness.reasons() == ("it drains: no new calls are taken", *reasons)


def test_a_drain_and_its_end_are_events() -> None:
    site = Site()
    site.drain.begin(30)
    site.drain.cancel()
    told = [(str(event.name), dict(event.fields)) for _, event in site.events.after(0)]
    assert told == [("gateway.draining", {"calls": len(site.calls), "seconds": 30}), ("gateway.drain_cancelled", {})]


def test_a_drain_may_wait_for_some_calls_alone(site: Site) -> None:
    site.calls.number = 3
    ringing = CallsOfATest()
    ringing.number = 1
    site.drain.begin(60, site.end, ringing)
    assert site.drain.calls_left == 1
    ringing.number = 0
    site.pass_time(1)
    assert (site.ends, site.calls.number) == (1, 3)
    assert not site.calls.ended
