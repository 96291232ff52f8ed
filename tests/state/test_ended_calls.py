"""Calls that came to nothing and that nobody vouches for have records at a rate, and a sum; others each their own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from gateway.observe.metrics import Metrics
from gateway.state.call_record import LONGEST, CallDirection, CallRecord, ChainLink, ChainStep, LegName, Passage
from gateway.state.ended_calls import OF_ALL, OF_ONE_SOURCE, PERIOD, REMEMBERED, EndedCalls


class Site:
    def __init__(self) -> None:
        self.clock = Clock()
        self.kept: list[CallRecord] = []
        self.metrics = Metrics(CollectorRegistry())
        numbers = itertools.count()
        self.ended = EndedCalls(self.metrics, self.kept.append, self.clock.seconds, lambda: f"sum{next(numbers)}")

    def ends(self, source: str = "192.0.2.66", **fields: Any) -> bool:
        """A call is over; whether its record is to be kept."""
        one = record(status=488, verdict="REFUSED", reason="REFUSED_POLICY", **fields)
        is_kept = self.ended.takes(one, source)
        if is_kept:
            self.ended.keep(one)
        return is_kept

    @property
    def counted(self) -> float | None:
        labels = {"domain": "example.com", "direction": "outbound", "verdict": "REFUSED", "reason": "REFUSED_POLICY"}
        return self.metrics.value("gateway_calls_total", labels)


def record(**fields: Any) -> CallRecord:
    return CallRecord("c", CallDirection.OUTBOUND, "example.com", "sip:alice@x", "sip:bob@x", 0.0, **fields)


def test_a_flood_of_refused_calls_is_summed_once_a_minute() -> None:
    site = Site()
    assert sum(site.ends() for _ in range(1000)) == OF_ONE_SOURCE.burst
    assert len(list(site.ended)) == OF_ONE_SOURCE.burst
    assert len(site.kept) == OF_ONE_SOURCE.burst
    site.kept.clear()
    site.clock.advance(PERIOD - 1)
    site.ended.sum_up()
    assert site.kept == []
    site.clock.advance(1)
    site.ended.sum_up()
    (row,) = site.kept
    assert row.ending == "980 more calls of callers that are not registered were not let in, the last with 488"
    assert (row.id, row.caller, row.callee, row.ladder) == ("sum0", "", "", [])
    assert site.counted == 1000
    site.clock.advance(PERIOD)
    site.ended.sum_up()
    assert len(site.kept) == 1


def test_the_last_sum_is_kept_at_the_end() -> None:
    site = Site()
    for _ in range(OF_ONE_SOURCE.burst + 2):
        site.ends()
    site.ended.sum_up(is_last=True)
    assert [record.id for record in site.kept[OF_ONE_SOURCE.burst :]] == ["sum0"]


def test_many_addresses_have_no_more_records_together() -> None:
    site = Site()
    assert sum(site.ends(f"192.0.{number >> 8}.{number & 255}") for number in range(2000)) == OF_ALL.burst


def rings(record: CallRecord, said: str = "180 Ringing") -> CallRecord:
    record.add_step(0.0, LegName.CALLEE, Passage.RECEIVED, said)
    return record


@pytest.mark.parametrize(
    "vouched",
    [
        record(is_caller_known=True),
        record(answered_at=1.0),
        *(rings(record(), said) for said in ("180 Ringing", "183 x", "486 Busy Here", "480 x", "603 Decline")),
    ],
)
def test_no_flood_takes_the_record_of_a_call_that_somebody_vouches_for(vouched: CallRecord) -> None:
    site = Site()
    for _ in range(1000):
        site.ends()
    assert all(site.ended.takes(vouched, "192.0.2.66") for _ in range(100))


@pytest.mark.parametrize("said", ["100 Trying", "403 Forbidden", "404 Not Found", "500 x"])
def test_a_callee_that_was_not_reached_vouches_for_nobody(said: str) -> None:
    assert not rings(record(), said).is_vouched
    caller = record()
    caller.add_step(0.0, LegName.CALLER, Passage.SENT, "180 Ringing")
    assert not caller.is_vouched


def test_the_memory_is_bounded() -> None:
    site = Site()
    for _ in range(REMEMBERED + 10):
        site.ended.takes(record(is_caller_known=True), "192.0.2.11")
    assert len(list(site.ended)) == REMEMBERED


def test_long_texts_of_peers_are_cut() -> None:
    one = CallRecord("c", CallDirection.OUTBOUND, "x", "a" * 8000, "\x00" * 8000, 0.0)
    one.add_step(0.0, LegName.CALLEE, Passage.RECEIVED, "486 " + "b" * 8000)
    one.add_reason(ChainLink("callee", ChainStep.OUTCOME, "plain"))
    assert len(one.caller) == LONGEST
    assert len(one.callee) == LONGEST * len("\\x00")
    assert len(one.ladder[0].what) == LONGEST


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"answered_at": 1.0, "status": 200}, "answered"),
        ({"status": 487}, "cancelled"),
        ({"status": 486}, "callee"),
        ({"status": 404}, "callee"),
        ({"status": 302}, "callee"),
        ({"status": 480, "reason": "PHONE_UNREACHABLE"}, "failed"),
        ({"status": 403}, "failed"),
        ({"status": 503, "verdict": "UNANSWERED", "reason": "NO_PORTS"}, "failed"),
        ({"status": 488, "verdict": "REFUSED", "reason": "REFUSED_POLICY"}, "failed"),
    ],
)
@pytest.mark.parametrize("is_emergency", [False, True])
def test_results_tell_whether_calls_work(fields: dict[str, Any], result: str, is_emergency: bool) -> None:
    site = Site()
    one = record(provider="main", is_emergency=is_emergency, **fields)
    with capturedLogs() as lines:
        site.ended.keep(one)
    labels = {"domain": "example.com", "provider": "main", "result": result}
    assert site.metrics.value("gateway_call_results_total", labels) == 1
    emergency = "failed" if result == "callee" else result
    counted = site.metrics.value("gateway_emergency_calls_total", {"result": emergency})
    assert counted == (1.0 if is_emergency else 0.0)
    warned = [line for line in lines if line["log_level"] is LogLevel.warn]
    assert len(warned) == (is_emergency and emergency == "failed")
    if warned:
        assert str(fields["status"]) in formatEvent(warned[0])
        assert "emergency" in formatEvent(warned[0])


def test_no_flood_hides_an_emergency_call_that_failed() -> None:
    site = Site()
    for _ in range(1000):
        site.ends()
    lost = record(is_emergency=True, status=503, reason="PROVIDER_UNREACHABLE", verdict="UNANSWERED")
    assert site.ended.takes(lost, "192.0.2.66")


def test_a_flood_of_emergency_calls_fills_no_disk() -> None:
    site = Site()
    lost = record(is_emergency=True, status=503)
    assert sum(site.ended.takes(lost, "192.0.2.66") for _ in range(1000)) == OF_ALL.burst
    assert site.metrics.value("gateway_emergency_calls_total", {"result": "failed"}) == 1000 - OF_ALL.burst
