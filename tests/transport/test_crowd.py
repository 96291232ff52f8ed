"""The crowd: a source that floods delays itself, and urgent messages come first."""

from __future__ import annotations

import socket

import pytest

from gateway.config.model import Listener, Side
from gateway.transport.allowance import Allowance
from gateway.transport.crowd import BURST, LOOKS_OF_CALM, MOST_OF_A_SOURCE, MOST_SOURCES, RATE, Crowd, filling
from gateway.transport.flow import Address, Flow
from tests.support.flows import RecordingFlow
from tests.support.memory_network import MemoryNetwork

LISTENER = Listener("phones", Side.PHONES, "udp", "192.0.2.1", 5060)
NEW = b"INVITE sip:bob@example.com SIP/2.0\r\nTo: <sip:bob@example.com>\r\n\r\n"
WORK = 0.0005
"""Seconds that a message takes."""


class Scene:
    """A crowd that is on, and the order in which it hands messages on."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.full = 0.5
        self.turned: list[bool] = []
        self.done: list[tuple[str, bytes]] = []
        self.waited: dict[str, float] = {}
        self.crowd = Crowd(self.network, self._receive, lambda: self.full, self.turned.append)
        self.phones: dict[str, int] = {}
        self.crowd.know(self.phones, ("112", "911"))
        self.crowd.look()
        assert self.crowd.is_on

    def _receive(self, data: bytes, flow: Flow) -> None:
        self.done.append((flow.source, data))
        self.waited[flow.source] = max(self.crowd.waited, self.waited.get(flow.source, 0.0))
        self.network.rightNow += WORK

    def flow(self, host: str, *, is_proved: bool = False) -> Flow:
        flow = RecordingFlow(LISTENER, Address(host, 5060))
        flow.allowance = Allowance(is_proved=is_proved)
        return flow

    def work(self, seconds: float) -> None:
        end = self.network.seconds() + seconds
        while self.network.seconds() < end and len(self.crowd):
            self.network.advance(0)

    def count(self, host: str) -> int:
        return sum(source == host for source, _ in self.done)


def test_who_floods_delays_itself_and_nobody_else() -> None:
    scene = Scene()
    flood = scene.flow("203.0.113.66", is_proved=True)
    for _ in range(900):
        scene.crowd.add(NEW, flood)
    scene.work(0.02)
    scene.crowd.add(NEW, scene.flow("192.0.2.11", is_proved=True))
    scene.work(10)
    assert scene.waited["192.0.2.11"] < 0.02
    assert scene.count("203.0.113.66") == 900


def test_an_unknown_source_has_a_rate_and_one_with_phones_more() -> None:
    scene = Scene()
    scene.phones["198.51.100.7"] = 100
    unknown, office = scene.flow("203.0.113.66"), scene.flow("198.51.100.7")
    for _ in range(10_000):
        scene.crowd.add(NEW, unknown)
        scene.crowd.add(NEW, office)
        scene.network.advance(0.0001)
    seconds = scene.network.seconds()
    scene.work(100)
    assert BURST * 0.5 < scene.count("203.0.113.66") <= BURST + RATE * seconds + 1
    assert scene.count("198.51.100.7") > scene.count("203.0.113.66")
    assert scene.crowd.dropped == 20_000 - len(scene.done)


@pytest.mark.parametrize(
    "urgent",
    [
        b"SIP/2.0 200 OK\r\n\r\n",
        b"ACK sip:a SIP/2.0\r\n\r\n",
        b"BYE sip:a SIP/2.0\r\n\r\n",
        b"INVITE sip:112@example.com SIP/2.0\r\n\r\n",
        b"INVITE sip:1-1-2@example.com SIP/2.0\r\n\r\n",
        b"INVITE sip:11/2@example.com SIP/2.0\r\n\r\n",
        b"INVITE tel:112 SIP/2.0\r\n\r\n",
        b"INVITE urn:service:sos SIP/2.0\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nTo: <sip:b>;tag=1\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nt:<sip:b> ; tag=1\r\n\r\n",
    ],
)
def test_what_ends_work_and_calls_for_help_come_first(urgent: bytes) -> None:
    scene = Scene()
    flow = scene.flow("192.0.2.11", is_proved=True)
    for data in (NEW, NEW, urgent):
        scene.crowd.add(data, flow)
    scene.work(1)
    assert [data for _, data in scene.done] == [urgent, NEW, NEW]


@pytest.mark.parametrize("before", [NEW, b"BYE sip:bob@example.com SIP/2.0\r\n\r\n"])
def test_a_call_for_help_waits_behind_nothing_of_its_own_source(before: bytes) -> None:
    """A telephone system is one source, with all its calls."""
    scene = Scene()
    office = scene.flow("198.51.100.7", is_proved=True)
    for _ in range(900):
        scene.crowd.add(before, office)
    scene.work(0.02)
    done = len(scene.done)
    scene.crowd.add(b"INVITE sip:112@example.com SIP/2.0\r\n\r\n", office)
    scene.work(1)
    (place,) = (place for place, (_, data) in enumerate(scene.done) if b"112" in data)
    assert place - done < 25, "a slice of work, and some turns of others"
    assert len(scene.done) == 901


def test_a_phone_that_floods_calls_for_help_delays_no_call_that_is_up() -> None:
    scene = Scene()
    scene.phones["192.0.2.66"] = 1
    flood, office = scene.flow("192.0.2.66"), scene.flow("198.51.100.7", is_proved=True)
    for _ in range(MOST_OF_A_SOURCE):
        scene.crowd.add(b"INVITE sip:112@example.com SIP/2.0\r\n\r\n", flood)
    for _ in range(100):
        scene.crowd.add(b"BYE sip:bob@example.com SIP/2.0\r\n\r\n", office)
    scene.work(10)
    last = max(place for place, (source, _) in enumerate(scene.done) if source == "198.51.100.7")
    assert last < 200


def test_a_call_for_help_of_a_phone_passes_the_rate_of_its_source() -> None:
    scene = Scene()
    scene.phones["192.0.2.11"] = 1
    flow = scene.flow("192.0.2.11")
    for _ in range(5_000):
        scene.crowd.add(b"\0" * 300, flow)
    scene.crowd.add(b"INVITE sip:112@example.com SIP/2.0\r\n\r\n", flow)
    scene.crowd.add(b"INVITE sip:1123@example.com SIP/2.0\r\n\r\n", flow)
    scene.work(100)
    assert scene.done[0][1].startswith(b"INVITE sip:112@")
    assert not any(b"1123" in data for _, data in scene.done)


def test_all_that_waits_is_bounded() -> None:
    scene = Scene()
    proved = scene.flow("192.0.2.11", is_proved=True)
    for _ in range(3 * MOST_OF_A_SOURCE):
        scene.crowd.add(NEW, proved)
    assert len(scene.crowd) == MOST_OF_A_SOURCE
    for number in range(MOST_SOURCES + 5_000):
        scene.crowd.add(NEW, scene.flow(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    assert len(scene.crowd) <= MOST_OF_A_SOURCE * 2 + MOST_SOURCES
    large = scene.flow("192.0.2.12", is_proved=True)
    for _ in range(1_000):
        scene.crowd.add(NEW + b"\0" * 65_000, large)
        scene.crowd.add(NEW + b"\0" * 65_000, proved)
    assert scene.crowd.dropped > 0
    scene.crowd.stop()
    assert not scene.network.getDelayedCalls()


def test_it_is_over_when_nothing_waits_and_the_sockets_are_empty() -> None:
    scene = Scene()
    scene.crowd.add(NEW, scene.flow("192.0.2.11"))
    scene.full = 0.0
    for _ in range(2 * LOOKS_OF_CALM):
        scene.crowd.look()
    assert scene.crowd.is_on, "a message waits"
    scene.work(1)
    for _ in range(LOOKS_OF_CALM):
        scene.crowd.look()
    assert [scene.crowd.is_on, scene.crowd.waited] == [False, 0.0]
    assert scene.turned == [True, False], "the sockets are told once of each change"


def test_it_is_not_over_while_a_flood_goes_on_that_is_dropped() -> None:
    scene = Scene()
    scene.full = 0.0
    flood = scene.flow("203.0.113.66")
    for _ in range(3 * LOOKS_OF_CALM):
        for _ in range(500):
            scene.crowd.add(NEW, flood)
        scene.work(10)
        scene.crowd.look()
    assert scene.crowd.is_on
    assert scene.crowd.dropped > 0


def test_the_system_tells_how_full_a_socket_is() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        taken.bind(("127.0.0.1", 0))
        assert filling(taken) == 0.0
        before = 0.0
        for _ in range(3):
            sender.sendto(b"\0" * 1_000, taken.getsockname())
            assert filling(taken) > before
            before = filling(taken)


def test_a_flood_of_new_calls_leaves_the_answers_for_others_their_turns() -> None:
    """Each new call brings answers, which wait in the queue of the provider, one for all."""
    scene = Scene()
    provider, flood = scene.flow("198.51.100.21", is_proved=True), scene.flow("203.0.113.66")
    for _ in range(900):
        scene.crowd.add(NEW, flood)
        scene.crowd.add(b"SIP/2.0 200 OK\r\n\r\n", provider)
    scene.work(100)
    begun = [source for source, _ in scene.done[:500]].count("203.0.113.66")
    assert 0 < begun <= 500 / 16 + 1
