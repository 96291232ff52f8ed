"""Limits of calls over HTTP: the answers, the page, and an end to a hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock as Timers

from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.security.limit_pages import ROWS, LimitPages
from gateway.admin.security.limit_routes import LimitRoutes
from gateway.admin.turns import Turns
from gateway.base.clock import Clock
from gateway.base.telephone_numbers import read_number
from gateway.config.model import CallLimit
from gateway.config.tables.limit_table import LimitAction, time_window
from gateway.observe.metrics import Metrics
from gateway.security.limits.call_limits import CallLimits, OverLimit
from gateway.security.limits.rules import LimitedCaller
from gateway.security.limits.tally_book import TallyBook
from gateway.state.audit import AuditLog
from tests.admin.accounts.support import user
from tests.support.admin_house import HOST, AdminHouse

NOW = 1_700_000_000.0
HOLD = CallLimit(
    "abroad",
    to=("international", "+881"),
    hours=(time_window("00:00-24:00"),),
    calls=1,
    per_hour=9,
    then=LimitAction.HOLD,
)
ALICE = LimitedCaller("sip:alice@example.com", "example.com", is_proved=True)
STRANGER = LimitedCaller("192.0.2.66", "example.com", is_proved=False)


class House:
    """A site with limits, under which somebody has called."""

    def __init__(self, directory: Path) -> None:
        self.timers = Timers()
        self.timers.rightNow = NOW
        clock = Clock(self.timers, self.timers.seconds, self.timers.seconds)
        book = TallyBook(SimpleNamespace(put=lambda *_: None), clock.now)
        self.limits = CallLimits((HOLD,), clock, Metrics(CollectorRegistry()), book)
        audit = AuditLog(directory / "limits-audit.jsonl", clock.wall)
        self.audit = audit
        desk = Desk(_Gathering(), "gw", Turns(self.timers))  # type: ignore[arg-type]
        routes = (*LimitRoutes(self.limits, audit).routes(), *LimitPages(self.limits, desk, audit).routes())
        self.site = AdminHouse(directory, user("olga", Role.ADMIN), more=routes)
        self.viewer, self.operator = self.site.token(Role.VIEWER), self.site.token(Role.OPERATOR)

    def call(self, caller: LimitedCaller, call_id: str) -> None:
        self.limits.begin(call_id, self.limits.check(caller, read_number("+881612345678", "DE")))


class _Gathering:
    """As much as a page asks for."""

    version = "1"

    def now(self) -> float:
        return NOW


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.call(ALICE, "a")
    with pytest.raises(OverLimit):
        house.call(ALICE, "b")
    house.call(STRANGER, "c")
    return house


def asked(house: House, path: str) -> Any:
    return house.site.ask(path, authorization=f"Bearer {house.viewer}")


def test_the_limits_and_each_user_are_told(house: House) -> None:
    answer = asked(house, "/api/v1/limits").json
    (limit,) = answer["limits"]
    assert limit == {
        "name": "abroad",
        "domains": [],
        "users": ["*"],
        "to": ["international", "+881"],
        "hours": ["00:00-24:00"],
        "then": "hold",
    }
    held, counted = answer["users"]
    assert (held["user"], held["held"]) == ("sip:alice@example.com", True)
    assert held["counts"] == [
        {"measure": "calls", "count": 1, "most": 1},
        {"measure": "per_hour", "count": 1, "most": 9},
    ]
    assert (counted["user"], counted["held"], counted["held_at"]) == ("192.0.2.66", False, None)


@pytest.mark.parametrize("user", ["alice", "alice@example.com", "sip:alice@example.com", "sip%3Aalice%40example.com"])
def test_one_user_is_found_by_each_of_its_names(house: House, user: str) -> None:
    (found,) = asked(house, f"/api/v1/limits?user={user}").json["users"]
    assert found["user"] == "sip:alice@example.com"
    assert asked(house, "/api/v1/limits?user=192.0.2.66").json["users"][0]["limit"] == "abroad"


def test_a_user_that_nothing_counts_and_one_of_two_domains_are_told(house: House) -> None:
    assert asked(house, "/api/v1/limits?user=bob").status == 404
    house.call(LimitedCaller("sip:alice@example.org", "example.org", is_proved=True), "d")
    twice = asked(house, "/api/v1/limits?user=alice")
    assert twice.status == 409
    assert "sip:alice@example.com, sip:alice@example.org" in twice.text


def test_an_operator_lifts_a_hold_and_the_audit_says_who(house: House) -> None:
    lift = {"user": "alice"}
    assert house.site.post("/api/v1/limits/lift", lift, authorization=f"Bearer {house.viewer}").status == 403
    answer = house.site.post("/api/v1/limits/lift", lift, authorization=f"Bearer {house.operator}")
    assert answer.json == {"user": "sip:alice@example.com", "limits": 1}
    assert not asked(house, "/api/v1/limits?user=alice").json["users"][0]["held"]
    (entry,) = house.audit.about(None)
    assert (entry["what"], entry["user"]) == ("limit lifted", "sip:alice@example.com")
    house.limits.ended("a")
    house.call(ALICE, "b")


def page(house: House, token: str) -> str:
    """The page as it is drawn, a turn after another."""
    head = f"GET /security/limits HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n\r\n"
    asking = house.site.begin(head.encode())
    house.timers.pump([0.0] * 100)
    return asking.answered.decode()


def test_the_page_has_those_held_first_and_a_button_for_operators(house: House) -> None:
    seen = page(house, house.viewer)
    assert seen.index("alice") < seen.index("192.0.2.66")
    assert "1 user held" in seen
    seen = page(house, house.operator)
    assert seen.count('<button aria-label="Count') == 2
    assert "refused until lifted" in seen
    form = {"user": "sip:alice@example.com"}
    refused = house.site.form("/security/limits/lift", form, authorization=f"Bearer {house.viewer}")
    assert refused.status == 403
    answer = house.site.form("/security/limits/lift", form, authorization=f"Bearer {house.operator}")
    assert (answer.status, answer["location"]) == (303, "/security/limits")
    assert "Nobody is at a limit" not in page(house, house.viewer)
    house.limits.ended("a")
    house.limits.ended("c")
    assert "Nobody is at a limit" in page(house, house.viewer)


def test_more_users_than_the_page_has_rows_for_are_told_of(house: House) -> None:
    assert "gatewayctl limits" not in page(house, house.viewer)
    for number in range(ROWS + 1):
        house.call(LimitedCaller(f"sip:{number}@example.com", "example.com", is_proved=True), f"more-{number}")
    seen = page(house, house.viewer)
    assert seen.count('data-label="State"') == ROWS
    assert "3 more: <code>gatewayctl limits</code>" in seen
    assert "1 user held" in seen
