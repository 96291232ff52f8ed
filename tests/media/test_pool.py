"""The pool: which node a call goes to, what happens when one is gone, what it counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.ng import REFUSED_AGAIN
from gateway.media.node import LIST_LIMIT, QUERIES, WORKER_LIST_LIMIT, Node
from gateway.media.pool import PING_SECONDS, POLL_SECONDS, RETURN_SECONDS, RelayPool
from gateway.media.pulse import PING_WAITS
from gateway.media.relay import JSON, Encryption, RelayFailure, SdpSource, SdpWish
from gateway.media.worker_process import WorkerOptions, WorkerProcess
from gateway.observe.metrics import Metrics
from tests.support.media_nodes import Wire

T = TypeVar("T")
TERMS = SdpWish(Side.PROVIDER, Encryption.SAVP, ("AEAD_AES_128_GCM",))
SDP = b"v=0\r\n"


class StillWorker(WorkerProcess):
    """A worker process that is only said to live or to die."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, None, WorkerOptions(Path("/nowhere"), ("127.0.0.1",), 2, 3))  # type: ignore[arg-type]
        self.checks = 0
        self.own_pid: int | None = None
        self.looks = 0
        self.is_stopped = False

    @property
    def pid(self) -> int | None:
        """None: found running."""
        return self.own_pid

    @property
    def is_alive(self) -> bool:
        return True

    def cannot_answer(self) -> bool:
        """As the kernel says."""
        self.looks += 1
        return self.is_stopped

    def start(self, died: Callable[[], None]) -> None:
        """It runs already."""
        self.died = died

    def check(self) -> None:
        self.checks += 1

    def stop(self) -> None:
        """It goes on."""


class Scene:
    """Two nodes and the pool over them."""

    def __init__(self, are_workers: bool = True) -> None:
        self.clock = Clock()
        self.wires = [Wire(self.clock), Wire(self.clock)]
        self.workers = [StillWorker(self.clock), StillWorker(self.clock)]
        self.nodes = [
            Node(f"node {index}", wire.client, self.workers[index] if are_workers else None)
            for index, wire in enumerate(self.wires)
        ]
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.pool = RelayPool(self.clock, self.nodes, self.metrics)
        self.lost: list[tuple[str, ...]] = []
        self.ended: list[tuple[str, ...]] = []
        self.in_clear: list[tuple[str, ...]] = []
        self.mismatched: list[tuple[str, ...]] = []
        self.reports: list[Deferred[dict[str, JSON]]] | None = None
        """Of calls that a relay ended, where the test wants them."""

    def media_lost(self, calls: tuple[str, ...]) -> None:
        self.lost.append(calls)

    def media_ended(self, calls: tuple[str, ...]) -> None:
        self.ended.append(calls)
        if self.reports is not None:
            self.reports.extend(map(self.pool.delete, calls))

    def media_mismatched(self, calls: tuple[str, ...]) -> None:
        self.mismatched.append(calls)

    def media_in_clear(self, calls: tuple[str, ...]) -> None:
        self.in_clear.append(calls)

    def started(self, *found: list[JSON]) -> Scene:
        """Both nodes answer; `found` are the calls at each."""
        waiting = self.pool.start(self)
        for wire, calls in zip(self.wires, found or ([], []), strict=True):
            wire.answer("list", calls=calls)
        assert result(waiting) is None
        return self

    def offered(self, call: str) -> int:
        """Which node the call's offer went to; it is answered."""
        waiting = self.pool.offer(call, "caller", SDP, TERMS)
        index = next(index for index, wire in enumerate(self.wires) if "offer" in wire.commands())
        self.wires[index].answer("offer", sdp="v=0\r\nours")
        assert result(waiting) == b"v=0\r\nours"
        return index

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def samples(self, name: str) -> list[Sample]:
        """All of that name."""
        return [one for family in self.registry.collect() for one in family.samples if one.name == name]


def result(waiting: Deferred[T]) -> T:
    found: list[T | Failure] = []
    waiting.addBoth(found.append)
    assert found, "nothing yet"
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


def up(scene: Scene) -> list[bool]:
    return [node.is_up for node in scene.nodes]


def answer_all(wire: Wire) -> None:
    """Reply to every question about the node itself."""
    for command in ("ping", "list", "statistics"):
        if command in wire.commands():
            wire.answer(command, calls=[])


def test_calls_are_spread_and_stay_on_their_node() -> None:
    scene = Scene().started()
    assert [scene.offered(f"c{number}") for number in range(4)] == [0, 1, 0, 1]
    assert scene.offered("c1") == 1
    waiting = scene.pool.answer("c2", "caller", "callee", SDP)
    scene.wires[0].answer("answer", sdp="v=0\r\n")
    assert result(waiting) == SDP


def test_weights_are_respected() -> None:
    scene = Scene().started()
    scene.nodes[0].weight = 3
    places = [scene.offered(f"c{number}") for number in range(8)]
    assert places.count(0) == 6


def test_deleted_calls_make_room() -> None:
    scene = Scene().started()
    scene.offered("c0")
    waiting = scene.pool.delete("c0")
    assert scene.wires[0].answer("delete", totals={})["call-id"] == "c0"
    assert result(waiting)["totals"] == {}
    assert scene.pool.calls == ()
    assert scene.offered("c1") == 0
    assert result(scene.pool.delete("unknown")) == {}


def test_start_fails_when_nobody_answers_and_names_the_nodes() -> None:
    scene = Scene()
    waiting = scene.pool.start(scene)
    waiting.addErrback(lambda failure: failure.trap(RelayFailure) and failure.getErrorMessage())
    scene.clock.pump([0.25] * 60)
    assert "node 0, node 1" in str(result(waiting))


def test_a_worker_that_is_slow_to_start_is_waited_for_and_one_that_hangs_is_looked_at() -> None:
    scene = Scene()
    waiting = scene.pool.start(scene)
    scene.clock.pump([0.25] * 30)
    assert [worker.checks for worker in scene.workers] == [2, 2], "found running, and silent"
    for wire in scene.wires:
        wire.answer("list", calls=[])
    assert result(waiting) is None


def test_a_worker_that_was_started_from_here_is_asked_in_short_steps_and_for_as_long() -> None:
    scene = Scene()
    scene.workers[0].own_pid = 4711
    waiting = scene.pool.start(scene)
    scene.clock.pump([0.01] * 100)
    own, found = (wire.commands().count("list") for wire in scene.wires)
    assert (own, found) == (20, 3), "copies in the first second"
    waiting.addErrback(lambda failure: failure.trap(RelayFailure) and failure.getErrorMessage())
    scene.clock.pump([0.05] * 275)
    assert waiting.called is False, "five questions of three seconds each"
    scene.clock.pump([0.05] * 30)
    assert "node 0, node 1" in str(result(waiting))


def test_a_worker_that_was_started_again_is_pinged_in_short_steps() -> None:
    scene = Scene().started()
    scene.workers[0].died()
    scene.workers[0].own_pid = 4711
    scene.clock.advance(PING_SECONDS)
    scene.clock.pump([0.05] * 10)
    assert scene.wires[0].commands().count("ping") == 11, "at once, and each 50 ms of half a second"
    scene.wires[0].answer("ping", result="pong")
    assert scene.nodes[0].is_up


def test_start_succeeds_with_one_node_and_uses_the_other_when_it_comes() -> None:
    scene = Scene()
    waiting = scene.pool.start(scene)
    scene.wires[0].answer("list", calls=[])
    scene.clock.pump([0.25] * 60)
    assert result(waiting) is None
    assert [scene.offered("c1"), scene.offered("c2")] == [0, 0]
    scene.clock.advance(PING_SECONDS)
    scene.wires[1].answer("ping", result="pong")
    assert scene.offered("c3") == 1


def test_calls_found_at_workers_are_adopted_and_those_of_rtpengine_are_not() -> None:
    scene = Scene().started(["old"], [])
    assert scene.pool.calls == ("old",)
    waiting = scene.pool.query("old")
    scene.wires[0].answer("query", tags={})
    assert result(waiting)["tags"] == {}
    assert Scene(are_workers=False).started(["another's"], []).pool.calls == ()


def test_a_dead_worker_loses_its_calls_at_once_and_only_those() -> None:
    scene = Scene().started()
    for number in range(4):
        scene.offered(f"c{number}")
    scene.workers[0].died()
    (lost,) = scene.lost
    assert set(lost) == {"c0", "c2"}
    assert set(scene.pool.calls) == {"c1", "c3"}
    assert scene.offered("c4") == 1
    assert scene.offered("c0") == 1
    scene.clock.advance(PING_SECONDS)
    scene.wires[0].answer("ping", result="pong")
    assert scene.offered("c5") == 0
    assert scene.sample("gateway_worker_restarts_total") == 1


def test_calls_of_the_last_worker_wait_for_it_to_be_started_again() -> None:
    scene = Scene().started()
    for number in range(3):
        scene.offered(f"c{number}")
    scene.workers[1].died()
    assert scene.lost == [("c1",)], "the other takes it"
    scene.workers[0].died()
    assert scene.lost == [("c1",)], "none could take them now"
    scene.clock.advance(PING_SECONDS)
    scene.wires[0].answer("ping", result="pong")
    assert set(scene.lost[1]) == {"c0", "c2"}
    scene.clock.advance(2 * RETURN_SECONDS)
    assert len(scene.lost) == 2


def test_calls_of_the_last_worker_do_not_wait_for_ever() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.workers[1].died()
    scene.workers[0].died()
    scene.clock.advance(RETURN_SECONDS)
    assert scene.lost == [("c0",)]


def test_a_pool_that_stops_waits_for_no_worker() -> None:
    scene = Scene().started()
    scene.offered("c0")
    for worker in reversed(scene.workers):
        worker.died()
    scene.pool.stop()
    scene.clock.advance(2 * RETURN_SECONDS)
    assert scene.lost == []


@pytest.mark.parametrize(("are_workers", "seconds"), [(True, 2.1), (False, 4.1)])
def test_a_silent_node_is_down_soon(are_workers: bool, seconds: float) -> None:
    scene = Scene(are_workers).started()
    scene.offered("c0")
    for _ in range(round(seconds / 0.1)):
        scene.clock.advance(0.1)
        answer_all(scene.wires[1])
    assert scene.lost == [("c0",)]
    assert not scene.nodes[0].is_up
    assert (scene.workers[0].checks > 0) is are_workers
    assert scene.offered("c1") == 1


def test_a_worker_that_was_stopped_is_down_after_the_first_copy_without_an_answer() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.workers[0].is_stopped = True
    scene.clock.advance(PING_SECONDS)
    answer_all(scene.wires[1])
    scene.clock.advance(PING_WAITS[0] - 0.01)
    assert (scene.lost, scene.workers[0].looks) == ([], 0), "an answer in time costs no look"
    scene.clock.advance(0.02)
    assert (scene.lost, scene.workers[0].checks) == ([("c0",)], 1)
    assert not scene.nodes[0].is_up
    assert scene.workers[1].looks == 0
    assert scene.offered("c1") == 1


def test_a_worker_that_waits_for_its_turn_is_looked_at_and_borne() -> None:
    """On a machine that is busy; its answer to the last copy of the ping is soon enough."""
    scene = Scene().started()
    scene.offered("c0")
    scene.clock.advance(PING_SECONDS)
    for wait in PING_WAITS[:-1]:
        scene.clock.advance(wait)
        answer_all(scene.wires[1])
    assert scene.workers[0].looks == len(PING_WAITS) - 1
    answer_all(scene.wires[0])
    scene.clock.advance(1)
    assert (scene.lost, scene.workers[0].checks) == ([], 0)


def test_a_worker_that_was_stopped_after_it_answered_something_else_is_found_all_the_same() -> None:
    scene = Scene().started()
    scene.clock.advance(PING_SECONDS)
    scene.offered("c0")
    scene.workers[0].is_stopped = True
    scene.clock.advance(PING_WAITS[0])
    assert scene.lost == [("c0",)]


def test_a_worker_that_ended_while_it_was_pinged_leaves_the_next_one_its_time() -> None:
    scene = Scene().started()
    scene.clock.advance(PING_SECONDS)
    scene.workers[0].died()
    for _ in range(30):
        scene.clock.advance(0.1)
        answer_all(scene.wires[1])
    assert scene.workers[0].checks == 0


def test_an_rtpengine_that_ended_is_down_at_once() -> None:
    """Its port is closed, as ICMP tells (RFC 1122 section 4.1.3.3)."""
    scene = Scene(are_workers=False).started()
    for call in ("c0", "c1"):
        scene.offered(call)
    scene.clock.advance(PING_SECONDS)
    answer_all(scene.wires[1])
    scene.wires[0].client.connectionRefused()
    new = scene.pool.offer("c2", "caller", SDP, TERMS)
    scene.clock.advance(REFUSED_AGAIN)
    assert scene.lost == []
    scene.wires[0].client.connectionRefused()
    scene.clock.advance(0)
    assert scene.lost == [("c0",)]
    assert up(scene) == [False, True]
    scene.wires[1].answer("offer", sdp="v=0\r\nours")
    assert result(new) == b"v=0\r\nours", "a call that was on its way there goes to the other"
    scene.wires[0].sent.clear()
    for _ in range(20):
        scene.clock.advance(0.1)
        scene.wires[0].client.connectionRefused()
        answer_all(scene.wires[1])
    assert scene.wires[0].commands().count("statistics") >= 6, "asked every quarter of a second until it is back"
    scene.wires[0].answer("statistics")
    assert up(scene) == [True, True]
    assert scene.lost == [("c0",)]


def test_a_call_whose_first_offer_was_on_its_way_to_a_worker_that_ended_begins_at_another() -> None:
    scene = Scene().started()
    new = scene.pool.offer("c0", "caller", SDP, TERMS)
    scene.workers[0].died()
    assert scene.lost == []
    scene.wires[1].answer("offer", sdp="v=0\r\nours")
    assert result(new) == b"v=0\r\nours"
    last = scene.pool.offer("c1", "caller", SDP, TERMS)
    scene.workers[1].died()
    last.addErrback(lambda failure: failure.trap(RelayFailure) and failure.getErrorMessage())
    assert str(result(last)) == "node 1 went down before it answered"
    assert scene.pool.calls == ()


def test_an_offer_that_its_call_gave_up_goes_nowhere_else() -> None:
    scene = Scene().started()
    new = scene.pool.offer("c0", "caller", SDP, TERMS)
    new.addErrback(lambda failure: failure.trap(CancelledError))
    new.cancel()
    scene.workers[0].died()
    assert "offer" not in scene.wires[1].commands()


def uptime(seconds: int) -> JSON:
    """The statistics of an rtpengine, as far as its process's age."""
    return {"totalstatistics": {"uptime": str(seconds)}}


def test_an_rtpengine_that_was_started_again_has_lost_its_calls_and_did_not_end_them() -> None:
    scene = Scene(are_workers=False).started()
    for call in ("c0", "c1"):
        scene.offered(call)
    for wire, age in zip(scene.wires, (500, 100), strict=True):
        scene.clock.advance(PING_SECONDS)
        wire.answer("statistics", statistics=uptime(age))
    for wire in scene.wires:
        scene.clock.advance(PING_SECONDS)
        wire.answer("statistics", statistics=uptime(1 if wire is scene.wires[0] else 101))
    assert (scene.lost, scene.ended) == ([("c0",)], [])
    assert scene.nodes[0].is_up
    assert scene.pool.calls == ("c1",)
    assert scene.sample("gateway_worker_restarts_total") == 0


def test_calls_of_the_only_rtpengine_wait_for_it_to_be_started_again() -> None:
    scene = Scene(are_workers=False)
    waiting = scene.pool.start(scene)
    scene.wires[0].answer("list", calls=[])
    scene.clock.pump([0.25] * 20)
    assert result(waiting) is None
    answer_all(scene.wires[0])
    scene.offered("c0")
    scene.clock.pump([0.1] * 45)
    assert (scene.nodes[0].is_up, scene.lost) == (False, [])
    for _ in range(5):
        scene.clock.advance(0.1)
        answer_all(scene.wires[0])
    assert scene.lost == [("c0",)]
    assert scene.nodes[0].is_up


def test_calls_of_an_rtpengine_are_not_looked_for_before_it_has_told_its_age() -> None:
    """The list of another process than before would have them ended, and not lost."""
    scene = Scene(are_workers=False).started()
    scene.offered("c0")
    scene.clock.advance(POLL_SECONDS)
    while "statistics" in scene.wires[0].commands():
        scene.wires[0].answer("statistics", result="error", **{"error-reason": "busy"})
    assert "list" not in scene.wires[0].commands()
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("statistics", statistics=uptime(500))
    assert "list" in scene.wires[0].commands()


def test_an_rtpengine_gets_no_keys_that_it_does_not_know() -> None:
    scene = Scene(are_workers=False).started()
    scene.pool.offer("c0", "caller", SDP, attrs.evolve(TERMS, is_urgent=True, is_repeated=True))
    asked = next(wire for wire in scene.wires if "offer" in wire.commands()).answer("offer", sdp="v=0\r\n")
    assert not ng_commands.WORKERS.intersection(asked)
    assert "from-tag" in asked


def test_a_worker_that_is_busy_does_not_hang() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.clock.advance(PING_SECONDS)
    waiting = [scene.pool.offer("c0", "caller", SDP, TERMS) for _ in range(4)]
    for _ in range(8):
        scene.clock.advance(0.5)
        offers = [sent for sent in scene.wires[0].sent if scene.wires[0].fields(sent)["command"] == "offer"]
        if offers:  # it answers one after the other, and the ping last
            scene.wires[0].reply(offers[0], sdp="v=0\r\n")
            scene.wires[0].sent.remove(offers[0])
        answer_all(scene.wires[1])
    assert [scene.workers[0].checks, scene.lost] == [0, []]
    for one in waiting:
        one.addErrback(lambda failure: None)


def test_a_worker_that_starts_slowly_is_not_killed_for_it() -> None:
    scene = Scene().started()
    scene.workers[0].died()
    for _ in range(60):
        scene.clock.advance(0.1)
        answer_all(scene.wires[1])
    assert scene.workers[0].checks == 0
    for _ in range(10):
        scene.clock.advance(0.1)
        answer_all(scene.wires[0])
    assert scene.nodes[0].is_up


def test_a_pause_of_the_gateway_is_no_silence_of_a_worker() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.clock.advance(PING_SECONDS)
    scene.clock.advance(10)
    for wire in scene.wires:
        answer_all(wire)
    assert [scene.workers[0].checks, scene.lost] == [0, []]


def test_calls_that_the_relay_ended_are_told_apart() -> None:
    scene = Scene().started()
    for call in ("c0", "c1", "c2"):
        scene.offered(call)
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("list", calls=["c2"])
    scene.wires[1].answer("list", calls=["c1"])
    assert (scene.lost, scene.ended) == ([], [("c0",)])


def test_a_call_offered_while_the_list_was_on_its_way_is_not_lost() -> None:
    scene = Scene().started()
    scene.clock.advance(POLL_SECONDS)
    scene.offered("c0")
    scene.wires[0].answer("list", calls=[])
    assert scene.lost == []


def test_packets_are_counted_by_direction_and_over_a_restart() -> None:
    scene = Scene().started()
    for totals in ((10, 5), (30, 5), (4, 1)):
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("ping", result="pong")
        relayed: JSON = {"to_provider": totals[0], "to_phone": totals[1], "errors": 7}
        scene.wires[0].answer("statistics", statistics={"totalstatistics": {"relayed": relayed}})
        if totals == (30, 5):
            scene.workers[0].died()
            scene.clock.advance(PING_SECONDS)
            scene.wires[0].answer("ping", result="pong")
    assert scene.sample("gateway_relayed_packets_total", direction="to_provider") == 34
    assert scene.sample("gateway_relayed_packets_total", direction="to_phone") == 6


def test_packets_that_went_no_further_are_counted_by_side_and_cause() -> None:
    scene = Scene().started()
    for number in (3, 5):
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("ping", result="pong")
        failed: JSON = {
            "phones": {"wrong_source": number},
            "provider": {"authentication": 1, "of a later version": 2, "unread": 2, "early": "many"},
            "elsewhere": {"replay": 9},
        }
        scene.wires[0].answer("statistics", statistics={"failed": failed})
    name = "gateway_failed_packets_total"
    assert scene.sample(name, side="phones", cause="wrong_source") == 5
    assert scene.sample(name, side="provider", cause="authentication") == 1
    assert scene.sample(name, side="provider", cause="other") == 4
    assert {sample.labels["side"] for sample in scene.samples(name)} == {"phones", "provider"}


def test_the_processes_of_workers_are_told_of_at_a_scrape() -> None:
    scene = Scene().started()
    scene.clock.advance(POLL_SECONDS)
    for wire, cpu in zip(scene.wires, (1.5, 2), strict=True):
        wire.answer("ping", result="pong")
        wire.answer("statistics", statistics={"process": {"cpu": cpu, "resident": 4096}})
    used = [scene.sample("gateway_worker_cpu_seconds_total", worker=number) for number in ("0", "1")]
    assert used == [1.5, 2.0]
    assert scene.sample("gateway_worker_resident_memory_bytes", worker="0") == 4096
    scene.workers[0].died()
    assert scene.sample("gateway_worker_cpu_seconds_total", worker="0") is None


def test_ports_of_each_relay_are_told_of_at_a_scrape_and_those_of_an_address_once() -> None:
    scene = Scene().started()
    ports: JSON = {"min": 30_000, "max": 30_099, "used": 8, "silent": 4, "free": 88, "last": 7}
    at: list[JSON] = [{"name": name, "address": "192.0.2.1", "ports": ports} for name in ("phones", "provider")]
    at.append({"name": "far", "address": "192.0.2.2", "ports": {"used": 2, "free": "many"}})
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("ping", result="pong")
    scene.wires[0].answer("statistics", statistics={"interfaces": at})
    told = {(one.labels["relay"], one.labels["state"]): one.value for one in scene.samples("gateway_media_ports")}
    assert told == {("worker 0", "used"): 10, ("worker 0", "silent"): 4, ("worker 0", "free"): 88}


@pytest.mark.parametrize("said", [None, 7, {"process": 7, "failed": []}, {"process": {"cpu": "much"}}])
def test_statistics_that_say_something_else_say_nothing(said: JSON) -> None:
    scene = Scene().started()
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("statistics", statistics=said)
    assert scene.samples("gateway_worker_cpu_seconds_total") == []


def test_packets_of_rtpengine_are_counted_from_now_on_and_over_a_restart() -> None:
    scene = Scene(are_workers=False).started()
    for total in (1_000, 1_030, 1_030, 4):
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("statistics", statistics={"totalstatistics": {"relayedpackets": total}})
        scene.wires[0].answer("list", calls=[])
    assert scene.sample("gateway_relayed_packets_total", direction="both") == 34


def test_quality_is_observed_when_a_call_ends() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.pool.delete("c0")
    audio: JSON = {"type": "audio", "streams": [{"MOS": 4.2}]}
    scene.wires[0].answer("delete", tags={"caller": {"side": "phones", "medias": [audio]}})
    assert scene.sample("gateway_media_mos_sum", direction="to_provider") == 4.2


def test_quality_of_a_call_that_the_worker_ended_is_observed_too() -> None:
    scene = Scene().started()
    scene.offered("c0")
    reports: list[Deferred[dict[str, JSON]]] = []
    scene.reports = reports
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("list", calls=[])
    audio: JSON = {"type": "audio", "streams": [{"MOS": 3.5}]}
    scene.wires[0].answer("delete", tags={"caller": {"side": "phones", "medias": [audio]}})
    assert "tags" in result(reports[0]), "and its record has it"
    assert scene.sample("gateway_media_mos_sum", direction="to_provider") == 3.5
    assert (scene.pool.calls, scene.nodes[0].calls) == ((), set())


def test_a_call_that_the_worker_ended_and_nobody_here_knows_is_deleted() -> None:
    scene = Scene().started(["left over"], [])
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("list", calls=[])
    assert scene.wires[0].answer("delete")["call-id"] == "left over"
    assert scene.pool.calls == ()


def test_an_rtpengine_is_asked_about_a_call_before_it_is_deleted() -> None:
    scene = Scene(are_workers=False).started()
    scene.offered("c0")
    waiting = scene.pool.delete("c0")
    assert "delete" not in scene.wires[0].commands()
    tags: dict[str, JSON] = {
        tag: {"medias": [{"type": "audio", "streams": [{"SSRC": ssrc}]}], "subscribers": [{"tag": hearer}]}
        for tag, ssrc, hearer in (("caller", 7, "callee"), ("callee", 8, "caller"))
    }
    scene.wires[0].answer("query", tags=tags, SSRC={"8": {"average MOS": {"MOS": 43}}})
    assert scene.wires[0].answer("delete")["call-id"] == "c0"
    assert "tags" in result(waiting)
    assert scene.sample("gateway_media_mos_sum", direction="to_provider") == pytest.approx(4.3)


def test_a_call_that_the_rtpengine_does_not_know_is_deleted_all_the_same() -> None:
    scene = Scene(are_workers=False).started()
    scene.offered("c0")
    waiting = scene.pool.delete("c0")
    scene.wires[0].answer("query", result="error", **{"error-reason": "Unknown call-id"})
    scene.wires[0].answer("delete")
    assert result(waiting) == {}


def test_failed_first_offer_leaves_nothing() -> None:
    scene = Scene().started()
    waiting = scene.pool.offer("c0", "caller", SDP, TERMS)
    scene.wires[0].answer("offer", result="error", **{"error-reason": "Failed to parse SDP"})
    with pytest.raises(RelayFailure, match="parse"):
        result(waiting)
    assert scene.pool.calls == ()
    assert "delete" in scene.wires[0].commands()
    assert "offer" not in scene.wires[1].commands()


def test_a_node_in_trouble_passes_a_new_call_on() -> None:
    scene = Scene().started()
    waiting = scene.pool.offer("c0", "caller", SDP, TERMS)
    scene.wires[0].answer("offer", result="error", **{"error-reason": "Ran out of ports"})
    assert scene.wires[0].answer("delete")["call-id"] == "c0"
    scene.wires[1].answer("offer", sdp="v=0\r\n")
    assert result(waiting) == SDP
    assert (scene.nodes[0].calls, scene.nodes[1].calls) == (set(), {"c0"})


def test_when_every_node_is_in_trouble_the_last_one_says_why() -> None:
    scene = Scene().started()
    waiting = scene.pool.offer("c0", "caller", SDP, TERMS)
    for wire in scene.wires:
        wire.answer("offer", result="error", **{"error-reason": "Ran out of ports"})
    with pytest.raises(RelayFailure, match="Ran out of ports"):
        result(waiting)
    assert scene.pool.calls == ()


def test_a_call_that_ended_meanwhile_is_not_passed_on() -> None:
    scene = Scene().started()
    waiting = scene.pool.offer("c0", "caller", SDP, TERMS)
    scene.pool.delete("c0")
    scene.wires[0].answer("offer", result="error", **{"error-reason": "Ran out of ports"})
    with pytest.raises(RelayFailure):
        result(waiting)
    assert "offer" not in scene.wires[1].commands()


@pytest.mark.parametrize("are_workers", [True, False])
def test_calls_that_a_list_cut_short_leaves_out_are_asked_about(are_workers: bool) -> None:
    scene = Scene(are_workers).started()
    scene.offered("c0")
    scene.offered("c1")
    for call in ("c2", "c3"):
        scene.pool.offer(call, "caller", SDP, TERMS)
    scene.wires[0].answer("offer", sdp="v=0\r\n")
    full: list[JSON] = [f"another {number}" for number in range(WORKER_LIST_LIMIT if are_workers else LIST_LIMIT)]
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("statistics")
    scene.wires[0].answer("list", calls=full)
    queries = [scene.wires[0].fields(sent) for sent in scene.wires[0].sent if b"query" in sent]
    assert [query["call-id"] for query in queries] == ["c0", "c2"]
    scene.wires[0].answer("query", result="error", **{"error-reason": "Unknown call-id"})
    assert sorted(scene.ended) == [("c0",), ("c2",)]
    assert set(scene.pool.calls) == {"c1", "c3"}


def test_rfc3711_section_9_2_calls_with_rtcp_in_clear_are_told_once_while_they_are_up() -> None:
    scene = Scene().started()
    scene.offered("c0")
    replies: list[list[JSON]] = [[], ["c0", "another's", 7], ["c0"]]
    for told in replies:
        in_clear: dict[str, JSON] = {"in clear": told}
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("list", calls=["c0"], **in_clear)
    assert scene.in_clear == [("c0",)]
    scene.pool.delete("c0")
    scene.offered("c0")
    scene.clock.advance(POLL_SECONDS)
    scene.wires[0].answer("list", calls=["c0"], **in_clear)
    assert scene.in_clear == [("c0",), ("c0",)]


def test_rfc5763_section_5_a_certificate_that_is_not_the_one_of_the_sdp_is_told_at_the_next_ping() -> None:
    scene = Scene().started()
    scene.offered("c0")
    for told in ([], ["c0", "another's", 7], ["c0"]):
        mismatched: dict[str, JSON] = {} if not told else {"mismatched": [*told]}
        scene.clock.advance(PING_SECONDS)
        scene.wires[0].answer("ping", result="pong", **mismatched)
    assert scene.mismatched == [("c0",)]
    assert not scene.in_clear


def test_a_workers_counts_of_browsers_are_metrics() -> None:
    scene = Scene().started()
    counted: JSON = {"checks": {"ok": 7, "wrong": 2, "of another version": 1}, "handshakes": {"up": 1}}
    for _ in range(2):
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("statistics", statistics={"web": counted})
    value = scene.registry.get_sample_value
    assert value("gateway_ice_checks_total", {"result": "ok"}) == 7
    assert value("gateway_ice_checks_total", {"result": "wrong"}) == 2
    assert value("gateway_ice_checks_total", {"result": "of another version"}) is None
    assert value("gateway_dtls_handshakes_total", {"result": "up"}) == 1


def test_an_rtpengine_is_told_which_side_is_a_browser() -> None:
    scene = Scene(are_workers=False).started()
    browsers = SDP + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ssrc:1 cname:x\r\na=extmap:1 urn:x\r\na=fingerprint:x\r\n"
    waiting = scene.pool.offer("c", "caller", browsers, TERMS, None, SdpSource("192.0.2.1"))
    asked = scene.wires[0].fields(scene.wires[0].sent[-1])
    assert (asked["DTLS-reverse"], asked["ICE-lite"], asked["ICE"]) == ("passive", "backward", "remove")
    assert "flags" not in asked  # ICE finds the browser: it is held to no address
    assert "ssrc" not in asked["sdp"]
    assert "extmap" not in asked["sdp"]
    assert "fingerprint" in asked["sdp"]
    scene.wires[0].answer("offer", sdp="v=0\r\n")
    result(waiting)
    answered = scene.pool.answer("c", "caller", "callee", SDP)
    asked = scene.wires[0].fields(scene.wires[0].sent[-1])
    assert (asked["DTLS"], asked["ICE"]) == ("passive", "force")
    scene.wires[0].answer("answer", sdp="v=0\r\n")
    result(answered)
    scene.pool.offer("c", "callee", SDP, attrs.evolve(TERMS, encryption=Encryption.DTLS), "caller")
    asked = scene.wires[0].fields(scene.wires[0].sent[-1])
    assert (asked["DTLS"], asked["ICE"], asked["ICE-lite"]) == ("passive", "force", "forward")
    scene.wires[0].answer("offer", sdp="v=0\r\n")
    scene.pool.answer("c", "callee", "caller", browsers)
    asked = scene.wires[0].fields(scene.wires[0].sent[-1])
    assert (asked["DTLS"], asked["ICE"]) == ("off", "remove")


def test_of_many_calls_some_are_asked_about_at_each_poll_and_silence_ends_none() -> None:
    scene = Scene(are_workers=False).started()
    scene.nodes[0].weight = 1_000_000
    for number in range(QUERIES + 11):  # one goes to the other node
        scene.offered(f"c{number:03}")
    full: list[JSON] = [f"another {number}" for number in range(LIST_LIMIT)]
    for expected in (QUERIES, 10, QUERIES):
        scene.clock.advance(POLL_SECONDS)
        scene.wires[0].answer("statistics")
        scene.wires[0].answer("list", calls=full)
        assert scene.wires[0].commands().count("query") == expected
        scene.wires[0].answer("query", result="error", **{"error-reason": "busy"})
    assert scene.ended == []


def test_failed_later_offer_keeps_the_call() -> None:
    scene = Scene().started()
    scene.offered("c0")
    waiting = scene.pool.offer("c0", "callee", SDP, TERMS, "caller")
    scene.wires[0].answer("offer", result="error", **{"error-reason": "no"})
    with pytest.raises(RelayFailure):
        result(waiting)
    assert scene.pool.calls == ("c0",)


def test_a_call_without_media_cannot_be_answered_or_asked_about() -> None:
    scene = Scene().started()
    with pytest.raises(RelayFailure, match="no media"):
        result(scene.pool.answer("c", "a", "b", SDP))
    with pytest.raises(RelayFailure, match="no media"):
        result(scene.pool.query("c"))


def test_dual_is_for_workers() -> None:
    wish = SdpWish(Side.PROVIDER, Encryption.DUAL, ("AEAD_AES_128_GCM",))
    with pytest.raises(RelayFailure, match="savp or osrtp"):
        result(Scene(are_workers=False).started().pool.offer("c", "a", SDP, wish))


def test_stop_closes_the_sockets_and_leaves_no_timer() -> None:
    scene = Scene().started()
    scene.offered("c0")
    assert result(scene.pool.stop()) is None
    assert not any(wire.is_open for wire in scene.wires)
    assert not scene.clock.getDelayedCalls()
    with pytest.raises(RelayFailure, match="no media relay answers"):
        result(scene.pool.offer("c1", "caller", SDP, TERMS))


@pytest.mark.parametrize("are_workers", [True, False])
def test_an_answer_of_the_call_is_told_to_workers_alone(are_workers: bool) -> None:
    scene = Scene(are_workers).started()
    scene.offered("c0")
    scene.pool.confirm("c0")
    scene.pool.confirm("unknown")
    assert ("confirm" in scene.wires[0].commands()) is are_workers
    assert "confirm" not in scene.wires[1].commands()
    if are_workers:
        (datagram,) = (one for one in scene.wires[0].sent if b"confirm" in one)
        scene.wires[0].reply(datagram, result="error", **{"error-reason": "Unrecognized command"})
    assert scene.pool.calls == ("c0",), "a worker from before an upgrade does not know it"


def test_an_rtpengine_is_asked_to_keep_to_the_sdp_but_for_sides_that_are_heard_from_anywhere() -> None:
    clock = Clock()
    wire = Wire(clock)
    node = Node("n", wire.client, heard_from_anywhere=("phones",))
    wire.client.start()
    learning = ["strict-source", "endpoint-learning-heuristic"]
    asked = ng_commands.offer("c", "a", None, b"", TERMS)
    node.begin("c", asked)
    node.rewrite("c", asked)
    assert "flags" not in wire.answer("offer", sdp="")
    node.rewrite("c", ng_commands.answer("c", "a", "b", b""))
    assert wire.answer("answer", sdp="")["flags"] == learning
    node.rewrite("c", ng_commands.offer("c", "b", "a", b"", TERMS))
    assert wire.answer("offer", sdp="")["flags"] == learning
    node.rewrite("c", ng_commands.answer("c", "b", "a", b""))
    assert "flags" not in wire.answer("answer", sdp="")


def test_a_node_that_goes_down_is_an_event_and_one_that_comes_back_is_another() -> None:
    scene = Scene().started()
    scene.offered("c0")
    scene.workers[0].died()
    scene.workers[0].died()
    scene.clock.advance(PING_SECONDS)
    scene.wires[0].answer("ping", result="pong")
    told = [(str(event.name), event.who, dict(event.fields)) for _, event in scene.metrics.events.after(0)]
    assert told == [
        ("media.node_up", "node 0", {}),
        ("media.node_up", "node 1", {}),
        ("media.node_down", "node 0", {"calls": 1, "why": "its process ended"}),
        ("media.node_up", "node 0", {}),
    ]
