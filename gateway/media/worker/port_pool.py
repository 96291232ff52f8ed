"""Pairs of UDP ports: even for RTP, the odd one above for RTCP (RFC 3550 section 11).

A pair is bound when a call gets it and stays bound after the call: silent, until nothing has arrived for the
quarantine, so that no new call inherits an old one's media. Then it is free, and its sockets wait some time for its
next turn: on a busy worker, that saves making them anew for each call. Pairs are used in turn; one that another program
holds is passed over.

    take --call--> give_back --silent--> quarantine over --free, bound--> take, or closed after a while
                       `--carried nothing--> free, bound

The last packets of a call are under way when it ends: those of the first moment (FAREWELL_SECONDS) prolong nothing.
A pair that carried nothing has no quarantine: its call was never answered (it may have been promised early media), and
not a packet came, so that there is no stream whose end could be late. A callee that was offered the pair and begins to
send all the same is noticed like late media: `take` passes over a free pair to which anything came. Else whoever makes
calls that fail could keep every port.

While there are calls, the pairs that are next are bound ahead, one at a time between batches of packets (AHEAD):
to make a pair takes as long as ten packets, and calls come in bursts. A pair that no call has had since it was bound
gets no late media: packets in its queues are a stranger's. `take` throws them away, and they keep no call from it.

The last free pairs (base/media_ports.py says how many) are for urgent calls, to emergency numbers. When none is left,
those may break a quarantine: a packet of an older call, which the latch keeps out, harms less than no call.

Sockets stay watched after a call while they are bound, by a function that notes that a packet came. Not here: the
sources that may send to a port (latch) and the way of packets (paths).
"""

from __future__ import annotations

import resource
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import attrs

from gateway.base.media_ports import QUARANTINE_SECONDS, PortRange
from gateway.media.worker.port_pair import RECEIVE_BUFFER_BYTES, PortPair, connected, kernel_drops, opened

SILENT_BUFFER_BYTES: Final = 2_304
"""The least the kernel grants: a port in quarantine holds next to nothing."""
FAREWELL_SECONDS: Final = 1.0  # after the end of a call: both sides stop when they have heard of the end
MAXIMUM_QUARANTINES: Final = 10
"""How often arriving packets prolong a quarantine: a spraying stranger must not keep ports for ever."""
PAIRS_A_JOB: Final = 4
"""Looked at in one go: packets wait for a few microseconds at most."""
BOUND_SECONDS: Final = 60.0
"""How long a free pair stays bound."""
AHEAD: Final = 64
"""Of the free pairs, as many as are bound ahead of their calls once there are calls: thirty-two at once wait for no
socket to be made, nor do the packets of others."""


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
    quarantine: float = QUARANTINE_SECONDS
    tos: int = 46 << 2


class Watch(Protocol):
    """The loop, as far as ports need it."""

    def watch(self, source: socket.socket, receive: Callable[[], None]) -> None: ...

    def unwatch(self, source: socket.socket) -> None: ...

    def later(self, job: Callable[[], object]) -> None: ...


class PortPool:
    """The pairs of one worker; time is an argument, in seconds."""

    def __init__(self, ports: PoolOptions, loop: Watch) -> None:
        self.range = ports
        self.family = socket.AF_INET6 if ":" in ports.address else socket.AF_INET
        self._loop = loop
        range_of_ours = PortRange(ports.first, ports.last)
        self._free = deque(range_of_ours.pairs)
        self._bound: dict[int, PortPair] = {}
        """Those of the free pairs that are bound still, by port, the longest free first."""
        self._silent: deque[PortPair] = deque()
        self._reserved = range_of_ours.reserved
        self._ahead = 0
        """So many of the first free pairs are bound, at least."""
        self._is_drawn_on = False
        """Whether a pair was taken since the last look."""
        self._is_closed = False
        self._now = 0.0  # the latest time that was told
        self._farewell = min(FAREWELL_SECONDS, ports.quarantine)
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
        for _ in range(len(self._free) - (0 if is_urgent else self._reserved)):
            port = self._free.popleft()
            self._ahead -= self._ahead > 0
            try:
                pair = self._bound.pop(port, None) or self._made(port)
            except NoSockets:
                self._free.appendleft(port)
                return self._taken(self._bound_one(is_urgent))
            if pair is None:
                self._free.append(port)
            elif self._may_be_taken(pair):
                return self._taken(pair)
        if is_urgent and self._silent:
            return self._taken(self._silent_one())
        raise NoPorts

    def _may_be_taken(self, pair: PortPair) -> bool:
        """Whether nothing came to a free pair. Late media of an old call are not for the next one."""
        if self._is_quiet(pair) or not pair.has_had_call:
            return True
        self._heard(pair)
        pair.due = 0.0
        self._silent.append(pair)
        return False

    def _bound_one(self, is_urgent: bool) -> PortPair:
        """A free pair that is bound still, wherever its turn is: no other can be had. Raises NoSockets."""
        while self._bound and (is_urgent or len(self._free) > self._reserved):
            port = next(iter(self._bound))
            self._free.remove(port)
            self._ahead = 0
            pair = self._bound.pop(port)
            if self._may_be_taken(pair):
                return pair
        if is_urgent and self._silent:
            return self._silent_one()
        raise NoSockets

    def _silent_one(self) -> PortPair:
        pair = self._silent.popleft()
        self._is_quiet(pair)
        return pair

    def give_back(self, pair: PortPair, now: float, *, has_carried: bool = True) -> None:
        """Keep the pair bound and silent until its quarantine ends; one that carried nothing is free at once."""
        self.used -= 1
        if now > self._now:
            self._now = now
        pair.quarantines, pair.due = 0, now + self.range.quarantine
        pair.farewell = now + self._farewell if has_carried else -1.0
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
        the first few now, and more later. Then bind some ahead, where any was taken since the last time."""
        self._now = max(self._now, now)
        for _ in range(PAIRS_A_JOB):
            if self._silent and self._silent[0].due <= now:
                self._free_or_prolong(self._silent.popleft(), now)
            elif self._bound and next(iter(self._bound.values())).due <= now:
                self._close(self._bound.pop(next(iter(self._bound))))
                self._ahead = 0
            else:
                self._bind_ahead(now)
                return
        self._loop.later(partial(self.expire, now))

    def close(self) -> None:
        """Close pairs that are free or silent, and bind no more; pairs in use belong to their calls."""
        self._is_closed = True
        for pair in (*self._silent, *self._bound.values()):
            self._close(pair)
        self._free.extend(pair.port for pair in self._silent)
        self._silent.clear()
        self._bound.clear()

    def connected(self, own: socket.socket, remote: tuple[str, int]) -> socket.socket | None:
        """A second socket on the port of `own` that hears `remote` alone, or None when the system refuses."""
        return connected(own, remote, self._opened)

    def _taken(self, pair: PortPair) -> PortPair:
        """A call has it from now on."""
        self.used += 1
        pair.has_had_call = self._is_drawn_on = True
        self._resize(pair, is_small=False)
        return pair

    def _bind_ahead(self, now: float) -> None:
        """Bind those that are next soon, if any was taken since the last time."""
        if self._is_drawn_on and self.range.quarantine > 0:
            self._is_drawn_on = False
            self._loop.later(partial(self._bind_next, now, AHEAD))

    def _bind_next(self, now: float, most: int) -> None:
        """Bind the next free pair that is not, and others later, `most` in all. Their queues hold next to nothing."""
        if self._is_closed:
            return
        while self._ahead < min(AHEAD, len(self._free)) and self._free[self._ahead] in self._bound:
            self._ahead += 1
        if self._ahead >= min(AHEAD, len(self._free)):
            return
        port = self._free[self._ahead]
        try:
            pair = self._made(port)
        except NoSockets:
            return
        if pair is None:
            del self._free[self._ahead]
            self._free.append(port)
        else:
            self._resize(pair, is_small=True)
            pair.due = now + BOUND_SECONDS
            self._bound[port] = pair
        if most > 1:
            self._loop.later(partial(self._bind_next, now, most - 1))

    def _wait_free(self, pair: PortPair, now: float) -> None:
        """Let the next call have it, with its sockets for a while."""
        pair.due = now + BOUND_SECONDS
        self._free.append(pair.port)
        self._bound[pair.port] = pair

    def _made(self, port: int) -> PortPair | None:
        """None when another program has one of the two. Raises NoSockets when the system gives no more sockets."""
        made: list[socket.socket] = []
        try:
            made += [self._opened()]
            made += [self._opened()]
        except OSError:
            for one in made:
                one.close()
            raise NoSockets from None
        rtp, rtcp = made
        pair = PortPair(port, rtp, rtcp)
        try:
            rtp.bind((self.range.address, port))
            rtcp.bind((self.range.address, port + 1))
        except OSError:
            pair.close()
            return None
        return pair

    def _opened(self) -> socket.socket:
        return opened(self.family, self.range.tos)

    def _is_quiet(self, pair: PortPair) -> bool:
        """Whether nothing came to a free pair. The loop may not have told yet of a packet that came a moment ago."""
        is_queued = pair.drain()
        pair.dropped_before = kernel_drops(pair.rtp)
        return not (pair.is_heard or is_queued)

    def _listen(self, pair: PortPair) -> None:
        """From now on note whether a packet comes."""
        if pair.is_heard:
            pair.drain()
        pair.is_heard = False
        came = partial(self._came, pair)
        self._loop.watch(pair.rtp, came)
        self._loop.watch(pair.rtcp, came)

    def _came(self, pair: PortPair) -> None:
        """A packet is there, of the call that has just ended or a late one."""
        if self._now > pair.farewell:
            self._heard(pair)
        else:
            pair.drain()

    def _heard(self, pair: PortPair) -> None:
        """A late packet: one is enough to know, and a stranger that sprays ports is not listened to."""
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
