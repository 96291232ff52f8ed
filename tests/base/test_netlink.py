"""Messages of rtnetlink: this machine's own, and bytes that are none."""

from __future__ import annotations

import socket
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.network.kernel import RunningKernel, own_addresses
from gateway.base.network.netlink import (
    NEW_ADDRESS,
    NEW_ROUTE,
    KernelAddress,
    NetlinkMessage,
    address_of,
    is_local_route,
    messages,
)


def attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def address(flags: int = 0, scope: int = 0, local: str = "192.0.2.10", *, wide: int | None = None) -> NetlinkMessage:
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    body = pack("=BBBBI", family, 24, flags & 0xFF, scope, 7) + attribute(1, socket.inet_pton(family, local))
    if wide is not None:
        body += attribute(8, pack("=I", wide))
    return NetlinkMessage(NEW_ADDRESS, 0, body)


def test_the_loopback_address_is_there_and_is_no_global_one() -> None:
    here = {one.address: one for one in own_addresses()}
    assert not here["127.0.0.1"].is_global


@pytest.mark.parametrize(
    ("host", "is_own"), [("127.0.0.1", True), ("127.77.0.9", True), ("198.51.100.77", False), ("2001:db8::77", False)]
)
def test_whose_an_address_is_tells_the_routing_table(host: str, is_own: bool) -> None:
    """All of 127.0.0.0/8 is this machine's, though one address of it alone is listed."""
    assert RunningKernel().is_own(host) is is_own


@pytest.mark.parametrize(("host", "is_own"), [("127.0.0.1", True), ("198.51.100.77", False)])
def test_whose_an_address_is_where_a_sandbox_forbids_netlink(
    host: str, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "AF_NETLINK", 4_000)
    assert RunningKernel().is_own(host) is is_own


def test_an_interface_that_is_not_there_has_no_address() -> None:
    assert RunningKernel().first_address("nothing7", 4) is None
    assert RunningKernel().first_address("lo", 4) is None


def test_an_address_is_read() -> None:
    assert address_of(address()) == KernelAddress(7, "192.0.2.10", is_global=True, is_fit=True)
    found = address_of(address(local="2001:db8::1"))
    assert found == KernelAddress(7, "2001:db8::1", is_global=True, is_fit=True)


def test_on_a_link_between_two_the_own_end_counts() -> None:
    body = pack("=BBBBI", socket.AF_INET, 32, 0, 0, 7)
    body += attribute(1, bytes([192, 0, 2, 99])) + attribute(2, bytes([192, 0, 2, 10]))
    found = address_of(NetlinkMessage(NEW_ADDRESS, 0, body))
    assert found is not None
    assert found.address == "192.0.2.10"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (address(flags=0x01), "a second one of its network"),
        (address(flags=0x20), "deprecated"),
        (address(flags=0x40, local="2001:db8::1"), "tentative"),
        (address(flags=0x08, local="2001:db8::1"), "a duplicate"),
        (address(local="2001:db8::1", wide=0x01), "temporary, said in the long flags"),
    ],
)
def test_addresses_that_are_not_used(message: NetlinkMessage, why: str) -> None:
    found = address_of(message)
    assert found is not None
    assert not found.is_fit, why


def test_a_link_local_address_is_not_global() -> None:
    found = address_of(address(scope=253, local="fe80::1"))
    assert found is not None
    assert not found.is_global


@pytest.mark.parametrize(
    "body", [b"", b"\x02", pack("=BBBBI", socket.AF_INET, 24, 0, 0, 7), pack("=BBBBI", 99, 24, 0, 0, 7) + b"x" * 40]
)
def test_an_address_without_one_is_none(body: bytes) -> None:
    assert address_of(NetlinkMessage(NEW_ADDRESS, 0, body)) is None


def test_an_attribute_with_a_false_length_ends_the_reading() -> None:
    body = pack("=BBBBI", socket.AF_INET, 24, 0, 0, 7) + pack("=HH", 200, 1) + bytes(4)
    assert address_of(NetlinkMessage(NEW_ADDRESS, 0, body)) is None


def test_messages_end_at_the_first_false_length() -> None:
    good = pack("=IHHII", 20, NEW_ROUTE, 0, 1, 0) + b"body"
    assert [one.body for one in messages(good + good)] == [b"body", b"body"]
    for false in (0, 15, 400):
        assert len([*messages(good + pack("=IHHII", false, NEW_ROUTE, 0, 1, 0))]) == 1


@given(st.binary(max_size=200))
def test_whatever_comes_nothing_is_raised(data: bytes) -> None:
    for message in messages(data):
        address_of(message)
        is_local_route(message)
    address_of(NetlinkMessage(NEW_ADDRESS, 0, data))
    is_local_route(NetlinkMessage(NEW_ROUTE, 0, data))
