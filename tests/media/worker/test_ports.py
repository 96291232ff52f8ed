"""Ports are given in turn, given back, and kept silent for a while."""

from __future__ import annotations

import socket

import pytest

from gateway.media.worker.ports import MAXIMUM_QUARANTINES, NoPorts, PortPool, PortRange, kernel_drops
from tests.support.media_relays import own_address


def pool(quarantine: float = 10.0, first: int = 32_000, last: int = 32_007) -> PortPool:
    return PortPool(PortRange(own_address(), first, last, quarantine))


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
    ports = pool(quarantine=1.0)
    pair = ports.take()
    target, now = pair.rtp.getsockname(), 0.0
    ports.give_back(pair, now)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        while ports.silent:
            old.sendto(b"late", target)
            now += 1.0
            ports.expire(now)
    assert now == MAXIMUM_QUARANTINES
    assert ports.free == 4


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
