"""Whole calls through the crowd, with twice as many as can be done, and beside a flood: each INVITE that is worked on
in time brings five urgent ones, one after the other, of the provider and its caller; one that is late is refused."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import attrs

from gateway.config.model import Listener, Side
from gateway.transport.allowance import Allowance
from gateway.transport.crowd import Crowd
from gateway.transport.flow import Address, Flow
from gateway.transport.unread import TOO_LATE
from tests.support.flows import RecordingFlow
from tests.support.memory_network import MemoryNetwork

LISTENER = Listener("phones", Side.PHONES, "udp", "192.0.2.1", 5060)
BEGINNING, MORE, REFUSAL, COPY = 0.002, 0.0004, 0.0006, 0.0001
"""Seconds of work: of an INVITE, of each message that follows, of a call that is refused, and of a copy."""
MESSAGES = 6
RINGS = 3
"""The message with which a call is put through."""
CAPACITY = 1 / (BEGINNING + (MESSAGES - 1) * MORE)
"""Calls a second."""
SECONDS = 6


@attrs.define(order=True)
class Message:
    """One that arrives."""

    at: float
    call: str
    number: int
    copies: int = 0


class Calls:
    """Calls that arrive, and all that becomes of them."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.crowd = Crowd(self.network, self._receive, lambda: 0.5, lambda is_on: None)
        self.crowd.know({}, ("112",))
        self.crowd.look()
        self.put_through: dict[str, float] = {}
        self.refused: set[str] = set()
        self._begun: dict[str, float] = {}
        self._coming: list[Message] = []
        self._answered: set[str] = set()
        self._flows = {
            "office": _flow("198.51.100.7", is_proved=True),
            "help": _flow("198.51.100.9", is_proved=True),
            "flood": _flow("203.0.113.66", is_proved=False),
        }
        self._provider = _flow("198.51.100.21", is_proved=True)

    def come(self, source: str, rate: float) -> None:
        """Calls of a source, so many a second."""
        for number in range(int(rate * SECONDS)):
            heapq.heappush(self._coming, Message(number / rate, f"{source} {number}", 0))

    def go_on(self) -> None:
        while self.network.seconds() < SECONDS:
            self._arrive()
            self.network.advance(0 if len(self.crowd) else 0.0005)

    def times(self, source: str) -> list[float]:
        """Seconds until a call of that source was put through, in order."""
        return sorted(seconds for call, seconds in self.put_through.items() if call.startswith(source))

    def _arrive(self) -> None:
        for one in self._due():
            source = one.call.partition(" ")[0]
            if one.number:
                flow = self._provider if one.number < MESSAGES - 2 else self._flows[source]
                self.crowd.add(f"SIP/2.0 200 OK\r\nX: {one.call};{one.number}".encode(), flow)
            elif one.call not in self._answered:
                self._begun.setdefault(one.call, one.at)
                if one.copies < 4:  # timer A (RFC 3261 section 17.1.1.2)
                    heapq.heappush(self._coming, Message(one.at + 0.5 * 2**one.copies, one.call, 0, one.copies + 1))
                user = "112" if source == "help" else "bob"
                self.crowd.add(f"INVITE sip:{user}@a SIP/2.0\r\nX: {one.call};0".encode(), self._flows[source])

    def _due(self) -> Iterator[Message]:
        while self._coming and self._coming[0].at <= self.network.seconds():
            yield heapq.heappop(self._coming)

    def _receive(self, data: bytes, flow: Flow) -> None:
        call, _, number = data.decode().partition("X: ")[2].partition(";")
        self.network.rightNow += self._work(call, int(number))
        self._arrive()

    def _work(self, call: str, number: int) -> float:
        now = self.network.seconds()
        if not number and call in self._answered:
            return COPY
        self._answered.add(call)
        if not number and self.crowd.waited > TOO_LATE and not call.startswith("help"):
            self.refused.add(call)
            return REFUSAL
        if number == RINGS and now < SECONDS:
            self.put_through[call] = now - self._begun[call]
        if number < MESSAGES - 1:
            heapq.heappush(self._coming, Message(now + 0.001, call, number + 1))
        return MORE if number else BEGINNING


def _flow(host: str, *, is_proved: bool) -> Flow:
    flow = RecordingFlow(LISTENER, Address(host, 5060))
    flow.allowance = Allowance(is_proved=is_proved)
    return flow


def test_rfc6357_with_twice_as_many_as_can_be_done_most_of_these_are_in_time_and_calls_for_help_at_once() -> None:
    calls = Calls()
    calls.come("office", 2 * CAPACITY)
    calls.come("help", 5)
    calls.go_on()

    times, for_help = calls.times("office"), calls.times("help")
    assert len(times) > 0.75 * CAPACITY * SECONDS
    assert times[int(0.99 * len(times))] < 0.5
    assert len(for_help) == 5 * SECONDS
    assert for_help[-1] < 0.05
    assert len(calls.refused) > 0.8 * (2 * CAPACITY * SECONDS - len(times)), "the others are told"


def test_calls_beside_a_flood_of_calls_are_put_through_as_ever() -> None:
    calls = Calls()
    calls.come("office", 30)
    calls.come("flood", 5_000)
    calls.go_on()

    times = calls.times("office")
    assert len(times) >= 30 * SECONDS - 1
    assert times[-1] < 0.05
