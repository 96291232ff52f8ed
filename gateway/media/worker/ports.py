"""Pairs of UDP ports: even for RTP, the odd one above for RTCP (RFC 3550 section 11).

A pair is bound when a call gets it and stays bound after the call: silent, until nothing has arrived for the
quarantine, so that no new call inherits an old one's media. Pairs are used in turn; one that another program holds is
passed over.
Not here: who may send to a port (latch.py) and what is done with packets (stream.py).
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from struct import unpack_from
from typing import Final

import attrs

RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""Half a second of a video stream; audio needs a hundredth of it."""
SILENT_BUFFER_BYTES: Final = 2_304
"""The least the kernel grants: a port in quarantine holds next to nothing."""
MAXIMUM_QUARANTINES: Final = 10
"""How often arriving packets prolong a quarantine: a spraying stranger must not keep ports for ever."""

_SO_MEMINFO: Final = 55
_DROPS_OFFSET: Final = 8 * 4


class NoPorts(Exception):
    """Every pair of the range is in use or in quarantine."""


@attrs.frozen
class PortRange:
    """What a worker may bind. Ports inclusive; `quarantine` in seconds; `tos` the byte that carries the DSCP."""

    address: str
    first: int
    last: int
    quarantine: float = 10.0
    tos: int = 46 << 2


@attrs.define(eq=False)
class PortPair:
    """Two bound, unconnected, non-blocking sockets."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket
    due: float = 0.0
    """When its quarantine ends, in the clock's seconds."""
    quarantines: int = 0

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """The pairs of one worker; time is an argument, in seconds."""

    def __init__(self, ports: PortRange) -> None:
        self.range = ports
        self.family = socket.AF_INET6 if ":" in ports.address else socket.AF_INET
        self._free = deque(range(ports.first + ports.first % 2, ports.last, 2))
        self._silent: deque[PortPair] = deque()
        self.used = 0

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def silent(self) -> int:
        return len(self._silent)

    def take(self) -> PortPair:
        """A bound pair; raises NoPorts."""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            pair = self._bound(port)
            if pair is not None:
                self.used += 1
                return pair
            self._free.append(port)
        raise NoPorts

    def give_back(self, pair: PortPair, now: float) -> None:
        """Keep the pair bound and silent until its quarantine ends."""
        self.used -= 1
        if self.range.quarantine <= 0:
            self._release(pair)
            return
        for port in (pair.rtp, pair.rtcp):
            _drain(port)
            port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SILENT_BUFFER_BYTES)
        pair.due = now + self.range.quarantine
        self._silent.append(pair)

    def expire(self, now: float) -> None:
        """Free the pairs that were silent for their quarantine; prolong it for those that were not."""
        while self._silent and self._silent[0].due <= now:
            pair = self._silent.popleft()
            was_silent = not (_drain(pair.rtp) | _drain(pair.rtcp))
            pair.quarantines += 1
            if was_silent or pair.quarantines >= MAXIMUM_QUARANTINES:
                self._release(pair)
            else:
                pair.due = now + self.range.quarantine
                self._silent.append(pair)

    def close(self) -> None:
        """Release what is silent; pairs in use belong to their calls."""
        while self._silent:
            self._release(self._silent.popleft())

    def connected(self, own: socket.socket, remote: tuple[str, int]) -> socket.socket | None:
        """A second socket on the port of `own` that hears `remote` alone, or None when the system refuses.

        What it has queued already came between bind and connect, from anybody: look at the sources of that.
        The kernel gives a packet to the connected socket when its source matches and to `own` when not, so that the hot
        path compares no addresses. Address reuse is on only while binding: no other program can slip in later.
        """
        second = socket.socket(self.family, socket.SOCK_DGRAM)
        try:
            for one in (own, second):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._prepare(second)
            second.bind(own.getsockname())
            second.connect(remote)
        except OSError:
            second.close()
            return None
        finally:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        return second

    def _bound(self, port: int) -> PortPair | None:
        with contextlib.ExitStack() as opened:
            rtp, rtcp = (opened.enter_context(socket.socket(self.family, socket.SOCK_DGRAM)) for _ in range(2))
            for one, number in ((rtp, port), (rtcp, port + 1)):
                self._prepare(one)
                try:
                    one.bind((self.range.address, number))
                except OSError:
                    return None
            opened.pop_all()
        return PortPair(port, rtp, rtcp)

    def _prepare(self, one: socket.socket) -> None:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if self.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self.range.tos)
        else:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.range.tos)

    def _release(self, pair: PortPair) -> None:
        pair.close()
        self._free.append(pair.port)


def kernel_drops(one: socket.socket) -> int:
    """Packets the kernel dropped at this socket because its buffer was full; 0 when it does not say."""
    try:
        (drops,) = unpack_from("=I", one.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64), _DROPS_OFFSET)
    except OSError:
        return 0
    return int(drops)


def _drain(one: socket.socket) -> bool:
    """Throw away what is queued; whether there was anything. Bounded: a flood must not hold the loop."""
    for count in range(1_000):
        try:
            one.recv(1)
        except OSError:
            return count > 0
    return True
