"""Reports that are made by themselves: when one is due, how many are kept, and the event of one that is worse."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, succeed

from gateway.admin.security.machine_look import look_at_machine
from gateway.admin.security.posture_reports import FRESH_SECONDS, PostureQuestion, PostureReports
from gateway.admin.security.posture_view import posture_view
from gateway.config.tables.posture_table import Posture
from gateway.observe.events import EventName, Events
from gateway.observe.metrics import Metrics
from gateway.security.posture.posture_facts import PostureFacts
from gateway.security.posture.report import Report
from gateway.security.posture.signature import ReportKey
from gateway.state.devices.device_table import Device, DeviceTable, prepare_devices
from gateway.state.table import WRITE_DELAY, KeptTable
from tests.security.posture.posture_world import DAY, GOOD, NOW, process
from tests.support.direct_database import DirectDatabase, got

Value = TypeVar("Value")
WORSE = process(clock_synchronized=False)
MANY = 10_000


def done(work: Coroutine[Any, Any, Value]) -> Value:
    return got(Deferred.fromCoroutine(work))


class Gathering:
    """Gives the facts of the day, and counts how often it was asked."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.asked: list[tuple[float, str]] = []

    def aside(self, work: Callable[..., Value], *arguments: Any) -> Deferred[Value]:
        return succeed(work(*arguments))

    async def facts(self, since: float, domain: str, has_users: bool, advisories: object) -> PostureFacts:
        self.asked.append((since, domain))
        return attrs.evolve(self.place.facts, at=self.place.now, since=since, only_domain=domain)


class Place:
    """A gateway's reports, kept in a directory."""

    def __init__(self, directory: Path, terms: Posture | None = None) -> None:
        self.now = NOW
        self.facts = GOOD
        self.events = Events(lambda: self.now)
        self.database = DirectDatabase(directory / "posture.sqlite")
        self.gathering = Gathering(self)
        table = KeptTable(directory / "posture.sqlite", self.database, self.database.clock)
        key = ReportKey(directory)
        terms = terms or Posture()
        self.reports = PostureReports(
            cast(Any, self.gathering), table, terms, key, self.events, lambda: self.now, lambda: True
        )
        done(self.reports.start())

    def look(self) -> None:
        """The round."""
        done(self.reports.keep_if_due())
        self.database.clock.advance(WRITE_DELAY)

    @property
    def told(self) -> list[tuple[str, object]]:
        """Events about the posture."""
        return [(event.name, event.fields["checks"]) for _, event in self.events.after(0)]


def test_a_report_is_kept_each_week(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.look()
    for hours, kept in ((1, 1), (6 * 24, 1), (7 * 24, 2), (8 * 24, 2), (14 * 24, 3)):
        place.now = NOW + hours * 3_600
        place.look()
        assert len(place.reports.kept) == kept, hours
    assert [one.at for one in place.reports.kept] == [NOW, NOW + 7 * DAY, NOW + 14 * DAY]


def test_a_clock_that_was_set_back_stops_no_report(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.look()
    place.now = NOW - 400 * DAY
    place.look()
    assert len(place.reports.kept) == 2


def test_a_worse_posture_is_told_once_and_names_the_checks(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.look()
    place.now, place.facts = NOW + 8 * DAY, WORSE
    place.look()
    place.now += 8 * DAY
    place.look()
    assert place.told == [(EventName.POSTURE_WORSE, "OPS-2")]
    (_, event), *_ = place.events.after(0)
    assert event.fields["change"] == -4.0
    place.now, place.facts = place.now + 8 * DAY, GOOD
    place.look()
    assert len(place.told) == 1, "better is no event"


def test_as_many_are_kept_as_the_configuration_says_also_over_restarts(tmp_path: Path) -> None:
    place = Place(tmp_path, Posture("1d", 3))
    for day in range(6):
        place.now = NOW + day * DAY
        place.look()
    place.database.close()
    again = Place(tmp_path, Posture("1d", 3))
    for one in (place, again):
        assert [kept.at for kept in one.reports.kept] == [NOW + day * DAY for day in (3, 4, 5)]
    assert again.reports.last is not None
    name = again.reports.kept[0].id
    assert cast("dict[str, Any]", got(again.reports.find(name)))["at"] == NOW + 3 * DAY


def test_many_readers_cost_no_more_than_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first = done(place.reports.fresh())
    assert done(place.reports.fresh()) is first
    done(place.reports.report(PostureQuestion(NOW - DAY, "example.com")))
    assert done(place.reports.fresh()) is first, "another question is no answer for the page"
    place.now += FRESH_SECONDS
    assert done(place.reports.fresh()) is not first
    assert place.gathering.asked == [(NOW - 30 * DAY, ""), (NOW - DAY, "example.com"), (NOW + 60 - 30 * DAY, "")]


def test_reports_are_made_one_at_a_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    waiting: list[Deferred[None]] = []
    facts = place.gathering.facts

    async def slow(*asked: Any) -> PostureFacts:
        waiting.append(Deferred())
        await waiting[-1]
        return await facts(*asked)

    place.gathering.facts = slow  # type: ignore[method-assign, assignment]
    made: list[Report] = []
    for _ in range(3):
        Deferred.fromCoroutine(place.reports.report(PostureQuestion())).addCallback(made.append)
    for number in range(3):
        assert len(waiting) == number + 1
        waiting[number].callback(None)
        assert len(made) == number + 1


def test_readers_that_come_while_a_report_is_made_share_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    held: Deferred[None] = Deferred()
    facts = place.gathering.facts

    async def slow(*asked: Any) -> PostureFacts:
        await held
        return await facts(*asked)

    place.gathering.facts = slow  # type: ignore[method-assign, assignment]
    made: list[Report] = []
    for _ in range(3):
        Deferred.fromCoroutine(place.reports.fresh()).addCallback(made.append)
    held.callback(None)
    assert [report is made[0] for report in made] == [True] * 3
    assert len(place.gathering.asked) == 1


def test_a_report_that_fails_lets_the_next_one_be_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    facts = place.gathering.facts

    async def broken(*asked: Any) -> PostureFacts:
        raise ValueError("ours")

    place.gathering.facts = broken  # type: ignore[method-assign, assignment]
    failures: list[Any] = []
    Deferred.fromCoroutine(place.reports.report(PostureQuestion())).addErrback(failures.append)
    assert failures[0].check(ValueError)
    place.gathering.facts = facts  # type: ignore[method-assign]
    assert done(place.reports.report(PostureQuestion()))["score"] == 100.0


def test_metrics_are_of_the_latest_report_on_everything(tmp_path: Path) -> None:
    place, metrics = Place(tmp_path), Metrics(CollectorRegistry())
    metrics.asked.add(place.reports.figures)
    assert metrics.value("gateway_posture_score") is None
    place.facts = WORSE
    done(place.reports.report(PostureQuestion()))
    done(place.reports.report(PostureQuestion(NOW - 5, "example.com")))
    assert metrics.value("gateway_posture_score") == 96.0
    assert metrics.value("gateway_posture_findings", {"severity": "medium"}) == 1
    assert metrics.value("gateway_posture_findings", {"severity": "critical"}) == 0
    assert metrics.value("gateway_posture_time_seconds") == NOW


def test_the_page_begins_with_the_worst(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert "no check fails or warns" in str(posture_view(done(place.reports.fresh()), [])["sentence"])
    place.now, place.facts = NOW + 100, process(clock_synchronized=False, metrics_read=0)
    view = posture_view(done(place.reports.report(PostureQuestion())), place.reports.kept)
    assert "1 check fails, 1 warn. The gravest: OPS-2, “The clock is synchronized”." in str(view["sentence"])
    assert [row["id"] for row in cast("list[dict[str, Any]]", view["bad"])] == ["OPS-2", "OPS-4"]


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    machine = look_at_machine(tmp_path)
    assert machine.disk_free is not None
    assert 0 <= machine.disk_free <= 1
    assert machine.backup_at is None
    (tmp_path / "last-backup").touch()
    assert look_at_machine(tmp_path).backup_at == pytest.approx(time.time(), abs=60)
    assert look_at_machine(tmp_path / "nowhere").disk_free is None


def test_ten_thousand_devices_are_counted_soon(tmp_path: Path) -> None:
    database = DirectDatabase(tmp_path / "devices.sqlite", prepare_devices)
    table = DeviceTable(tmp_path / "devices.sqlite", database, database.clock, lambda: NOW)
    for number in range(MANY):
        make = ("Yealink", f"T{number % 40}", f"{number % 9}.0", "User-Agent", "x", f"sip:{number}@x", "c", "udp")
        table.saw(Device(f"k{number}", *make))
    database.clock.advance(WRITE_DELAY)
    began = time.perf_counter()
    kinds = got(table.kinds(0.0, 500))
    took = time.perf_counter() - began
    assert sum(one.devices for one in kinds) == MANY
    assert len(kinds) == 360
    assert took < 1.0, f"{took:.2f} s"
