"""The figures of an overview: counted once, whatever becomes of the calls, and right about those that are up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.state.call_record import CallDirection, CallRecord, LegName, Passage
from gateway.state.listing.call_list import CallList
from gateway.state.listing.call_statistics import DomainShare, PeriodCount, ReasonCount, Statistics
from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.state.listing.tallies import HOUR, KEPT, MINUTE, DayTallied, post_dial_seconds
from gateway.state.table import WRITE_DELAY
from tests.support.direct_database import DirectDatabase, got

NOW = 1_700_000_000.0 // HOUR * HOUR + 1_800
"""Half past."""


def record(key: str, started_at: float, verdict: str = "ENCRYPTED", **fields: Any) -> CallRecord:
    base = CallRecord(key, CallDirection.OUTBOUND, "example.com", "sip:a@x", "sip:b@x", started_at)
    return attrs.evolve(base, verdict=verdict, ended_at=started_at + 1, provider="main", **fields)


def rung(one: CallRecord, seconds: float, told: str = "180 Ringing") -> CallRecord:
    """The same call, of which the callee rang after so long."""
    one.add_step(one.started_at, LegName.CALLER, Passage.RECEIVED, "INVITE")
    one.add_step(one.started_at, LegName.CALLER, Passage.SENT, "100 Trying")
    one.add_step(one.started_at, LegName.CALLEE, Passage.RECEIVED, "180 Ringing")
    one.add_step(one.started_at + seconds, LegName.CALLER, Passage.SENT, told)
    return one


class Opened:
    def __init__(self, path: Path) -> None:
        self.database = DirectDatabase(path, prepare_calls)
        self.table = CallTable(path, self.database, self.database.clock)
        self.memory: list[CallRecord] = []
        self.now = NOW
        self.list = CallList(self.table, lambda: self.memory, lambda: self.now)

    def keep(self, *records: CallRecord) -> None:
        for one in records:
            self.table.put(one.id, one.ended_at or 0.0, one.as_json())
        self.database.clock.advance(WRITE_DELAY)

    @property
    def figures(self) -> Statistics:
        return got(self.list.statistics())


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "calls.sqlite")


def test_calls_are_counted_by_hour_and_minute_of_their_begin(opened: Opened) -> None:
    hour = int(NOW) // HOUR * HOUR
    opened.keep(
        record("a", NOW - 30),
        record("b", NOW - 31),
        record("c", NOW - 90, "CLEAR"),
        record("d", NOW - 2 * HOUR),
        record("e", NOW - 25 * HOUR),
    )
    figures = opened.figures
    assert figures.hours == (
        PeriodCount(hour - 2 * HOUR, "ENCRYPTED", 1),
        PeriodCount(hour, "CLEAR", 1),
        PeriodCount(hour, "ENCRYPTED", 2),
    )
    assert figures.minutes == (PeriodCount(int(NOW) - 120, "CLEAR", 1), PeriodCount(int(NOW) - 60, "ENCRYPTED", 2))


def test_a_call_counts_once_however_often_it_is_written(opened: Opened) -> None:
    for _ in range(3):
        opened.keep(record("a", NOW - 30))
    assert [one.calls for one in opened.figures.hours] == [1]


def test_a_write_that_failed_counts_nothing_twice(opened: Opened) -> None:
    opened.database.failing = True
    opened.keep(record("a", NOW - 30))
    opened.database.failing = False
    opened.database.clock.advance(60)
    assert [one.calls for one in opened.figures.hours] == [1]


def test_calls_that_are_up_count_as_far_as_they_have_come(opened: Opened) -> None:
    opened.memory = [
        attrs.evolve(record("up", NOW - 5, "CLEAR"), ended_at=None),
        attrs.evolve(record("new", NOW - 5, ""), ended_at=None),
        record("ended", NOW - 5),
    ]
    assert [(one.verdict, one.calls) for one in opened.figures.minutes] == [("", 1), ("CLEAR", 1)]


def test_the_share_of_a_domain_is_of_the_calls_that_claim_something(opened: Opened) -> None:
    verdicts = ["ENCRYPTED", "ENCRYPTED_TO_PROVIDER", "SIGNALLING_ONLY", "CLEAR", "REFUSED", "UNANSWERED", "UNANSWERED"]
    opened.keep(*(record(str(number), NOW - number, verdict) for number, verdict in enumerate(verdicts)))
    opened.keep(record("old", NOW - 10 * 24 * HOUR), record("older", NOW - 40 * 24 * HOUR))
    (day,), (month,) = opened.figures.domains_day, opened.figures.domains_month
    assert day == DomainShare("example.com", encrypted=2, weaker=1, clear=1, refused=1, unanswered=2)
    assert day.share == 0.5
    assert (month.encrypted, month.share) == (3, 0.6)
    assert DomainShare("x", 0, 0, 0, 1, 1).share is None


def test_reasons_are_counted_the_most_frequent_first(opened: Opened) -> None:
    opened.keep(
        *(record(f"a{number}", NOW - 5, "CLEAR", reason="CLEAR_PEER_NO_SRTP") for number in range(3)),
        record("b", NOW - 5, "REFUSED", reason="REFUSED_POLICY"),
        record("c", NOW - 5),
    )
    assert opened.figures.reasons == (
        ReasonCount("CLEAR_PEER_NO_SRTP", "CLEAR", "example.com", "main", 3),
        ReasonCount("REFUSED_POLICY", "REFUSED", "example.com", "main", 1),
    )


def test_kinds_have_every_call_and_days_a_month_of_them(opened: Opened) -> None:
    weak = {"verdict": "CLEAR", "reason": "CLEAR_PEER_NO_TLS"}
    week = NOW - 7 * 24 * HOUR
    opened.keep(record("1", NOW - 60), record("2", NOW - 90), record("3", NOW - 99, **weak), record("4", week, **weak))
    figures = opened.figures
    assert set(figures.kinds) == {
        ReasonCount("", "ENCRYPTED", "example.com", "main", 2),
        ReasonCount("CLEAR_PEER_NO_TLS", "CLEAR", "example.com", "main", 1),
    }
    today, then = (int(at) // 86_400 * 86_400 for at in (NOW, week))
    assert set(figures.days) == {
        DayTallied(today, "example.com", "ENCRYPTED", 2),
        DayTallied(today, "example.com", "CLEAR", 1),
        DayTallied(then, "example.com", "CLEAR", 1),
    }


def test_percentiles_are_within_a_bucket_of_the_truth(opened: Opened) -> None:
    times = [0.02 * number for number in range(1, 201)]
    calls = [rung(record(str(number), NOW - 60, answered_at=NOW - 57), seconds) for number, seconds in enumerate(times)]
    for number, call in enumerate(calls):
        call.mos = 2.0 if number < 20 else 4.3
    opened.keep(*calls)
    (setup,), (quality,) = opened.figures.post_dial, opened.figures.quality
    assert (setup.calls, quality.calls) == (200, 200)
    assert setup.p50 == pytest.approx(2.0, rel=0.06)
    assert setup.p95 == pytest.approx(3.8, rel=0.06)
    (answered,) = opened.figures.set_up
    assert answered.calls == 200
    assert answered.p50 == pytest.approx(3.0, rel=0.06)
    assert (quality.p50, quality.p5) == (4.3, 2.0)


@pytest.mark.parametrize("told", ["180 Ringing", "183 Session Progress", "200 OK"])
def test_set_up_ends_when_the_caller_hears_of_the_callee(told: str) -> None:
    assert post_dial_seconds(rung(record("a", NOW), 1.5, told).as_json()) == pytest.approx(1.5)


def test_a_refused_or_cancelled_call_has_no_set_up_time() -> None:
    assert post_dial_seconds(rung(record("a", NOW), 1.5, "486 Busy Here").as_json()) is None
    cancelled = record("b", NOW)
    cancelled.add_step(NOW, LegName.CALLER, Passage.RECEIVED, "CANCEL")
    assert post_dial_seconds(rung(cancelled, 1.5, "200 OK").as_json()) is None
    assert post_dial_seconds({"ladder": [None, {"leg": "caller", "direction": "sent", "what": "200 OK"}]}) is None
    assert post_dial_seconds({"ladder": "x"}) is None


def test_figures_outlive_the_calls_and_have_an_end(opened: Opened) -> None:
    opened.keep(record("a", NOW - 30), record("old", NOW - KEPT[HOUR] + HOUR))
    opened.table.drop_before(NOW + 5)
    assert [one.calls for one in opened.figures.hours] == [1]
    opened.table.drop_old_tallies(NOW + 2 * HOUR)
    assert got(opened.table.ask(rows)) == [(HOUR, 1)]
    opened.table.drop_old_tallies(NOW + KEPT[HOUR] + HOUR)
    assert got(opened.table.ask(rows)) == []
    assert KEPT[MINUTE] < KEPT[HOUR]


def rows(transaction: Any) -> list[tuple[int, int]]:
    transaction.execute("SELECT width, calls FROM tally")
    return [*transaction.fetchall()]


def test_figures_are_those_of_the_calls_that_are_up_where_the_file_cannot_be_read(opened: Opened) -> None:
    opened.keep(record("a", NOW - 30))
    opened.memory = [attrs.evolve(record("up", NOW - 5), ended_at=None)]
    opened.database.failing = True
    assert [one.calls for one in opened.figures.hours] == [1]


def test_times_that_are_nonsense_count_in_no_odd_period(opened: Opened) -> None:
    for number, odd in enumerate([float("inf"), -1.0, 1e300, "soon", None, [1]]):
        opened.table.put(str(number), NOW, {"id": str(number), "started_at": odd, "verdict": "X"})  # type: ignore[dict-item]
    opened.keep(record("a", NOW - 30))
    assert [(one.verdict, one.calls) for one in opened.figures.hours] == [("ENCRYPTED", 1)]
