"""Leases: an address for a time, as a server granted it, and the reason not to take one.

    DhcpReply -> lease_of() -> Lease, or NoLease with the reason        Lease -> objection(others) -> reason or ""

Pure; times are seconds of a clock that never goes back. Everything in a reply is its sender's claim: an address that
cannot be a host's, a network that has no room for it, a lease too short to work with are refused before the kernel
hears of them, and texts are kept in bounds. Not here: the exchange with the server (client_machine.py).
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network
from typing import Final

import attrs

from gateway.base.network.dhcp.dhcp_messages import DhcpOption, DhcpReply

SHORTEST: Final = 30
"""Seconds of the shortest lease that is taken: with less, the wire would hear a request each few seconds, and a lost
datagram would cost the address."""
FOREVER: Final = 0xFFFFFFFF
"""Seconds of a lease without an end (RFC 2131 section 3.3)."""
_MOST_LISTED: Final = 8
"""Addresses kept of one option."""
_MOST_TEXT: Final = 255
_MOST_VENDOR: Final = 512
_WIDEST: Final = 8
"""Bits of the widest network: no office has more than 16 million hosts on one wire."""


class NoLease(Exception):
    """A reply grants no lease that could be used; str() says why."""


@attrs.frozen
class Lease:
    """An address, its network and the rest that a server says."""

    address: str
    prefix: int
    """Bits of its network."""
    server: str
    server_mac: bytes
    """The sender of the reply on this wire: the server, or its relay."""
    obtained: float
    """When it was asked for: the lease runs from there (RFC 2131 section 4.4.1)."""
    seconds: float
    """Its length; infinity for one without an end."""
    t1: float
    """Seconds after which it is renewed with its server."""
    t2: float
    """Seconds after which any server is asked."""
    router: str = ""
    """In its network; empty for none."""
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    domain: str = ""
    tftp: tuple[str, ...] = ()
    """Options 66 and 150: a name, then addresses."""
    sip_servers: tuple[str, ...] = ()
    """DhcpOption 120 (RFC 3361)."""
    vendor: bytes = b""
    """DhcpOption 43, as it came."""

    @property
    def network(self) -> IPv4Network:
        """The network that it is on."""
        return IPv4Network((self.address, self.prefix), strict=False)

    @property
    def ends(self) -> float:
        """When it is over."""
        return self.obtained + self.seconds


def lease_of(reply: DhcpReply, server_mac: bytes, asked: float) -> Lease:
    """The lease of an OFFER or ACK to a question of that moment. Raises NoLease."""
    server = reply.server
    if server is None or not is_host(server):
        raise NoLease("it names no server")
    length = reply.number(DhcpOption.LEASE_SECONDS)
    if length is None:
        raise NoLease("it has no length")
    if length < SHORTEST:
        raise NoLease(f"it is for {length} s: {SHORTEST} s are the least")
    seconds = float("inf") if length == FOREVER else float(length)
    t1, t2 = _renewals(reply, seconds)
    prefix = _prefix(reply)
    lease = Lease(reply.address, prefix, server, server_mac, asked, seconds, t1, t2)
    routers = (one for one in reply.addresses(DhcpOption.ROUTER) if is_host(one) and one != lease.address)
    return attrs.evolve(
        lease,
        router=next((one for one in routers if IPv4Address(one) in lease.network), ""),
        dns=_hosts(reply, DhcpOption.DNS),
        ntp=_hosts(reply, DhcpOption.NTP),
        domain=_text(reply.options.get(DhcpOption.DOMAIN, b"")),
        tftp=(
            *filter(None, [_text(reply.options.get(DhcpOption.TFTP_NAME, b""))]),
            *_hosts(reply, DhcpOption.TFTP_ADDRESSES),
        ),
        sip_servers=_sip_servers(reply.options.get(DhcpOption.SIP_SERVERS, b"")),
        vendor=reply.options.get(DhcpOption.VENDOR, b"")[:_MOST_VENDOR],
    )


def objection(lease: Lease, taken: Collection[str]) -> str:
    """The reason not to use a lease; empty where there is none. ``taken`` are addresses that are others' for certain:
    of this machine's other interfaces, and those that the gateway speaks to."""
    address, network = IPv4Address(lease.address), lease.network
    if not is_host(lease.address):
        return f"{address} is no address of a host"
    if lease.prefix < 31 and address in (network.network_address, network.broadcast_address):
        return f"{address} is no host of {network}"
    if lease.address in taken:
        return f"{address} belongs to another"
    if lease.address == lease.server:
        return f"{address} is the server's own"
    return f"{network} is wider than any office" if lease.prefix < _WIDEST else ""


def is_host(address: str) -> bool:
    """Whether a host on a wire may have an IPv4 address: none of loopback, link-local, multicast or reserved ones."""
    one = IPv4Address(address)
    first = one.packed[0]
    return not (first == 0 or one.is_loopback or one.is_link_local or one.is_multicast or first >= 240)


def _renewals(reply: DhcpReply, seconds: float) -> tuple[float, float]:
    """T1 and T2: the server's, where they are in order and leave time; else half and seven eighths of the lease
    (RFC 2131 section 4.4.5)."""
    t1 = reply.number(DhcpOption.T1) or seconds * 0.5
    t2 = reply.number(DhcpOption.T2) or seconds * 0.875
    if SHORTEST / 2 <= t1 < t2 < seconds:
        return t1, t2
    return seconds * 0.5, seconds * 0.875


def _prefix(reply: DhcpReply) -> int:
    mask = reply.number(DhcpOption.SUBNET_MASK)
    if mask is None:
        raise NoLease("it has no subnet mask")
    bits = mask.bit_count()
    if mask != 0xFFFFFFFF & ~(0xFFFFFFFF >> bits):
        raise NoLease("its subnet mask has gaps")
    return bits


def _hosts(reply: DhcpReply, code: DhcpOption) -> tuple[str, ...]:
    return tuple(one for one in reply.addresses(code) if is_host(one))[:_MOST_LISTED]


def _tftp(reply: DhcpReply) -> tuple[str, ...]:
    name = _text(reply.options.get(DhcpOption.TFTP_NAME, b""))
    return (*filter(None, [name]), *_hosts(reply, DhcpOption.TFTP_ADDRESSES))


def _text(value: bytes) -> str:
    """Printable ASCII of an option, up to its first NUL: some servers end texts by one (RFC 2132 section 2)."""
    text = value.partition(b"\0")[0][:_MOST_TEXT].decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() else ""


def _sip_servers(value: bytes) -> tuple[str, ...]:
    """SIP servers as addresses, or as names in DNS's form without compression (RFC 3361 section 3)."""
    if value[:1] == b"\x01" and len(value) % 4 == 1:
        found = [".".join(map(str, value[at : at + 4])) for at in range(1, len(value), 4)]
        return tuple(one for one in found if is_host(one))[:_MOST_LISTED]
    names: list[str] = []
    labels: list[str] = []
    at = 1
    while value[:1] == b"\0" and at < len(value) and len(names) < _MOST_LISTED:
        label = value[at + 1 : at + 1 + value[at]]
        if len(label) != value[at] or value[at] > 63:
            return ()
        at += 1 + len(label)
        if label:
            labels.append(_text(label))
        elif labels:
            names.append(".".join(labels))
            labels = []
    return tuple(name for name in names if 0 < len(name) <= _MOST_TEXT)
