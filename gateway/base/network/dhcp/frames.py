"""Packets of IPv4 with UDP, and of ARP, as a packet socket has them: without the header of Ethernet.

    payload -> udp_packet() -> kernel -> wire -> kernel -> udp_payload() -> payload       ArpPacket likewise

Pure. Before it has an address, a host can speak to its server by packet sockets alone. Checksums are written and not
read: between virtual interfaces the kernel leaves them out, and a forged packet has good ones.
"""

from __future__ import annotations

import socket
from struct import Struct, unpack
from typing import Final

import attrs

CLIENT_PORT, SERVER_PORT = 68, 67
BROADCAST_MAC: Final = b"\xff" * 6
NOWHERE, EVERYBODY = "0.0.0.0", "255.255.255.255"  # noqa: S104 - the source of a host without an address

_IP: Final = Struct("!BBHHHBBH4s4s")
"""Version and length, service, total length, identification, fragment, TTL, protocol, checksum, source, destination."""
_UDP: Final = Struct("!HHHH")
"""Ports of source and destination, length, checksum."""
_ARP: Final = Struct("!HHBBH6s4s6s4s")
"""Hardware, protocol, their lengths, operation, sender's MAC and address, target's."""
_TTL: Final = 64
_ETHERNET, _IPV4 = 1, 0x0800
_MORE_OR_OFFSET: Final = 0x3FFF


def udp_packet(payload: bytes, source: str, destination: str) -> bytes:
    """The payload from port 68 to port 67."""
    places = socket.inet_aton(source) + socket.inet_aton(destination)
    length = _UDP.size + len(payload)
    pseudo = places + bytes((0, socket.IPPROTO_UDP)) + length.to_bytes(2, "big")
    unsummed = _UDP.pack(CLIENT_PORT, SERVER_PORT, length, 0) + payload
    udp = _UDP.pack(CLIENT_PORT, SERVER_PORT, length, checksum(pseudo + unsummed) or 0xFFFF) + payload
    header = _IP.pack(0x45, 0, _IP.size + length, 0, 0, _TTL, socket.IPPROTO_UDP, 0, places[:4], places[4:])
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + udp


def udp_payload(packet: bytes) -> bytes | None:
    """The payload of a whole datagram to port 68; None for anything else."""
    if len(packet) < _IP.size:
        return None
    first, _, total, _, fragment, _, protocol, _, _, _ = _IP.unpack_from(packet)
    begin = (first & 0xF) * 4
    is_whole = first >> 4 == 4 and begin >= _IP.size and begin + _UDP.size <= total <= len(packet)
    if not is_whole or fragment & _MORE_OR_OFFSET or protocol != socket.IPPROTO_UDP:
        return None
    _, port, length, _ = _UDP.unpack_from(packet, begin)
    if port != CLIENT_PORT or not _UDP.size <= length <= total - begin:
        return None
    return packet[begin + _UDP.size : begin + length]


def checksum(data: bytes) -> int:
    """Of IPv4 and UDP (RFC 1071)."""
    even = data + b"\0" * (len(data) % 2)
    total: int = sum(unpack(f"!{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@attrs.frozen
class ArpPacket:
    """One of ARP (RFC 826)."""

    is_reply: bool
    sender_mac: bytes
    sender: str
    target: str

    def encoded(self) -> bytes:
        """Its bytes; a request has no target's MAC."""
        places = socket.inet_aton(self.sender), bytes(6), socket.inet_aton(self.target)
        return _ARP.pack(_ETHERNET, _IPV4, 6, 4, 2 if self.is_reply else 1, self.sender_mac, *places)


def arp_of(packet: bytes) -> ArpPacket | None:
    """The packet of ARP for IPv4 over Ethernet; None for anything else."""
    if len(packet) < _ARP.size:
        return None
    *kinds, operation, mac, sender, _, target = _ARP.unpack_from(packet)
    if kinds != [_ETHERNET, _IPV4, 6, 4] or operation not in (1, 2):
        return None
    return ArpPacket(operation == 2, mac, socket.inet_ntoa(sender), socket.inet_ntoa(target))


def claims(packet: ArpPacket, address: str, own_mac: bytes) -> bool:
    """Whether another host has an address, or is about to take it (RFC 5227 section 2.1.1)."""
    if packet.sender_mac == own_mac:
        return False
    is_probe = packet.sender == NOWHERE and packet.target == address and not packet.is_reply
    return packet.sender == address or is_probe
