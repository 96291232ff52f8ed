"""Events over HTTP: what was missed and what comes, to readers that keep up, and to no others for long."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Caller, Role
from gateway.admin.routes import HttpRoute, HttpRoutes, RouteWatch
from gateway.admin.v1.stream import BEHIND, COMMENT_SECONDS, READERS, EventStreams, wants
from gateway.observe.events import REMEMBERED, EventName, Events

BEGAN = 1_600_000_000


class Watch(RouteWatch):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def answered(self, path: str, status: int) -> None:
        self.seen.append((path, status))


class Everybody:
    def admit(self, request: Any, role: Role, path: str) -> Caller:
        return Caller("alice", role, "127.0.0.1")


class Streams:
    """A gateway's events behind a site."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events = Events(lambda: 1.5)
        self.streams = EventStreams(self.events, self.clock, BEGAN)
        self.may_read = True
        self.watch = Watch()
        self.routes = HttpRoutes([HttpRoute("GET", "/events", self._open, Role.VIEWER)], Everybody(), self.watch)

    def _open(self, request: Any) -> Any:
        asked = {key.decode(): values[0].decode() for key, values in request.args.items()}
        names = tuple(asked["names"].split(",")) if "names" in asked else ()
        return self.streams.open(request, asked.get("since"), wants(names), self._check)

    def _check(self) -> None:
        if not self.may_read:
            raise Rejected(401, "The session has ended.")


class Aborting(StringTransport):
    """A connection that can be cut, with a reader that stops reading after ``room`` bytes."""

    def __init__(self, room: float = math.inf) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room = room
        self.is_cut = False
        self.text = ""

    def write(self, data: bytes) -> None:
        self.text += data.decode()
        if len(self.text) > self.room:
            self.stall()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def stall(self) -> None:
        assert self.producer is not None
        self.producer.pauseProducing()

    def read(self) -> None:
        assert self.producer is not None
        self.room += len(self.text)
        self.producer.resumeProducing()

    def abortConnection(self) -> None:
        self.is_cut = True


class Reader:
    """One reader."""

    def __init__(self, streams: Streams, query: str = "", room: float = math.inf) -> None:
        self.transport = Aborting(room)
        self.protocol: Any = Site(streams.routes, reactor=streams.clock).buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    @property
    def text(self) -> str:
        """All that came, in pieces of HTTP."""
        return self.transport.text

    @property
    def numbers(self) -> list[int]:
        return [int(line.split("-")[1]) for line in self.text.splitlines() if line.startswith("id: ")]

    def leaves(self) -> None:
        """The connection ends, as a transport tells of it: first its producer, then the protocol."""
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()
        self.protocol.connectionLost(Failure(ConnectionLost()))


@pytest.fixture
def streams() -> Streams:
    return Streams()


def happens(streams: Streams, count: int = 1, name: EventName = EventName.CALL_STARTED, **fields: Any) -> None:
    for _ in range(count):
        streams.events.note(name, **fields)


def test_a_reader_hears_what_comes_and_not_what_was(streams: Streams) -> None:
    happens(streams, 3)
    reader = Reader(streams)
    assert "text/event-stream" in reader.text
    assert reader.numbers == []
    happens(streams, 1, EventName.CALL_ENDED, call="c1", ending="a\nb\r\n\ndata: x")
    assert reader.numbers == [4]
    lines = reader.text.splitlines()
    assert "event: call.ended" in lines
    (data,) = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert json.loads(data)["call"] == "c1"


def test_a_reader_goes_on_where_it_was(streams: Streams) -> None:
    happens(streams, 5)
    reader = Reader(streams, f"?since={BEGAN}-3")
    assert reader.numbers == [4, 5]
    happens(streams)
    assert reader.numbers == [4, 5, 6]


@pytest.mark.parametrize("since", ["1-3", "x", f"{BEGAN}-x", f"{BEGAN}-%C2%B2", "0", "-", f"{BEGAN}-{'9' * 30}"])
def test_an_id_of_another_run_or_of_nobody_leads_to_all_that_is_remembered(streams: Streams, since: str) -> None:
    happens(streams, 5)
    assert Reader(streams, f"?since={since}").numbers == [1, 2, 3, 4, 5]


def test_an_id_that_is_still_to_come_leads_to_all_later_ones(streams: Streams) -> None:
    reader = Reader(streams, f"?since={BEGAN}-900")
    happens(streams, 2)
    assert reader.numbers == [1, 2]


@pytest.mark.parametrize(
    ("names", "heard"), [("call.ended", [2]), ("call.*", [1, 2]), ("call.ended,gateway.*", [2, 3]), ("nothing", [])]
)
def test_only_the_names_that_are_wanted_come(streams: Streams, names: str, heard: list[int]) -> None:
    reader = Reader(streams, f"?names={names}")
    for name in (EventName.CALL_STARTED, EventName.CALL_ENDED, EventName.GATEWAY_READY):
        happens(streams, 1, name)
    assert reader.numbers == heard


def test_the_past_is_written_as_fast_as_it_is_read(streams: Streams) -> None:
    happens(streams, REMEMBERED)
    reader = Reader(streams, f"?since={BEGAN}-0", room=50_000)
    assert 50_000 < len(reader.text) < 60_000
    while reader.numbers[-1] < REMEMBERED:
        before = len(reader.text)
        reader.transport.read()
        assert len(reader.text) > before
    assert reader.numbers == [*range(1, REMEMBERED + 1)]


def test_a_reader_that_stalls_gets_it_all_when_it_reads_again(streams: Streams) -> None:
    reader = Reader(streams)
    reader.transport.stall()
    happens(streams, 20)
    assert reader.numbers == []
    reader.transport.read()
    assert reader.numbers == [*range(1, 21)]
    happens(streams)
    assert reader.numbers[-1] == 21


def test_a_reader_that_falls_too_far_behind_is_cut(streams: Streams) -> None:
    reader = Reader(streams)
    reader.transport.stall()
    happens(streams, BEHIND // 100)
    assert reader.transport.is_cut
    reader.leaves()
    assert len(streams.streams) == 0
    size = len(reader.text)
    happens(streams, 10)
    assert len(reader.text) == size


def test_events_that_a_reader_does_not_want_leave_it_no_farther_behind(streams: Streams) -> None:
    reader = Reader(streams, "?names=gateway.*")
    reader.transport.stall()
    happens(streams, BEHIND // 100)
    assert not reader.transport.is_cut


def test_a_comment_keeps_the_connection(streams: Streams) -> None:
    reader = Reader(streams)
    streams.clock.advance(COMMENT_SECONDS)
    streams.clock.advance(COMMENT_SECONDS)
    assert reader.text.count(": still here") == 2


def test_a_reader_whose_session_has_ended_hears_no_more(streams: Streams) -> None:
    reader = Reader(streams)
    streams.may_read = False
    streams.clock.advance(COMMENT_SECONDS)
    happens(streams)
    assert reader.numbers == []
    assert len(streams.streams) == 0
    assert streams.watch.seen == [("/events", 200)]


def test_a_reader_whose_session_has_ended_does_not_hear_the_next_event(streams: Streams) -> None:
    readers = [Reader(streams), Reader(streams, room=1)]
    streams.may_read = False
    streams.clock.advance(1)
    happens(streams)
    readers[1].transport.read()
    assert [reader.numbers for reader in readers] == [[], []]
    assert len(streams.streams) == 0


def test_readers_are_bounded_and_those_who_left_leave_room(streams: Streams) -> None:
    readers = [Reader(streams) for _ in range(READERS)]
    late = Reader(streams)
    assert late.text.startswith("HTTP/1.1 503 ")
    readers[0].leaves()
    assert Reader(streams).text.startswith("HTTP/1.1 200 ")
    for reader in readers[1:]:
        reader.leaves()
    assert len(streams.streams) == 1


def test_those_who_leave_leave_nothing_behind(streams: Streams) -> None:
    reader = Reader(streams)
    reader.leaves()
    happens(streams)
    assert len(streams.streams) == 0
    assert streams.watch.seen == []
    assert not [call for call in streams.clock.getDelayedCalls() if "comment" in str(call)]
