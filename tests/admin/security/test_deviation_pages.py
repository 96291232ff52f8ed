"""Deviations over HTTP: the answer, and the page with its words for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock as Timers
from twisted.logger import LogLevel, capturedLogs, formatEvent

from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.security.deviation_pages import DeviationPages, deviations_view
from gateway.admin.security.deviation_routes import DeviationRoutes
from gateway.admin.turns import Turns
from gateway.base.json_codec import Json
from gateway.security.deviations.deviations import Row
from gateway.state.sqlite import StoreUnusable
from tests.admin.accounts.support import user
from tests.support.admin_house import AdminHouse

NOW = 1_764_511_200.0
DAY = 86_400.0


def row(kind: str, at: float, who: str = "alice", domain: str = "example.com", **fields: Json) -> Row:
    place: Row = {"source": "", "domain": domain, "who": who, "call": "c/1"}
    return {"at": at, "name": f"deviation.{kind}", "severity": "warning", **place, "fields": {**fields}}


ROWS = [
    row("new_country", NOW - 60, country="CU", number="+5371234567", countries_before=3, days=28),
    row("busy_hour", NOW - 3600, who="", calls=10, usual=2.0, times=5),
    row("short_calls", NOW - 7200, domain="branch.example.com", calls=11, shorter_than=6.0, within=600.0, number="+49"),
    row("unanswered_calls", NOW - 2 * DAY, calls=50, answered=4, usual_answered_percent=80),
    row("night_call", NOW - 3 * DAY, number="<b>", night_calls_before=0, days=28),
    row("of_a_later_version", NOW - 3 * DAY, odd_figure=7),
]


class Kept:
    """Deviations that are kept."""

    is_unusable = False

    def since(self, at: float) -> Deferred[list[Row]]:
        if self.is_unusable:
            return fail(StoreUnusable("the disk is gone"))
        return succeed([one for one in ROWS if isinstance(one["at"], float) and one["at"] >= at])


class Gathering:
    version = "1"

    def now(self) -> float:
        return NOW


class AtOnce(Turns):
    """No page waits for its turn."""

    def next(self) -> Deferred[None]:
        return succeed(None)


class House:
    def __init__(self, directory: Path) -> None:
        self.kept = kept = Kept()
        desk = Desk(Gathering(), "gw", AtOnce(Timers()))  # type: ignore[arg-type]
        routes = DeviationRoutes(kept, lambda: NOW).routes()  # type: ignore[arg-type]
        pages = DeviationPages(kept, desk).routes()  # type: ignore[arg-type]
        self.site = AdminHouse(directory, user("olga", Role.ADMIN), more=(*routes, *pages))
        self.token = self.site.token(Role.VIEWER)

    def ask(self, path: str) -> Any:
        return self.site.ask(path, authorization=f"Bearer {self.token}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_answer_has_those_of_a_day_or_as_asked_the_newest_first(house: House) -> None:
    names = [one["name"] for one in house.ask("/api/v1/deviations").json]
    assert names == ["deviation.new_country", "deviation.busy_hour", "deviation.short_calls"]
    (branch,) = house.ask("/api/v1/deviations?since=7d&domain=BRANCH.example.com").json
    assert branch["fields"] == {"calls": 11, "shorter_than": 6.0, "within": 600.0, "number": "+49"}
    assert len(house.ask("/api/v1/deviations?since=7d&limit=2").json) == 2
    assert house.ask("/api/v1/deviations?since=soon").status == 400
    assert house.site.ask("/api/v1/deviations").status == 401


def test_the_page_has_the_figures_in_words_and_text_of_callers_is_no_markup(house: House) -> None:
    answer = house.ask("/security/deviations")
    assert answer.status == 200
    assert "6 deviations in 7 days. Nothing was refused for it." in answer.text
    assert "<b>" not in answer.text.partition("<main")[2]
    words = [one["words"] for one in deviations_view(ROWS)["rows"]]  # type: ignore[attr-defined]
    assert words == [
        "CU: the first time in 28 days, 3 countries before",
        "10 calls in this hour, usually 2.0",
        "11 calls of less than 6 s within 600 s",
        "4 of the latest 50 calls were answered, usually 80 %",
        "the first call between 22 and 6 o'clock in 28 days",
        "odd figure 7",
    ]


def test_a_quiet_week_and_many_deviations_have_a_page(house: House) -> None:
    assert deviations_view([])["sentence"] == "No call of the last 7 days was unlike those before."
    assert deviations_view(ROWS * 50)["more"] == 100


def test_a_file_that_cannot_be_read_is_said(house: House) -> None:
    house.kept.is_unusable = True
    with capturedLogs() as logged:
        assert house.ask("/api/v1/deviations").status == 503
        assert house.ask("/security/deviations").status == 503
    errors = [formatEvent(one) for one in logged if one["log_level"] is LogLevel.error]
    assert errors == ["deviations cannot be read: the disk is gone"] * 2
