"""Messages of netlink(7), and those of rtnetlink(7) about addresses and the way to them: bytes in, values out.

    request()          -> kernel -> messages()                     any of them
    address_request()  -> kernel -> messages() -> address_of()     every address of this machine
    route_request(one) -> kernel -> messages() -> is_local_route() whether packets to one end here

Pure: no socket. The kernel's answer is believed, and read with care all the same: a length that does not fit ends the
reading, and the rest is left out. Not here: asking (kernel), hearing of changes (watcher).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

import attrs

LINK_GROUP, IPV4_GROUP, IPV6_GROUP = 0x1, 0x10, 0x100
GROUPS: Final = LINK_GROUP | IPV4_GROUP | IPV6_GROUP
"""Multicast groups of links and of addresses (RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR)."""

ERROR, DONE, NEW_ADDRESS, NEW_ROUTE = 2, 3, 20, 24
_GET_ADDRESS, _GET_ROUTE = 22, 26
_REQUEST, _DUMP = 0x1, 0x300
MULTIPART, INTERRUPTED = 0x2, 0x10
"""Flags of a message of a list (NLM_F_MULTI), and of one that changed while it was read (NLM_F_DUMP_INTR)."""

_HEADER: Final = Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_ADDRESS: Final = Struct("=BBBBI")
"""struct ifaddrmsg: family, bits of the prefix, flags, scope, index."""
_ROUTE: Final = Struct("=BBBBBBBBI")
"""struct rtmsg: family, bits, bits of the source, TOS, table, protocol, scope, type, flags."""
_ATTRIBUTE: Final = Struct("=HH")
"""struct rtattr: length, type."""

_FLAGS: Final = Struct("=I")
"""Of an address, whole: its ifaddrmsg has the lowest eight alone."""

_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST: Final = 1
_RTN_LOCAL: Final = 2
_UNIVERSE: Final = 0

_TEMPORARY, _DAD_FAILED, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
_UNFIT: Final = _DAD_FAILED | _DEPRECATED | _TENTATIVE
_SECONDARY: Final = 0x01
"""The same bit as _TEMPORARY, for IPv4: another address of the same network came first."""

MOST_MESSAGES: Final = 20_000
"""Read of one answer: a machine with more addresses is none that a gateway runs on."""


@attrs.frozen
class NetlinkMessage:
    """One message: its type, its flags and all after its header."""

    kind: int
    flags: int
    body: bytes


@attrs.frozen
class KernelAddress:
    """An address that an interface has."""

    index: int
    """Of the interface."""
    address: str
    """Without brackets and without a zone."""
    is_global: bool
    """Whether other networks can reach it, as far as the kernel knows: neither link-local nor of this host alone."""
    is_fit: bool
    """Whether it may be the source of new connections: neither a second one, nor temporary, deprecated or unproved."""


def request(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A question of a type to the kernel."""
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body


def address_request() -> bytes:
    """The question for all addresses of this machine."""
    return request(_GET_ADDRESS, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0), _DUMP)


def route_request(address: str) -> bytes:
    """The question for the way to a numeric address. Raises OSError for a text that is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    route = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    return request(_GET_ROUTE, route + _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed)


def messages(data: bytes) -> Iterator[NetlinkMessage]:
    """The messages of one datagram, up to the first with a length that does not fit."""
    at = 0
    while len(data) - at >= _HEADER.size:
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            return
        yield NetlinkMessage(kind, flags, data[at + _HEADER.size : at + length])
        at += _aligned(length)


def address_of(message: NetlinkMessage) -> KernelAddress | None:
    """The address of a NEW_ADDRESS; None where it has none that can be read."""
    body = message.body
    if message.kind != NEW_ADDRESS or len(body) < _ADDRESS.size:
        return None
    family, _, flags, scope, index = _ADDRESS.unpack_from(body)
    found = attributes(body[_ADDRESS.size :])
    # Of a link between two, IFA_ADDRESS is the other end's.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b""
    if (family, len(packed)) not in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        return None
    more = found.get(_IFA_FLAGS, b"")
    if len(more) == 4:
        (flags,) = _FLAGS.unpack(more)
    is_second = bool(flags & (_SECONDARY if family == socket.AF_INET else _TEMPORARY))
    return KernelAddress(
        index, socket.inet_ntop(family, packed), scope == _UNIVERSE, not (flags & _UNFIT) and not is_second
    )


def is_local_route(message: NetlinkMessage) -> bool:
    """Whether a NEW_ROUTE leads to this machine itself."""
    if message.kind != NEW_ROUTE or len(message.body) < _ROUTE.size:
        return False
    return bool(_ROUTE.unpack_from(message.body)[7] == _RTN_LOCAL)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message by their types, up to the first with a length that does not fit."""
    found: dict[int, bytes] = {}
    at = 0
    while len(data) - at >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            break
        found[kind] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    """Messages and attributes begin at multiples of four bytes."""
    return (length + 3) & ~3
