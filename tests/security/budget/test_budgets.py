"""Budgets of a running gateway: events, the switch of a domain, metrics, and the calls of before the start."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.base.clock import Clock as Times
from gateway.config.load import load
from gateway.config.model import Configuration, FallbackSpent, Security
from gateway.config.switches import Settings
from gateway.observe.events import EventName, Events, GatewayEvent
from gateway.observe.figures import Figures
from gateway.observe.metrics import Metrics
from gateway.security.budget import budgets
from gateway.security.budget.budgets import AUTHOR, CHECK_SECONDS, Budgets, DomainCounts
from gateway.security.budget.outcomes import BudgetOutcome, outcome_of
from gateway.security.budget.past_calls import PastCalls, SomeCalls, read_past
from gateway.security.budget.standing import BudgetLevel
from gateway.state.audit import AuditLog
from gateway.state.listing.call_table import prepare_calls
from gateway.state.listing.tallies import HOUR, MINUTE
from tests.config.test_switches import TEXT

NOW = 1_800_000_000.0
CLEAR = {"verdict": "CLEAR", "reason": "CLEAR_PEER_NO_TLS"}
GOOD = {"verdict": "ENCRYPTED_TO_PROVIDER", "reason": ""}


class Others:
    """The other parts of a gateway, which nothing is asked of here."""

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        return lambda: None

    def adopt(self, configuration: Configuration) -> None:
        pass


class Office:
    """A domain with a budget of 1 %, and calls that end."""

    def __init__(
        self, directory: Path, spent: FallbackSpent = FallbackSpent.ALERT, past: PastCalls | None = None
    ) -> None:
        self.timers = Clock()
        self.timers.advance(NOW)
        self.told: list[GatewayEvent] = []
        self.metrics = Metrics(CollectorRegistry(), Figures, Events(self.timers.seconds))
        self.metrics.events.subscribe(lambda _, event: self.told.append(event))
        audit = AuditLog(directory / "audit.jsonl", self.timers.seconds)
        file = directory / "gateway.toml"
        file.write_text(f'{TEXT}fallback_budget = "1%"\nfallback_spent = "{spent}"\n')
        (directory / "state").mkdir()
        times = Times(self.timers, self.timers.seconds, self.timers.seconds)
        self.settings = Settings(load(file), audit, times, Others())
        self.name = "example.org"
        self.budgets = Budgets(self.settings, self.metrics, self.timers.seconds, self.timers)
        self.budgets.start(past or PastCalls())

    def security(self) -> Security:
        return next(one.security for one in self.settings.current.domains if one.name == self.name)

    @property
    def names(self) -> list[EventName]:
        return [event.name for event in self.told if event.name.startswith("budget.")]

    def end(self, calls: int, fields: dict[str, Any]) -> None:
        for _ in range(calls):
            self.metrics.events.note(EventName.CALL_ENDED, domain=self.name, **fields)

    def wait(self, seconds: float) -> None:
        self.timers.advance(seconds)


def test_100_calls_of_which_3_fell_back_are_told_within_a_minute(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.end(97, GOOD)
    office.end(3, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.names == [EventName.BUDGET_BURNS]  # three are free, yet it would not last
    office.end(1, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.names == [EventName.BUDGET_BURNS, EventName.BUDGET_SPENT]
    assert office.told[-1].fields["spent"] == 4


def test_a_level_is_told_once_and_not_at_each_look(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.end(4, CLEAR)
    for _ in range(100):
        office.wait(CHECK_SECONDS)
    assert office.names == [EventName.BUDGET_SPENT]


def test_a_busy_hour_is_told_before_the_budget_is_spent(tmp_path: Path) -> None:
    past = PastCalls(hours=(SomeCalls(NOW - 20 * 86_400, "example.org", BudgetOutcome.KEPT, 100_000),))
    office = Office(tmp_path, past=past)
    office.end(80, GOOD)
    office.end(20, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.names == [EventName.BUDGET_BURNS_FAST]


@pytest.mark.parametrize("reason", ["CLEAR_POLICY_OFF", "CLEAR_EMERGENCY"])
def test_calls_that_were_meant_to_are_excused(reason: str, tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.end(9, {"verdict": "CLEAR", "reason": reason})
    office.end(9, {**CLEAR, "emergency": True})
    office.wait(CHECK_SECONDS)
    assert office.names == []
    assert office.budgets.standings()[office.name].month.excused == 18


def test_refused_and_unanswered_calls_are_neither() -> None:
    assert outcome_of("REFUSED", "REFUSED_POLICY") is None
    assert outcome_of("UNANSWERED", "") is None


def test_a_domain_that_asks_for_it_is_switched_and_back(tmp_path: Path) -> None:
    office = Office(tmp_path, FallbackSpent.REQUIRE)
    office.end(4, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.security() is Security.REQUIRED
    switch = office.settings.security_of(office.name)
    assert switch is not None
    assert switch.who == AUTHOR
    office.wait(31 * 86_400)
    assert office.security() is Security.PREFERRED
    assert office.settings.security_of(office.name) is None


def test_without_it_nothing_is_switched(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.end(4, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.security() is Security.PREFERRED


def test_an_operator_who_switches_it_back_has_the_last_word(tmp_path: Path) -> None:
    office = Office(tmp_path, FallbackSpent.REQUIRE)
    office.end(4, CLEAR)
    office.wait(CHECK_SECONDS)
    office.settings.switch(office.name, None, "operator")
    office.end(1, CLEAR)
    office.wait(CHECK_SECONDS)
    assert office.security() is Security.PREFERRED


def test_an_operators_own_switch_is_left_alone_when_the_budget_recovers(tmp_path: Path) -> None:
    office = Office(tmp_path, FallbackSpent.REQUIRE)
    office.settings.switch(office.name, Security.REQUIRED, "operator")
    office.end(4, CLEAR)
    office.wait(31 * 86_400)
    office.wait(CHECK_SECONDS)
    assert office.security() is Security.REQUIRED


def test_every_domain_has_its_series_before_the_first_call(tmp_path: Path) -> None:
    office = Office(tmp_path)
    for outcome in ("kept", "spent", "excused"):
        labels = {"domain": office.name, "outcome": outcome}
        assert office.metrics.value("gateway_budget_calls_total", labels) == 0
    office.end(1, CLEAR)
    assert office.metrics.value("gateway_budget_calls_total", {"domain": office.name, "outcome": "spent"}) == 1
    assert office.metrics.value("gateway_budget_left", {"domain": office.name}) == 2
    assert office.metrics.value("gateway_budget_ratio", {"domain": office.name}) == 0.01


def history(directory: Path, calls: list[tuple[float, str, str, bool]]) -> sqlite3.Connection:
    """A file of calls: begin, verdict, reason, emergency."""
    connection = sqlite3.connect(directory / "calls.sqlite")
    prepare_calls(connection)
    for number, (at, verdict, reason, is_emergency) in enumerate(calls):
        connection.execute(
            "INSERT INTO listed (id, started_at, domain, verdict, reason, emergency) VALUES (?, ?, ?, ?, ?, ?)",
            (str(number), at, "example.org", verdict, reason, is_emergency),
        )
        for width in (MINUTE, HOUR):
            connection.execute(
                "INSERT INTO tally VALUES (?, ?, 'example.org', 'main', 'outbound', ?, ?, 1)"
                " ON CONFLICT DO UPDATE SET calls = calls + 1",
                (width, int(at) // width * width, verdict, reason),
            )
    return connection


def test_a_restart_keeps_the_numbers(tmp_path: Path) -> None:
    weak = ("CLEAR", "CLEAR_PEER_NO_TLS")
    calls = [(NOW - 60.0 * minute, "ENCRYPTED", "", False) for minute in range(100)]
    calls += [(NOW - 240, *weak, False), (NOW - 5 * 3600, *weak, False), (NOW - 9 * 86_400, *weak, False)]
    calls += [(NOW - 120, *weak, True), (NOW - 4 * 3600, *weak, True), (NOW - 300, "REFUSED", "REFUSED_POLICY", False)]
    past = read_past(cast(Any, history(tmp_path, calls).cursor()), NOW)
    office = Office(tmp_path, past=past)
    found = office.budgets.standings()[office.name]
    assert (found.month.kept, found.month.spent, found.month.excused) == (100, 3, 2)
    assert found.burns["1h"] == pytest.approx(1 / 61 / 0.01, rel=0.05)
    assert found.burns["5m"] == pytest.approx(1 / 6 / 0.01, rel=0.25)
    assert found.burns["6h"] == pytest.approx(2 / 102 / 0.01, rel=0.05)
    assert found.level is BudgetLevel.GOOD


def test_the_counts_of_a_domain_are_made_once_and_not_with_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[DomainCounts] = []

    def make() -> DomainCounts:
        made.append(DomainCounts())
        return made[-1]

    office = Office(tmp_path)
    monkeypatch.setattr(budgets, "DomainCounts", make)
    office.name = "example.net"
    office.end(5, GOOD)
    assert len(made) == 1
