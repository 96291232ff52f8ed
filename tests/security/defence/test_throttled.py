"""Sources that are slowed, as operators see them: told once with the evidence, never banned, and however many, few."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.events import EventName
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind
from gateway.security.defence.bans import Ban
from gateway.security.defence.defence_news import DefenceNews
from gateway.security.defence.throttled import CAPACITY, TOLD, Throttled, ThrottledSource
from tests.security.defence.court import OFFICE, PROVIDER, STRANGER, Court


class Watch:
    """A court whose slowed sources are watched."""

    def __init__(self, mode: str = "defend") -> None:
        self.court = Court(DefenceTerms(mode=mode))
        self.told: list[tuple[ThrottledSource, str]] = []
        times, judge = self.court.times, self.court.judge
        self.throttled = Throttled(
            judge, self.court.evidence, times.now, lambda one, line: self.told.append((one, line))
        )
        self.court.listeners.append(self.throttled.observed)

    @property
    def shown(self) -> list[str]:
        """The sources that an operator sees."""
        return [one.source for one in self.throttled.current()]


def test_one_packet_with_the_look_of_a_scanner_is_told_at_once_and_bans_nobody() -> None:
    watch = Watch()
    watch.court.sees(Kind.SCAN, proved=False, line="OPTIONS sip:100@198.51.100.1")
    ((one, evidence),) = watch.told
    assert (one.source, one.reason, one.is_proved, one.seen) == (STRANGER, "scan", False, 1)
    assert evidence.endswith("udp scan: OPTIONS sip:100@198.51.100.1")
    assert watch.shown == [STRANGER]
    assert watch.court.bans.current() == ()


def test_it_is_told_once_as_long_as_it_lasts_and_again_when_it_comes_back() -> None:
    watch = Watch()
    for _ in range(30):
        watch.court.sees(Kind.SCAN, proved=False)
    watch.court.sees(Kind.FLOOD, proved=False)
    (one,) = watch.throttled.current()
    assert (len(watch.told), one.seen, one.reason) == (1, 31, "scan")
    watch.court.passes(one.until - one.last - 1)
    assert watch.shown == [STRANGER]
    watch.court.passes(2)
    assert watch.shown == []
    watch.throttled.look()
    assert watch.throttled.proved() == (0, 0)
    watch.court.sees(Kind.SCAN, proved=False)
    assert len(watch.told) == 2


def test_few_points_slow_nobody() -> None:
    watch = Watch()
    for _ in range(19):
        watch.court.sees(Kind.STRANGER, proved=False)
    assert (watch.shown, watch.told) == ([], [])


@pytest.mark.parametrize("host", [OFFICE, PROVIDER])
def test_of_those_that_are_trusted_none_is_shown(host: str) -> None:
    watch = Watch()
    watch.court.sees(Kind.SCAN, host, proved=False)
    assert (watch.shown, watch.told) == ([], [])


def test_a_source_that_gets_a_phone_is_slowed_no_more() -> None:
    watch = Watch()
    watch.court.sees(Kind.SCAN, proved=False)
    watch.court.bindings[STRANGER] = 1
    assert watch.shown == []
    assert watch.throttled.of(STRANGER) is None


def test_proved_points_are_shown_as_proved_until_the_ban_shows_them() -> None:
    watch = Watch()
    for _ in range(5):
        watch.court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    (one,) = watch.throttled.current()
    assert one.is_proved
    assert watch.throttled.proved() == (1, 0)
    now = watch.court.times.now()
    watch.court.bans.ban(Ban(STRANGER, "operator", now, now + 600))
    assert watch.shown == []
    watch.court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    assert watch.throttled.proved() == (0, 0)


def test_off_shows_nobody() -> None:
    watch = Watch()
    watch.court.sees(Kind.SCAN, proved=False)
    watch.court.mode.adopt("off")
    assert watch.shown == []


def test_a_forger_of_many_sources_fills_a_bounded_table_and_a_scanner_that_goes_on_is_in_it() -> None:
    watch = Watch()
    for number in range(3_000):
        watch.court.sees(Kind.SCAN, f"10.0.{number >> 8}.{number & 255}", proved=False)
        if number % 500 == 0:
            watch.court.sees(Kind.SCAN, proved=False)
    assert len(watch.shown) == CAPACITY
    assert STRANGER in watch.shown
    assert len(watch.told) == TOLD.burst


def test_forged_sources_take_no_word_from_those_that_are_proved() -> None:
    watch = Watch()
    for number in range(100):
        watch.court.sees(Kind.SCAN, f"10.0.0.{number}", proved=False)
    for _ in range(5):
        watch.court.sees(Kind.DIGEST_FAILED, who="100@example.com")
    assert (watch.told[-1][0].source, watch.told[-1][0].left_out) == (STRANGER, 100 - TOLD.burst)


@pytest.mark.parametrize(("is_report", "state"), [(True, "would_be"), (False, "throttled")])
def test_the_event_says_whether_it_happens_or_would(is_report: bool, state: str) -> None:
    watch, metrics = Watch(), Metrics(CollectorRegistry())
    watch.court.sees(Kind.SCAN, proved=False, line="OPTIONS sip:100:geheim@198.51.100.1")
    news = DefenceNews(metrics, watch.court.bans, watch.court.times.seconds)
    news.throttled(*watch.told[0], is_report=is_report)
    ((_, event),) = metrics.events.after(0)
    assert (event.name, event.source, event.severity) == (EventName.SECURITY_THROTTLED, STRANGER, "warning")
    assert (event.fields["state"], event.fields["is_proved"], event.fields["reason"]) == (state, False, "scan")
    assert "OPTIONS sip:100" in str(event.fields["evidence"])
    assert "geheim" not in str(event.fields)
