"""The way of a packet from one endpoint of a stream to the other, and how the loop comes to it.

    linked socket (the locked source alone) --> fastpath: receive, unprotect, protect, send
    RTP port (anybody)                      --> is the stream open? latch admits? unprotect; lock; protect, send
    RTCP port (anybody)                     --> rtcp_path; open again where the lock moved

A source that the latch is locked to gets a socket of its own, linked to it, so that the hot path compares no addresses.
Not here: the state of an endpoint (endpoint, with the argument why this order is safe).
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from gateway.media.worker.streams import rtcp_path
from gateway.media.worker.streams.endpoint import Endpoint
from gateway.media.worker.streams.latch import SocketAddress
from gateway.rtp.packet import HEADER_BYTES, VERSION, is_control
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES

MAXIMUM_QUEUED: Final = 1_000
"""Packets: more than a socket's buffer holds."""


def watch(endpoint: Endpoint) -> None:
    """Take packets from both ports of the endpoint, until it gives them back."""
    loop = endpoint.services.loop
    loop.watch(endpoint.pair.rtp, partial(_receive_media, endpoint))
    loop.watch(endpoint.pair.rtcp, partial(_receive_control, endpoint))


def open_stream(endpoint: Endpoint) -> None:
    """Both parties are described: let packets through, both ways. Again after every change of either endpoint."""
    endpoints = (endpoint, endpoint.joined())
    assert all(one.is_described for one in endpoints), "what is not described is neither plain nor secure"
    for one in endpoints:
        one.is_open = True
        one.route()
    # Only now: a fast path holds the other endpoint's `send`.
    for one in endpoints:
        _listen(one)


def mend(endpoint: Endpoint) -> None:
    """Called now and then: forget the receiving session of a party that began its sequence again."""
    if endpoint.rebuild.is_due(endpoint.counters):
        endpoint.sessions.renew()
        if endpoint.is_open:
            open_stream(endpoint)


def _receive_media(endpoint: Endpoint) -> None:
    """One packet from anybody, on the RTP port. A new socket for its source costs ten packets: others go first."""
    taken = endpoint.take(endpoint.pair.rtp)
    if taken is not None and _consider(endpoint, *taken) and endpoint.remote.is_rtp:
        endpoint.services.loop.later(partial(_link, endpoint))


def _receive_control(endpoint: Endpoint) -> None:
    """One packet from anybody, on the RTCP port, which a browser has no use for."""
    if endpoint.remote.dtls is not None:
        endpoint.counters.wrong_source += endpoint.take(endpoint.pair.rtcp) is not None
    elif rtcp_path.receive(endpoint):
        open_stream(endpoint)


def _receive_linked(endpoint: Endpoint) -> None:
    """One packet from the locked source, when the hot path cannot take it."""
    assert endpoint.linked is not None
    taken = endpoint.take(endpoint.linked)
    if taken is not None and not (endpoint.web is not None and endpoint.web.takes(taken[0], None)):
        _pass(endpoint, taken[0])


def _consider(endpoint: Endpoint, length: int, source: SocketAddress) -> bool:
    """Relay the packet in the buffer if the latch admits its source; whether that moved the latch."""
    if endpoint.web is not None and endpoint.web.takes(length, source):
        return False
    latch = endpoint.latch
    return endpoint.admitted(latch, source) and _pass(endpoint, length, source) and endpoint.lock(latch, source)


def _pass(endpoint: Endpoint, length: int, source: SocketAddress | None = None) -> bool:
    """Relay the packet in the buffer, media or control; whether it was good media. No `source`: the locked one."""
    if endpoint.remote.is_rtp and length > 1 and is_control(endpoint.services.buffer.memory[1]):
        rtcp_path.relay(endpoint, length, source)
        return False
    return _relay(endpoint, length)


def _relay(endpoint: Endpoint, length: int) -> bool:
    """As the fast path, for a packet on the open socket; whether it was good."""
    peer, counters, buffer = endpoint.joined(), endpoint.counters, endpoint.services.buffer
    is_wrong = endpoint.remote.is_rtp and (length < HEADER_BYTES or buffer.memory[0] >> 6 != VERSION)
    if is_wrong or length > MAXIMUM_RECEIVED_BYTES:
        counters.malformed += 1
        return False
    received = length
    if endpoint.sessions.unprotect is not None:
        length = endpoint.sessions.unprotect(length)
        if length < 0:
            counters.fail(length)
            return False
    counters.packets += 1
    counters.bytes += received
    counters.heard = endpoint.services.clock.now
    if endpoint.remote.is_rtp:
        counters.measure(buffer.slices[length], counters.heard, endpoint.remote.codec.clock_rate)
        if peer.steady is not None:
            peer.steady.rewrite(buffer.memory)
    peer.deliver(length, peer.sessions.protect, peer.send, peer.target)
    return True


def _link(endpoint: Endpoint) -> None:
    """From now on take the locked source's packets from a socket of their own, those queued already first."""
    if not endpoint.is_open or endpoint.latch.source is None:
        return
    endpoint.unlink()
    own = endpoint.pair.rtp
    linked = endpoint.ports.connected(own, endpoint.latch.source)
    if linked is not None and (_catch_up(endpoint, own) or _catch_up(endpoint, linked)):
        # A queued packet came from the address in the SDP, and moved the lock: once more, for that source.
        linked.close()
        _link(endpoint)
        return
    endpoint.linked = linked
    open_stream(endpoint)


def _catch_up(endpoint: Endpoint, own: socket.socket) -> bool:
    """Relay the queued packets; whether one moved the latch."""
    for _ in range(MAXIMUM_QUEUED):
        taken = endpoint.take(own)
        if taken is None:
            break
        if _consider(endpoint, *taken):
            return True
    return False


def _listen(endpoint: Endpoint) -> None:
    if endpoint.linked is None:
        return
    peer = endpoint.joined()
    # The hot path takes an absent session for plain RTP: an end that waits for its keys is no such end.
    if peer.steady is not None or endpoint.sessions.is_refusing or peer.sessions.is_refusing:
        endpoint.services.loop.watch(endpoint.linked, partial(_receive_linked, endpoint))
    else:
        endpoint.services.hot_path(endpoint, peer, endpoint.linked)
