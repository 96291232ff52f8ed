"""Calls of a time by what they have in common: exact to the second, and the same with a million calls."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from twisted.enterprise.adbapi import Transaction

from gateway.state.call_record import CallDirection, CallRecord
from gateway.state.listing.call_groups import MOST_BEGINS, grouped
from gateway.state.listing.call_table import INDEXES, CallTable, prepare_calls
from gateway.state.listing.tallies import HOUR
from gateway.state.table import WRITE_DELAY
from tests.support.direct_database import DirectDatabase, got

NOW = 1_700_000_000.0 // HOUR * HOUR
MILLION = 1_000_000


def record(key: str, started_at: float, domain: str = "example.com", **fields: Any) -> CallRecord:
    base = CallRecord(key, CallDirection.OUTBOUND, domain, "sip:a@x", "sip:b@x", started_at)
    return attrs.evolve(base, ended_at=started_at + 1, provider="main", **fields)


class Opened:
    def __init__(self, path: Path) -> None:
        self.database = DirectDatabase(path, prepare_calls)
        self.table = CallTable(path, self.database, self.database.clock)

    def keep(self, *records: CallRecord) -> None:
        for one in records:
            self.table.put(one.id, one.ended_at or 0.0, one.as_json())
        self.database.clock.advance(WRITE_DELAY)

    def count(self, since: float, begins: dict[str, float] | None = None) -> Counter[tuple[str, str]]:
        found = got(self.table.ask(lambda file: grouped(file, since, begins)))
        counted: Counter[tuple[str, str]] = Counter()
        for one in found:
            counted[one.domain, one.verdict] += one.calls
        return counted


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "calls.sqlite")


def test_a_begin_within_an_hour_counts_to_the_second(opened: Opened) -> None:
    times = [NOW - 2 * HOUR + second for second in (0, 1799, 1800, 1801, 3599, 3600, 7000)]
    opened.keep(*(record(f"c{number}", at, verdict="CLEAR") for number, at in enumerate(times)))
    for since in (NOW - 3 * HOUR, NOW - 2 * HOUR, *times, NOW):
        wanted = sum(at >= since for at in times)
        assert opened.count(since) == ({("example.com", "CLEAR"): wanted} if wanted else {}), since


def test_a_domain_may_have_a_begin_of_its_own(opened: Opened) -> None:
    for domain in ("a.example", "b.example"):
        opened.keep(
            record(f"{domain}1", NOW - 3 * HOUR, domain, verdict="CLEAR"),
            record(f"{domain}2", NOW - 3 * HOUR + 90, domain, verdict="ENCRYPTED"),
        )
    counted = opened.count(NOW - 5 * HOUR, {"a.example": NOW - 3 * HOUR + 60, "b.example": 1.0, "none.example": NOW})
    assert counted == {("a.example", "ENCRYPTED"): 1, ("b.example", "CLEAR"): 1, ("b.example", "ENCRYPTED"): 1}


def test_reasons_and_providers_are_told_apart(opened: Opened) -> None:
    opened.keep(
        record("1", NOW - 60, verdict="CLEAR", reason="CLEAR_POLICY_OFF"),
        record("2", NOW - 60, verdict="CLEAR", reason="CLEAR_POLICY_OFF"),
        record("3", NOW - 60, verdict="CLEAR", reason="CLEAR_PEER_NO_TLS"),
    )
    found = got(opened.table.ask(lambda file: grouped(file, NOW - HOUR)))
    assert [(one.provider, one.reason, one.calls) for one in found] == [
        ("main", "CLEAR_PEER_NO_TLS", 1),
        ("main", "CLEAR_POLICY_OFF", 2),
    ]


def test_begins_are_bounded(opened: Opened) -> None:
    opened.keep(record("1", NOW - 2 * HOUR, "d0.example", verdict="CLEAR"))
    begins = {f"d{number}.example": NOW - HOUR + number for number in range(3 * MOST_BEGINS)}
    began = time.perf_counter()
    assert opened.count(NOW - 5 * HOUR, begins) == {("d0.example", "CLEAR"): 1}, "the oldest have none of their own"
    assert time.perf_counter() - began < 2.0


def test_a_million_calls_of_a_month_are_counted_in_half_a_second(tmp_path: Path) -> None:
    """Rows are written as the table itself has them, without their whole records, which nothing here reads."""
    with closing(sqlite3.connect(tmp_path / "calls.sqlite")) as connection:
        prepare_calls(connection)
        for name in (*INDEXES, "listed_id"):
            connection.execute(f"DROP INDEX {name}")  # which take most of the time to write, and are of no use here
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {MILLION - 1})"
        at, domain = f"{NOW - 2_592_000} + n * 2.592", "'d' || (n % 50) || '.example'"
        verdict = "CASE n % 4 WHEN 0 THEN 'CLEAR' WHEN 1 THEN 'REFUSED' ELSE 'ENCRYPTED' END"
        fields = f"SELECT 'c' || n, {at}, {domain}, 'main', {verdict}, 'CLEAR_PEER_NO_TLS' FROM n"
        connection.execute(f"INSERT INTO listed (id, started_at, domain, provider, verdict, reason) {numbers} {fields}")
        key = "3600, CAST(started_at AS INTEGER) / 3600 * 3600 AS hour, domain, provider, 'outbound', verdict, reason"
        connection.execute(f"INSERT INTO tally SELECT {key}, COUNT(*) FROM listed GROUP BY hour, domain, verdict")
        begins = {f"d{number}.example": NOW - 50_000.5 for number in range(5)}
        began = time.perf_counter()
        counted = grouped(cast(Transaction, connection.cursor()), NOW - 30 * 24 * HOUR + 100, begins)
        took = time.perf_counter() - began
    calls = Counter(dict.fromkeys(begins, 0))
    for one in counted:
        calls[one.domain] += one.calls
    assert calls["d7.example"] in range(19_990, 20_001)
    assert calls["d3.example"] in range(380, 390), "those since a begin of its own"
    assert took < 2.0, f"{took:.2f} s"
