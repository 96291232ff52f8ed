"""Probes of providers that are made by themselves: when, kept over a start, compared, and told of where worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred

from gateway.b2bua.probe.jobs.expectations import Change, VerdictsSoFar, expected_of, judged
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeOrder
from gateway.b2bua.probe.jobs.regular_probes import CONFIRM_SECONDS, RegularProbes
from gateway.b2bua.probe.probes import Probes
from gateway.config.model import Security
from gateway.observe.events import EventName, GatewayEvent
from gateway.security.policy.peer_memory import Peer, Sightings
from gateway.state.table import KeptTable, Value
from tests.support.direct_database import DirectDatabase, got
from tests.support.matrix_world import PROVIDERS, World
from tests.support.probe_world import Probing

NOW = 1_790_000_000.0
DAY = 86_400.0
NAMES = (EventName.POSTURE_PROBE_CHANGED, EventName.POSTURE_PROBE_BETTER)


class Place:
    """The regular probes of a world, whose provider was seen to do SRTP."""

    def __init__(self, directory: Path, hours: int = 24) -> None:
        self.directory = directory
        self.world = World(directory, PROVIDERS["TLS and SRTP"], Security.PREFERRED)
        self.memory = self.world.ladder.memory
        configuration = self.world.ladder.configuration
        self.provider = attrs.evolve(configuration.providers[0], probe_hours=hours)
        self.memory.recall([(Peer.of(self.provider), Sightings(did_tls_at=NOW, did_srtp_at=NOW))])
        self.probing = Probing(self.world)
        self.events = self.world.ladder.metrics.events
        self.told: list[GatewayEvent] = []
        self.events.subscribe(lambda _, event: self.told.append(event) if event.name in NAMES else None)
        self.wall = NOW
        self.start()

    def start(self) -> None:
        """A process starts."""
        self.probes = Probes(self.probing.around, self.world.ladder.metrics, self.directory)
        self.database = DirectDatabase(self.directory / "probes.sqlite")
        self.table = KeptTable(self.directory / "probes.sqlite", self.database, self.world.network)
        self.regular = RegularProbes(self.probes, self.table, self.events, lambda: (self.provider,), lambda: self.wall)
        rows: list[tuple[str, Value]] = got(self.table.latest(100))
        self.regular.recall(rows)

    def look(self, after: float = 0.0) -> int:
        """Look after some time; how many probes were made."""
        self.wall += after
        before = len(self.regular.latest("", 100))
        done: list[Any] = []
        Deferred.fromCoroutine(self.regular.look()).addBoth(done.append)
        for _ in range(200):
            self.world.network.settle()
            if done:
                break
            self.world.network.advance(0.2)
        assert done == [None]
        self.world.network.pass_time(11)  # the rate of probes
        return len(self.regular.latest("", 100)) - before

    def becomes(self, name: str) -> None:
        self.world.becomes(PROVIDERS[name])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_provider_is_probed_each_so_many_hours_and_called_never(place: Place) -> None:
    assert place.look() == 1
    assert (place.look(60), place.look(DAY - 120), place.look(60)) == (0, 0, 1)
    assert place.look(-3 * DAY) == 1, "a clock that was set back delays nothing"
    assert place.world.provider_exchange is None
    (first, *_) = place.regular.latest("main", 1)
    assert first.verdicts == {"example.com, preferred": "ENCRYPTED_TO_PROVIDER"}
    assert place.told == []


def test_the_latest_result_and_its_time_are_figures_that_outlive_a_start(place: Place) -> None:
    def figures() -> dict[tuple[str, ...], float]:
        return {(row.name, *labels): figure for row, labels, figure in place.regular.figures()}

    result, time = "gateway_regular_probe_result", "gateway_regular_probe_time_seconds"
    assert figures() == {(result, "main", one): 0.0 for one in ("as_wanted", "not", "unknown", "failed")}
    place.look()
    (past,) = place.regular.latest("main", 1)
    seen = figures()
    assert {key[2]: one for key, one in seen.items() if key[0] == result and one} == {past.result: 1.0}
    assert seen[time, "main"] == past.at == place.wall
    place.database.close()
    place.start()
    assert figures() == seen
    place.provider = attrs.evolve(place.provider, probe_hours=0)
    assert figures() == {}


def test_without_hours_none_is_made(tmp_path: Path) -> None:
    assert Place(tmp_path, hours=0).look(DAY) == 0


def test_a_worse_verdict_is_looked_at_again_and_then_told_once(place: Place) -> None:
    place.look()
    place.becomes("certificate expired")
    assert (place.look(DAY), place.told) == (1, [])
    assert place.look(CONFIRM_SECONDS - 1) == 0
    assert place.look(1) == 1
    (event,) = place.told
    assert (event.name, event.who) == (EventName.POSTURE_PROBE_CHANGED, "main")
    assert event.fields["domains"] == "example.com, preferred: REFUSED (before: ENCRYPTED_TO_PROVIDER)"
    assert (place.look(CONFIRM_SECONDS), place.look(DAY)) == (0, 1)
    assert len(place.told) == 1
    place.becomes("TLS and SRTP")
    place.look(DAY)
    assert [one.name for one in place.told] == [*NAMES]


def test_a_fault_that_has_gone_ten_minutes_later_is_not_told(place: Place) -> None:
    place.look()
    place.becomes("TLS port refuses")
    place.look(DAY)
    place.becomes("TLS and SRTP")
    place.look(CONFIRM_SECONDS)
    assert [one.change for one in place.regular.latest("main", 9)] == ["none", "doubted", "none"]
    assert place.told == []


def test_the_verdicts_of_before_outlive_the_process(place: Place) -> None:
    place.look()
    place.becomes("certificate expired")
    place.look(DAY)
    place.table.put("another version", NOW, {"provider": "main", "verdicts": {}, "counted": {}, "at": "x"})
    place.world.network.advance(1)
    place.database.close()
    place.start()
    assert len(place.regular.latest("main", 9)) == 2
    assert place.look(60) == 0, "a start is no reason to probe"
    place.look(CONFIRM_SECONDS)
    assert [one.name for one in place.told] == [EventName.POSTURE_PROBE_CHANGED]


def test_an_operators_probe_of_a_moment_ago_puts_it_off(place: Place) -> None:
    place.probes.begin(ProbeOrder(ProbeKind.PROVIDER, "main", is_full=True))
    done: list[Any] = []
    Deferred.fromCoroutine(place.regular.look()).addBoth(done.append)
    assert done == [None]
    place.world.network.pass_time(60)
    assert place.look() == 1


def test_a_probe_that_ends_with_the_gateway_is_not_kept(place: Place) -> None:
    Deferred.fromCoroutine(place.regular.look())
    place.regular.stop()
    place.probes.stop()
    assert place.regular.latest("", 9) == []
    assert place.look(DAY) == 0


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (None, {"d": "CLEAR"}, Change.NONE),
        (VerdictsSoFar({"d": "ENCRYPTED_TO_PROVIDER"}), {"d": "ENCRYPTED"}, Change.NONE),
        (VerdictsSoFar({"d": "ENCRYPTED_TO_PROVIDER"}), {"d": "SIGNALLING_ONLY"}, Change.DOUBTED),
        (VerdictsSoFar({"d": "CLEAR"}, is_doubted=True), {"d": "UNANSWERED"}, Change.WORSE),
        (VerdictsSoFar({"d": "CLEAR"}), {"d": "SIGNALLING_ONLY"}, Change.BETTER),
        (VerdictsSoFar({"d": "ENCRYPTED_TO_PROVIDER"}), {}, Change.NONE),
        (VerdictsSoFar({"d": "ENCRYPTED_TO_PROVIDER"}), {"other": "CLEAR"}, Change.NONE),
    ],
)
def test_verdicts_are_compared(before: VerdictsSoFar | None, now: dict[str, str], change: Change) -> None:
    assert judged(before, now)[0] is change


def test_a_provider_without_domains_is_judged_by_the_policy_preferred() -> None:
    row = {"policy": "preferred", "prediction": {"verdict": "CLEAR"}}
    assert expected_of({"domains": (), "rows": (row, {**row, "policy": "off"})}) == {"preferred": "CLEAR"}
    assert expected_of({"domains": (), "rows": ({**row, "prediction": {"verdict": ""}},)}) == {}
