"""The watch over addresses and clock: told of once, counted, damped, without a wake-up while nothing changes."""

from __future__ import annotations

import ctypes
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.app.network.address_watch import AddressWatch, Follow, Moves
from gateway.app.network.clock_watch import LOOK_SECONDS, PATIENCE, ClockWatch
from gateway.base.network import clock_state
from gateway.base.network.clock_state import Jumps, file_state, kernel_state
from gateway.base.network.watcher import LULL, AddressWatcher
from gateway.config.model import NetworkMode, NetworkTerms
from gateway.observe.metrics import Metrics
from tests.app.network.test_presence import ETH0, FIRST, FOLLOWED, SECOND, THIRD, GivenKernel


class Reactor(Clock):
    """Readers that the test wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def notice(self) -> None:
        """The kernel sent something."""
        for reader in [*self.readers]:
            reader.doRead()
        self.advance(LULL)


class Place:
    """A watch over one followed address."""

    def __init__(self, mode: NetworkMode = NetworkMode.OBSERVE) -> None:
        self.reactor = Reactor()
        self.kernel = GivenKernel(FIRST)
        self.metrics = Metrics(CollectorRegistry())
        terms = NetworkTerms(mode, hold_seconds=10)
        self.watch = AddressWatch([FOLLOWED], self.kernel, terms, self.metrics, self.reactor)
        self.asked: list[Moves] = []
        self.outcome: Deferred[int] | None = None

    def start(self, follow: Follow | None = None) -> None:
        self.watch.start(follow or self._follow)

    def has(self, *addresses: str) -> None:
        """The interface has these from now on."""
        self.kernel.eth0 = addresses
        self.reactor.notice()

    def told(self) -> list[str]:
        return [str(event.name) for _, event in self.metrics.events.after(0)]

    def counted(self, change: str) -> float | None:
        return self.metrics.value("gateway_network_address_changes_total", {"change": change})

    def _follow(self, moves: Moves) -> Deferred[int]:
        self.asked.append(moves)
        return succeed(3) if self.outcome is None else self.outcome


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.watch.stop()


def test_while_nothing_changes_nothing_is_to_be_done(place: Place) -> None:
    place.start()
    assert len(place.reactor.readers) == 1
    assert place.reactor.getDelayedCalls() == []


def test_a_storm_of_notices_is_one_look(place: Place) -> None:
    place.start()
    [reader] = place.reactor.readers
    reader.doRead()
    assert place.reactor.readers == []  # nothing wakes the process until the look
    assert len(place.reactor.getDelayedCalls()) == 1
    place.reactor.advance(LULL)
    assert place.reactor.readers == [reader]


def test_lost_and_back_are_told_and_counted(place: Place) -> None:
    place.start()
    place.has()
    assert place.watch.reasons() == (f"{FIRST} (listener phones) is gone from this machine",)
    assert place.metrics.value("gateway_network_lost_addresses") == 1
    place.has(FIRST)
    assert place.watch.reasons() == ()
    assert place.told() == ["network.address_lost", "network.address_back"]
    assert (place.counted("lost"), place.counted("back")) == (1, 1)
    assert place.asked == []


def test_a_move_is_carried_out_and_no_loss(place: Place) -> None:
    place.start()
    place.has(SECOND)
    assert place.asked == [{ETH0: SECOND}]
    assert place.told() == ["network.address_moved"]
    assert place.metrics.value("gateway_network_moved_calls_total") == 3
    [move] = place.watch.moves
    assert (move.before, move.after, move.calls, move.failure) == (FIRST, SECOND, 3, "")
    assert place.watch.reasons() == ()


def test_a_change_while_a_move_is_under_way_is_seen_after_it(place: Place) -> None:
    place.outcome = Deferred()
    place.start()
    place.has(SECOND)
    place.has(THIRD)
    assert len(place.asked) == 1
    place.outcome.callback(0)
    assert place.watch.used[0].address != THIRD
    place.outcome = None
    place.reactor.advance(10)
    assert place.asked[-1] == {ETH0: THIRD}


def test_a_move_that_fails_is_told_and_tried_again(place: Place) -> None:
    place.outcome = fail(OSError("port: udp port 5060 is taken"))
    place.start()
    place.has(SECOND)
    assert place.told() == ["network.move_failed"]
    assert place.watch.reasons() != ()
    assert place.watch.moves[0].failure == "port: udp port 5060 is taken"
    place.outcome = None
    place.reactor.advance(10)
    assert place.told() == ["network.move_failed", "network.address_moved"]
    assert place.counted("not_moved") == 1


def test_nothing_is_told_of_a_move_that_the_end_of_the_gateway_stops(place: Place) -> None:
    place.outcome = Deferred()
    place.start()
    place.has(SECOND)
    place.watch.stop()
    assert place.told() == []


def test_in_mode_static_nothing_is_watched() -> None:
    place = Place(NetworkMode.STATIC)
    place.start()
    assert place.reactor.readers == []
    assert not place.watch.is_watching


def test_a_sandbox_without_netlink_is_no_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    place.start()
    assert not place.watch.is_watching


def test_the_watcher_hears_of_the_kernel_itself() -> None:
    """Its socket takes no right; a notice of another process is no more than a reason to look."""
    looks = []
    reactor = Reactor()
    watcher = AddressWatcher(reactor, lambda: looks.append(1))
    watcher.start()
    assert watcher.fileno() >= 0
    reactor.notice()
    assert looks == [1]
    watcher.stop()
    assert watcher.fileno() == -1
    assert reactor.readers == []


class WatchedClock:
    """A clock watch whose kernel the test plays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reactor = Clock()
        self.wall = 1_800_000_000.0
        self.kernel: bool | None = True
        self.file: bool | None = None
        monkeypatch.setattr(clock_state, "kernel_state", lambda: self.kernel)
        monkeypatch.setattr(clock_state, "file_state", lambda: self.file)
        self.metrics = Metrics(CollectorRegistry())
        self.watch = ClockWatch(self.reactor, lambda: self.wall, self.metrics)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.reactor.advance(seconds)

    def told(self) -> list[str]:
        return [str(event.name) for _, event in self.metrics.events.after(0)]


def test_a_clock_that_no_server_sets_is_told_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    place = WatchedClock(monkeypatch)
    place.file = False
    place.watch.look()
    assert place.metrics.value("gateway_clock_synchronized") == 0
    assert place.told() == []
    place.pass_by(PATIENCE)
    place.watch.look()
    place.watch.look()
    place.file = True
    place.watch.look()
    assert place.told() == ["network.clock_unsynchronized", "network.clock_synchronized"]
    assert place.watch.witness == "timesyncd"


def test_where_nobody_says_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    place = WatchedClock(monkeypatch)
    place.watch.look()
    place.pass_by(10 * PATIENCE)
    place.watch.look()
    assert place.metrics.value("gateway_clock_synchronized") is None
    assert place.told() == []


@pytest.mark.parametrize(("jump", "told"), [(31, 1), (-3_600, 1), (29, 0), (0, 0)])
def test_a_jump_is_told(monkeypatch: pytest.MonkeyPatch, jump: float, told: int) -> None:
    place = WatchedClock(monkeypatch)
    place.pass_by(LOOK_SECONDS)
    place.wall += jump
    place.watch.look()
    place.pass_by(LOOK_SECONDS)
    place.watch.look()
    assert place.told() == ["network.clock_jumped"] * told
    assert place.metrics.value("gateway_clock_jumps_total") == told


def test_a_clock_that_is_slewed_does_not_jump() -> None:
    jumps = Jumps(0, 0)
    assert [jumps.look(second * 1.0005, second) for second in range(10, 100_000, 10)] == [0.0] * 9_999


@pytest.mark.parametrize(
    ("result", "status", "state"),
    [(0, 0x2001, True), (0, 0x2041, False), (5, 0x2041, False), (5, 0, False), (-1, 0, None)],
)
def test_the_kernels_word_is_read(
    monkeypatch: pytest.MonkeyPatch, result: int, status: int, state: bool | None
) -> None:
    """adjtimex(2): nothing is set (modes 0), and the status is behind the four longs after it."""

    def adjtimex(asked: Any) -> int:
        assert ctypes.c_int.from_buffer(asked._obj, 0).value == 0
        ctypes.c_int.from_buffer(asked._obj, 5 * ctypes.sizeof(ctypes.c_long)).value = status
        return result

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=adjtimex))
    assert kernel_state() is state


def test_the_running_kernel_is_tried_in_another_process_first() -> None:
    tried = subprocess.run([sys.executable, "-I", "-S", clock_state.__file__], timeout=30, check=False)
    assert (tried.returncode == 0) is (kernel_state() is not None)


def test_the_mark_of_timesyncd_is_looked_for(tmp_path: Any) -> None:
    assert file_state(tmp_path / "timesync") is None
    (tmp_path / "timesync").mkdir()
    assert file_state(tmp_path / "timesync") is False
    (tmp_path / "timesync" / "synchronized").touch()
    assert file_state(tmp_path / "timesync") is True
