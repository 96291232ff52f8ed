"""The facts of the state: each provider's targets as health knows them, statistics once for many readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from gateway.admin.status.facts import Facts
from gateway.admin.status.gathering import KEPT_SECONDS
from gateway.routing.health import Standing
from gateway.state.listing.call_statistics import Statistics
from gateway.transport.flow import Address, Target, Transport
from tests.admin.pages.stage import NOW, PageStage
from tests.support.direct_database import got
from tests.support.flows import RecordingFlow
from tests.support.ladder import PROVIDER


@pytest.fixture
def stage(tmp_path: Path) -> PageStage:
    return PageStage(tmp_path)


def facts(stage: PageStage) -> Facts:
    return got(stage.gathering.facts())


def standing(**fields: object) -> Standing:
    target = Target(Transport.TLS, Address("192.0.2.1", 5061), "provider.example.com")
    one = Standing(target, "main", 0.0)
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def test_a_provider_has_its_sightings_and_no_target_before_it_was_asked(stage: PageStage) -> None:
    [main] = facts(stage).providers
    assert (main["name"], main["targets"], main["did_tls_at"]) == ("main", [], NOW - 60)


def test_no_page_looks_at_every_peer_that_is_remembered(stage: PageStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be thousands of phones among them, and calls wait meanwhile."""
    monkeypatch.setattr(stage.inspection, "peers", lambda: pytest.fail("it looks at every peer"))
    assert [one["name"] for one in facts(stage).providers] == ["main"]


def test_a_target_says_how_it_stands(stage: PageStage, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = RecordingFlow(PROVIDER, Address("192.0.2.1", 5061))
    up = standing(answered=0.0, changed=0.0, flow=flow)
    down = standing(is_up=False, answered=0.0, changed=0.0, why="it refuses connections", flow=flow)
    unasked = standing(flow=flow)
    health = stage.gathering.watched.health
    monkeypatch.setattr(health, "looked_at", lambda provider: [up, down, unasked])
    [main] = facts(stage).providers
    told = [(one["is_up"], one["why"], one["since"]) for one in main["targets"]]  # type: ignore[union-attr,index,call-overload]
    assert told == [(True, "", NOW), (False, "it refuses connections", NOW), (None, "", None)]


def test_a_name_that_leads_nowhere_is_a_target_that_is_down(stage: PageStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.gathering.watched.health, "lost", lambda: {"main"})
    [main] = facts(stage).providers
    [target] = main["targets"]  # type: ignore[misc,str-unpack]
    assert (target["is_up"], target["why"]) == (False, "DNS knows no way to it")  # type: ignore[call-overload,index]


def test_many_readers_ask_the_file_once(stage: PageStage) -> None:
    asked = []
    lists, ask = stage.inspection.lists, stage.inspection.lists.statistics

    def statistics() -> Deferred[Statistics]:
        asked.append(1)
        return succeed(got(ask()))

    lists.statistics = statistics  # type: ignore[method-assign]
    timers = stage.gathering.clock.timers
    assert isinstance(timers, Clock)
    for _ in range(5):
        facts(stage)
    timers.advance(KEPT_SECONDS + 0.1)
    facts(stage)
    assert len(asked) == 2
