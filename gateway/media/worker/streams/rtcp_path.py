"""The way of RTCP from one endpoint's party to the other's, on a port of its own or among the media (RFC 5761).

    RTCP port, anybody -----> receive: is the endpoint open? latch admits? relay; lock
    RTP port, multiplexed --> relay, from the path of media

It is read on its way, in clear between two encryptions (rtcp_reports), and changed only for a quirk (quirks). A packet
every five seconds: nothing here is hot.
"""

from __future__ import annotations

from typing import Final

from gateway.media.worker.streams.endpoint import Endpoint
from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.streams.quirks import plain_control
from gateway.rtp.packet import VERSION
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES, Transform

SHORTEST_CONTROL_BYTES: Final = 8


def receive(endpoint: Endpoint) -> bool:
    """Take one packet from anybody, on the RTCP port; whether it moved the latch's lock."""
    taken = endpoint.take(endpoint.pair.rtcp)
    if taken is None:
        return False
    length, source = taken
    latch = endpoint.control.latch
    return endpoint.admitted(latch, source) and relay(endpoint, length, source) and endpoint.lock(latch, source)


def relay(endpoint: Endpoint, length: int, source: SocketAddress | None = None) -> bool:
    """Pass the RTCP packet in the buffer to the other party; whether it was good. `source` None: the locked one."""
    peer = endpoint.joined()
    counters, buffer = endpoint.counters, endpoint.services.buffer
    if not SHORTEST_CONTROL_BYTES <= length <= MAXIMUM_RECEIVED_BYTES or buffer.memory[0] >> 6 != VERSION:
        counters.malformed += 1
        return False
    received = length
    unprotect = endpoint.sessions.unprotect_control
    if unprotect is not None:
        length = _opened(endpoint, unprotect, length, source)
        if length <= 0:
            return False
    counters.control_packets += 1
    counters.control_bytes += received
    counters.heard = endpoint.services.clock.now
    if endpoint.steady is not None:
        endpoint.steady.restore_blocks(buffer.memory, length)
    endpoint.control.reported.notice(buffer.slices[length], counters.heard, peer.control.reported)
    if peer.steady is not None:
        peer.steady.rewrite_sources(buffer.memory, length)
    peer.deliver(length, peer.sessions.protect_control, peer.control.send, peer.control.target)
    return True


def _opened(endpoint: Endpoint, unprotect: Transform, length: int, source: SocketAddress | None) -> int:
    """Unprotect the packet in the buffer: its length, which is not positive for one that is to be dropped."""
    memory = endpoint.services.buffer.memory
    takes_plain = endpoint.side in endpoint.services.quirks.plain_control
    packet = bytes(memory[:length]) if takes_plain else b""
    opened = unprotect(length)
    if opened >= 0:
        return opened
    plain = plain_control(packet, source, endpoint.latch.source) if takes_plain else None
    if plain is None:
        endpoint.counters.fail(opened)
        return opened
    endpoint.counters.plain_control += 1
    memory[: len(plain)] = plain
    return len(plain)
