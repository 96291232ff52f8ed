"""The hot path: one packet from a locked source to the other party, in one Python function.

Nothing here allocates, logs or looks anything up in a dictionary. With hundreds of calls the cost is memory that is
not in the cache, so a stream has as few objects of its own as can be: descriptors instead of sockets, libsrtp's
contexts instead of our closures around them. What all streams share is in cells that their closures share
(`FastPaths.__init__`); what a leg has of its own is in cells made by `between`, anew whenever a leg changes. Measured
changes only: bench/media_relay.py.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from gateway.media.worker.counters import SAMPLE
from gateway.media.worker.loop import Clock
from gateway.rtp.packet import HEADER_BYTES
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES, PacketBuffer

if TYPE_CHECKING:
    from gateway.media.worker.stream import Leg

_SAMPLE_MASK: Final = SAMPLE - 1

FastPath: TypeAlias = Callable[["Leg", "Leg", socket.socket], Callable[[], None]]


def fast_paths(buffer: PacketBuffer, clock: Clock) -> FastPath:  # noqa: C901  (every call costs)
    """What makes a fast path: (leg, its peer, the socket connected to the leg's source) -> takes one packet."""
    memory, slices, data, size = buffer.memory, buffer.slices, buffer.data, buffer.size
    srtp_protect, srtp_unprotect, readv, into = buffer.protect, buffer.unprotect, os.readv, (buffer.receiving,)

    def between(leg: Leg, peer: Leg, source: socket.socket) -> Callable[[], None]:  # noqa: C901
        descriptor, counters, opening, sealing = source.fileno(), leg.counters, leg.opening, peer.sealing
        send, target = peer.send, peer.target

        # The default argument keeps the sessions alive: `opening` and `sealing` are bare pointers into them.
        def receive(_sessions: object = (leg.receiver, peer.sender)) -> None:
            try:
                length = readv(descriptor, into)
            except OSError:  # refused by the far host (ICMP), or already read
                counters.interrupted += 1
                return
            if length < HEADER_BYTES or length > MAXIMUM_RECEIVED_BYTES or memory[0] & 0xC0 != 0x80:
                counters.malformed += 1
                return
            if 191 < memory[1] < 224:
                leg.relay_control(length)
                return
            counters.bytes += length
            if opening is not None:
                size[0] = length
                status = srtp_unprotect(opening, data, size)
                if status:
                    counters.bytes -= length
                    counters.fail(-status)
                    return
                length = size[0]
            counters.packets = packets = counters.packets + 1
            if not packets & _SAMPLE_MASK:
                counters.measure(slices[length], clock.now, leg.remote.clock_rate)
            if sealing is not None:
                size[0] = length
                if srtp_protect(sealing, data, size):
                    peer.counters.undelivered += 1
                    return
                length = size[0]
            try:
                send(target, slices[length])
            except OSError:  # its queue is full, or the far host refused an earlier one
                peer.counters.unsent += 1

        return receive

    return between
