"""The media of one party: packets that carry a mark, sent in clear or as SRTP, and every packet that came.

They are judged afterwards from the bytes and from the keys of the two SDPs that this party itself sent and got.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, cast

from pylibsrtp import Error, Policy, Session  # noqa: TID251  (not through the code that is judged)

from tests.support.calls.judge import PROFILES
from tests.support.calls.wire import Audio

PACKETS: Final = 12
PERIOD: Final = 0.02  # seconds
RTP_HEADER: Final = 12  # bytes


class Heard(StrEnum):
    """What the packets that came are."""

    NOTHING = "nothing"
    RTP = "RTP"
    SRTP = "SRTP"
    NEITHER = "neither"
    """Not all of one kind, or packets that the agreed key does not open."""


Key = tuple[str, bytes]
"""Suite, and master key with salt."""


def keys(own: bytes, theirs: bytes, *, own_is_offer: bool) -> tuple[Key, Key] | None:
    """The keys that this party sends with and that it is sent with; None where none were agreed on."""
    mine, other = Audio.parse(own), Audio.parse(theirs)
    if mine is None or other is None:
        return None
    offered, answered = (mine, other) if own_is_offer else (other, mine)
    for chosen in answered.cryptos[:1]:
        for crypto in offered.cryptos:
            if crypto.tag == chosen.tag and crypto.suite == chosen.suite:
                pair = (crypto.suite, crypto.key_bytes), (chosen.suite, chosen.key_bytes)
                return pair if own_is_offer else (pair[1], pair[0])
    return None


class Sound(asyncio.DatagramProtocol):
    """One RTP port."""

    def __init__(self, mark: str) -> None:
        self.received: list[bytes] = []
        self.sent = b""
        """The last packet that it sent."""
        self.port = 0
        self._mark = mark.encode()
        self._number = 1000
        self._source = secrets.randbits(32)
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    async def talk(self, to: Audio, key: Key | None, mark: str = "") -> None:
        """Send PACKETS packets, one each PERIOD, with its own mark or another."""
        session = None if key is None else _session(key, Policy.SSRC_ANY_OUTBOUND)
        payload = ((mark.encode() or self._mark) * 160)[:160]
        for _ in range(PACKETS):  # on from where it was: a number twice under one key is a replay
            self._number += 1
            packet = struct.pack("!BBHII", 0x80, 0, self._number, 160 * self._number, self._source) + payload
            self.send(packet if session is None else session.protect(packet), (to.address, to.port))
            await asyncio.sleep(PERIOD)

    def send(self, packet: bytes, place: tuple[str, int]) -> None:
        """Send a packet as it is; nothing once the port is closed."""
        if self._socket is not None and not self._socket.is_closing():
            self.sent = packet
            self._socket.sendto(packet, place)

    def heard(self, key: Key | None, mark: str) -> Heard:
        """What came, where the other party's packets carry ``mark``."""
        packets = [packet for packet in self.received if len(packet) >= RTP_HEADER and packet[1] & 0x7F == 0]
        if not packets:
            return Heard.NOTHING
        wanted = (mark.encode() * 160)[:160]
        if all(packet[RTP_HEADER:] == wanted for packet in packets):
            return Heard.RTP
        if key is None or any(mark.encode() in packet for packet in packets):
            return Heard.NEITHER
        return Heard.SRTP if _opened(packets, key) == [wanted] * len(packets) else Heard.NEITHER


def _opened(packets: Sequence[bytes], key: Key) -> list[bytes]:
    session = _session(key, Policy.SSRC_ANY_INBOUND)
    opened = []
    for packet in packets:
        try:
            opened.append(session.unprotect(packet)[RTP_HEADER:])
        except Error:
            opened.append(b"")
    return opened


def _session(key: Key, direction: int) -> Session:
    return Session(Policy(key=key[1], ssrc_type=direction, srtp_profile=PROFILES[key[0]]))
