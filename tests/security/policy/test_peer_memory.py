"""What is remembered of peers: for long what they did, briefly what they lacked, and a downgrade is told once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from gateway.config.model import Provider
from gateway.observe.metrics import Metrics
from gateway.security.policy.peer_memory import (
    LACK_SECONDS,
    NOTED_SECONDS,
    REMEMBERED_SECONDS,
    REPEATED_SECONDS,
    Feature,
    Peer,
    PeerMemory,
    Sightings,
)
from gateway.security.policy.terms import Capability

MAIN = Peer("main", "sip:provider.example.com")
PHONE = Peer("sip:alice@example.com")


class Remembering:
    """A memory, its clock, and what it keeps."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.kept: list[tuple[Peer, Sightings | None]] = []
        self.metrics = Metrics(CollectorRegistry())
        self.memory = PeerMemory(
            lambda: self.now, self.metrics, lambda peer, sightings: self.kept.append((peer, sightings))
        )

    def counted(self, feature: Feature, result: str) -> float:
        return self.metrics.value("gateway_downgrades_total", {"feature": str(feature), "result": result}) or 0.0


@pytest.fixture
def site() -> Remembering:
    return Remembering()


@implementer(ILogObserver)
class Events:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.seen: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.seen.append(event)


@pytest.fixture
def warnings() -> Iterator[list[LogEvent]]:
    events = Events()
    globalLogPublisher.addObserver(events)
    yield events.seen
    globalLogPublisher.removeObserver(events)


def test_what_a_peer_did_counts_for_a_year_whatever_it_lacks_now(site: Remembering) -> None:
    site.memory.saw(MAIN, Feature.TLS, did=True)
    site.memory.saw(MAIN, Feature.SRTP, did=True)
    site.now += REMEMBERED_SECONDS - 1
    site.memory.saw(MAIN, Feature.TLS, did=False)
    site.memory.saw(MAIN, Feature.SRTP, did=False)
    assert site.memory.known(MAIN) == Capability(tls=True, srtp=True)
    site.now += 1
    assert site.memory.known(MAIN) == Capability(tls=False, srtp=None)


def test_a_lack_of_tls_counts_for_minutes_and_one_of_srtp_never(site: Remembering) -> None:
    site.memory.saw(MAIN, Feature.TLS, did=False)
    site.memory.saw(MAIN, Feature.SRTP, did=False)
    assert site.memory.known(MAIN) == Capability(tls=False, srtp=None)
    site.now += LACK_SECONDS
    assert site.memory.known(MAIN) == Capability()


def test_a_failed_handshake_is_a_lack_of_another_kind_until_the_next(site: Remembering) -> None:
    site.memory.saw(MAIN, Feature.TLS, did=False, speaks_tls=True)
    assert site.memory.known(MAIN) == Capability(tls=False, speaks_tls=True)
    site.now += 1
    site.memory.saw(MAIN, Feature.TLS, did=False)
    assert site.memory.known(MAIN) == Capability(tls=False)
    site.now += 1
    site.memory.saw(MAIN, Feature.TLS, did=False, speaks_tls=True)
    site.memory.saw(MAIN, Feature.TLS, did=False, speaks_tls=True)
    assert site.memory.known(MAIN) == Capability(tls=False, speaks_tls=True)
    assert len(site.kept) == 3
    site.now += LACK_SECONDS
    assert site.memory.known(MAIN) == Capability()
    site.memory.saw(MAIN, Feature.TLS, did=True)
    site.memory.saw(MAIN, Feature.TLS, did=False, speaks_tls=True)
    assert site.memory.known(MAIN) == Capability(tls=True)


def test_another_uri_is_another_peer(site: Remembering) -> None:
    site.memory.saw(Peer.of(Provider("main", "sip:old.example.com")), Feature.TLS, did=True)
    assert site.memory.known(Peer.of(Provider("main", "sip:new.example.com"))) == Capability()


def test_a_busy_peer_is_kept_once_a_minute(site: Remembering) -> None:
    for _ in range(10):
        site.memory.saw(MAIN, Feature.TLS, did=True)
    assert len(site.kept) == 1
    site.now += NOTED_SECONDS
    site.memory.saw(MAIN, Feature.TLS, did=True)
    assert site.kept[-1] == (MAIN, Sightings(did_tls_at=site.now))
    assert len(site.kept) == 2


def test_what_was_kept_is_recalled_and_forgotten_by_name(site: Remembering) -> None:
    site.memory.saw(PHONE, Feature.TLS, did=True)
    after = Remembering()
    after.memory.recall((peer, seen) for peer, seen in site.kept if seen)
    assert after.memory.known(PHONE).tls is True
    assert (after.memory.forget("nobody"), after.memory.forget(PHONE.name)) == (0, 1)
    assert after.memory.all() == []
    assert after.kept == [(PHONE, None)]


def test_every_downgrade_is_counted_and_told_at_once_but_not_again_and_again(
    site: Remembering, warnings: list[LogEvent]
) -> None:
    for _ in range(3):
        site.memory.report(MAIN, Feature.TLS, refused=False)
    site.memory.report(MAIN, Feature.SRTP, refused=True)
    site.now += REPEATED_SECONDS
    site.memory.report(MAIN, Feature.TLS, refused=False)
    assert (site.counted(Feature.TLS, "allowed"), site.counted(Feature.SRTP, "refused")) == (4, 1)
    assert [(event["log_level"].name, event["feature"]) for event in warnings] == [
        ("warn", "TLS"),
        ("warn", "SRTP"),
        ("warn", "TLS"),
    ]
