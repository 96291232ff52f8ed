"""Reads tcpdump's captures of the loopback interface: UDP datagrams and TCP streams over IPv4, nothing else.

A reader of its own, small on purpose: every packet that is neither UDP nor TCP is returned too (`protocol`), so that a
judge can object to it. IP fragments never occur on loopback (MTU 65536).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

TCP, UDP, ICMP = 6, 17, 1
ETHERNET_HEADER = 14
SYN, ACK = 0x02, 0x10
IPV4 = b"\x08\x00"


@attrs.frozen(order=True)
class Endpoint:
    """Address and port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@attrs.frozen
class Packet:
    """One IPv4 packet."""

    time: float  # seconds since the epoch
    protocol: int
    source: Endpoint
    destination: Endpoint
    payload: bytes = attrs.field(repr=False)  # above UDP or TCP; of other protocols everything above IP
    sequence: int = 0  # TCP
    is_syn: bool = False  # TCP: its sequence number is the one before the first byte's
    opens: bool = False  # TCP: the first packet of a connection

    def __str__(self) -> str:
        name = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP"}.get(self.protocol, f"IP protocol {self.protocol}")
        return f"{name} {self.source} > {self.destination}, {len(self.payload)} bytes: {self.payload[:16].hex()}"


def read_pcap(path: Path) -> list[Packet]:
    """Every IPv4 packet of a capture file (little endian, microseconds, Ethernet: what tcpdump writes of lo)."""
    dissected = itertools.starmap(_dissect, _frames(path.read_bytes()))
    return [packet for packet in dissected if packet is not None]


def _frames(data: bytes) -> Iterator[tuple[float, bytes]]:
    assert data[:4] == b"\xd4\xc3\xb2\xa1", "not a pcap file"
    at = 24
    while at + 16 <= len(data):
        seconds, microseconds, length, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + length]
        if len(frame) == length:  # a last, cut one: the capture ended while it was written
            yield seconds + microseconds / 1e6, frame
        at += 16 + length


def _dissect(time: float, frame: bytes) -> Packet | None:
    if frame[12:14] != IPV4:
        return None
    packet = frame[ETHERNET_HEADER:]
    header, total, protocol = (packet[0] & 0x0F) * 4, int.from_bytes(packet[2:4], "big"), packet[9]
    source, destination = (".".join(map(str, packet[at : at + 4])) for at in (12, 16))
    above = packet[header:total]
    if protocol not in (TCP, UDP):
        return Packet(time, protocol, Endpoint(source, 0), Endpoint(destination, 0), above)
    from_port, to_port = struct.unpack_from(">HH", above)
    ends = Endpoint(source, from_port), Endpoint(destination, to_port)
    if protocol == UDP:
        return Packet(time, protocol, *ends, above[8:])
    sequence, offset, flags = int.from_bytes(above[4:8], "big"), (above[12] >> 4) * 4, above[13]
    return Packet(time, protocol, *ends, above[offset:], sequence, bool(flags & SYN), flags & (SYN | ACK) == SYN)


def tcp_streams(packets: Iterable[Packet]) -> dict[tuple[Endpoint, Endpoint, int], bytes]:
    """What each side of each connection wrote, in order; the third part of the key numbers connections (first
    sequence number), because ports are used again."""
    starts: dict[tuple[Endpoint, Endpoint], int] = {}
    pieces: dict[tuple[Endpoint, Endpoint, int], dict[int, bytes]] = {}
    for packet in packets:
        if packet.protocol != TCP:
            continue
        ends = (packet.source, packet.destination)
        if packet.is_syn:
            starts[ends] = packet.sequence + 1
        start = starts.setdefault(ends, packet.sequence)
        if packet.payload:
            offset = (packet.sequence - start) & 0xFFFFFFFF
            stream = pieces.setdefault((*ends, start), {})
            if len(packet.payload) > len(stream.get(offset, b"")):
                stream[offset] = packet.payload
    return {key: _joined(stream) for key, stream in pieces.items()}


def _joined(stream: dict[int, bytes]) -> bytes:
    whole = b""
    for offset in sorted(stream):
        piece = stream[offset]
        if offset <= len(whole) < offset + len(piece):
            whole += piece[len(whole) - offset :]
    return whole
