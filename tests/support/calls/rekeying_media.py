"""The sound of a far end that changes its key and port in mid-call: SRTP out by the clock, SRTP in as a recording.

Each change has a port and a key of its own, so a packet's port says under which agreement it was sent. Both ports stay
open for a moment after a change: what was on its way still arrives, and is opened with the key of its own port.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from base64 import b64encode
from collections.abc import Sequence

import attrs
from pylibsrtp import Error, Policy, Session  # noqa: TID251  (not through the code that is judged)

from tests.support.calls.audio import encode_ulaw
from tests.support.calls.judge import PROFILES, is_rtcp, rtp_samples
from tests.support.calls.wire import KEY_BYTES, Audio

SUITE = "AES_CM_128_HMAC_SHA1_80"
FRAME = 160  # samples and, as PCMU, bytes
PERIOD = 0.02  # seconds
KEPT_OPEN = 0.5  # seconds


@attrs.define(eq=False)
class Place(asyncio.DatagramProtocol):
    """One port, and the key that is sent with from it."""

    address: str
    sound: Sound
    key: bytes = attrs.field(repr=False, factory=lambda: secrets.token_bytes(KEY_BYTES[SUITE]))
    port: int = 0
    target: tuple[str, int] | None = None
    direction: str = "sendrecv"
    unopened: int = 0
    early: list[bytes] = attrs.field(factory=list, repr=False)
    """Packets that came before the answer that tells their key (RFC 3264 section 5.1)."""
    sends: Session | None = None
    receives: Session | None = None
    transports: list[asyncio.DatagramTransport] = attrs.field(factory=list)

    async def open(self) -> None:
        """Take a pair of ports."""
        loop = asyncio.get_running_loop()
        for own in _pair(self.address):
            protocol = self if not self.transports else asyncio.DatagramProtocol()
            transport, _ = await loop.create_datagram_endpoint(lambda protocol=protocol: protocol, sock=own)  # type: ignore[misc]
            self.transports.append(transport)
        self.port = self.transports[0].get_extra_info("sockname")[1]

    def sdp(self, version: int, tag: int, direction: str = "sendrecv") -> bytes:
        """One audio line, with this port and key."""
        key = b64encode(self.key).decode()
        head = f"v=0\r\no=- 4711 {version} IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
        audio = f"m=audio {self.port} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\na=crypto:{tag} {SUITE} inline:{key}\r\n"
        return f"{head}{audio}a={direction}\r\n".encode()

    def agree(self, theirs: Audio, key: bytes) -> None:
        """Send where they say, and open with the key that they send with."""
        if self.sends is None:  # an agreement that is only repeated goes on where it was
            self.sends = _session(self.key, Policy.SSRC_ANY_OUTBOUND)
        self.receives = self.sound.opener(key)
        self.target = theirs.address, theirs.port
        self.direction = theirs.direction
        early, self.early = self.early, []
        for packet in early:
            self._open(packet, self.receives)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its transports are kept by open()."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if is_rtcp(data):
            return
        if self.receives is None:
            self.early.append(data)
        else:
            self._open(data, self.receives)

    def send(self, packet: bytes) -> None:
        if self.sends is not None and self.target is not None and self.direction in ("sendrecv", "recvonly"):
            self.transports[0].sendto(self.sends.protect(packet), self.target)

    def close(self) -> None:
        for transport in self.transports:
            transport.close()

    def _open(self, packet: bytes, session: Session) -> None:
        try:
            self.sound.heard += rtp_samples(session.unprotect(packet))
        except Error:
            self.unopened += 1


class Sound:
    """What one call says and hears, across all its changes."""

    def __init__(self, address: str, tone: Sequence[int]) -> None:
        encoded = encode_ulaw(tone)
        self._frames = [encoded[at : at + FRAME] for at in range(0, len(encoded) - FRAME + 1, FRAME)]
        self._address = address
        self._number = 1000
        self._talking: asyncio.Task[None] | None = None
        self.heard: list[int] = []
        self.places: list[Place] = []
        self._openers: dict[bytes, Session] = {}
        self.now: Place | None = None
        """From where it talks."""

    @property
    def unopened(self) -> int:
        """Packets that the key of their port's own agreement did not open."""
        return sum(place.unopened for place in self.places)

    async def new_place(self) -> Place:
        """A port and key that were never used before."""
        while True:
            place = Place(self._address, self)
            await place.open()
            if place.port not in [one.port for one in self.places]:
                break
            place.close()
        self.places.append(place)
        return place

    def opener(self, key: bytes) -> Session:
        """What opens with this key: a key that goes on has its count of rollovers (RFC 3711 section 3.3.1)."""
        if key not in self._openers:
            self._openers[key] = _session(key, Policy.SSRC_ANY_INBOUND)
        return self._openers[key]

    def move(self, place: Place) -> None:
        """Talk from there from now on; the place before is let go of a moment later."""
        former, self.now = self.now, place
        loop = asyncio.get_running_loop()
        if former is not None and former is not place:
            loop.call_later(KEPT_OPEN, former.close)
        if self._talking is None:
            self._talking = loop.create_task(self._talk())

    def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
        for place in self.places:
            place.close()

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due, ssrc = loop.time(), secrets.randbits(32)
        while True:
            number = self._number = self._number + 1
            payload = self._frames[number % len(self._frames)]
            stamp = number * FRAME & 0xFFFFFFFF
            if self.now is not None:
                self.now.send(struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, stamp, ssrc) + payload)
            due += PERIOD
            await asyncio.sleep(max(due - loop.time(), 0))


def _session(key: bytes, direction: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[SUITE]))


def _pair(address: str) -> tuple[socket.socket, socket.socket]:
    """Two ports beside each other, the first one even."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        try:
            first.bind((address, 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind((address, port + 1))
                for own in (first, second):
                    own.setblocking(False)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()


def agreed_key(theirs: Audio, tag: int) -> bytes:
    """The key that they send with under the tag that was taken."""
    return next(crypto.key_bytes for crypto in theirs.cryptos if crypto.tag == tag and crypto.suite == SUITE)


def taken_tag(offered: Audio) -> int:
    """The tag of our suite in an offer."""
    return next(crypto.tag for crypto in offered.cryptos if crypto.suite == SUITE)


ANSWERING = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


def answering(direction: str) -> str:
    """The direction of an answer to an offer with this one (RFC 3264 section 6.1)."""
    return ANSWERING.get(direction, "sendrecv")
