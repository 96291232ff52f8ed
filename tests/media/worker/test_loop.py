"""The loop calls what is ready, survives our mistakes and keeps time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from gateway.media.worker.loop import BUSY_EVENTS, EVENTS_A_JOB, GATHER_SECONDS
from gateway.media.worker.packet_loop import NATIVE, PYTHON, chosen
from gateway.rtp.srtp import PacketBuffer

Ends = tuple[socket.socket, socket.socket]


class Bench:
    """A loop that runs until its tick was called so often."""

    def __init__(self, gather: float = GATHER_SECONDS, name: str = PYTHON) -> None:
        self.ticks = 0
        self.limit = 1
        self.loop = chosen(name, self._tick, PacketBuffer(), gather).loop

    def _tick(self, _now: float) -> None:
        self.ticks += 1
        self.loop.running = self.ticks < self.limit

    def run(self, ticks: int = 2) -> None:
        """The first tick comes after the first poll, each other a quarter of a second later."""
        self.ticks, self.limit, self.loop.running = 0, ticks, True
        self.loop.run()


@pytest.fixture(params=[PYTHON, NATIVE])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Both loops."""
    return Bench(name=request.param)


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    yield pair
    for one in pair:
        one.close()


def taking(own: socket.socket, into: list[bytes]) -> Callable[[], None]:
    return lambda: into.append(own.recv(100))


def test_packets_are_taken_in_order_until_none_is_left(bench: Bench, ends: Ends) -> None:
    found = list[bytes]()
    bench.loop.watch(ends[0], taking(ends[0], found))
    for number in range(5):
        ends[1].send(b"%d" % number)
    bench.run()
    assert found == [b"0", b"1", b"2", b"3", b"4"]


def test_a_receiver_can_be_replaced_and_removed(bench: Bench, ends: Ends) -> None:
    first, second = list[bytes](), list[bytes]()
    bench.loop.watch(ends[0], taking(ends[0], first))
    bench.loop.watch(ends[0], taking(ends[0], second))
    ends[1].send(b"a")
    bench.run()
    bench.loop.unwatch(ends[0])
    bench.loop.unwatch(ends[0])
    ends[1].send(b"b")
    bench.run()
    assert (first, second) == ([], [b"a"])


def test_a_mistake_is_counted_and_the_others_are_served(
    bench: Bench, ends: Ends, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list[bytes]()

    def fail() -> None:
        ends[0].recv(100)
        raise KeyError("a bug")

    bench.loop.watch(ends[0], fail)
    bench.loop.watch(ends[1], taking(ends[1], found))
    ends[1].send(b"to fail")
    ends[0].send(b"well")
    bench.run()
    assert bench.loop.failures == 1
    assert found == [b"well"]
    assert "a bug" in capsys.readouterr().err


def test_what_is_closed_by_another_in_the_same_batch_is_not_called(bench: Bench, ends: Ends) -> None:
    calls = list[int]()

    def close_both(index: int) -> Callable[[], None]:
        def receive() -> None:
            calls.append(index)
            for one in ends:
                bench.loop.unwatch(one)

        return receive

    for index in (0, 1):
        bench.loop.watch(ends[index], close_both(index))
        ends[1 - index].send(b"x")
    bench.run()
    assert len(calls) == 1


def returned(own: socket.socket) -> Callable[[], None]:
    def receive() -> None:
        own.send(own.recv(100))

    return receive


def run_busy(bench: Bench, ends: Ends) -> None:
    """A packet goes to and fro all the time."""
    for own in ends:
        bench.loop.watch(own, returned(own))
    ends[1].send(b"x")
    bench.run(ticks=3)


def test_a_busy_loop_gathers_and_a_quiet_one_does_not(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gateway.media.worker.loop.sleep", waits.append)
    monkeypatch.setattr("gateway.media.worker.loop.BUSY_EVENTS", 100)
    bench = Bench()
    bench.run(ticks=3)
    assert waits == []
    run_busy(bench, ends)
    assert set(waits) == {GATHER_SECONDS}


@pytest.mark.parametrize(("gather", "rounds"), [(0.05, range(1, 8)), (0.0, range(500, 10_000_000))])
def test_a_busy_native_loop_gathers_too(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, gather: float, rounds: range
) -> None:
    """After a quarter of a second with many packets it wakes up every 50 ms."""
    monkeypatch.setattr("gateway.media.worker.native_loop.BUSY_EVENTS", 100)
    bench, passed = Bench(gather, NATIVE), 0

    def count_and_return(own: socket.socket) -> None:
        nonlocal passed
        passed += bench.ticks == 2
        own.send(own.recv(100))

    for own in ends:
        bench.loop.watch(own, partial(count_and_return, own))
    ends[1].send(b"x")
    bench.run(ticks=3)
    assert passed in rounds


def test_a_loop_that_is_told_so_never_gathers(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gateway.media.worker.loop.sleep", waits.append)
    run_busy(Bench(gather=0), ends)
    assert waits == []


def test_a_socket_with_a_queue_is_not_held_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gateway.media.worker.loop.sleep", waits.append)
    bench, batches = Bench(), 0

    def again() -> None:
        nonlocal batches
        batches += 1
        ends[1].send(ends[0].recv(100))

    bench.loop.watch(ends[0], again)
    for _ in range(5):
        ends[1].send(b"x")
    bench.run(ticks=3)
    assert batches > BUSY_EVENTS, "busy"
    assert len(waits) <= 2


def test_what_is_put_off_is_done_soon_and_in_order(bench: Bench) -> None:
    done = list[int]()
    for number in range(5):
        bench.loop.later(partial(done.append, number))
    assert not bench.loop.is_free
    bench.run()
    assert done == [0, 1, 2, 3, 4]
    assert bench.loop.is_free


def test_packets_go_between_what_is_put_off(bench: Bench, ends: Ends) -> None:
    order = list[str]()

    def receive() -> None:
        order.append(ends[0].recv(100).decode())

    bench.loop.watch(ends[0], receive)
    for _ in range(4):
        ends[1].send(b"packet")
        bench.loop.later(partial(order.append, "job"))
    bench.run()
    assert order == ["packet", "job"] * 4


def test_a_large_batch_is_followed_by_more_of_what_was_put_off(bench: Bench, ends: Ends) -> None:
    order = list[str]()
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2 * EVENTS_A_JOB)]
    for one, other in pairs:
        bench.loop.watch(one, lambda one=one: order.append(one.recv(100).decode()))  # type: ignore[misc]
        other.send(b"packet")
    for _ in range(10):
        bench.loop.later(partial(order.append, "job"))
    bench.run()
    assert order[: len(pairs)] == ["packet"] * len(pairs)
    assert order[len(pairs) : len(pairs) + 3] == ["job"] * 3
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_mistake_in_what_was_put_off_stops_nothing_else(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    done = list[int]()

    def fail() -> None:
        raise KeyError("a bug")

    bench.loop.later(fail)
    bench.loop.later(partial(done.append, 1))
    bench.run()
    assert done == [1]
    assert bench.loop.failures == 1
    assert "a bug" in capsys.readouterr().err
