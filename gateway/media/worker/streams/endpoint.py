"""The two ends of a media stream, and the way of a packet from one to the other.

A `Leg` is one party's end: the ports it sends to, its latch, its SRTP sessions. Two legs are joined by `join`.

    linked socket (the locked source alone) --> fastpath.py: receive, unprotect, protect, send
    open socket (anybody)                   --> receive_open: is the call open? latch admits? unprotect; lock; as above

Order, and why it is safe. Nothing passes before both parties described themselves (`is_open`). The latch looks at the
source before any cryptography, so a stranger cannot make us work, and locks only after authentication, so a stranger
who guesses an address cannot move a secure call (RFC 3711 section 3.3: replay, then authentication, which libsrtp
keeps). Elsewhere: the sessions (sessions.py), RTCP (control_path.py).
"""

from __future__ import annotations

import os
import socket
from typing import Final

import attrs

from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import Loop, LoopClock
from gateway.media.worker.ports import PortPair, PortPool
from gateway.media.worker.rewriting import DEFAULT_CODEC, Codec
from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.fastpath import fast_path
from gateway.media.worker.streams.latch import Address, Latch
from gateway.media.worker.streams.quirks import Quirks, Rebuild
from gateway.media.worker.streams.rtcp_path import ControlPath, Send, drop, send_to
from gateway.media.worker.streams.srtp_sessions import Sessions
from gateway.rtp.packet import HEADER_BYTES, VERSION, is_control
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES, PacketBuffer, Transform
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Direction


@attrs.frozen
class Remote:
    """Of one stream of one party."""

    address: Address | None
    """Where it wants media; None when the SDP holds no address that we can reach."""
    control: Address | None
    direction: Direction = Direction.SENDRECV
    is_held: bool = False
    """By c=0.0.0.0: nothing is to be sent to it."""
    is_multiplexed: bool = False
    """RTCP comes and goes on the RTP port (RFC 5761)."""
    is_rtp: bool = True
    codec: Codec = DEFAULT_CODEC
    """Of its first format, which it hears best."""
    theirs: CryptoAttribute | None = None
    """The key it sends with; None for plain RTP."""
    ours: CryptoAttribute | None = None
    """The key we send to it with."""

    @property
    def flows(self) -> bool:
        """Whether media is to go both ways."""
        return self.direction is Direction.SENDRECV and not self.is_held


NO_QUIRKS: Final = Quirks()
UNDESCRIBED: Final = Remote(None, None)
MAXIMUM_QUEUED: Final = 1_000
"""Packets: more than a socket's buffer holds."""


@attrs.frozen
class Plant:
    """What all legs of a worker share."""

    loop: Loop
    clock: LoopClock
    interfaces: Interfaces
    buffer: PacketBuffer
    quirks: Quirks = NO_QUIRKS


class Leg:
    """One party's end of a stream. `apply` gives it what the party's SDP says; `open` lets packets through."""

    def __init__(self, plant: Plant, ports: PortPool, side: str = "") -> None:
        """`side` is the gateway's that the party is on."""
        self.plant = plant
        self.ports = ports
        self.side = side
        self.steady = plant.quirks.steady(side)
        self.rebuild = Rebuild()
        self.pair: PortPair = ports.take()
        self.peer: Leg | None = None
        self.remote = UNDESCRIBED
        self.is_described = self.is_open = False
        self.counters = Counters(plant.clock.now)
        self.latch = Latch()
        self.control = ControlPath()
        self.linked: socket.socket | None = None
        self.sessions = Sessions(plant.buffer)
        self.send: Send = drop
        self.target: object = None
        plant.loop.watch(self.pair.rtp, self.receive_open)
        plant.loop.watch(self.pair.rtcp, self.receive_control)

    def apply(self, remote: Remote) -> None:
        """Take the party's description. Sessions and the latch are kept where it changes nothing about them."""
        if self.sessions.apply(remote.theirs, remote.ours):
            self.rebuild.arm(self)
        self.is_described = True
        moved = self.latch.expect(remote.address)
        self.control.expect(remote.control, moved)
        if moved or not remote.is_rtp:
            self._unlink()
        self.remote = remote

    def open(self) -> None:
        """Both parties are described: let packets through, both ways. Again after every change of either leg."""
        legs = (self, self.joined())
        assert all(leg.is_described for leg in legs), "what is not described is neither plain nor secure"
        for leg in legs:
            leg.is_open = True
            leg._route()
        # Only now: a fast path holds the other leg's `send`.
        for leg in legs:
            leg._listen()

    def shut(self) -> None:
        """Let nothing through; ports stay."""
        self.is_open = False
        self.send = self.control.send = drop
        self._unlink()

    def close(self) -> None:
        """Stop, and give the ports back."""
        self.shut()
        self.ports.give_back(self.pair, self.plant.clock.now)
        self.peer = None
        self.sessions.close()

    def receive_open(self) -> None:
        """One packet from anybody, on the RTP port. A new socket for its source costs ten packets: others go first."""
        taken = self.take(self.pair.rtp)
        if taken is not None and self._consider(*taken) and self.remote.is_rtp:
            self.plant.loop.later(self._link)

    def receive_control(self) -> None:
        """One packet from anybody, on the RTCP port."""
        self.control.receive(self)

    def mend(self) -> None:
        """Called now and then: forget the receiving session of a party that began its sequence again."""
        if self.rebuild.is_due(self):
            self.sessions.renew()
            if self.is_open:
                self.open()

    def deliver(self, length: int, protect: Transform | None, send: Send, target: object) -> None:
        """Send what lies in the buffer to this leg's party."""
        if protect is not None:
            length = protect(length)
            if length < 0:
                self.counters.undelivered += 1
                return
        try:
            send(target, self.plant.buffer.slices[length])
        except OSError:
            self.counters.unsent += 1

    def admitted(self, latch: Latch, source: Address) -> bool:
        if not self.is_open:
            self.counters.early += 1
            return False
        self.counters.notice(self.plant.clock.now)
        if not latch.admits(source, self.plant.clock.now - self.counters.heard):
            self.counters.wrong_source += 1
            return False
        return True

    def _relay(self, length: int) -> bool:
        """As the fast path, for a packet on the open socket; whether it was good."""
        peer, counters = self.joined(), self.counters
        is_wrong = self.remote.is_rtp and (length < HEADER_BYTES or self.plant.buffer.memory[0] >> 6 != VERSION)
        if is_wrong or length > MAXIMUM_RECEIVED_BYTES:
            counters.malformed += 1
            return False
        received = length
        if self.sessions.unprotect is not None:
            length = self.sessions.unprotect(length)
            if length < 0:
                counters.fail(length)
                return False
        counters.packets += 1
        counters.bytes += received
        counters.heard = self.plant.clock.now
        if self.remote.is_rtp:
            counters.measure(self.plant.buffer.slices[length], counters.heard, self.remote.codec.clock_rate)
            if peer.steady is not None:
                peer.steady.rewrite(self.plant.buffer.memory)
        peer.deliver(length, peer.sessions.protect, peer.send, peer.target)
        return True

    def joined(self) -> Leg:
        assert self.peer is not None, "a leg is joined before it is opened"
        return self.peer

    def take(self, own: socket.socket) -> tuple[int, Address] | None:
        """One packet into the buffer: its length and source; None when there was none."""
        try:
            length, source = own.recvfrom_into(self.plant.buffer.receiving)
        except OSError:
            self.counters.interrupted += 1
            return None
        return length, (source[0], source[1])

    def _pass(self, length: int, source: Address | None = None) -> bool:
        """Relay the packet in the buffer, media or control; whether it was good media. No `source`: the locked one."""
        if self.remote.is_rtp and length > 1 and is_control(self.plant.buffer.memory[1]):
            self.control.relay(self, length, source)
            return False
        return self._relay(length)

    def _consider(self, length: int, source: Address) -> bool:
        """Relay the packet in the buffer if the latch admits its source; whether that moved the latch."""
        return self.admitted(self.latch, source) and self._pass(length, source) and self.latch.lock(source)

    def _link(self) -> None:
        """From now on take the locked source's packets from a socket of their own, what is queued already first."""
        if not self.is_open or self.latch.source is None:
            return
        self._unlink()
        linked = self.ports.connected(self.pair.rtp, self.latch.source)
        if linked is not None and (self._catch_up(self.pair.rtp) or self._catch_up(linked)):
            # What was queued came from whom the SDP names: once more, for that source.
            linked.close()
            self._link()
            return
        self.linked = linked
        self.open()

    def _catch_up(self, own: socket.socket) -> bool:
        """Relay what is queued; whether that moved the latch."""
        for _ in range(MAXIMUM_QUEUED):
            taken = self.take(own)
            if taken is None:
                break
            if self._consider(*taken):
                return True
        return False

    def _listen(self) -> None:
        if self.linked is not None:
            peer = self.joined()
            is_steady = peer.steady is not None
            self.plant.loop.watch(
                self.linked, self._receive_linked if is_steady else fast_path(self, peer, self.linked)
            )

    def _receive_linked(self) -> None:
        """One packet from the locked source, when the hot path cannot take it."""
        assert self.linked is not None
        taken = self.take(self.linked)
        if taken is not None:
            self._pass(taken[0])

    def _unlink(self) -> None:
        """Close the socket of the locked source. Both fast paths stop until `open`: one of them writes to it."""
        if self.linked is None:
            return
        for leg in (self, self.joined()):
            if leg.linked is not None:
                self.plant.loop.unwatch(leg.linked)
        self.send = self.control.send = drop
        self.linked.close()
        self.linked = None

    def _route(self) -> None:
        """Set `send` by what is known of the party's addresses."""
        self.send = drop
        if self.remote.is_held:
            pass
        elif self.linked is not None:
            self.send, self.target = os.write, self.linked.fileno()
        elif self.latch.target is not None:
            self.send, self.target = send_to, (self.pair.rtp, self.latch.target)
        self.control.route(self)


def join(first: Leg, second: Leg) -> None:
    """Make each the other's peer."""
    first.peer, second.peer = second, first
