"""The hot path in C for one locked source, made from the same two endpoints as its twin (fastpath).

    endpoint, peer --> counters, libsrtp's contexts, where to send --> Path --> the loop's table

Only here and in `native_loop` is the extension met; both are imported where it was built, and chosen (`packet_loop`).
"""

from __future__ import annotations

import os
import socket
from functools import partial
from struct import pack
from typing import Final, cast

from gateway.media.worker.native_loop import NativeLoop
from gateway.media.worker.streams import fastpath
from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.endpoint import Endpoint, send_to
from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.streams.rtcp_path import relay as relay_control
from gateway.native.relay import Counts, Path
from gateway.rtp.srtp import context_pointer

_NOWHERE: Final = -1
_IN_C: Final = frozenset(name for name in vars(Counts) if not name.startswith("_"))


class _NativeCounters(Counts):
    """Counters, the hot ones of them numbers of the extension's. All their methods are `Counters`'s own."""

    __slots__ = tuple(name for name in Counters.__slots__ if name not in _IN_C)

    __init__ = Counters.__init__
    notice = Counters.notice
    failed = Counters.failed
    anything = Counters.anything
    fail = Counters.fail
    measure = Counters.measure
    _restart = Counters._restart


NativeCounters: Final = cast(type[Counters], _NativeCounters)


def listen_natively(endpoint: Endpoint, peer: Endpoint, source: socket.socket) -> None:
    """From now on packets from `source`, connected to `endpoint`'s party, go to `peer`'s party without Python."""
    try:
        path = native_path(endpoint, peer)
    except (OSError, ValueError):  # its address is none for C: its twin counts each packet that cannot be sent
        fastpath.listen(endpoint, peer, source)
        return
    cast(NativeLoop, endpoint.services.loop).watch_path(source, path)


def native_path(endpoint: Endpoint, peer: Endpoint) -> Path:
    """The way from `endpoint`'s party to `peer`'s, as both are now."""
    receiver, sender = endpoint.sessions.receiver, peer.sessions.sender
    target, address = _way(peer)
    return Path(
        cast(Counts, endpoint.counters),
        cast(Counts, peer.counters),
        0 if receiver is None else context_pointer(receiver.context),
        0 if sender is None else context_pointer(sender.context),
        endpoint.remote.codec.clock_rate,
        target,
        address,
        partial(_control, endpoint),
        (receiver, sender, peer.pair, peer.linked),  # C has bare pointers into sessions, and numbers of descriptors
        endpoint.web is not None,
    )


def _way(peer: Endpoint) -> tuple[int, bytes]:
    """The descriptor to send by, and the address for one that is not connected."""
    if peer.send is os.write:
        return cast(int, peer.target), b""
    if peer.send is send_to:
        own, address = cast("tuple[socket.socket, SocketAddress]", peer.target)
        return own.fileno(), socket_address(address)
    return _NOWHERE, b""


def socket_address(address: SocketAddress) -> bytes:
    """A sockaddr_in or sockaddr_in6 (netinet/in.h). Raises OSError for a host that is no address."""
    host, _, zone = address[0].partition("%")
    if ":" not in host:
        return pack("=H", socket.AF_INET) + pack("!H4s8x", address[1], socket.inet_aton(host))
    scope = socket.if_nametoindex(zone) if zone else 0
    packed = socket.inet_pton(socket.AF_INET6, host)
    return pack("=H", socket.AF_INET6) + pack("!HI16s", address[1], 0, packed) + pack("=I", scope)


def _control(endpoint: Endpoint, length: int) -> None:
    """RTCP among the media (RFC 5761) is in the buffer, or STUN or DTLS (RFC 7983)."""
    try:
        if endpoint.web is None or not endpoint.web.takes(length, None):
            relay_control(endpoint, length)
    except OSError:
        endpoint.joined().counters.unsent += 1
    except Exception:
        endpoint.services.loop.fail()
