"""Pairs of UDP ports: even for RTP, the odd one above for RTCP (RFC 3550 section 11).

A pair is bound when a call gets it and stays bound after the call: silent, until nothing has arrived for the
quarantine, so that no new call inherits an old one's media. Then it is free, and its sockets wait some time for its
next turn: on a busy worker, that saves making them anew for each call. Pairs are used in turn; one that another program
holds is passed over.

    take --call--> give_back --silent--> quarantine over --free, bound--> take, or closed after a while
                       `--carried nothing--> free, bound

A pair that carried nothing has no quarantine: its call was never answered (it may have been promised early media), and
not a packet came, so that there is no stream whose end could be late. A callee that was offered the pair and begins to
send all the same is noticed like late media: `take` passes over a free pair to which anything came. Else whoever makes
calls that fail could keep every port.

The last free pairs, RESERVE of all, are for urgent calls, to emergency numbers. When none is left, those may break a
quarantine: a packet of an older call, which the latch keeps out, harms less than no call.

Sockets stay watched while they are bound: with no call, by a function that notes that a packet came. Not here: the
sources that may send to a port (latch) and the way of packets (paths).
"""

from __future__ import annotations

import resource
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from struct import unpack_from
from typing import Final, Protocol

import attrs

RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""Half a second of a video stream; audio needs a hundredth of it."""
SILENT_BUFFER_BYTES: Final = 2_304
"""The least the kernel grants: a port in quarantine holds next to nothing."""
MAXIMUM_QUARANTINES: Final = 10
"""How often arriving packets prolong a quarantine: a spraying stranger must not keep ports for ever."""

PAIRS_A_JOB: Final = 4
"""Looked at in one go: packets wait for a few microseconds at most."""
RESERVE: Final = 0.1
"""Of the pairs of a range, kept free for urgent calls; none of a range of less than ten pairs."""
MOST_RESERVED: Final = 100
"""Pairs: fifty calls at once."""
BOUND_SECONDS: Final = 60.0
"""How long a free pair stays bound."""

_SO_MEMINFO: Final = 55
_DROPS_OFFSET: Final = 8 * 4


class NoPorts(Exception):
    """Every pair of the range is in use or in quarantine."""

    def __str__(self) -> str:
        return "Ran out of ports"


class NoSockets(NoPorts):
    """Pairs are free, and the system gives this process no more sockets."""

    def __str__(self) -> str:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"Ran out of ports: ports are free, but no files, of which {most} may be open (LimitNOFILE)"


@attrs.frozen
class PoolOptions:
    """Ports that a worker may bind, inclusive; `quarantine` in seconds; `tos` the byte that carries the DSCP."""

    address: str
    first: int
    last: int
    quarantine: float = 10.0
    tos: int = 46 << 2


class Watch(Protocol):
    """The loop, as far as ports need it."""

    def watch(self, source: socket.socket, receive: Callable[[], None]) -> None: ...

    def unwatch(self, source: socket.socket) -> None: ...

    def later(self, job: Callable[[], object]) -> None: ...


@attrs.define(eq=False)
class PortPair:
    """Two bound, unconnected, non-blocking sockets."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket
    due: float = 0.0
    """When its quarantine, or the time that it stays bound, ends: in the clock's seconds."""
    quarantines: int = 0
    is_heard: bool = False
    """Whether a packet came while it belonged to no call. Then it is not watched."""
    is_small: bool = False
    """Whether its buffers hold next to nothing."""
    dropped_before: int = 0

    def dropped(self) -> int:
        """Packets of this call that the kernel dropped because the buffer for RTP was full."""
        return kernel_drops(self.rtp) - self.dropped_before

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """The pairs of one worker; time is an argument, in seconds."""

    def __init__(self, ports: PoolOptions, loop: Watch) -> None:
        self.range = ports
        self.family = socket.AF_INET6 if ":" in ports.address else socket.AF_INET
        self._loop = loop
        self._free = deque(range(ports.first + ports.first % 2, ports.last, 2))
        self._bound: dict[int, PortPair] = {}
        """Those of the free pairs that are bound still, by port, the longest free first."""
        self._silent: deque[PortPair] = deque()
        self._reserved = min(MOST_RESERVED, int(len(self._free) * RESERVE))
        self.used = 0

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def silent(self) -> int:
        return len(self._silent)

    def take(self, is_urgent: bool = False) -> PortPair:
        """A bound pair with nothing in its queues; `watch` replaces its receivers, if any. Raises NoPorts, or NoSockets
        where no more sockets can be opened and no free pair is bound still."""
        has_files = True
        for _ in range(len(self._free) - (0 if is_urgent else self._reserved)):
            port = self._free.popleft()
            pair = self._bound.pop(port, None)
            if pair is not None and not self._is_quiet(pair):
                # Late media of an old call: it is not for the next one.
                self._heard(pair)
                pair.due = 0.0
                self._silent.append(pair)
                continue
            if pair is None and has_files:
                try:
                    pair = self._made(port)
                except NoSockets:
                    has_files = False
            if pair is not None:
                return self._taken(pair)
            self._free.append(port)
        if is_urgent and self._silent:
            pair = self._silent.popleft()
            self._is_quiet(pair)
            return self._taken(pair)
        raise NoPorts if has_files else NoSockets

    def give_back(self, pair: PortPair, now: float, *, has_carried: bool = True) -> None:
        """Keep the pair bound and silent until its quarantine ends; one that carried nothing is free at once."""
        self.used -= 1
        pair.quarantines, pair.due = 0, now + self.range.quarantine
        if self.range.quarantine <= 0:
            self._free.append(pair.port)
            self._close(pair)
            return
        self._listen(pair)
        if has_carried:
            self._silent.append(pair)
        else:
            self._wait_free(pair, now)

    def expire(self, now: float) -> None:
        """Free pairs that were silent for their quarantine, prolong it for the others, and close those free for long:
        the first few now, and more later."""
        for _ in range(PAIRS_A_JOB):
            if self._silent and self._silent[0].due <= now:
                self._free_or_prolong(self._silent.popleft(), now)
            elif self._bound and next(iter(self._bound.values())).due <= now:
                self._close(self._bound.pop(next(iter(self._bound))))
            else:
                return
        self._loop.later(partial(self.expire, now))

    def close(self) -> None:
        """Close pairs that are free or silent; pairs in use belong to their calls."""
        for pair in (*self._silent, *self._bound.values()):
            self._close(pair)
        self._free.extend(pair.port for pair in self._silent)
        self._silent.clear()
        self._bound.clear()

    def connected(self, own: socket.socket, remote: tuple[str, int]) -> socket.socket | None:
        """A second socket on the port of `own` that hears `remote` alone, or None when the system refuses.

        Packets in its queue already came between bind and connect, from any source: look at their sources.
        The kernel gives a packet to the connected socket when its source matches and to `own` when not, so that the hot
        path compares no addresses. Address reuse is on only while binding: no other program can slip in later.
        """
        try:
            second = self._opened()
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

    def _taken(self, pair: PortPair) -> PortPair:
        """A call has it from now on."""
        self.used += 1
        self._resize(pair, is_small=False)
        return pair

    def _wait_free(self, pair: PortPair, now: float) -> None:
        """Let the next call have it, with its sockets for a while."""
        pair.due = now + BOUND_SECONDS
        self._free.append(pair.port)
        self._bound[pair.port] = pair

    def _made(self, port: int) -> PortPair | None:
        """None when another program has one of the two. Raises NoSockets when the system gives no more sockets."""
        opened: list[socket.socket] = []
        try:
            opened += [self._opened()]
            opened += [self._opened()]
        except OSError:
            for one in opened:
                one.close()
            raise NoSockets from None
        rtp, rtcp = opened
        pair = PortPair(port, rtp, rtcp)
        try:
            rtp.bind((self.range.address, port))
            rtcp.bind((self.range.address, port + 1))
        except OSError:
            pair.close()
            return None
        return pair

    def _opened(self) -> socket.socket:
        """A socket for media. OSError when there is no descriptor left."""
        one = socket.socket(self.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if self.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self.range.tos)
        else:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.range.tos)
        return one

    def _is_quiet(self, pair: PortPair) -> bool:
        """Whether nothing came to a free pair. The loop may not have told yet of a packet that came a moment ago."""
        is_queued = _drain(pair.rtp) | _drain(pair.rtcp)
        pair.dropped_before = kernel_drops(pair.rtp)
        return not (pair.is_heard or is_queued)

    def _listen(self, pair: PortPair) -> None:
        """From now on note whether a packet comes."""
        if pair.is_heard:
            _drain(pair.rtp)
            _drain(pair.rtcp)
        pair.is_heard = False
        heard = partial(self._heard, pair)
        self._loop.watch(pair.rtp, heard)
        self._loop.watch(pair.rtcp, heard)

    def _heard(self, pair: PortPair) -> None:
        """A packet is there: one is enough to know, and a stranger that sprays ports is not listened to."""
        pair.is_heard = True
        self._loop.unwatch(pair.rtp)
        self._loop.unwatch(pair.rtcp)
        self._resize(pair, is_small=True)

    def _free_or_prolong(self, pair: PortPair, now: float) -> None:
        """The quarantine is over."""
        pair.quarantines += 1
        if not pair.is_heard:
            self._wait_free(pair, now)
        elif pair.quarantines < MAXIMUM_QUARANTINES:
            pair.due = now + self.range.quarantine
            self._listen(pair)
            self._silent.append(pair)
        else:
            self._free.append(pair.port)
            self._close(pair)

    def _resize(self, pair: PortPair, is_small: bool) -> None:
        if pair.is_small is not is_small:
            pair.is_small = is_small
            for one in (pair.rtp, pair.rtcp):
                size = SILENT_BUFFER_BYTES if is_small else RECEIVE_BUFFER_BYTES
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _close(self, pair: PortPair) -> None:
        self._loop.unwatch(pair.rtp)
        self._loop.unwatch(pair.rtcp)
        pair.close()


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
