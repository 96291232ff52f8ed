"""The way of RTCP from one leg's party to the other's, on a port of its own or among the media (RFC 5761).

    RTCP port, anybody -----> receive: is the leg open? latch admits? relay; lock
    RTP port, multiplexed --> relay, from stream.py or fastpath.py

It is read on its way, in clear between two encryptions (quality.py), and changed only for a quirk (quirks.py). A packet
every five seconds: nothing here is hot.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gateway.media.worker.streams.latch import Address, Latch
from gateway.media.worker.streams.quirks import plain_control
from gateway.rtp.packet import VERSION
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES

if TYPE_CHECKING:
    from gateway.media.worker.streams.endpoint import Leg
from typing import TYPE_CHECKING

from gateway.rtp.rtcp import DELAY_UNITS, ReportBlock, read_reports

if TYPE_CHECKING:
    from gateway.media.worker.streams.endpoint import Leg

Send: TypeAlias = Callable[[Any, memoryview], object]
"""os.write on a connected descriptor, `send_to` on an open socket, or `drop`; the first argument is the `target`."""
SHORTEST_CONTROL_BYTES: Final = 8


def send_to(target: tuple[socket.socket, Address], packet: memoryview) -> None:
    target[0].sendto(packet, target[1])


def drop(_target: object, _packet: memoryview) -> None:
    """Stands for a party that has no address now (hold by c=0.0.0.0)."""


class ControlPath:
    """RTCP of one leg. It does not keep the leg: nobody collects cycles in a worker."""

    __slots__ = ("latch", "reported", "send", "target")

    def __init__(self) -> None:
        self.latch = Latch()
        self.reported = Reported()
        self.send: Send = drop
        self.target: object = None

    def expect(self, address: Address | None, is_moved: bool) -> None:
        """What the SDP says of RTCP; `is_moved`: media go elsewhere, so that the lock is off here, too."""
        if self.latch.expect(address) or is_moved:
            self.latch.source = None

    def receive(self, leg: Leg) -> None:
        """One packet from anybody, on the RTCP port."""
        taken = leg.take(leg.pair.rtcp)
        if taken is None:
            return
        length, address = taken
        if leg.admitted(self.latch, address) and self.relay(leg, length, address) and self.latch.lock(address):
            leg.open()

    def relay(self, leg: Leg, length: int, source: Address | None = None) -> bool:
        """Pass the RTCP packet in the buffer to the other party; whether it was good. `source` None: the locked one."""
        peer = leg.joined()
        counters, buffer = leg.counters, leg.plant.buffer
        if not SHORTEST_CONTROL_BYTES <= length <= MAXIMUM_RECEIVED_BYTES or buffer.memory[0] >> 6 != VERSION:
            counters.malformed += 1
            return False
        received = length
        if leg.sessions.unprotect_control is not None:
            length = _opened(leg, length, source)
            if length <= 0:
                return False
        counters.control_packets += 1
        counters.control_bytes += received
        counters.heard = leg.plant.clock.now
        if leg.steady is not None:
            leg.steady.restore_blocks(buffer.memory, length)
        self.reported.notice(buffer.slices[length], counters.heard, peer.control.reported)
        if peer.steady is not None:
            peer.steady.rewrite_sources(buffer.memory, length)
        peer.deliver(length, peer.sessions.protect_control, peer.control.send, peer.control.target)
        return True

    def route(self, leg: Leg) -> None:
        """Set `send` by what is known of the party's addresses; the way of media is known already."""
        self.send = drop
        if leg.remote.is_held:
            return
        if leg.remote.is_multiplexed:
            self.send, self.target = leg.send, leg.target
        elif self.latch.target is not None:
            self.send, self.target = send_to, (leg.pair.rtcp, self.latch.target)


def _opened(leg: Leg, length: int, source: Address | None) -> int:
    """Unprotect the packet in the buffer: its length; what is to be dropped has none."""
    assert leg.sessions.unprotect_control is not None
    memory = leg.plant.buffer.memory
    packet = bytes(memory[:length]) if leg.plant.quirks.plain_control else b""
    opened = leg.sessions.unprotect_control(length)
    if opened >= 0:
        return opened
    plain = plain_control(leg, packet, source)
    if plain is None:
        leg.counters.fail(opened)
        return opened
    leg.counters.plain_control += 1
    memory[: len(plain)] = plain
    return len(plain)


class Reported:
    """What one party's RTCP said. Times in the loop clock's seconds."""

    __slots__ = ("block", "round_trip", "stamps")

    def __init__(self) -> None:
        self.stamps: tuple[tuple[int, float], ...] = ()
        """Its latest sender reports, and when they passed."""
        self.block: ReportBlock | None = None
        """The latest of what it received."""
        self.round_trip: float | None = None
        """Seconds between the relay and the party."""

    def notice(self, packet: memoryview, now: float, other: Reported) -> None:
        """Read the party's RTCP packet, in clear; `other` is of whom it hears."""
        reports = read_reports(packet)
        if reports.stamp is not None:
            self.stamps = (*self.stamps[-1:], (reports.stamp, now))
        for block in reports.blocks:
            self.block = block
            passed = next((when for stamp, when in other.stamps if stamp == block.last_report), None)
            if passed is not None:
                self.round_trip = max(now - passed - block.delay / DELAY_UNITS, 0.0)
