"""The loop of the client's process: packets, timers and questions, one after the other, and the acts of the machine.

    DHCP's socket -> ClientMachine -acts-> DHCP's socket, ARP's, the interface       the UNIX socket -> report, renewals

An exception is a bug of ours: it is told, the packet is lost, and the loop goes on. A flood is read at REPLIES_A_SECOND
at most, and the kernel drops the rest. ARP is heard while an address or the router is asked about, and not otherwise.
"""

from __future__ import annotations

import selectors
import socket
import sys
import traceback
from collections.abc import Callable, Collection
from functools import partial
from random import SystemRandom
from time import monotonic, sleep
from typing import Final

import attrs

from gateway.base.network import kernel
from gateway.base.network.dhcp import frames
from gateway.base.network.dhcp.client_acts import (
    Act,
    ClientIdentity,
    ClientState,
    LeaveAddress,
    ProbeAddress,
    SendMessage,
    UseLease,
)
from gateway.base.network.dhcp.client_machine import ClientMachine
from gateway.base.network.dhcp.dhcp_messages import reply_of
from gateway.base.network.dhcp.interface_changes import LeasedInterface
from gateway.base.network.dhcp.lease_report import LeaseAnswer, LeaseQuestion, Unusable, report_of
from gateway.base.network.dhcp.lease_socket import AT_ONCE, LeaseConnection, LeaseSocket
from gateway.base.network.dhcp.packet_sockets import WireSocket

REPLIES_A_SECOND: Final = 50
LINK_SECONDS: Final = 1.0
"""Between two looks whether the cable is plugged in, while there is no lease."""
LONGEST_SLEEP: Final = 3600.0
AFTER_BUG: Final = 0.1
"""Seconds that a bug costs: one that comes again at once does not take the processor."""
ROUTER_ASKS, ROUTER_APART = 3, 0.3
"""Questions to the router, and seconds from each to the next."""


@attrs.define
class _RouterLook:
    """Whether the router answers, before a renewal is asked for."""

    router: str
    connection: LeaseConnection
    asks: int = 0
    due: float = 0.0


class LeaseLoop:
    """The process, joined."""

    def __init__(
        self, interface: LeasedInterface, identity: ClientIdentity, wire: WireSocket, door: LeaseSocket
    ) -> None:
        self._interface = interface
        self._door = door
        self._taken: tuple[str, ...] = ()
        self._wire = wire
        self._arp: WireSocket | None = None
        self._machine = ClientMachine(identity, SystemRandom(), self._all_taken)
        self._look: _RouterLook | None = None
        self._second, self._replies, self._is_deaf = 0.0, 0, False
        self._was_running = True
        self._said = ""
        self._connections: set[LeaseConnection] = set()
        self._selector = selectors.DefaultSelector()
        self._bell, self._string = socket.socketpair()
        self.is_on = True

    def run(self) -> None:
        """Until `stop` was called."""
        self._selector.register(self._wire, selectors.EVENT_READ, self._hear_dhcp)
        self._selector.register(self._door, selectors.EVENT_READ, self._accept)
        self._selector.register(self._bell, selectors.EVENT_READ, lambda: self._bell.recv(64))
        self._guarded(self._begin)
        while self.is_on:
            wait = min(LONGEST_SLEEP, max(0.0, self._next() - monotonic()))
            for key, _ in self._selector.select(wait):
                self._guarded(key.data)
            self._guarded(self._expire)
        self._door.close()

    def stop(self) -> None:
        """End the loop; a signal may call it. The address stays until its lease ends: the next process asks for it."""
        self.is_on = False
        self._string.send(b"\0")

    def _begin(self) -> None:
        self._interface.bring_up()
        self._machine.start(monotonic(), self._interface.from_before())
        self._carry_out()

    def _next(self) -> float:
        """When something is due."""
        times = [self._machine.due, *(one.ends for one in self._connections)]
        if self._look is not None:
            times.append(self._look.due)
        if self._is_deaf:
            times.append(self._second + 1)
        if self._machine.lease is None:
            times.append(monotonic() + LINK_SECONDS)
        return min(times)

    def _expire(self) -> None:
        now = monotonic()
        if self._is_deaf and now >= self._second + 1:
            self._is_deaf = False
            self._selector.register(self._wire, selectors.EVENT_READ, self._hear_dhcp)
        for connection in [one for one in self._connections if now >= one.ends]:
            self._end(connection)
        if self._machine.lease is None:
            self._look_at_cable(now)
        self._machine.expired(now)
        self._ask_router(now)
        self._carry_out()
        if self._arp is not None and self._look is None and self._machine.state is not ClientState.PROBING:
            self._selector.unregister(self._arp)
            self._arp.close()
            self._arp = None

    def _look_at_cable(self, now: float) -> None:
        is_running = self._interface.is_running()
        if is_running and not self._was_running:
            self._machine.link_up(now)
        self._was_running = is_running

    def _hear_dhcp(self) -> None:
        now = monotonic()
        if now >= self._second + 1:
            self._second, self._replies = now, 0
        self._replies += 1
        if self._replies > REPLIES_A_SECOND:
            self._is_deaf = True
            self._selector.unregister(self._wire)
            return
        packet = self._wire.receive()
        payload = None if packet is None else frames.udp_payload(packet[0])
        reply = None if payload is None else reply_of(payload)
        if packet is not None and reply is not None:
            self._machine.receive(reply, packet[1], now)
            self._carry_out()

    def _hear_arp(self) -> None:
        found = None if self._arp is None else self._arp.receive()
        packet = None if found is None else frames.arp_of(found[0])
        if packet is None:
            return
        look = self._look
        if look is not None and packet.is_reply and packet.sender == look.router:
            self._look = None
            self._answer(look.connection, "router")
        if self._machine.state is ClientState.PROBING:
            for address in {packet.sender, packet.target}:
                if frames.claims(packet, address, self._interface.mac):
                    self._machine.conflict(address, monotonic())
            self._carry_out()

    def _carry_out(self) -> None:
        acts = self._machine.acts
        while acts:
            act = acts.popleft()
            try:
                self._carry(act)
            except OSError as error:  # the interface is down, or gone: timers go on, and try again
                self._say(f"{type(act).__name__}: {error.strerror}")

    def _carry(self, act: Act) -> None:
        match act:
            case SendMessage(message, None):
                packet = frames.udp_packet(message.encoded(), frames.NOWHERE, frames.EVERYBODY)
                self._wire.send(packet, frames.BROADCAST_MAC)
            case SendMessage(message, lease) if lease is not None:
                packet = frames.udp_packet(message.encoded(), lease.address, lease.server)
                self._wire.send(packet, lease.server_mac)
            case ProbeAddress(address):
                self._ask_arp(frames.NOWHERE, address)
            case UseLease(lease):
                self._interface.take(lease, monotonic())
                self._say(f"{lease.address}/{lease.prefix} for {lease.seconds:.0f} s, of {lease.server}")
                self._ask_arp(lease.address, lease.address)  # neighbours learn of it (RFC 2131 section 4.4.1)
            case LeaveAddress(address):
                self._say(f"{address} is left: {self._machine.refusals.latest or 'its lease is over'}")
                self._interface.leave(address)

    def _ask_arp(self, own: str, address: str) -> None:
        if self._arp is None:
            self._arp = WireSocket.arp(self._interface.name)
            self._selector.register(self._arp, selectors.EVENT_READ, self._hear_arp)
        packet = frames.ArpPacket(False, self._interface.mac, own, address)
        self._arp.send(packet.encoded(), frames.BROADCAST_MAC)

    def _accept(self) -> None:
        connection = self._door.accept(monotonic())
        if connection is None:
            return
        if len(self._connections) >= AT_ONCE:
            connection.close()
            return
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, partial(self._read, connection))

    def _read(self, connection: LeaseConnection) -> None:
        try:
            question = connection.question()
        except Unusable:
            self._end(connection)
            return
        if question is not None:
            self._selector.unregister(connection)
            self._asked(question, connection)

    def _asked(self, question: LeaseQuestion, connection: LeaseConnection) -> None:
        if question.taken is not None and question.taken != self._taken:
            self._taken = question.taken
            self._machine.look_again(monotonic())
            self._carry_out()
        router = self._machine.lease.router if self._machine.lease is not None else ""
        if not question.renew:
            self._answer(connection)
        elif question.even_with_router or not router:
            self._renew(connection)
        elif self._look is not None:
            self._answer(connection, "wait", ROUTER_ASKS * ROUTER_APART)
        else:
            self._look = _RouterLook(router, connection)
            self._ask_router(monotonic())

    def _ask_router(self, now: float) -> None:
        """Ask once more; after enough of it, the router is silent and the lease is renewed."""
        look = self._look
        if look is None or now < look.due:
            return
        if look.asks == ROUTER_ASKS:
            self._look = None
            self._renew(look.connection)
            return
        look.asks, look.due = look.asks + 1, now + ROUTER_APART
        own = self._machine.lease.address if self._machine.lease is not None else frames.NOWHERE
        try:
            self._ask_arp(own, look.router)
        except OSError as error:  # the interface is down: that is silence, too
            self._say(f"the router cannot be asked: {error.strerror}")

    def _renew(self, connection: LeaseConnection) -> None:
        wait = self._machine.renew(monotonic())
        self._carry_out()
        if not wait:
            self._answer(connection, "sent")
        elif wait == float("inf"):
            self._answer(connection, "idle")
        else:
            self._answer(connection, "wait", wait)

    def _answer(self, connection: LeaseConnection, renewed: str = "", wait: float = 0.0) -> None:
        report = report_of(self._interface.name, self._machine, monotonic())
        connection.answer(LeaseAnswer(report, renewed, wait))
        self._connections.discard(connection)

    def _end(self, connection: LeaseConnection) -> None:
        if connection.fileno() in self._selector.get_map():
            self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()

    def _all_taken(self) -> Collection[str]:
        """The addresses of this machine's other interfaces, and those that the gateway told."""
        try:
            own = {one.address for one in kernel.own_addresses() if one.index != self._interface.index}
        except OSError:
            own = set()
        return own | set(self._taken)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # the one guard of this process
            traceback.print_exc(file=sys.stderr)
            sleep(AFTER_BUG)

    def _say(self, line: str) -> None:
        """A line for people; the same one is not said again and again."""
        if line != self._said:
            self._said = line
            print(f"{self._interface.name}: {line}", file=sys.stderr, flush=True)
