"""Packet sockets on one interface: DHCP's and ARP's. They need CAP_NET_RAW.

    WireSocket.dhcp("eth0") -> receive() -> (packet, sender's MAC)        send(packet, MAC)

A filter in the kernel (socket(7), SO_ATTACH_FILTER) lets datagrams to port 68 through and nothing else, so that this
process never wakes for other traffic. The filter is there before the socket is bound: nothing slips in before it. Not
here: the contents of packets (frames.py).
"""

from __future__ import annotations

import ctypes
import socket
from struct import pack
from typing import Final

from gateway.base.network.dhcp.frames import CLIENT_PORT

_ETH_P_IP, _ETH_P_ARP = 0x0800, 0x0806
_SO_ATTACH_FILTER: Final = 26
_ETHERNET: Final = 1
_TO_THIS_HOST: Final = 0
_LARGEST: Final = 2048
_ROOM: Final = 64 * 1024
"""Bytes that wait in the kernel: some fifty messages. A flood overflows there, and costs nothing here."""

_VLAN_PRESENT: Final = 0xFFFFF000 + 48
"""SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT: packets of a VLAN are another network's."""
_LOAD_BYTE, _LOAD_HALF, _LOAD_HALF_AT_X, _HEADER_LENGTH_TO_X = 0x30, 0x28, 0x48, 0xB1
_IF_EQUAL, _IF_BITS, _END = 0x15, 0x45, 0x06

_TO_PORT_68: Final = (
    (_LOAD_BYTE, 0, 0, _VLAN_PRESENT),
    (_IF_EQUAL, 0, 8, 0),
    (_LOAD_BYTE, 0, 0, 9),  # the protocol of IPv4's header
    (_IF_EQUAL, 0, 6, socket.IPPROTO_UDP),
    (_LOAD_HALF, 0, 0, 6),  # the place of a fragment
    (_IF_BITS, 4, 0, 0x1FFF),
    (_HEADER_LENGTH_TO_X, 0, 0, 0),
    (_LOAD_HALF_AT_X, 0, 0, 2),  # the port of destination
    (_IF_EQUAL, 0, 1, CLIENT_PORT),
    (_END, 0, 0, 0xFFFF),
    (_END, 0, 0, 0),
)
"""Classic BPF: code, jumps if true and if false, operand."""


class WireSocket:
    """A packet socket on an interface. Its descriptor never blocks."""

    def __init__(self, interface: str, protocol: int, program: tuple[tuple[int, int, int, int], ...] = ()) -> None:
        """Raises OSError: no such interface, no CAP_NET_RAW."""
        self._place = interface, protocol
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            if program:
                _attach(self._socket, program)
            self._socket.bind((interface, protocol))
        except OSError:
            self._socket.close()
            raise

    @classmethod
    def dhcp(cls, interface: str) -> WireSocket:
        """For datagrams to port 68."""
        return cls(interface, _ETH_P_IP, _TO_PORT_68)

    @classmethod
    def arp(cls, interface: str) -> WireSocket:
        """For ARP."""
        return cls(interface, _ETH_P_ARP)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def send(self, packet: bytes, mac: bytes) -> None:
        """To a MAC address on the wire. Raises OSError: the interface is down, or its queue is full."""
        self._socket.sendto(packet, (*self._place, _TO_THIS_HOST, _ETHERNET, mac))

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next packet and its sender's MAC; None where there is none, or none of Ethernet."""
        try:
            packet, (_, _, _, hardware, mac) = self._socket.recvfrom(_LARGEST)
        except (BlockingIOError, OSError):  # ENETDOWN is told once, and the socket works again with the interface
            return None
        return (packet, mac) if hardware == _ETHERNET and len(mac) == 6 else None

    def close(self) -> None:
        """Let it go."""
        self._socket.close()


def _attach(own: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    code = ctypes.create_string_buffer(b"".join(pack("=HBBI", *one) for one in program))
    own.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("@HP", len(program), ctypes.addressof(code)))
