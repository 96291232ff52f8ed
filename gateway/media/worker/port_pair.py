"""A pair of sockets for media: bound to an even port and the odd one above (RFC 3550 section 11).

Here: making them, packets that the kernel dropped, and emptying them. Not here: the turns of pairs (port_pool).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import unpack_from
from typing import Final

import attrs

RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""Half a second of a video stream; audio needs a hundredth of it."""

_SO_MEMINFO: Final = 55
_DROPS_OFFSET: Final = 8 * 4


Opened = Callable[[], socket.socket]
"""Makes a socket for media; OSError when there is no descriptor left."""


@attrs.define(eq=False)
class PortPair:
    """Two bound, unconnected, non-blocking sockets."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket
    due: float = 0.0
    """When its quarantine, or the time that it stays bound, ends: in the clock's seconds."""
    farewell: float = 0.0
    """Until then packets are the last ones of the call that had it, in the same seconds."""
    quarantines: int = 0
    is_heard: bool = False
    """Whether a packet came while it belonged to no call. Then it is not watched."""
    has_had_call: bool = False
    """Whether it is, or was, a call's: a peer of before may send to it late."""
    is_small: bool = False
    """Whether its buffers hold next to nothing."""
    dropped_before: int = 0

    def dropped(self) -> int:
        """Packets of this call that the kernel dropped because the buffer for RTP was full."""
        return kernel_drops(self.rtp) - self.dropped_before

    def drain(self) -> bool:
        """Empty both queues; whether anything waited there."""
        return _drain(self.rtp) | _drain(self.rtcp)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def opened(family: int, tos: int) -> socket.socket:
    """A socket for media; `tos` is the byte that carries the DSCP. OSError when there is no descriptor left."""
    one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    else:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    return one


def connected(own: socket.socket, remote: tuple[str, int], opened: Opened) -> socket.socket | None:
    """A second socket on the port of `own` that hears `remote` alone, or None when the system refuses.

    Packets in its queue already came between bind and connect, from any source: look at their sources.
    The kernel gives a packet to the connected socket when its source matches and to `own` when not, so that the hot
    path compares no addresses. Address reuse is on only while binding: no other program can slip in later.
    """
    try:
        second = opened()
    except OSError:  # no more files: `own` goes on alone
        return None
    try:
        for one in (own, second):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(own.getsockname())
        second.connect(remote)
    except OSError:
        second.close()
        return None
    finally:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return second


def kernel_drops(one: socket.socket) -> int:
    """Packets the kernel dropped at this socket because its buffer was full; 0 when it does not say."""
    try:
        (drops,) = unpack_from("=I", one.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64), _DROPS_OFFSET)
    except OSError:
        return 0
    return int(drops)


def _drain(one: socket.socket) -> bool:
    """Throw away queued packets; whether there were any. Bounded: a flood must not hold the loop."""
    for count in range(1_000):
        try:
            one.recv(1)
        except OSError:
            return count > 0
    return True
