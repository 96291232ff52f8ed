"""Changes of one interface: its address for the time of a lease, and the way out. They need CAP_NET_ADMIN.

    LeasedInterface("eth0") -> take(lease, now): this address and no other from a lease, until the lease's end
                      -> leave(address)    -> from_before(): the address that a process before this one took

The kernel is told the end of the lease with the address, and takes it away by itself then: a client that was killed
leaves no address behind that is another host's by now. An address without an end, which the administrator gave the
interface, is never touched. Name servers and search domains are not set: they are the machine's.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from struct import Struct, pack, unpack
from typing import Final

import attrs

from gateway.base.network.dhcp.lease import Lease
from gateway.base.network.kernel import asked
from gateway.base.network.netlink import ERROR, NEW_ADDRESS, address_request, attributes, messages, request

ROUTE_METRIC: Final = 100
"""Of the default route: before a Wi-Fi's of the same machine, as its administrator would expect."""

_NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE = 20, 21, 24
_REPLACE, _CREATE, _ACKNOWLEDGE = 0x100, 0x400, 0x4
_ADDRESS: Final = Struct("=BBBBI")
_ROUTE: Final = Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = Struct("=HH")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_CACHEINFO = 1, 2, 4, 6
_RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 4, 5, 6, 7
_MAIN_TABLE, _BY_DHCP, _UNIVERSE, _UNICAST = 254, 16, 0, 1
_PERMANENT: Final = 0x80
_GET_FLAGS, _SET_FLAGS, _GET_MAC = 0x8913, 0x8914, 0x8927
_UP, _RUNNING = 0x1, 0x40
_LONGEST: Final = 0x7FFFFFFF
"""Seconds of an address of a lease without an end: the kernel's own word for that would make it an administrator's."""
_PATIENCE: Final = 0.5


@attrs.frozen
class HeldAddress:
    """An IPv4 address of the interface that has an end."""

    address: str
    prefix: int


class LeasedInterface:
    """One interface of this machine. Its methods raise OSError where the kernel refuses."""

    def __init__(self, name: str) -> None:
        """Raises OSError: there is no such interface."""
        self.name = name
        self.index = socket.if_nametoindex(name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            told = fcntl.ioctl(own, _GET_MAC, pack("16s24x", name.encode()))
        (family,), self.mac = unpack("=H", told[16:18]), told[18:24]
        if family != 1:
            raise OSError(0, "it is not of Ethernet")

    def is_running(self) -> bool:
        """Whether its cable is plugged in, as far as the kernel knows."""
        try:
            return bool(self._flags() & _RUNNING)
        except OSError:
            return False

    def bring_up(self) -> None:
        """Let it be up."""
        flags = self._flags()
        if not flags & _UP:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                fcntl.ioctl(own, _SET_FLAGS, pack("16sH22x", self.name.encode(), flags | _UP))

    def from_before(self) -> str:
        """The address that it has until some time; empty for none."""
        return next((one.address for one in self._held()), "")

    def take(self, lease: Lease, now: float) -> None:
        """Have the address of a lease until its end, no other of a lease, and the way through its router. The one
        before goes first: the kernel would take one that came second away with it."""
        for held in self._held():
            if (held.address, held.prefix) != (lease.address, lease.prefix):
                self._delete(held)
        left = int(max(1, min(lease.ends - now, _LONGEST)))
        local = socket.inet_aton(lease.address)
        body = _ADDRESS.pack(socket.AF_INET, lease.prefix, 0, _UNIVERSE, self.index)
        body += _attribute(_IFA_LOCAL, local) + _attribute(_IFA_ADDRESS, local)
        if lease.prefix < 31:
            body += _attribute(_IFA_BROADCAST, lease.network.broadcast_address.packed)
        body += _attribute(_IFA_CACHEINFO, pack("=IIII", left, left, 0, 0))
        _change(_NEW_ADDRESS, body, _REPLACE | _CREATE)
        if lease.router:
            self._lead_through(lease.router, local)

    def leave(self, address: str) -> None:
        """Have this address no more; routes that name it go with it."""
        for held in self._held():
            if held.address == address:
                self._delete(held)

    def _lead_through(self, router: str, source: bytes) -> None:
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _BY_DHCP, _UNIVERSE, _UNICAST, 0)
        body += _attribute(_RTA_OIF, pack("=I", self.index)) + _attribute(_RTA_GATEWAY, socket.inet_aton(router))
        body += _attribute(_RTA_PRIORITY, pack("=I", ROUTE_METRIC)) + _attribute(_RTA_PREFSRC, source)
        _change(_NEW_ROUTE, body, _REPLACE | _CREATE)

    def _delete(self, held: HeldAddress) -> None:
        body = _ADDRESS.pack(socket.AF_INET, held.prefix, 0, _UNIVERSE, self.index)
        _change(_DELETE_ADDRESS, body + _attribute(_IFA_LOCAL, socket.inet_aton(held.address)))

    def _held(self) -> tuple[HeldAddress, ...]:
        return tuple(_addresses_with_an_end(self.index))

    def _flags(self) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            told = fcntl.ioctl(own, _GET_FLAGS, pack("16s24x", self.name.encode()))
        return int.from_bytes(told[16:18], "little" if pack("=H", 1)[0] else "big")


def _addresses_with_an_end(index: int) -> Iterator[HeldAddress]:
    for message in asked(address_request()):
        if message.kind != NEW_ADDRESS or len(message.body) < _ADDRESS.size:
            continue
        family, prefix, flags, _, owner = _ADDRESS.unpack_from(message.body)
        local = attributes(message.body[_ADDRESS.size :]).get(_IFA_LOCAL, b"")
        if (family, owner, len(local)) == (socket.AF_INET, index, 4) and not flags & _PERMANENT:
            yield HeldAddress(socket.inet_ntoa(local), prefix)


def _attribute(kind: int, value: bytes) -> bytes:
    """All of ours are of whole words, so that none has to be filled up."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _change(kind: int, body: bytes, flags: int = 0) -> None:
    """Have the kernel change something. Raises OSError with its reason."""
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)) as own:
        own.settimeout(_PATIENCE)
        own.bind((0, 0))
        own.sendto(request(kind, body, flags | _ACKNOWLEDGE), (0, 0))
        while True:
            data, (sender, _) = own.recvfrom(4096)
            for message in messages(data) if sender == 0 else ():
                if message.kind == ERROR and len(message.body) >= 4:
                    number = -unpack("=i", message.body[:4])[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return
