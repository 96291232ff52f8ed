"""One stream through the hot path in C and through its twin in Python, a packet at a time, with the same clock.

Packet --party's socket--> Twin(native) --> outcome: all that came out, all counters, both latches   } the same?
       --party's socket--> Twin(python), at the time at which the first took it --> outcome           }
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

import attrs

from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import Loop
from gateway.media.worker.native_loop import NativeLoop
from gateway.media.worker.packet_loop import chosen
from gateway.media.worker.port_pool import PoolOptions
from gateway.media.worker.streams import paths
from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.endpoint import Endpoint, Remote, StreamServices, join
from gateway.rtp.packet import is_control
from gateway.rtp.srtp import MAXIMUM_PACKET_BYTES, PacketBuffer, Sender
from gateway.sdp.crypto import CryptoAttribute
from tests.support.media_party import KEY_BYTES, queued
from tests.support.media_relays import own_address

PHONE, PROVIDER = 0, 1
KEYS: Final = (bytes(range(44)), bytes(range(100, 144)))
OURS: Final = (bytes(range(50, 94)), bytes(range(150, 194)))
BEGIN: Final = 1_000.0
"""Seconds of both clocks when the stream is made."""

Suites = tuple[str | None, str | None]
"""That of the phone's leg, and of the provider's; None: plain RTP."""


@attrs.frozen
class Packet:
    """A datagram that a party sends. From its own socket unless it `is_moved`: then from another port of its host."""

    party: int
    data: bytes
    is_sealed: bool = True
    """By the party's key, where its leg has one."""
    is_moved: bool = False
    repeats: int | None = None
    """The number of an earlier packet that is sent again instead, bit for bit."""


class Twin:
    """A stream between two parties, through one of the loops."""

    def __init__(self, loop: str, suites: Suites, *, is_multiplexed: bool = True) -> None:
        buffer = PacketBuffer()
        made = chosen(loop, lambda _: None, buffer, 0.0)
        self.loop: Loop = made.loop
        self.loop.clock.now = BEGIN
        host = own_address()
        ports = Interfaces([host], PoolOptions("", 31_000, 31_099, 0.0), self.loop)
        services = StreamServices(self.loop, self.loop.clock, ports, buffer, made.hot_path, made.counters)
        self.parties = [_bound(host) for _ in range(2)]
        self.others = [_bound(host) for _ in range(2)]
        self.ends = [Endpoint(services, ports.named("").ports) for _ in range(2)]
        join(*self.ends)
        for side, end in enumerate(self.ends):
            address = self.parties[side].getsockname()
            theirs, ours = _keys(suites[side], side)
            end.apply(Remote(address, address, is_multiplexed=is_multiplexed, theirs=theirs, ours=ours, source=host))
            paths.watch(end)
        paths.open_stream(self.ends[0])

    def take(self, packet: Packet, now: float | None = None) -> float:
        """Let the loop take that packet, at that time of its clock; the time that it was."""
        own = (self.others if packet.is_moved else self.parties)[packet.party]
        own.sendto(packet.data, self.ends[packet.party].pair.rtp.getsockname())
        if isinstance(self.loop, NativeLoop):
            ready = self.loop._relay.take(0.0, 0.0, True)
            assert self.loop._relay.batch == 1
        else:
            assert now is not None, "the first of both sets the time"
            ready = [descriptor for descriptor, _ in self.loop._epoll.poll(0)]
            assert len(ready) == 1
            self.loop.clock.now = now
        for descriptor in ready:
            self.loop._receivers[descriptor]()
        while self.loop._jobs:
            self.loop._jobs.popleft()()
        return self.loop.clock.now

    def outcome(self) -> tuple[object, ...]:
        """All that came to the parties since the last time, all counters, and the sources that are locked to."""
        own = [*self.parties, *self.others]
        counters = [{name: getattr(end.counters, name) for name in Counters.__slots__} for end in self.ends]
        names = {one.getsockname(): number for number, one in enumerate(own)}
        locked = [end.latch.source and names[end.latch.source] for end in self.ends]
        return [queued(one) for one in own], counters, locked, self.loop.failures

    def close(self) -> None:
        for end in self.ends:
            end.shut()
        for end in self.ends:
            end.close(was_answered=True)
        for own in (*self.parties, *self.others):
            own.close()


class Sealing:
    """Makes the packets of a party with SRTP, as its phone would."""

    def __init__(self, suites: Suites) -> None:
        self._buffer = PacketBuffer()
        self._senders = [
            None if suite is None else Sender(suite, KEYS[side][: KEY_BYTES[suite]], self._buffer)
            for side, suite in enumerate(suites)
        ]

    def sealed(self, packet: Packet) -> Packet:
        """The packet as its party puts it on the wire; one that libsrtp takes for none stays as it is."""
        sender = self._senders[packet.party]
        if sender is None or not packet.is_sealed or not 12 <= len(packet.data) <= MAXIMUM_PACKET_BYTES:
            return packet
        self._buffer.memory[: len(packet.data)] = packet.data
        seal = sender.protect_control if is_control(packet.data[1]) else sender.protect
        length = seal(len(packet.data))
        return attrs.evolve(packet, data=bytes(self._buffer.slices[length])) if length > 0 else packet


def compare(packets: Sequence[Packet], suites: Suites, *, is_multiplexed: bool = True) -> list[tuple[object, ...]]:
    """The outcome after each packet, which has to be the same for both twins."""
    sealing = Sealing(suites)
    native, python = (Twin(loop, suites, is_multiplexed=is_multiplexed) for loop in ("native", "python"))
    outcomes: list[tuple[object, ...]] = []
    sent: list[Packet] = []
    try:
        for number, packet in enumerate(packets):
            is_new = packet.repeats is None or not sent
            sealed = sealing.sealed(packet) if is_new else sent[(packet.repeats or 0) % number]
            sent.append(sealed)
            now = native.take(sealed)
            python.take(sealed, now)
            outcomes.append(native.outcome())
            assert outcomes[-1] == python.outcome(), f"after packet {number}, {packet}"
    finally:
        native.close()
        python.close()
    return outcomes


def _keys(suite: str | None, side: int) -> tuple[CryptoAttribute | None, CryptoAttribute | None]:
    """The party's key, and ours toward it."""
    if suite is None:
        return None, None
    length = KEY_BYTES[suite]
    return CryptoAttribute(1, suite, KEYS[side][:length]), CryptoAttribute(1, suite, OURS[side][:length])


def _bound(host: str) -> socket.socket:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((host, 0))
    return own
