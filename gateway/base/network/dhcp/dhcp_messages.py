"""DHCP messages (RFC 2131 section 2, options by RFC 2132): a client's requests as bytes, servers' replies as values.

    DhcpRequest -> payload of UDP to port 67        payload of UDP from port 67 -> reply_of() -> DhcpReply, or None

Pure. Anybody on the wire can send a reply: every length is checked, a reply that does not fit is None and never an
exception, and none is larger than the datagram that it came in. Whether a lease is one to take is lease.py's.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct
from types import MappingProxyType
from typing import Final

import attrs


class RequestKind(IntEnum):
    """The types of a client's messages (RFC 2132 section 9.6)."""

    DISCOVER = 1
    REQUEST = 3
    DECLINE = 4


class ReplyKind(IntEnum):
    """The types of a server's messages."""

    OFFER = 2
    ACK = 5
    NAK = 6


class DhcpOption(IntEnum):
    """Options that are sent or read."""

    SUBNET_MASK = 1
    ROUTER = 3
    DNS = 6
    HOST_NAME = 12
    DOMAIN = 15
    NTP = 42
    VENDOR = 43
    REQUESTED_ADDRESS = 50
    LEASE_SECONDS = 51
    OVERLOAD = 52
    KIND = 53
    SERVER = 54
    WANTED = 55
    LARGEST_MESSAGE = 57
    T1 = 58
    T2 = 59
    VENDOR_CLASS = 60
    CLIENT = 61
    TFTP_NAME = 66
    SIP_SERVERS = 120
    TFTP_ADDRESSES = 150


WANTED: Final = bytes(
    (
        DhcpOption.SUBNET_MASK,
        DhcpOption.ROUTER,
        DhcpOption.DNS,
        DhcpOption.DOMAIN,
        DhcpOption.NTP,
        DhcpOption.VENDOR,
        DhcpOption.LEASE_SECONDS,
        DhcpOption.T1,
        DhcpOption.T2,
        DhcpOption.TFTP_NAME,
        DhcpOption.SIP_SERVERS,
        DhcpOption.TFTP_ADDRESSES,
    )
)
"""Asked for of every server. Not 121: a server that is not asked for classless routes sends its router (RFC 3442)."""

LARGEST: Final = 1472
"""Bytes of a message that is read: the payload of UDP in one frame of Ethernet."""
_SHORTEST_SENT: Final = 300
"""Bytes: relays of BOOTP drop anything shorter (RFC 1542 section 2.1)."""

_FIXED: Final = Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
"""op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, magic cookie."""
_BOOT_REQUEST, _BOOT_REPLY, _ETHERNET = 1, 2, 1
_COOKIE: Final = b"\x63\x82\x53\x63"
_PAD, _END = 0, 255
_NOWHERE: Final = bytes(4)


@attrs.frozen
class DhcpRequest:
    """One message of the client."""

    kind: RequestKind
    xid: int
    mac: bytes
    """Six bytes."""
    own_address: str = ""
    """ciaddr: the address that the client has and answers to; empty for none yet."""
    seconds: int = 0
    """Since it began to ask."""
    options: Mapping[DhcpOption, bytes] = MappingProxyType({})
    """Beside those that each message has: its kind and the client's identity."""

    def encoded(self) -> bytes:
        """The payload of UDP."""
        fixed = _FIXED.pack(
            _BOOT_REQUEST,
            _ETHERNET,
            len(self.mac),
            0,
            self.xid,
            min(0xFFFF, max(0, self.seconds)),
            0,  # a packet socket takes unicast replies before the address is there: no need to broadcast them
            socket.inet_aton(self.own_address) if self.own_address else _NOWHERE,
            _NOWHERE,
            _NOWHERE,
            _NOWHERE,
            self.mac,
            b"",
            b"",
            _COOKIE,
        )
        every = {DhcpOption.KIND: bytes((self.kind,)), DhcpOption.CLIENT: bytes((_ETHERNET,)) + self.mac}
        options = b"".join(bytes((code, len(value))) + value for code, value in {**every, **self.options}.items())
        return (fixed + options + bytes((_END,))).ljust(_SHORTEST_SENT, b"\0")


@attrs.frozen
class DhcpReply:
    """One message of a server."""

    kind: ReplyKind
    xid: int
    mac: bytes
    """chaddr: the client that it is for."""
    address: str
    """yiaddr: the client's address."""
    options: Mapping[int, bytes]

    @property
    def server(self) -> str | None:
        """The identity of the server (RFC 2132 section 9.7); None where it has none."""
        return next(iter(self.addresses(DhcpOption.SERVER)), None)

    def addresses(self, code: DhcpOption) -> tuple[str, ...]:
        """An option that is a list of addresses; none of a length that does not fit."""
        value = self.options.get(code, b"")
        if len(value) % 4:
            return ()
        return tuple(socket.inet_ntoa(value[at : at + 4]) for at in range(0, len(value), 4))

    def number(self, code: DhcpOption) -> int | None:
        """An option of four bytes as a number."""
        value = self.options.get(code, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else None


def reply_of(data: bytes) -> DhcpReply | None:
    """The reply in a payload of UDP; None for anything that is none (RFC 2131 section 3)."""
    if not _FIXED.size <= len(data) <= LARGEST:
        return None
    op, hardware, length, _, xid, _, _, _, address, _, _, mac, name, file, cookie = _FIXED.unpack_from(data)
    if (op, hardware, length, cookie) != (_BOOT_REPLY, _ETHERNET, 6, _COOKIE):
        return None
    options = _options(data[_FIXED.size :], name, file)
    kind = options.get(DhcpOption.KIND, b"")
    if len(kind) != 1 or kind[0] not in tuple(ReplyKind):
        return None
    return DhcpReply(ReplyKind(kind[0]), xid, mac[:6], socket.inet_ntoa(address), options)


def _options(data: bytes, name: bytes, file: bytes) -> dict[int, bytes]:
    """Every option by its code. One that occurs several times is long, and is put together (RFC 3396 section 5); the
    fields `file` and `sname` may hold more, in this order (RFC 2131 section 4.1)."""
    found: dict[int, bytes] = {}
    _take(data, found)
    overload = found.get(DhcpOption.OVERLOAD, b"")
    if overload in (b"\x01", b"\x03"):
        _take(file, found)
    if overload in (b"\x02", b"\x03"):
        _take(name, found)
    return found


def _take(field: bytes, found: dict[int, bytes]) -> None:
    for code, value in _walked(field):
        found[code] = found.get(code, b"") + value


def _walked(field: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of one field, up to its end or the first that is longer than the field."""
    at = 0
    while at < len(field) and field[at] != _END:
        if field[at] == _PAD:
            at += 1
            continue
        value = field[at + 2 : at + 2 + field[at + 1]] if at + 1 < len(field) else b""
        if at + 1 >= len(field) or len(value) != field[at + 1]:
            return
        yield field[at], value
        at += 2 + len(value)
