"""Leases that are taken and those that are not, by RFC 2131 and for a machine that must not be led astray."""

from __future__ import annotations

import socket
from struct import pack
from typing import Any

import pytest

from gateway.base.network.dhcp.dhcp_messages import ReplyKind
from gateway.base.network.dhcp.lease import SHORTEST, Lease, NoLease, lease_of, objection
from tests.support.network.dhcp_server import FIRST, SECOND, SERVER, SERVER_MAC, reply


def granted(address: str = FIRST, **more: Any) -> Lease:
    return lease_of(reply(ReplyKind.ACK, 1, address, **more), SERVER_MAC, 100.0)


def refused(**more: Any) -> str:
    with pytest.raises(NoLease) as refusal:
        granted(**more)
    return str(refusal.value)


def addresses(*texts: str) -> bytes:
    return b"".join(map(socket.inet_aton, texts))


def test_a_lease_has_all_that_its_server_says() -> None:
    lease = granted(
        DNS=addresses("10.78.0.7"),
        NTP=addresses("10.78.0.8"),
        DOMAIN=b"office.example\0",
        TFTP_NAME=b"tftp.example",
        TFTP_ADDRESSES=addresses("10.78.0.9"),
        VENDOR=b"\1\2",
    )
    assert (lease.address, lease.prefix, lease.server, lease.router) == (FIRST, 24, SERVER, SERVER)
    assert (lease.obtained, lease.ends) == (100.0, 3700.0)
    assert (lease.dns, lease.ntp, lease.domain) == (("10.78.0.7",), ("10.78.0.8",), "office.example")
    assert lease.tftp == ("tftp.example", "10.78.0.9")
    assert lease.vendor == b"\1\2"
    assert objection(lease, ()) == ""


def test_rfc3361_section_3_sip_servers_are_names_or_addresses() -> None:
    assert granted(SIP_SERVERS=b"\1" + addresses("10.78.0.5", "127.0.0.1")).sip_servers == ("10.78.0.5",)
    names = b"\0\3sip\7example\3com\0\1b\0"
    assert granted(SIP_SERVERS=names).sip_servers == ("sip.example.com", "b")
    for broken in (b"\0\x40abc", b"\0\5ab", b"\1\1\2\3", b"\2abc", b"\0"):
        assert granted(SIP_SERVERS=broken).sip_servers == ()


@pytest.mark.parametrize(
    ("t1", "t2", "expected"),
    [
        (None, None, (1800, 3150)),
        (600, 900, (600, 900)),
        (0, 0, (1800, 3150)),
        (900, 600, (1800, 3150)),
        (3600, 7200, (1800, 3150)),
        (1, 3000, (1800, 3150)),
    ],
)
def test_rfc2131_section_4_4_5_t1_and_t2(t1: int | None, t2: int | None, expected: tuple[float, float]) -> None:
    """The server's where they are in order, else half and seven eighths: no server makes this ask each second."""
    given: dict[str, Any] = {name: pack("!I", value) for name, value in (("T1", t1), ("T2", t2)) if value is not None}
    lease = granted(FIRST, **given)
    assert (lease.t1, lease.t2) == expected


def test_rfc2131_section_3_3_a_lease_may_have_no_end() -> None:
    lease = granted(seconds=0xFFFFFFFF)
    assert lease.ends == lease.obtained + lease.t1 == float("inf")


@pytest.mark.parametrize("seconds", [0, 1, SHORTEST - 1])
def test_a_lease_of_a_second_is_refused(seconds: int) -> None:
    assert refused(seconds=seconds) == f"it is for {seconds} s: 30 s are the least"


def test_a_lease_lacks_nothing_that_is_needed() -> None:
    assert refused(SERVER=b"") == refused(SERVER=b"\x7f\0\0\1") == "it names no server"
    assert refused(LEASE_SECONDS=b"") == refused(LEASE_SECONDS=b"\0\0\1") == "it has no length"
    assert refused(SUBNET_MASK=b"") == "it has no subnet mask"
    assert refused(SUBNET_MASK=b"\xff\0\xff\0") == "its subnet mask has gaps"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "127.0.0.1 is no address of a host"),
        ("127.8.8.8", "127.8.8.8 is no address of a host"),
        ("0.0.0.0", "0.0.0.0 is no address of a host"),
        ("0.1.2.3", "0.1.2.3 is no address of a host"),
        ("224.0.0.1", "224.0.0.1 is no address of a host"),
        ("255.255.255.255", "255.255.255.255 is no address of a host"),
        ("240.0.0.1", "240.0.0.1 is no address of a host"),
        ("169.254.1.1", "169.254.1.1 is no address of a host"),
        ("10.78.0.0", "10.78.0.0 is no host of 10.78.0.0/24"),
        ("10.78.0.255", "10.78.0.255 is no host of 10.78.0.0/24"),
        (SERVER, f"{SERVER} is the server's own"),
        (SECOND, f"{SECOND} belongs to another"),
    ],
)
def test_an_address_that_cannot_be_ours_is_refused(address: str, reason: str) -> None:
    assert objection(granted(address), {SECOND}) == reason


def test_a_network_wider_than_any_office_is_refused() -> None:
    assert "wider" in objection(granted(SUBNET_MASK=b"\xfe\0\0\0"), ())
    assert "wider" in objection(granted(SUBNET_MASK=b"\0\0\0\0"), ())
    assert objection(granted(SUBNET_MASK=b"\xff\xff\xff\xff"), ()) == ""


@pytest.mark.parametrize("router", ["192.0.2.1", "127.0.0.1", "0.0.0.0", FIRST])
def test_a_router_outside_of_the_network_is_none(router: str) -> None:
    assert granted(ROUTER=addresses(router)).router == ""
    assert granted(ROUTER=addresses(router, SERVER)).router == SERVER


def test_lists_and_texts_are_bounded() -> None:
    lease = granted(DNS=addresses(*["10.78.0.7"] * 60), VENDOR=b"v" * 255, DOMAIN=b"a\nb", TFTP_NAME=b"\xff\xfe")
    assert len(lease.dns) == 8
    assert lease.domain == ""
    assert lease.tftp == ()
