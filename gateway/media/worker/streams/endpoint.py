"""One party's end of a media stream: its ports, addresses, keys and counters, and where its packets are sent.

An `Endpoint` is described by the party's SDP (`apply`) and has the endpoint of the other party as its `peer`. Other
modules ask it to take a packet into the buffer, whether a source is admitted, and to deliver the buffer to its party.
Not here: the way of a packet from one endpoint to the other (paths, and fastpath for most of them), RTCP on its way
(rtcp_path).

Order, and why it is safe. Nothing passes before both parties described themselves (`is_open`). The latch looks at the
source before any cryptography, so a stranger cannot make us work, and locks only after authentication, so a stranger
that guesses an address cannot move a secure call (RFC 3711 section 3.3: replay, then authentication, which libsrtp
keeps).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import attrs

from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import Loop, LoopClock
from gateway.media.worker.port_pair import PortPair
from gateway.media.worker.port_pool import PortPool
from gateway.media.worker.rewriting import DEFAULT_CODEC, Codec
from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.latch import Latch, SocketAddress
from gateway.media.worker.streams.quirks import Quirks, Rebuild
from gateway.media.worker.streams.rtcp_reports import RtcpReports
from gateway.media.worker.streams.srtp_sessions import Sessions
from gateway.media.worker.web.handshakes import DtlsHandshakes
from gateway.media.worker.web.ice import IceCredentials
from gateway.rtp.srtp import PacketBuffer, Transform
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Direction
from gateway.sdp.dtls import DtlsTransport

HotPath: TypeAlias = "Callable[[Endpoint, Endpoint, socket.socket], None]"
"""Takes the endpoint of the source, the other one, and the socket that hears the source alone (fastpath.listen)."""

Send: TypeAlias = Callable[[Any, memoryview], object]
"""os.write on a connected descriptor, `send_to` on an open socket, or `drop`; the first argument is the `target`."""


def send_to(target: tuple[socket.socket, SocketAddress], packet: memoryview) -> None:
    target[0].sendto(packet, target[1])


def drop(_target: object, _packet: memoryview) -> None:
    """Stands for a party that has no address now (hold by c=0.0.0.0)."""


@attrs.frozen
class Remote:
    """One party's description of one stream, read from its SDP."""

    address: SocketAddress | None
    """Where it wants media; None when the SDP holds no address that we can reach."""
    control: SocketAddress | None
    """Where it wants RTCP."""
    direction: Direction = Direction.SENDRECV
    is_held: bool = False
    """By c=0.0.0.0: nothing is to be sent to it."""
    is_multiplexed: bool = False
    """RTCP comes and goes on the RTP port (RFC 5761)."""
    is_rtp: bool = True
    codec: Codec = DEFAULT_CODEC
    """Of its first format, which it hears best."""
    theirs: CryptoAttribute | None = None
    """The key it sends with; None for plain RTP."""
    ours: CryptoAttribute | None = None
    """The key we send to it with."""
    source: str | None = None
    """The host that its signalling comes from; None when nobody told."""
    dtls: DtlsTransport | None = None
    """The word of a browser on DTLS and ICE: keys are None until its handshake is done, and nothing passes."""
    ice: IceCredentials | None = None
    """Ours toward a browser."""

    @property
    def flows(self) -> bool:
        """Whether media is to go both ways."""
        return self.direction is Direction.SENDRECV and not self.is_held


NO_QUIRKS: Final = Quirks()
UNDESCRIBED: Final = Remote(None, None)


@attrs.frozen
class StreamServices:
    """Parts of the worker that all endpoints share."""

    loop: Loop
    clock: LoopClock
    interfaces: Interfaces
    buffer: PacketBuffer
    hot_path: HotPath
    """Has packets of a locked source go to the other party from now on."""
    counters: type[Counters] = Counters
    quirks: Quirks = NO_QUIRKS
    handshakes: DtlsHandshakes | None = None
    """None: browsers are refused."""


class WebGate(Protocol):
    """ICE and DTLS of an endpoint that may be a browser's (web/web_end)."""

    @property
    def state(self) -> str:
        """Of the handshake, in a word for reports; `mismatch` for a certificate that is not the one of the SDP."""

    @property
    def is_mismatched(self) -> bool:
        """Whether the certificate is not the one of the SDP."""

    def takes(self, length: int, source: SocketAddress | None) -> bool:
        """Whether the packet in the buffer is none of RTP or not to be looked at; then it is done with. `source` None:
        the locked one."""

    def described(self, remote: Remote) -> Remote:
        """The browser's description with the keys that its handshake has agreed on, as far as it has."""

    def look(self) -> bool:
        """Called now and then: whether the browser is gone, and nothing is sent to it, or will never have keys."""

    def close(self) -> None:
        """Let go of everything."""


class RtcpEnd:
    """The RTCP port of an endpoint: its latch, where RTCP is sent, and the party's own reports."""

    __slots__ = ("latch", "reported", "send", "target")

    def __init__(self, follows_port: bool) -> None:
        self.latch = Latch(follows_port=follows_port)
        self.reported = RtcpReports()
        self.send: Send = drop
        self.target: object = None

    def expect(self, address: SocketAddress | None, hosts: frozenset[str] | None, is_moved: bool) -> None:
        """Take the SDP's address of RTCP; `is_moved`: media go elsewhere, so that the lock is off here, too."""
        if hosts is not None and address is not None:
            hosts |= {address[0]}
        if self.latch.expect(address, hosts) or is_moved:
            self.latch.source = None


class Endpoint:
    """One party's end of a stream. It is joined to its `peer` before it is opened, and lets go of it when closed."""

    def __init__(self, services: StreamServices, ports: PortPool, side: str = "", *, is_urgent: bool = False) -> None:
        """`side` is the gateway's that the party is on. Raises NoPorts."""
        self.services = services
        self.ports = ports
        self.side = side
        self.steady = services.quirks.steady(side)
        self.rebuild = Rebuild()
        self.pair: PortPair = ports.take(is_urgent)
        self.peer: Endpoint | None = None
        self.web: WebGate | None = None
        self.remote = UNDESCRIBED
        self.is_described = self.is_open = False
        self.was_elsewhere = False
        """Whether RTP or RTCP in clear came from a host that neither the SDP nor signalling names."""
        self.counters = services.counters(services.clock.now)
        follows_port = side in services.quirks.follow_port
        self.latch = Latch(follows_port=follows_port)
        self.control = RtcpEnd(follows_port)
        self.linked: socket.socket | None = None
        """Hears the locked source alone; None until there is one."""
        self.sessions = Sessions(services.buffer)
        self.send: Send = drop
        self.target: object = None

    def apply(self, remote: Remote) -> None:
        """Take the party's description. Sessions and the latch are kept where it changes nothing about them."""
        if remote.dtls is not None:
            self._apply_web(remote)
            return
        if self.sessions.apply(remote.theirs, remote.ours) and self.side in self.services.quirks.restarts:
            self.rebuild.arm(self.counters)
        self.is_described = True
        hosts = self._hosts(remote)
        moved = self.latch.expect(remote.address, hosts)
        self.control.expect(remote.control, hosts, moved)
        if moved or not remote.is_rtp:
            self.unlink()
        self.remote = remote

    def _apply_web(self, remote: Remote) -> None:
        """The same of a browser: its address is the one that ICE chose, and its keys come from its handshake alone."""
        assert self.web is not None, "a browser has ICE and DTLS before it is described"
        if self.remote.dtls is None:
            self.unlink()
            self.latch.expect(None)
            self.sessions.refuse()
        self.is_described, self.remote = True, remote
        self.take_keys(self.web.described(remote))

    def take_keys(self, remote: Remote) -> None:
        """The browser's description with the keys that are agreed on; without any, nothing passes."""
        self.remote = remote
        if remote.theirs is None or remote.ours is None:
            self.sessions.refuse()
        else:
            self.sessions.apply(remote.theirs, remote.ours)

    def _hosts(self, remote: Remote) -> frozenset[str] | None:
        """Where the party's packets may come from (latch). Not known without a word on its signalling: its SDP alone
        would shut out every party behind NAT."""
        is_proved = remote.theirs is not None
        if is_proved or remote.source is None or self.side in self.services.quirks.anywhere:
            return None
        return frozenset({remote.source} if remote.address is None else {remote.source, remote.address[0]})

    def shut(self) -> None:
        """Let nothing through; ports stay."""
        self.is_open = False
        self.send = self.control.send = drop
        self.unlink()

    def close(self, *, was_answered: bool) -> None:
        """Stop, and give the ports back. The peer is let go of: nobody collects cycles in a worker.

        A call that was never answered may have had early media, or been promised some: its ports are silent for a while
        only where something came to them.
        """
        self.shut()
        has_carried = (was_answered and self.is_described) or self.counters.anything()
        self.ports.give_back(self.pair, self.services.clock.now, has_carried=has_carried)
        self.peer = None
        self.sessions.close()
        if self.web is not None:
            self.web.close()
            self.web = None

    def joined(self) -> Endpoint:
        """The peer."""
        assert self.peer is not None, "an endpoint is joined before it is opened"
        return self.peer

    def take(self, own: socket.socket) -> tuple[int, SocketAddress] | None:
        """One packet into the buffer: its length and source; None when there was none."""
        try:
            length, source = own.recvfrom_into(self.services.buffer.receiving)
        except OSError:
            self.counters.interrupted += 1
            return None
        return length, (source[0], source[1])

    def admitted(self, latch: Latch, source: SocketAddress) -> bool:
        """Whether a packet from `source` may be looked at; else it is counted."""
        if not self.is_open:
            self.counters.early += 1
            return False
        self.counters.notice(self.services.clock.now)
        if not latch.admits(source, self.services.clock.now - self.counters.heard):
            self.counters.wrong_source += 1
            return False
        return True

    def lock(self, latch: Latch, source: SocketAddress) -> bool:
        """Lock to the `source` of a good packet; whether that is a change."""
        named = (self.remote.source, self.remote.address and self.remote.address[0])
        if self.remote.theirs is None and self.remote.source is not None and source[0] not in named:
            self.was_elsewhere = True
        return latch.lock(source)

    def deliver(self, length: int, protect: Transform | None, send: Send, target: object) -> None:
        """Send `length` bytes of the buffer to this endpoint's party; failures are counted."""
        if protect is not None:
            length = protect(length)
            if length < 0:
                self.counters.undelivered += 1
                return
        try:
            send(target, self.services.buffer.slices[length])
        except OSError:
            self.counters.unsent += 1

    def unlink(self) -> None:
        """Close the socket of the locked source. Both fast paths stop until opened again: one of them writes to it."""
        if self.linked is None:
            return
        for endpoint in (self, self.joined()):
            if endpoint.linked is not None:
                self.services.loop.unwatch(endpoint.linked)
        self.send = self.control.send = drop
        self.linked.close()
        self.linked = None

    def route(self) -> None:
        """Set where media and RTCP are sent, by the party's addresses so far."""
        self.send = drop
        if self.remote.is_held:
            pass
        elif self.linked is not None and self.latch.target == self.latch.source:
            self.send, self.target = os.write, self.linked.fileno()
        elif self.latch.target is not None:
            self.send, self.target = send_to, (self.pair.rtp, self.latch.target)
        self._route_control()

    def _route_control(self) -> None:
        control = self.control
        control.send = drop
        if self.remote.is_held:
            return
        if self.remote.is_multiplexed:
            control.send, control.target = self.send, self.target
        elif control.latch.target is not None:
            control.send, control.target = send_to, (self.pair.rtcp, control.latch.target)


def join(first: Endpoint, second: Endpoint) -> None:
    """Make each the other's peer."""
    first.peer, second.peer = second, first
