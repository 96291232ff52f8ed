"""The two ends of a media stream, and the way of a packet from one to the other.

A `Leg` is one party's end: the ports it sends to, its latch, its SRTP sessions. Two legs are joined by `join`.

    linked socket (the locked source alone) --> fastpath.py: receive, unprotect, protect, send
    open socket (anybody)                   --> receive_open: is the call open? latch admits? unprotect; lock; as above

Order, and why it is safe. Nothing passes before both parties described themselves (`is_open`). The latch looks at the
source before any cryptography, so a stranger cannot make us work, and locks only after authentication, so a stranger
who guesses an address cannot move a secure call (RFC 3711 section 3.3: replay, then authentication, which libsrtp
keeps). A leg that is to be secure has a sender or `_refuse`: there is no state in which it is sent plaintext.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from gateway.media.worker.counters import Counters
from gateway.media.worker.fastpath import fast_path
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.latch import Address, Latch
from gateway.media.worker.loop import Clock, Loop
from gateway.media.worker.ports import PortPair, PortPool
from gateway.media.worker.quality import Control
from gateway.media.worker.quirks import Quirks, Rebuild, plain_control
from gateway.media.worker.rewriting import DEFAULT_CODEC, Codec
from gateway.rtp.packet import HEADER_BYTES, VERSION, is_control
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES, PacketBuffer, Receiver, Sender, Transform
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Direction

Send: TypeAlias = Callable[[Any, memoryview], object]
"""os.write on a connected descriptor, `_send_to` on an open socket, or `_drop`; the first argument is the `target`."""
SHORTEST_CONTROL_BYTES: Final = 8
NO_QUIRKS: Final = Quirks()
MAXIMUM_QUEUED: Final = 1_000
"""Packets: more than a socket's buffer holds."""


@attrs.frozen
class Plant:
    """What all legs of a worker share."""

    loop: Loop
    clock: Clock
    interfaces: Interfaces
    buffer: PacketBuffer
    quirks: Quirks = NO_QUIRKS


@attrs.frozen
class Remote:
    """What a party's SDP says of one of its streams, and the keys agreed for it."""

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


def _refuse(_length: int) -> int:
    """Stands for a sender that is not there: the packet is not sent."""
    return -1


def _drop(_target: object, _packet: memoryview) -> None:
    """Stands for a party that has no address now (hold by c=0.0.0.0)."""


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
        self.remote = Remote(None, None)
        self.is_described = self.is_open = False
        self.counters = Counters(plant.clock.now)
        self.control = Control()
        self.latch, self.control_latch = Latch(), Latch()
        self.linked: socket.socket | None = None
        self.sender: Sender | None = None
        self.receiver: Receiver | None = None
        self.unprotect: Transform | None = _refuse
        self.unprotect_control: Transform | None = _refuse
        self.protect: Transform | None = _refuse
        self.protect_control: Transform | None = _refuse
        self.send: Send = _drop
        self.send_control: Send = _drop
        self.target: object = None
        self.control_target: object = None
        plant.loop.watch(self.pair.rtp, self.receive_open)
        plant.loop.watch(self.pair.rtcp, self.receive_control)

    def apply(self, remote: Remote) -> None:
        """Take the party's description. Sessions and the latch are kept where it changes nothing about them."""
        self._apply_keys(remote)
        self.is_described = True
        moved = self.latch.expect(remote.address)
        if self.control_latch.expect(remote.control) or moved:
            self.control_latch.source = None
        if moved or not remote.is_rtp:
            self._unlink()
        self.remote = remote

    def open(self) -> None:
        """Both parties are described: let packets through, both ways. Again after every change of either leg."""
        legs = (self, self._joined())
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
        self.send = self.send_control = _drop
        self._unlink()

    def close(self) -> None:
        """Stop, and give the ports back."""
        self.shut()
        for one in (self.pair.rtp, self.pair.rtcp):
            self.plant.loop.unwatch(one)
        self.ports.give_back(self.pair, self.plant.clock.now)
        self.peer = self.sender = self.receiver = None
        self.unprotect = self.protect = self.unprotect_control = self.protect_control = _refuse

    def receive_open(self) -> None:
        """One packet from anybody, on the RTP port."""
        taken = self._take(self.pair.rtp)
        if taken is not None and self._consider(*taken) and self.remote.is_rtp:
            self._link()

    def receive_control(self) -> None:
        """One packet from anybody, on the RTCP port."""
        try:
            length, source = self.pair.rtcp.recvfrom_into(self.plant.buffer.receiving)
        except OSError:
            self.counters.interrupted += 1
            return
        address = (source[0], source[1])
        if not self._admitted(self.control_latch, address) or not self.relay_control(length, address):
            return
        if self.control_latch.lock(address):
            self.open()

    def relay_control(self, length: int, source: Address | None = None) -> bool:
        """Pass the RTCP packet in the buffer to the other party; whether it was good. `source` None: the locked one."""
        peer, counters, buffer = self._joined(), self.counters, self.plant.buffer
        if not SHORTEST_CONTROL_BYTES <= length <= MAXIMUM_RECEIVED_BYTES or buffer.memory[0] >> 6 != VERSION:
            counters.malformed += 1
            return False
        received = length
        if self.unprotect_control is not None:
            length = self._open_control(length, source)
            if length <= 0:
                return False
        counters.control_packets += 1
        counters.control_bytes += received
        counters.heard = self.plant.clock.now
        self.control.notice(buffer.slices[length], counters.heard, peer.control)
        if self.steady is not None:
            self.steady.restore_blocks(buffer.memory, length)
        if peer.steady is not None:
            peer.steady.rewrite_sources(buffer.memory, length)
        peer.deliver(length, peer.protect_control, peer.send_control, peer.control_target)
        return True

    def mend(self) -> None:
        """Called now and then: forget the receiving session of a party that began its sequence again."""
        if self.rebuild.is_due(self) and self.remote.theirs is not None:
            self._renew(self.remote.theirs)
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

    def _admitted(self, latch: Latch, source: Address) -> bool:
        if not self.is_open:
            self.counters.early += 1
            return False
        if not latch.admits(source, self.plant.clock.now - self.counters.heard):
            self.counters.wrong_source += 1
            return False
        return True

    def _relay(self, length: int) -> bool:
        """As the fast path, for a packet on the open socket; whether it was good."""
        peer, counters = self._joined(), self.counters
        is_wrong = self.remote.is_rtp and (length < HEADER_BYTES or self.plant.buffer.memory[0] >> 6 != VERSION)
        if is_wrong or length > MAXIMUM_RECEIVED_BYTES:
            counters.malformed += 1
            return False
        received = length
        if self.unprotect is not None:
            length = self.unprotect(length)
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
        peer.deliver(length, peer.protect, peer.send, peer.target)
        return True

    def _joined(self) -> Leg:
        assert self.peer is not None, "a leg is joined before it is opened"
        return self.peer

    def _apply_keys(self, remote: Remote) -> None:
        theirs, ours, buffer = remote.theirs, remote.ours, self.plant.buffer
        if theirs is None or ours is None:
            self.sender = self.receiver = None
            self.unprotect = self.unprotect_control = self.protect = self.protect_control = None
            return
        if self.receiver is None or not _is_same_key(theirs, self.remote.theirs):
            self._renew(theirs)
        else:
            self.rebuild.arm(self)
        if self.sender is None or not _is_same_key(ours, self.remote.ours):
            self.sender = Sender(ours.suite, ours.key, buffer)
        self.protect, self.protect_control = self.sender.protect, self.sender.protect_control

    def _renew(self, theirs: CryptoAttribute) -> None:
        self.receiver = Receiver(theirs.suite, theirs.key, self.plant.buffer)
        self.unprotect, self.unprotect_control = self.receiver.unprotect, self.receiver.unprotect_control

    def _open_control(self, length: int, source: Address | None) -> int:
        """Unprotect the RTCP packet in the buffer: its length, or what is to be dropped."""
        assert self.unprotect_control is not None
        memory = self.plant.buffer.memory
        packet = bytes(memory[:length]) if self.plant.quirks.plain_control else b""
        opened = self.unprotect_control(length)
        if opened >= 0:
            return opened
        plain = plain_control(self, packet, source)
        if plain is None:
            self.counters.fail(opened)
            return opened
        self.counters.plain_control += 1
        memory[: len(plain)] = plain
        return len(plain)

    def _take(self, own: socket.socket) -> tuple[int, Address] | None:
        """One packet into the buffer: its length and source; None when there was none."""
        try:
            length, source = own.recvfrom_into(self.plant.buffer.receiving)
        except OSError:
            self.counters.interrupted += 1
            return None
        return length, (source[0], source[1])

    def _pass(self, length: int) -> bool:
        """Relay the packet in the buffer, media or control; whether it was good media."""
        if self.remote.is_rtp and length > 1 and is_control(self.plant.buffer.memory[1]):
            self.relay_control(length)
            return False
        return self._relay(length)

    def _consider(self, length: int, source: Address) -> bool:
        """Relay the packet in the buffer if the latch admits its source; whether that moved the latch."""
        return self._admitted(self.latch, source) and self._pass(length) and self.latch.lock(source)

    def _link(self) -> None:
        """From now on take the locked source's packets from a socket of their own, what is queued already first."""
        self._unlink()
        assert self.latch.source is not None
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
            taken = self._take(own)
            if taken is None:
                break
            if self._consider(*taken):
                return True
        return False

    def _listen(self) -> None:
        if self.linked is not None:
            peer = self._joined()
            is_steady = peer.steady is not None
            self.plant.loop.watch(
                self.linked, self._receive_linked if is_steady else fast_path(self, peer, self.linked)
            )

    def _receive_linked(self) -> None:
        """One packet from the locked source, when the hot path cannot take it."""
        assert self.linked is not None
        taken = self._take(self.linked)
        if taken is not None:
            self._pass(taken[0])

    def _unlink(self) -> None:
        """Close the socket of the locked source. Both fast paths stop until `open`: one of them writes to it."""
        if self.linked is None:
            return
        for leg in (self, self._joined()):
            if leg.linked is not None:
                self.plant.loop.unwatch(leg.linked)
        self.send = self.send_control = _drop
        self.linked.close()
        self.linked = None

    def _route(self) -> None:
        """Set `send` and `send_control` by what is known of the party's addresses."""
        self.send = self.send_control = _drop
        if self.remote.is_held:
            return
        if self.linked is not None:
            self.send, self.target = os.write, self.linked.fileno()
        elif self.latch.target is not None:
            self.send, self.target = _send_to, (self.pair.rtp, self.latch.target)
        if self.remote.is_multiplexed:
            self.send_control, self.control_target = self.send, self.target
        elif self.control_latch.target is not None:
            self.send_control, self.control_target = _send_to, (self.pair.rtcp, self.control_latch.target)


def join(first: Leg, second: Leg) -> None:
    """Make each the other's peer."""
    first.peer, second.peer = second, first


def _send_to(target: tuple[socket.socket, Address], packet: memoryview) -> None:
    target[0].sendto(packet, target[1])


def _is_same_key(one: CryptoAttribute, other: CryptoAttribute | None) -> bool:
    return other is not None and (one.suite, one.key) == (other.suite, other.key)
