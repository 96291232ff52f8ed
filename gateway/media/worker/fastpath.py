"""The hot path: one packet from a locked source to the other party, in one Python function.

Nothing here allocates, logs or looks anything up in a dictionary. What a leg is asked for at every packet is bound to
local names when the closure is made; stream.py makes a new one whenever a leg changes. Measured changes only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.media.worker.counters import SAMPLE
from gateway.rtp.packet import HEADER_BYTES
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES

if TYPE_CHECKING:
    from gateway.media.worker.stream import Leg


def fast_path(leg: Leg, peer: Leg, source: socket.socket) -> Callable[[], None]:  # noqa: C901  (every call costs)
    """Takes one packet from the socket connected to the leg's locked source and sends it to the other party.

    A closure, made anew whenever a leg changes: every name it uses is a local one.
    """
    buffer, clock, counters, theirs = leg.plant.buffer, leg.plant.clock, leg.counters, peer.counters
    receive_into, receiving, memory, slices = source.recv_into, buffer.receiving, buffer.memory, buffer.slices
    unprotect, protect, send = leg.unprotect, peer.protect, peer.send
    relay_control, clock_rate, mask = leg.relay_control, leg.remote.clock_rate, SAMPLE - 1

    def receive() -> None:
        try:
            length = receive_into(receiving)
        except OSError:  # refused by the far host (ICMP), or already read
            counters.interrupted += 1
            return
        if length < HEADER_BYTES or length > MAXIMUM_RECEIVED_BYTES or memory[0] & 0xC0 != 0x80:
            counters.malformed += 1
            return
        if 191 < memory[1] < 224:
            relay_control(length)
            return
        received = length
        if unprotect is not None:
            length = unprotect(length)
            if length < 0:
                counters.fail(length)
                return
        counters.packets = packets = counters.packets + 1
        counters.bytes += received
        counters.heard = clock.now
        if not packets & mask:
            counters.measure(slices[length], clock.now, clock_rate)
        if protect is not None:
            length = protect(length)
            if length < 0:
                theirs.undelivered += 1
                return
        try:
            send(slices[length])
        except OSError:  # its queue is full, or the far host refused an earlier one
            theirs.unsent += 1

    return receive
