"""As many packets as an hour of a call has, sent as fast as the relay takes them and compared bit for bit.

One system call sends a batch (UDP_SEGMENT, udp(7)), and the next batch leaves before the last one's packets are read,
so that the relay always has work. The secured side must get the packet exactly as pylibsrtp's public class
protects it under the relay's key: both the payload and the protection are compared, in one comparison a batch.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import attrs
from pylibsrtp import Policy, Session  # noqa: TID251  (independent of gateway/rtp on purpose)

from tests.support.media_party import PROFILES, WAIT_SECONDS, Party

HOUR_PACKETS = 180_000
"""20 ms each."""
BATCH = 60
"""Packets; two batches each way fit the relay's socket buffers."""
PAYLOAD_BYTES = 160
_UDP_SEGMENT = 103


@attrs.define
class Way:
    """One direction: packets of `sender` go to its relay port and must come to `receiver`."""

    sender: Party
    receiver: Party
    seal: Session | None
    """Protects what is sent."""
    expect: Session | None
    """Protects what must come."""
    first: int
    """Sequence number."""
    arrived: int = 0

    def exchange(self, number: int) -> Iterator[None]:
        """Send `number` packets in batches and check those that come; a step is a batch sent and the last one read."""
        bounds = [*range(0, number, BATCH), number]
        waiting: list[bytes] = []
        for start, end in pairwise(bounds):
            packets = [self._packet(self.first + index) for index in range(start, end)]
            self._send(_protected(packets, self.seal))
            yield
            self._check(waiting)
            waiting = _protected(packets, self.expect)
        yield
        self._check(waiting)

    def _packet(self, number: int) -> bytes:
        head = struct.pack("!HHII", 0x8000, number & 0xFFFF, number * PAYLOAD_BYTES & 0xFFFFFFFF, 0x5EED)
        return head + number.to_bytes(8, "big") * (PAYLOAD_BYTES // 8)

    def _send(self, packets: list[bytes]) -> None:
        size = struct.pack("=H", len(packets[0]))
        self.sender.rtp.sendmsg(packets, [(socket.SOL_UDP, _UDP_SEGMENT, size)], 0, self.sender.target)

    def _check(self, expected: list[bytes]) -> None:
        if not expected:
            return
        size = len(expected[0])
        found = bytearray(size * len(expected) + 1)
        view = memoryview(found)
        for start in range(0, size * len(expected), size):
            length = self.receiver.rtp.recv_into(view[start : start + size + 1])
            assert length == size, f"after {self.arrived} packets one of {length} bytes came, not {size}"
        assert found[:-1] == b"".join(expected), f"after {self.arrived} packets others came than were sent"
        self.arrived += len(expected)


def hour_each_way(phone: Party, provider: Party, suite: str, ours: bytes) -> tuple[int, int]:
    """Send an hour each way between a plain phone and a provider whom the relay sends SRTP to with the key `ours`.

    How many packets arrived as they should: to the provider, to the phone.
    """
    for party in (phone, provider):
        party.rtp.settimeout(WAIT_SECONDS)
    up = Way(phone, provider, None, _session(suite, ours), 60_000)
    down = Way(provider, phone, _session(suite, provider.key(suite)), None, 5_000)
    for _ in zip(up.exchange(HOUR_PACKETS), down.exchange(HOUR_PACKETS), strict=True):
        pass
    return up.arrived, down.arrived


def _session(suite: str, key: bytes) -> Session:
    return Session(Policy(key, Policy.SSRC_ANY_OUTBOUND, 0, PROFILES[suite]))


def _protected(packets: list[bytes], session: Session | None) -> list[bytes]:
    return packets if session is None else [session.protect(packet) for packet in packets]
