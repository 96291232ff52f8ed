"""The tracer and its traces: the right messages, both legs, in time and size; nothing that holds up a message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.transport.layer import TransportLayer
from gateway.transport.trace.tracer import REMEMBERED, WAITING, CallNames, TracedMessage, Tracer
from gateway.transport.trace.traces import AT_ONCE, Trace, TraceRefused, Traces, TraceWish
from tests.support.memory_network import MemoryNetwork
from tests.support.transport_gateways import Ignoring

KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"


class InlineThreads:
    """A reactor whose threads are this one."""

    def getThreadPool(self) -> InlineThreads:
        return self

    def callInThreadWithCallback(self, done: Callable[..., object], function: Any, *arguments: object) -> None:
        try:
            result = function(*arguments)
        except Exception as error:
            done(False, error)
        else:
            done(True, result)

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


@attrs.define
class Watch:
    """A watcher that remembers."""

    taken: list[TracedMessage] = attrs.Factory(list)

    def take(self, traced: TracedMessage) -> None:
        self.taken.append(traced)


class World:
    """A transport layer in memory with a tracer on its tap."""

    def __init__(self, directory: Path) -> None:
        self.network = MemoryNetwork()
        listener = Listener("phones", Side.PHONES, "udp", "192.0.2.20", 5060)
        self.layer = TransportLayer(self.network, [listener], Metrics(CollectorRegistry()))
        self.layer.start(Ignoring())
        self.timers = Timers()
        clock = Clock(self.timers, wall=lambda: 1796027431.0 + self.timers.seconds())
        self.names = CallNames()
        self.tracer = Tracer(self.layer.tap, self.names, clock)
        tokens = iter(f"{number:08x}" for number in range(1, 99))
        self.traces = Traces(directory / "traces", self.tracer, clock, lambda: next(tokens), InlineThreads())

    def receive(self, text: str, host: str = "192.0.2.11") -> None:
        """A datagram of a phone."""
        port: Any = self.layer.port("phones")
        port.datagramReceived(text.replace("\n", "\r\n").encode(), (host, 5070))

    def pass_time(self, seconds: float = 1.0) -> None:
        self.timers.advance(seconds)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def message(call_id: str = "1@phone", user: str = "alice", to: str = "sip:+4930123@voip.test") -> str:
    return (
        f"INVITE {to} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bK1\nFrom: <sip:{user}@voip.test>;tag=1\n"
        f"To: <{to}>\nCall-ID: {call_id}\nCSeq: 1 INVITE\nMax-Forwards: 70\nContent-Length: 67\n\n"
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"[:9999]
    )


def is_tapped(world: World) -> bool:
    return world.layer.tap.is_on


def text_of(trace: Trace) -> str:
    return trace.path.read_bytes().decode("latin-1")


def test_the_tap_is_off_until_somebody_traces(world: World) -> None:
    watch = Watch()
    assert not is_tapped(world)
    world.tracer.add(watch)
    assert is_tapped(world)
    world.receive(message())
    world.pass_time()
    assert len(watch.taken) == 1
    world.tracer.remove(watch)
    assert not is_tapped(world)


def test_a_message_that_cannot_be_parsed_is_seen_too(world: World) -> None:
    watch = Watch()
    world.tracer.add(watch)
    world.receive("nonsense of a stranger\n\n")
    world.pass_time()
    assert watch.taken[0].message.data == b"nonsense of a stranger\r\n\r\n"


def test_the_first_invite_is_of_its_call_though_it_came_before_there_was_one(world: World) -> None:
    watch = Watch()
    world.tracer.add(watch)
    world.receive(message("1@phone"))
    world.names.join("call-1", "1@phone", "2@gateway")
    world.receive(message("2@gateway"))
    world.pass_time()
    assert [one.call for one in watch.taken] == ["call-1", "call-1"]


def test_a_watcher_that_fails_takes_nothing_from_the_others(world: World) -> None:
    class Failing:
        def take(self, traced: TracedMessage) -> None:
            raise RuntimeError("a bug")

    watch = Watch()
    world.tracer.add(Failing())
    world.tracer.add(watch)
    world.receive(message())
    world.pass_time()
    assert len(watch.taken) == 1


def test_a_flood_waits_in_bounded_memory(world: World) -> None:
    world.tracer.add(Watch())
    for _ in range(WAITING + 50):
        world.receive(message())
    assert world.tracer.left_out == 50


def test_names_are_bounded() -> None:
    names = CallNames()
    for number in range(REMEMBERED + 10):
        names.join(f"call-{number}", f"{number}@a")
    assert names.call_of("5@a") == ""
    assert names.call_of(f"{REMEMBERED}@a") == f"call-{REMEMBERED}"
    names.join("long", "x" * 100_000)
    assert names.call_of("x" * 100_000) == "long"


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        (TraceWish(), True),
        (TraceWish(user="alice"), True),
        (TraceWish(user="alic"), False),
        (TraceWish(user="ALICE"), True),
        (TraceWish(number="+49 30 123"), True),
        (TraceWish(number="+493012"), False),
        (TraceWish(number="30123"), False),
        (TraceWish(domain="voip.test"), True),
        (TraceWish(domain="oip.test"), False),
        (TraceWish(domain="voip.tes"), False),
        (TraceWish(peer="192.0.2.11"), True),
        (TraceWish(peer="192.0.2.1"), False),
        (TraceWish(user="alice", domain="other.test"), False),
        (TraceWish(call="call-1"), True),
        (TraceWish(call="call-2"), False),
    ],
)
def test_a_wish_is_matched_whole(world: World, wish: TraceWish, fits: bool) -> None:
    trace = world.traces.start(wish)
    world.receive(message())
    world.names.join("call-1", "1@phone")
    world.pass_time()
    assert bool(trace.messages) is fits


def test_one_message_that_fits_brings_both_legs(world: World) -> None:
    trace = world.traces.start(TraceWish(user="alice"))
    world.receive(message("1@phone"))
    world.names.join("call-1", "1@phone", "2@gateway")
    world.receive(message("2@gateway", user="anonymous"))
    world.receive(message("3@other", user="bob"))
    world.pass_time()
    assert trace.messages == 2
    assert "2@gateway" in text_of(trace)
    assert "3@other" not in text_of(trace)


def test_a_file_has_no_key_and_is_the_gateways_alone(world: World) -> None:
    trace = world.traces.start(TraceWish())
    world.receive(message())
    world.pass_time()
    assert KEY not in text_of(trace)
    assert "inline:" + "A" * len(KEY) in text_of(trace)
    assert trace.path.stat().st_mode & 0o777 == 0o600
    assert trace.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_trace_ends_by_its_time_and_the_tap_is_off_again(world: World) -> None:
    trace = world.traces.start(TraceWish(seconds=60))
    world.pass_time(59)
    assert world.traces.active == 1
    world.pass_time(2)
    assert trace.ending == "its time is over"
    assert not is_tapped(world)
    world.receive(message())
    world.pass_time()
    assert trace.messages == 0


def test_a_trace_ends_by_its_size(world: World) -> None:
    trace = world.traces.start(TraceWish(bytes=2_000))
    for _ in range(20):
        world.receive(message())
        world.pass_time()
    assert trace.ending == "its file is as long as was asked for"
    assert trace.path.stat().st_size < 3_500


def test_a_disk_that_is_full_ends_the_trace(world: World) -> None:
    trace = world.traces.start(TraceWish())
    trace.path.unlink()
    trace.path.mkdir()
    world.receive(message())
    world.pass_time()
    assert trace.ending.startswith("its file cannot be written: ")
    assert world.traces.active == 0


def test_bounds_of_number_time_and_size(world: World) -> None:
    for wish in (TraceWish(seconds=0), TraceWish(seconds=90_000), TraceWish(bytes=0), TraceWish(bytes=10**12)):
        with pytest.raises(TraceRefused):
            world.traces.start(wish)
    for _ in range(AT_ONCE):
        world.traces.start(TraceWish())
    with pytest.raises(TraceRefused, match="stop one first"):
        world.traces.start(TraceWish())


def test_stopping_writes_what_waits(world: World) -> None:
    trace = world.traces.start(TraceWish())
    world.receive(message())
    world.timers.advance(0.06)
    done: list[object] = []
    world.traces.stop().addCallback(done.append)
    assert done == [None]
    assert "1@phone" in text_of(trace)


def test_old_files_go(world: World) -> None:
    for _ in range(30):
        world.traces.end(world.traces.start(TraceWish()), "stopped")
    files = [*(world.traces.start(TraceWish()).path.parent.glob("*.pcapng"))]
    assert len(files) <= 21
    assert {trace.path for trace in world.traces.all()} == set(files)


def test_a_file_that_was_deleted_or_led_elsewhere_is_not_made_anew(world: World, tmp_path: Path) -> None:
    gone, led = world.traces.start(TraceWish()), world.traces.start(TraceWish())
    for trace in (gone, led):
        trace.path.unlink()
    victim = tmp_path / "victim"
    victim.write_text("")
    led.path.symlink_to(victim)
    world.receive(message())
    world.timers.advance(0.06)
    world.timers.advance(1)
    assert not gone.path.exists()
    assert victim.read_text() == ""
    assert all("cannot be written" in trace.ending for trace in (gone, led))
