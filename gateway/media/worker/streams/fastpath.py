"""The hot path: one packet from a locked source to the other party.

Nothing here allocates, logs or looks anything up in a dictionary. With hundreds of calls the cost is memory that is not
in the cache, so a stream has as few objects of its own as can be: descriptors instead of sockets, libsrtp's contexts
instead of our closures around them, and a generator, with all names in its one frame, instead of a closure and its
cells (a tenth less CPU a packet). Measured changes only: bench/media_relay.py.

    next packet is ready --> resumed --> readv, unprotect, count, protect, write --> waits again
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from gateway.media.worker.streams.counters import SAMPLE
from gateway.media.worker.streams.endpoint import Endpoint
from gateway.media.worker.streams.rtcp_path import relay as relay_control
from gateway.rtp.packet import HEADER_BYTES
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES

_SAMPLE_MASK: Final = SAMPLE - 1


def listen(endpoint: Endpoint, peer: Endpoint, source: socket.socket) -> None:
    """From now on packets from `source`, connected to `endpoint`'s party, go to `peer`'s party by the hot path."""
    endpoint.services.loop.watch(source, fast_path(endpoint, peer, source))


def fast_path(endpoint: Endpoint, peer: Endpoint, source: socket.socket) -> Callable[[], None]:
    """A function that takes one packet from `source`, connected to `endpoint`'s party, to `peer`'s party.

    Made anew whenever one of the endpoints changes.
    """
    path = _packets(endpoint, peer, source.fileno())
    next(path)
    return path.__next__


def _packets(endpoint: Endpoint, peer: Endpoint, descriptor: int) -> Iterator[None]:  # noqa: C901  (every call costs)
    buffer, clock, readv = endpoint.services.buffer, endpoint.services.clock, os.readv
    memory, slices, data, size, into = buffer.memory, buffer.slices, buffer.data, buffer.size, (buffer.receiving,)
    srtp_protect, srtp_unprotect, counters = buffer.protect, buffer.unprotect, endpoint.counters
    send, target = peer.send, peer.target
    # The sessions are named to keep them alive: libsrtp takes bare pointers into them.
    receiver, sender = endpoint.sessions.receiver, peer.sessions.sender
    opening = receiver.context if receiver is not None else None
    sealing = sender.context if sender is not None else None
    while True:
        yield
        try:
            length = readv(descriptor, into)
        except OSError:  # refused by the far host (ICMP), or already read
            counters.interrupted += 1
            continue
        try:
            if length < HEADER_BYTES or length > MAXIMUM_RECEIVED_BYTES or memory[0] & 0xC0 != 0x80:
                counters.malformed += not _is_taken(endpoint, length)
                continue
            if 191 < memory[1] < 224:
                relay_control(endpoint, length)
                continue
            received = length
            if opening is not None:
                size[0] = length
                status = srtp_unprotect(opening, data, size)
                if status:
                    counters.fail(-status)
                    continue
                length = size[0]
            counters.bytes += received
            counters.packets = packets = counters.packets + 1
            if not packets & _SAMPLE_MASK:
                counters.measure(slices[length], clock.now, endpoint.remote.codec.clock_rate)
            if sealing is not None:
                size[0] = length
                if srtp_protect(sealing, data, size):
                    peer.counters.undelivered += 1
                    continue
                length = size[0]
            send(target, slices[length])
        except OSError:  # its queue is full, or the far host refused an earlier one
            peer.counters.unsent += 1
        except Exception:  # a generator that raises has ended, and the stream with it
            endpoint.services.loop.fail()


def _is_taken(endpoint: Endpoint, length: int) -> bool:
    """Whether the packet, no RTP, was STUN or DTLS of a browser (RFC 7983 section 7)."""
    is_other = HEADER_BYTES <= length <= MAXIMUM_RECEIVED_BYTES and endpoint.services.buffer.memory[0] < 64
    return is_other and endpoint.web is not None and endpoint.web.takes(length, None)
