"""Deviations of a gateway: profiles from the calls that are kept, calls that end, events, the list after a restart."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as Timers

from gateway.observe.events import Events, GatewayEvent
from gateway.security.deviations import deviations as deviations_module
from gateway.security.deviations.deviations import Deviations, Row, outgoing
from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.state.table import KeptTable, prepare
from tests.support.direct_database import DirectDatabase

DAY = 86_400.0
MONDAY = 1_763_942_400.0
BERLIN, CUBA = "+493012345678", "+5371234567"


class Site:
    def __init__(self, directory: Path) -> None:
        self.timers = Timers()
        self.now = MONDAY
        calls, kept = directory / "calls.sqlite", directory / "deviations.sqlite"
        self.calls = CallTable(calls, DirectDatabase(calls, prepare_calls), self.timers)
        self.kept = KeptTable(kept, DirectDatabase(kept, prepare), self.timers)
        self.events = Events(lambda: self.now)
        self.heard: list[GatewayEvent] = []
        self.events.subscribe(lambda number, event: self.heard.append(event))
        self.ids = itertools.count()
        self.deviations = self.begun()

    def begun(self) -> Deviations:
        return Deviations(self.calls, self.kept, self.events, lambda at: 0.0)

    def record(self, at: float, user: str = "alice", number: str = BERLIN, **more: Any) -> Row:
        return {
            "id": f"c{next(self.ids)}",
            "direction": "outbound",
            "domain": "example.com",
            "caller": f"sip:{user}@example.com",
            "callee": f"sip:{number}@example.com",
            "callee_number": number,
            "started_at": at,
            "answered_at": at + 2.0,
            "ended_at": at + 62.0,
            "seconds": 60.0,
            "emergency": False,
            **more,
        }

    def keep(self, days: int = 28, user: str = "alice") -> None:
        """Calls at ten o'clock of each day, that an earlier process kept."""
        for day in range(days, 0, -1):
            row = self.record(MONDAY - day * DAY + 10 * 3600.0, user)
            self.calls.put(str(row["id"]), float(str(row["ended_at"])), row)
        self.timers.advance(1)

    def end(self, at: float, user: str = "alice", number: str = BERLIN, **more: Any) -> list[tuple[str, str]]:
        """A call ends; gives the deviations that were told, each with its user."""
        before = len(self.heard)
        self.now = at + 62.0
        self.deviations.ended(self.record(at, user, number, **more))
        return [(str(event.name), event.who) for event in self.heard[before:]]


def of(deferred: Deferred[Any]) -> Any:
    found: list[Any] = []
    deferred.addCallback(found.append)
    return found[0]


def test_a_profile_is_made_of_kept_calls_and_a_new_country_is_told_of_the_user_and_its_domain(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keep()
    site.keep(user="bob")
    at = MONDAY + 10 * 3600.0
    assert site.end(at) == []
    assert site.end(at, "bob") == []
    told = site.end(at + 300, "alice", CUBA)
    assert told == [("deviation.new_country", "alice"), ("deviation.new_country", "")]
    assert site.end(at + 600, "bob", CUBA) == [("deviation.new_country", "bob")], "the domain knows it"
    assert site.end(at + 900, "alice", CUBA) == []
    (event,) = [one for one in site.heard if one.who == "bob"]
    assert (event.domain, event.fields["country"], event.fields["countries_before"]) == ("example.com", "CU", 1)


def test_a_new_installation_says_nothing_for_a_week_and_a_new_user_neither(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for hour in range(0, 6 * 24, 3):
        number = f"+{40 + hour % 9}71234567{hour:03}"
        assert site.end(MONDAY + hour * 3600.0, number=number, answered_at=None, seconds=0.0) == []
    assert [who for _, who in site.end(MONDAY + 8 * DAY + 36_000, number=CUBA)] == ["alice", ""]
    assert site.end(MONDAY + 8 * DAY + 36_100, "newcomer", CUBA) == []


def test_emergency_calls_inbound_calls_and_calls_between_phones_are_no_part_of_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keep()
    at = MONDAY + 2 * 3600.0
    assert site.end(at, number=CUBA, emergency=True) == []
    assert site.end(at, number=CUBA, direction="inbound") == []
    assert site.end(at, number=CUBA, direction="internal") == []
    assert outgoing({"direction": "outbound", "started_at": "soon"}) is None


def test_deviations_are_kept_over_a_restart_and_listed_the_newest_first(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keep()
    site.end(MONDAY + 2 * 3600.0, number=CUBA)
    site.timers.advance(1)
    site.end(MONDAY + 10 * 3600.0, number="+881612345678")
    site.timers.advance(1)
    site.deviations = site.begun()
    rows = of(site.deviations.since(MONDAY))
    assert [row["name"] for row in rows][:2] == ["deviation.new_country"] * 2
    assert {row["name"] for row in rows} == {"deviation.new_country", "deviation.night_call"}
    assert of(site.deviations.since(MONDAY + 9 * 3600.0))[0]["fields"]["country"] == "+881"


def test_profiles_in_memory_are_bounded_and_made_again(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(deviations_module, "PROFILES", 3)
    site = Site(tmp_path)
    site.keep()
    for user in ("alice", "bob", "carol", "dave"):
        site.end(MONDAY + 10 * 3600.0, user)
    assert [who for _, who in site.end(MONDAY + 11 * 3600.0, "alice", CUBA)] == ["alice", ""]


def test_a_profile_is_loaded_in_slices_and_calls_wait_for_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keep()
    waiting: list[Deferred[None]] = []
    ask, asked = site.calls.ask, []

    def slow(question: Any) -> Deferred[Any]:
        gate: Deferred[None] = Deferred()
        waiting.append(gate)
        asked.append(question)
        return gate.addCallback(lambda _: ask(question))

    site.calls.ask = slow  # type: ignore[method-assign]
    assert site.end(MONDAY + 10 * 3600.0, number=CUBA) == []
    assert site.end(MONDAY + 10 * 3600.0 + 60, number="+881612345678") == []
    while waiting:
        waiting.pop(0).callback(None)
    assert len(asked) == 56, "a user and a domain, a day at a time"
    countries = [event.fields["country"] for event in site.heard if event.who]
    assert countries == ["CU", "+881"]


def test_a_file_that_cannot_be_read_costs_no_call(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.keep()
    ask = site.calls.ask

    def broken(question: Any) -> Deferred[Any]:
        raise sqlite3.OperationalError("disk I/O error")

    site.calls.ask = broken  # type: ignore[method-assign]
    assert site.end(MONDAY) == []
    site.calls.ask = ask  # type: ignore[method-assign]
    assert [who for _, who in site.end(MONDAY + 10 * 3600.0, number=CUBA)] == ["alice", ""], "made at the next call"
