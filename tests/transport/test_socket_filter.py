"""Datagrams of banned sources that the kernel drops: by real sockets, and by a reading of the program."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from gateway.base.address_ranges import AddressRanges
from gateway.transport.banned import FLOOD, PERSISTENT, Banned
from gateway.transport.socket_filter import ATTACH, LEAST, MOST, SocketFilters, program

LONGEST = 4_096
"""Steps of a program, as the kernel has it (BPF_MAXINSNS)."""


def passes(code: bytes, packet: bytes) -> bool:
    """Whether a program lets an IP packet through: a reading of it step by step, as bpf(4) of BSD describes them."""
    steps: list[tuple[int, int, int, int]] = [*struct.iter_unpack("=HBBI", code)]
    loaded, place = 0, 0
    kept: dict[int, int] = {}
    while True:
        op, yes, no, value = steps[place]
        place += 1
        at = (value + 0x100000) & 0xFFFFFFFF
        match op:
            case 0x20:
                loaded = int.from_bytes(packet[at : at + 4], "big")
            case 0x30:
                loaded = packet[at]
            case 0x60:
                loaded = kept[value]
            case 0x02:
                kept[value] = loaded
            case 0x74:
                loaded >>= value
            case 0x05:
                place += value
            case 0x15 | 0x25 | 0x35:
                holds = {0x15: loaded == value, 0x25: loaded > value, 0x35: loaded >= value}
                place += yes if holds[op] else no
            case 0x06:
                return bool(value)
            case _:
                raise AssertionError(op)


def ipv4(source: int) -> bytes:
    return b"\x45" + bytes(11) + source.to_bytes(4, "big") + bytes(4)


def ipv6(subscriber: int) -> bytes:
    return b"\x60" + bytes(7) + subscriber.to_bytes(8, "big") + bytes(24)


words = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
pairs = st.one_of(st.builds(lambda high, low: high << 32 | low, words, words), st.integers(2**40, 2**40 + 50))


@settings(max_examples=60, deadline=None)
@given(st.sets(words, max_size=400), st.sets(pairs, max_size=120), st.lists(st.one_of(words, pairs), max_size=40))
def test_the_program_drops_these_sources_and_no_others(first: set[int], second: set[int], others: list[int]) -> None:
    code = program([*((socket.AF_INET, one) for one in first), *((socket.AF_INET6, one) for one in second)])
    for one in (*first, *(other for other in others if other < 2**32)):
        assert passes(code, ipv4(one)) is (one not in first)
    for one in (*second, *others):
        assert passes(code, ipv6(one)) is (one not in second)


def test_the_most_sources_fit_into_one_program() -> None:
    spread = [*((socket.AF_INET, 97 * one) for one in range(MOST[socket.AF_INET]))]
    spread += [(socket.AF_INET6, one << 31) for one in range(MOST[socket.AF_INET6])]
    code = program(spread)
    assert len(code) / 8 <= LONGEST
    assert not passes(code, ipv4(97 * 1_999))
    assert passes(code, ipv4(97 * 1_999 + 1))
    assert not passes(code, ipv6(255 << 31))
    assert passes(code, ipv6(256 << 31))


class Gate:
    """A UDP socket of each family behind one set of banned sources."""

    def __init__(self, stack: ExitStack) -> None:
        self.banned = Banned()
        self._sockets: dict[int, socket.socket] = {}
        for family, place in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")):
            one = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind((place, 0))
            one.settimeout(0.2)
            self._sockets[family] = one
            self.banned.filters.add(one)

    def gets(self, source: str, family: int = socket.AF_INET) -> bool:
        """Whether a datagram of a source, a loopback address, is read at the socket of a family."""
        theirs = socket.AF_INET6 if ":" in source else socket.AF_INET
        ours = self._sockets[socket.AF_INET6 if theirs == socket.AF_INET6 else family]
        with socket.socket(theirs, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            sender.sendto(b"a", ("::1" if theirs == socket.AF_INET6 else "127.0.0.1", ours.getsockname()[1]))
        try:
            _, (host, *_) = ours.recvfrom(10)
        except TimeoutError:
            return False
        self.banned.drops(host, "udp")
        return True

    def floods(self, source: str) -> None:
        """So many datagrams that its ban is left to the kernel."""
        for _ in range(PERSISTENT):
            self.banned.drops(source, "udp")
        self.banned.settle()


@contextmanager
def a_gate() -> Iterator[Gate]:
    with ExitStack() as stack:
        yield Gate(stack)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_banned_source_that_floods_is_dropped_by_the_kernel_and_nobody_else(family: int) -> None:
    with a_gate() as gate:
        gate.banned.keep_out("127.0.0.9")
        gate.banned.settle()
        assert gate.gets("127.0.0.9", family)  # it has sent nothing yet: the process drops it
        gate.floods("127.0.0.9")
        assert not gate.gets("127.0.0.9", family)
        assert gate.gets("127.0.0.8", family)
        assert gate.gets("::1")


def test_of_ipv6_the_subscriber_is_dropped() -> None:
    with a_gate() as gate:
        gate.banned.keep_out("::/64")
        gate.floods("::1")
        assert not gate.gets("::1")
        assert gate.gets("127.0.0.8", socket.AF_INET6)


def test_a_lifted_source_is_let_in_at_once_and_the_others_are_dropped_again_at_the_next_settling() -> None:
    with a_gate() as gate:
        for source in ("127.0.0.8", "127.0.0.9"):
            gate.banned.keep_out(source)
            gate.floods(source)
        gate.banned.let_in("127.0.0.9")
        assert gate.gets("127.0.0.9")
        gate.banned.settle()
        assert gate.gets("127.0.0.9")
        assert not gate.gets("127.0.0.8")


def test_a_source_that_gets_a_call_is_let_in_at_once() -> None:
    with a_gate() as gate:
        gate.banned.keep_out("127.0.0.9")
        gate.floods("127.0.0.9")
        gate.banned.hold_stakes(frozenset({"127.0.0.9"}))
        assert gate.gets("127.0.0.9")
        gate.floods("127.0.0.9")
        assert gate.gets("127.0.0.9")


@pytest.mark.parametrize("end", ["spared", "staked", "list gone"])
def test_an_address_of_a_list_is_dropped_until_it_is_spared_has_a_call_or_the_list_is_gone(end: str) -> None:
    with a_gate() as gate:
        gate.banned.keep_out_lists([AddressRanges.of(["127.0.0.8/29"])])
        gate.floods("127.0.0.9")
        assert not gate.gets("127.0.0.9")
        if end == "spared":
            gate.banned.spare(AddressRanges.of(["127.0.0.9"]))
        elif end == "staked":
            gate.banned.hold_stakes(frozenset({"127.0.0.9"}))
        else:
            gate.banned.keep_out_lists([])
        assert gate.gets("127.0.0.9")


def test_a_flood_of_many_sources_keeps_those_that_sent_most_and_last() -> None:
    banned, sources = Banned(), [f"10.1.{number >> 8}.{number & 255}" for number in range(3_000)]
    for source in ("192.0.2.1", *sources):
        banned.keep_out(source)
    for source in sources:
        for _ in range(PERSISTENT):
            banned.drops(source, "udp")
    for _ in range(10 * PERSISTENT):
        banned.drops("192.0.2.1", "udp")
    banned.settle()
    assert len(banned.filters.sources) == MOST[socket.AF_INET]
    assert banned.filters.sources[-1] == "192.0.2.1"


def test_a_flood_is_left_to_the_kernel_at_once() -> None:
    banned = Banned()
    banned.keep_out("192.0.2.1")
    for _ in range(FLOOD):
        assert banned.filters.sources == []
        banned.drops("192.0.2.1", "udp")
    assert banned.filters.sources == ["192.0.2.1"]
    banned.keep_out("192.0.2.2")
    for _ in range(10 * FLOOD):
        banned.drops("192.0.2.2", "udp")
    assert banned.filters.sources == ["192.0.2.1"]
    banned.settle()
    assert banned.filters.sources == ["192.0.2.1", "192.0.2.2"]


def test_hosts_without_number_take_bounded_room() -> None:
    banned = Banned()
    banned.keep_out("2001:db8::/64")
    for number in range(20_000):
        banned.drops(f"2001:db8::{number:x}", "udp")
    assert len(banned._heard) < 5_000
    banned.settle()
    assert banned.filters.sources == ["2001:db8::/64"]


class Handle:
    """A socket of a kernel with room for so many steps, or one that takes no filter."""

    def __init__(self, room: int, why: int = errno.ENOMEM) -> None:
        self.room, self.why = room, why
        self.steps: int | None = None

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        if option != ATTACH:
            self.steps = None
            return
        steps, _ = struct.unpack("HP", value)
        if steps + (self.steps or 0) > self.room:  # for a moment both are there
            raise OSError(self.why, "no")
        self.steps = steps


def filters(handle: Any, count: int) -> SocketFilters:
    made = SocketFilters()
    made.add(handle)
    made.keep_out(f"10.1.{number >> 8}.{number & 255}" for number in range(count))
    return made


def test_a_kernel_with_little_memory_gets_fewer_sources() -> None:
    handle = Handle(1_000)
    made = filters(handle, 2_000)
    assert len(made.sources) == 500
    assert handle.steps is not None
    made.keep_out([*made.sources, "192.0.2.1"])
    assert handle.steps is not None
    assert made.sources[-1] == "192.0.2.1"
    assert len(made.sources) == 500


@pytest.mark.parametrize("handle", [Handle(LEAST), Handle(0, errno.ENOPROTOOPT)])
def test_a_kernel_that_takes_no_filter_leaves_all_to_the_process(handle: Handle) -> None:
    with capturedLogs() as captured:
        made = filters(handle, 100)
        made.keep_out(["192.0.2.1"])
    assert handle.steps is None
    assert len(captured) == 1
