"""Ports are given in turn, given back, and kept silent for a while."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable

import pytest

from gateway.base.media_ports import BLOCKED_BY_BROWSERS
from gateway.media.worker.port_pair import kernel_drops
from gateway.media.worker.port_pool import (
    AHEAD,
    BOUND_SECONDS,
    FAREWELL_SECONDS,
    MAXIMUM_QUARANTINES,
    NoPorts,
    NoSockets,
    PoolOptions,
    PortPool,
)
from tests.support.media_relays import own_address


class Watcher:
    """Stands for the loop."""

    def __init__(self) -> None:
        self.receivers: dict[int, Callable[[], None]] = {}
        self.jobs: list[Callable[[], object]] = []

    def watch(self, source: socket.socket, receive: Callable[[], None]) -> None:
        self.receivers[source.fileno()] = receive

    def unwatch(self, source: socket.socket) -> None:
        self.receivers.pop(source.fileno(), None)

    def later(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)

    def work(self) -> None:
        while self.jobs:
            self.jobs.pop()()

    def poll(self) -> None:
        for descriptor in select.select([*self.receivers], [], [], 0)[0]:
            self.receivers.get(descriptor, lambda: None)()


def pool(quarantine: float = 10.0, first: int = 32_000, last: int = 32_007, watcher: Watcher | None = None) -> PortPool:
    return PortPool(PoolOptions(own_address(), first, last, quarantine), watcher or Watcher())


def test_pairs_are_even_and_odd_and_run_out() -> None:
    ports = pool(first=32_001, last=32_007)
    pairs = [ports.take() for _ in range(3)]
    assert [pair.port for pair in pairs] == [32_002, 32_004, 32_006]
    assert [pair.rtcp.getsockname()[1] for pair in pairs] == [32_003, 32_005, 32_007]
    with pytest.raises(NoPorts):
        ports.take()
    for pair in pairs:
        pair.close()


def test_a_port_that_another_program_holds_is_passed_over() -> None:
    ports = pool()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ports.range.address, 32_001))
        pair = ports.take()
    assert pair.port == 32_002
    assert ports.free == 3
    pair.close()


@pytest.mark.parametrize("left", [0, 1])
def test_a_system_without_sockets_costs_no_port(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    ports = pool()
    opened = ports._opened
    given = iter(range(left))

    def refuse() -> socket.socket:
        if next(given, None) is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened()

    with monkeypatch.context() as exhausted:
        exhausted.setattr(ports, "_opened", refuse)
        with pytest.raises(NoSockets, match=r"no files, of which [0-9]+ may be open"):
            ports.take()
        with opened() as own:
            assert ports.connected(own, ("127.0.0.1", 9)) is None
    pairs = [ports.take() for _ in range(4)]
    assert sorted(pair.port for pair in pairs) == [32_000, 32_002, 32_004, 32_006]
    for pair in pairs:
        pair.close()


def test_a_pair_that_is_bound_still_serves_without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = pool()
    pair = ports.take()
    ports.give_back(pair, now=0.0, has_carried=False)

    def refuse() -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ports, "_opened", refuse)
    assert ports.take() is pair
    with pytest.raises(NoSockets):
        ports.take()
    pair.close()


def test_without_files_a_pair_that_is_bound_is_taken_wherever_its_turn_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reserve is of ports, and so many may not be bound at all."""
    ports = pool(last=32_399)
    pairs = [ports.take() for _ in range(4)]
    for pair in pairs:
        ports.give_back(pair, now=0.0)
    for _ in range(2):
        ports.expire(10.0)

    def refuse() -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ports, "_opened", refuse)
    assert {ports.take().port for _ in pairs} == {pair.port for pair in pairs}
    with pytest.raises(NoSockets):
        ports.take()
    for pair in pairs:
        pair.close()


def test_without_files_the_reserve_is_for_urgent_calls_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late media at the first of two pairs that are open would leave the other one to any call."""
    ports = pool(last=32_039)
    taken = [ports.take(is_urgent=True) for _ in range(19)]
    for pair in taken[:2]:
        ports.give_back(pair, now=0.0, has_carried=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.sendto(b"late", taken[0].rtp.getsockname())

    def refuse() -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ports, "_opened", refuse)
    with pytest.raises(NoSockets):
        ports.take()
    assert ports.take(is_urgent=True) is taken[1]
    for pair in taken:
        pair.close()


def test_a_pair_stays_bound_until_its_quarantine_ends() -> None:
    ports = pool()
    pair = ports.take()
    ports.give_back(pair, now=100.0)
    assert (ports.used, ports.silent, ports.free) == (0, 1, 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
        other.bind((ports.range.address, pair.port))
    ports.expire(109.9)
    assert ports.silent == 1
    ports.expire(110.0)
    assert (ports.silent, ports.free) == (0, 4)


def test_old_media_prolongs_the_quarantine_but_not_for_ever() -> None:
    watcher = Watcher()
    ports = pool(quarantine=2.0, watcher=watcher)
    pair = ports.take()
    target, now = pair.rtp.getsockname(), 0.0
    ports.give_back(pair, now)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        while ports.silent:
            ports.expire(now + FAREWELL_SECONDS + 0.5)
            old.sendto(b"late", target)
            watcher.poll()
            now += 2.0
            ports.expire(now)
    assert now == 2 * MAXIMUM_QUARANTINES
    assert ports.free == 4


def test_the_last_packets_of_a_call_prolong_no_quarantine() -> None:
    """They are under way when it ends; its peers stop when they have heard of the end."""
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pair = ports.take()
    ports.give_back(pair, 100.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ended:
        for now in (100.0, 100.25, 100.5, 101.0):
            ports.expire(now)
            ended.sendto(b"last", pair.rtp.getsockname())
            watcher.poll()
        ports.expire(109.9)
        assert (ports.silent, ports.free) == (1, 3)
        ports.expire(110.0)
        assert (ports.silent, ports.free) == (0, 4)
    ports.close()


def test_a_packet_after_the_farewell_prolongs_it() -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pair = ports.take()
    ports.give_back(pair, 100.0)
    ports.expire(100.0 + FAREWELL_SECONDS + 0.25)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        old.sendto(b"late", pair.rtp.getsockname())
        watcher.poll()
    ports.expire(110.0)
    assert ports.silent == 1
    ports.expire(120.0)
    assert ports.silent == 0
    ports.close()


def test_sprayed_silent_ports_are_not_listened_to_and_hold_next_to_nothing() -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pair = ports.take()
    ports.give_back(pair, 0.0)
    ports.expire(FAREWELL_SECONDS + 0.25)
    assert len(watcher.receivers) == 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"junk", pair.rtcp.getsockname())
        watcher.poll()
        assert not watcher.receivers
        for _ in range(1_000):
            stranger.sendto(bytes(1_000), pair.rtp.getsockname())
    assert kernel_drops(pair.rtp) > 990
    ports.close()


def test_a_free_pair_waits_for_its_turn_with_its_sockets() -> None:
    ports = pool()
    first = ports.take()
    ports.give_back(first, 0.0)
    ports.expire(10.0)
    pairs = [ports.take() for _ in range(4)]
    assert [pair.port for pair in pairs] == [32_002, 32_004, 32_006, 32_000]
    assert pairs[3] is first
    for pair in pairs:
        pair.close()


def test_a_free_pair_is_closed_after_a_while() -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pair = ports.take()
    ports.give_back(pair, 0.0)
    ports.expire(10.0)
    ports.expire(10.0 + BOUND_SECONDS - 0.1)
    assert pair.rtp.fileno() > 0
    ports.expire(10.0 + BOUND_SECONDS)
    assert pair.rtp.fileno() == pair.rtcp.fileno() == -1
    assert not watcher.receivers
    assert ports.free == 4


def test_many_pairs_that_are_due_are_freed_and_closed_a_few_at_a_time() -> None:
    """Packets of other calls come between."""
    watcher = Watcher()
    ports = pool(last=32_043, watcher=watcher)
    for pair in [ports.take() for _ in range(20)]:
        ports.give_back(pair, 0.0)
    ports.expire(10.0)
    assert 2 < ports.free < 22
    watcher.work()
    assert (ports.free, ports.silent) == (22, 0)
    assert len(watcher.receivers) == 40
    assert len(in_stock(ports)) == 22, "and the two that were never taken are bound ahead"
    ports.expire(10.0 + BOUND_SECONDS)
    assert 0 < len(watcher.receivers) < 40
    watcher.work()
    assert not watcher.receivers


@pytest.mark.parametrize("is_told", [True, False])
def test_late_media_on_a_free_pair_keeps_it_from_the_next_call(is_told: bool) -> None:
    """Whether the loop has told of it by then, or not yet."""
    watcher = Watcher()
    ports = pool(last=32_003, watcher=watcher)
    pair = ports.take()
    ports.give_back(pair, 0.0)
    ports.expire(10.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        old.sendto(b"late", pair.rtcp.getsockname())
    if is_told:
        watcher.poll()
    other = ports.take()
    assert other is not pair
    with pytest.raises(NoPorts):
        ports.take()
    ports.expire(11.0)
    assert ports.silent == 1
    ports.expire(21.0)
    assert ports.take() is pair
    with pytest.raises(BlockingIOError):
        pair.rtcp.recv(100)
    assert pair.rtp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 100_000
    pair.close()
    other.close()


def test_a_call_is_not_told_what_the_kernel_dropped_of_the_one_before() -> None:
    ports = pool(last=32_001)
    pair = ports.take()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(3_000):
            flood.sendto(bytes(1_000), pair.rtp.getsockname())
    assert pair.dropped() > 1_000
    while pair.rtp.recv(2_000, socket.MSG_DONTWAIT | socket.MSG_TRUNC) and select.select([pair.rtp], [], [], 0)[0]:
        pass
    ports.give_back(pair, 0.0)
    ports.expire(10.0)
    assert ports.take() is pair
    assert pair.dropped() == 0
    pair.close()


def test_without_quarantine_pairs_are_free_at_once_and_used_last() -> None:
    ports = pool(quarantine=0.0)
    first = ports.take()
    ports.give_back(first, 0.0)
    again = [ports.take() for _ in range(4)]
    assert [pair.port for pair in again] == [32_002, 32_004, 32_006, 32_000]
    for pair in again:
        pair.close()


def test_connected_socket_hears_its_remote_and_the_open_one_everybody_else() -> None:
    ports = pool()
    pair = ports.take()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        remote.bind((own_address(), 0))
        stranger.bind((own_address(), 0))
        linked = ports.connected(pair.rtp, remote.getsockname())
        assert linked is not None
        remote.sendto(b"remote", pair.rtp.getsockname())
        stranger.sendto(b"stranger", pair.rtp.getsockname())
        assert linked.recv(100) == b"remote"
        assert pair.rtp.recv(100) == b"stranger"
        with pytest.raises(BlockingIOError):
            linked.recv(100)
        linked.close()
    pair.close()


def test_media_leaves_with_expedited_forwarding() -> None:
    pair = pool().take()
    assert pair.rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
    pair.close()


def test_kernel_drops_are_told() -> None:
    ports = pool(quarantine=0.0)
    pair = ports.take()
    assert kernel_drops(pair.rtp) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(3_000):
            flood.sendto(bytes(1_000), pair.rtp.getsockname())
    assert kernel_drops(pair.rtp) > 1_000
    pair.close()


def test_a_pair_that_carried_nothing_has_no_quarantine_and_stays_bound() -> None:
    ports = pool()
    pair = ports.take()
    ports.give_back(pair, 0.0, has_carried=False)
    assert (ports.used, ports.silent, ports.free) == (0, 0, 4)
    pairs = [ports.take() for _ in range(4)]
    assert pairs[3] is pair
    for one in pairs:
        one.close()


@pytest.mark.parametrize("is_told", [True, False])
def test_media_of_a_callee_that_was_only_offered_the_pair_keep_it_from_the_next_call(is_told: bool) -> None:
    watcher = Watcher()
    ports = pool(last=32_003, watcher=watcher)
    pair, other = ports.take(), ports.take()
    ports.give_back(pair, 0.0, has_carried=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee:
        callee.sendto(b"early", pair.rtp.getsockname())
    if is_told:
        watcher.poll()
    with pytest.raises(NoPorts):
        ports.take()
    assert ports.silent == 1
    other.close()
    ports.close()


def test_the_last_pairs_are_for_urgent_calls() -> None:
    ports = pool(last=32_199)
    pairs = [ports.take() for _ in range(90)]
    with pytest.raises(NoPorts):
        ports.take()
    assert ports.free == 10
    pairs += [ports.take(is_urgent=True) for _ in range(10)]
    with pytest.raises(NoPorts):
        ports.take(is_urgent=True)
    for pair in pairs:
        pair.close()


@pytest.mark.parametrize("is_sprayed", [True, False])
def test_an_urgent_call_breaks_a_quarantine_rather_than_have_no_ports(is_sprayed: bool) -> None:
    watcher = Watcher()
    ports = pool(last=32_003, watcher=watcher)
    pairs = [ports.take(), ports.take()]
    for pair in pairs:
        ports.give_back(pair, 0.0)
    if is_sprayed:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"junk", pairs[0].rtp.getsockname())
        watcher.poll()
    with pytest.raises(NoPorts):
        ports.take()
    taken = ports.take(is_urgent=True)
    assert taken is pairs[0]
    assert (ports.used, ports.silent) == (1, 1)
    with pytest.raises(BlockingIOError):
        taken.rtp.recv(1)
    taken.close()
    ports.close()


def in_stock(ports: PortPool) -> list[int]:
    """The free pairs that are bound."""
    return [*ports._bound]


def test_while_there_are_calls_the_next_pairs_are_bound_ahead_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher()
    ports = pool(first=32_000, last=32_000 + 4 * AHEAD, watcher=watcher)
    ports.expire(1.0)
    assert (watcher.jobs, in_stock(ports)) == ([], []), "without calls there is no stock"
    pairs = [ports.take()]
    ports.expire(2.0)
    for count in range(AHEAD):
        assert len(in_stock(ports)) == count
        (job,) = watcher.jobs
        watcher.jobs.clear()
        job()
    assert (watcher.jobs, in_stock(ports)) == ([], [32_002 + 2 * index for index in range(AHEAD)])
    monkeypatch.setattr(ports, "_opened", None)
    pairs += [ports.take() for _ in range(AHEAD)]
    assert [pair.port for pair in pairs] == [32_000 + 2 * index for index in range(1 + AHEAD)]
    for pair in pairs:
        pair.close()


def test_a_stranger_that_sends_to_all_pairs_of_the_stock_keeps_none_from_the_next_calls() -> None:
    """They have no call of before whose media could be late. No packet of before reaches the new one: it could lock
    the latch, and the one whose media are awaited would be the stranger."""
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pairs = [ports.take()]
    ports.expire(1.0)
    watcher.work()
    assert len(in_stock(ports)) == 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for port in range(32_002, 32_008):
            for _ in range(1_000):
                stranger.sendto(b"early", (ports.range.address, port))
        watcher.poll()
        pairs += [ports.take() for _ in range(3)]
        assert [pair.port for pair in pairs] == [32_000, 32_002, 32_004, 32_006]
        for pair in pairs:
            for one in (pair.rtp, pair.rtcp):
                with pytest.raises(BlockingIOError):
                    one.recv(100)
            assert pair.dropped() == 0
            assert pair.rtp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 100_000
    assert ports.silent == 0
    for pair in pairs:
        pair.close()


def test_a_pair_of_the_stock_holds_next_to_nothing_of_what_a_stranger_sends() -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    ports.take().close()
    ports.expire(1.0)
    watcher.work()
    assert not watcher.receivers
    pair = ports._bound[32_002]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(1_000):
            stranger.sendto(bytes(1_000), pair.rtp.getsockname())
    assert kernel_drops(pair.rtp) > 990
    ports.close()


def test_a_pair_of_the_stock_that_had_a_call_is_kept_silent_like_all_others() -> None:
    watcher = Watcher()
    ports = pool(last=32_003, watcher=watcher)
    first = ports.take()
    ports.expire(1.0)
    watcher.work()
    pair = ports.take()
    ports.give_back(pair, 1.0)
    ports.expire(11.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        old.sendto(b"late", pair.rtp.getsockname())
    with pytest.raises(NoPorts):
        ports.take()
    assert ports.silent == 1
    first.close()
    ports.close()


def test_a_pool_that_is_closed_binds_no_more() -> None:
    """Its address is another program's by then."""
    watcher = Watcher()
    ports = pool(watcher=watcher)
    ports.take().close()
    ports.expire(1.0)
    assert watcher.jobs
    ports.close()
    watcher.work()
    assert in_stock(ports) == []


def test_the_stock_passes_over_ports_of_other_programs_and_is_let_go_of_without_calls() -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ports.range.address, 32_003))
        pair = ports.take()
        ports.expire(1.0)
        watcher.work()
    assert pair.port == 32_000
    assert set(in_stock(ports)) == {32_004, 32_006}
    assert ports.free == 3
    ports.expire(1.0 + BOUND_SECONDS)
    watcher.work()
    assert (in_stock(ports), watcher.receivers) == ([], {})
    pair.close()


def test_where_every_port_is_anothers_the_stock_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher()
    ports = pool(watcher=watcher)
    pair = ports.take()
    monkeypatch.setattr(ports, "_made", lambda port: None)
    ports.expire(1.0)
    watcher.work()
    assert (in_stock(ports), ports.free) == ([], 3)
    pair.close()


@pytest.mark.parametrize("blocked", sorted(BLOCKED_BY_BROWSERS))
def test_ports_that_browsers_block_are_never_given(blocked: int) -> None:
    pool = PortPool(PoolOptions(own_address(), blocked - 2, blocked + 3), Watcher())
    pairs = [pool.take(is_urgent=True) for _ in range(pool.free)]
    others = [port for port in (blocked - 2, blocked + 2) if port not in BLOCKED_BY_BROWSERS]
    assert [pair.rtp.getsockname()[1] for pair in pairs] == others
    for pair in pairs:
        pair.rtp.close()
        pair.rtcp.close()
