"""Sources that are turned away before parsing: spellings of addresses, networks, stakes, and the price."""

from __future__ import annotations

import re
from timeit import timeit

import pytest

from gateway.base.address_ranges import AddressRanges
from gateway.base.rate import source_of
from gateway.transport.banned import PARSED, Banned


@pytest.mark.parametrize(
    ("banned", "host"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::5", "2001:db8:1:2::5"),
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::9"),
        ("fe80::1", "fe80::2%eth0"),
    ],
)
def test_a_banned_source_is_dropped_in_every_spelling(banned: str, host: str) -> None:
    out = Banned()
    out.keep_out(source_of(banned))

    assert len(out) == 1
    assert out.drops(host, "udp")
    assert out.dropped == {"udp": 1}
    out.let_in(source_of(banned))
    assert not out.is_on
    assert not out.drops(host, "udp")


@pytest.mark.parametrize("host", ["192.0.2.8", "2001:db8:1:3::5", "::ffff:192.0.2.8", "", "no address"])
def test_its_neighbours_are_not(host: str) -> None:
    out = Banned()
    for source in ("192.0.2.7", "2001:db8:1:2::5"):
        out.keep_out(source_of(source))

    assert not out.drops(host, "udp")
    assert not out.is_banned(host)


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8:1:2::5"])
def test_a_source_with_a_stake_comes_as_far_as_the_gate(host: str) -> None:
    """Its calls go on; the moment that the last stake is gone, it is dropped as any other."""
    out, source = Banned(), source_of(host)
    out.hold_stakes(frozenset({source}))
    out.keep_out(source)

    assert not out.drops(host, "tcp")
    assert out.is_banned(host)
    out.hold_stakes(frozenset())
    assert out.drops(host, "tcp")
    out.hold_stakes(frozenset({source}))
    assert not out.drops(host, "tcp")


def test_lists_are_dropped_but_for_the_spared_and_the_staked() -> None:
    out = Banned()
    out.keep_out_lists([AddressRanges.of(["198.51.100.0/24", "198.51.101.0/24"]), AddressRanges.of(["2001:db8::/32"])])
    out.spare(AddressRanges.of(["198.51.100.64/26", "2001:db8:5::/48"]))
    out.hold_stakes(frozenset({"198.51.101.9"}))

    dropped = [
        "198.51.100.1",
        "198.51.100.63",
        "198.51.100.128",
        "198.51.101.255",
        "::ffff:198.51.100.2",
        "2001:db8::1",
    ]
    let_in = ["198.51.100.64", "198.51.100.127", "198.51.102.0", "198.51.101.9", "2001:db8:5:1::1", "2001:db9::1"]
    assert [host for host in dropped if not out.drops(host, "udp")] == []
    assert [host for host in let_in if out.drops(host, "udp")] == []
    assert out.is_banned("198.51.101.9")
    assert not out.is_banned("198.51.100.64")
    out.keep_out_lists([AddressRanges()])
    assert not out.is_on


def test_the_price_of_the_question() -> None:
    """Ten times the bound (1 us, 0.2 us), for machines that are busy: a scan of a list would be a thousand times it."""
    out = Banned()

    def ask() -> None:
        if out.is_on and out.drops("203.0.113.9", "udp"):
            return

    assert min(timeit(ask, number=1000) for _ in range(20)) / 1000 < 10e-6
    for index in range(60_000):
        out.keep_out(f"10.{index >> 8 & 255}.{index & 255}.{index >> 16}")
    out.keep_out("203.0.113.9")
    assert min(timeit(ask, number=1000) for _ in range(20)) / 1000 < 2e-6


LOOK = re.compile(rb"scanner")


@pytest.mark.parametrize("host", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"])
def test_of_a_suspect_datagrams_with_the_look_are_dropped_and_no_others(host: str) -> None:
    out = Banned()
    out.look_for(LOOK)
    out.suspect(host.removeprefix("::ffff:"), is_unknown=False)

    assert out.drops_of_suspect(host, b"User-Agent: scanner")
    assert not out.drops_of_suspect(host, b"User-Agent: phone")
    assert not out.drops_of_suspect("192.0.2.8", b"User-Agent: scanner")
    assert out.dropped == {"udp": 1}
    out.look_for(LOOK)
    assert not out.drops_of_suspect(host, b"User-Agent: scanner")
    assert not out.is_on


def test_suspects_are_bounded() -> None:
    out = Banned()
    out.look_for(LOOK)
    for index in range(3_000):
        out.suspect(f"10.0.{index >> 8}.{index & 255}", is_unknown=False)
    assert not out.drops_of_suspect("10.0.11.0", b"scanner")
    assert out.drops_of_suspect("10.0.0.1", b"scanner")


def test_of_an_unknown_suspect_so_many_are_let_in_and_of_others_all() -> None:
    out = Banned()
    for host, is_unknown in (("192.0.2.7", True), ("192.0.2.8", False)):
        out.suspect(host, is_unknown=is_unknown)
        out.suspect(host, is_unknown=is_unknown)
    dropped = [sum(out.drops_of_suspect(host, b"OPTIONS") for _ in range(1_000)) for host in ("192.0.2.7", "192.0.2.8")]
    assert dropped == [1_000 - PARSED, 0]

    out.hold_stakes(frozenset({"192.0.2.7"}))  # a call of it is up
    assert not out.drops_of_suspect("192.0.2.7", b"BYE")
    out.look_for(None)
    out.suspect("192.0.2.7", is_unknown=True)
    assert sum(out.drops_of_suspect("192.0.2.7", b"BYE") for _ in range(1_000)) == 0
