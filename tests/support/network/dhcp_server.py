"""A DHCP server's replies as bytes, and one for the client's machine that a test's clock drives."""

from __future__ import annotations

import socket
from random import Random
from struct import pack
from typing import Any

from gateway.base.network.dhcp.client_acts import Act, ClientIdentity, ClientState, SendMessage, UseLease
from gateway.base.network.dhcp.client_machine import ClientMachine
from gateway.base.network.dhcp.dhcp_messages import DhcpOption, DhcpReply, DhcpRequest, ReplyKind, RequestKind, reply_of

MAC, SERVER_MAC, OTHER_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x09", b"\x02\0\0\0\0\x66"
FIRST, SECOND, SERVER, OTHER = "10.78.0.2", "10.78.0.3", "10.78.0.1", "10.78.0.66"


def payload(
    kind: ReplyKind | int,
    xid: int,
    address: str = FIRST,
    *,
    server: str = SERVER,
    seconds: int = 3600,
    mac: bytes = MAC,
    **more: Any,
) -> bytes:
    """The payload of UDP; ``more`` are options by their names, b"" to leave one out."""
    options = {
        DhcpOption.KIND: bytes((kind,)),
        DhcpOption.SERVER: socket.inet_aton(server),
        DhcpOption.LEASE_SECONDS: pack("!I", seconds),
        DhcpOption.SUBNET_MASK: socket.inet_aton("255.255.255.0"),
        DhcpOption.ROUTER: socket.inet_aton(SERVER),
        **{DhcpOption[name]: value for name, value in more.items()},
    }
    fixed = bytes((2, 1, 6, 0)) + pack("!I", xid) + bytes(8) + socket.inet_aton(address) + bytes(8)
    fixed += mac.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63"
    return fixed + b"".join(bytes((code, len(value))) + value for code, value in options.items() if value) + b"\xff"


def reply(kind: ReplyKind, xid: int, address: str = FIRST, **more: Any) -> DhcpReply:
    """The same as a value."""
    found = reply_of(payload(kind, xid, address, **more))
    assert found is not None
    return found


class Wire:
    """A machine, its clock, and all that it did."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 1000.0
        self.taken: set[str] = set()
        self.machine = ClientMachine(ClientIdentity(MAC, "gw1"), Random(seed), lambda: self.taken)
        self.done: list[tuple[float, Act]] = []

    def start(self, known: str = "") -> None:
        """Begin."""
        self.machine.start(self.now, known)
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass, and whatever is due in it be done."""
        end = self.now + seconds
        for _ in range(100_000):
            self._drain()
            if self.machine.due > end:
                break
            self.now = max(self.now, self.machine.due)
            self.machine.expired(self.now)
        else:
            raise AssertionError("the machine is never at rest")
        self.now = end

    def answer(self, kind: ReplyKind, address: str = FIRST, *, mac: bytes = SERVER_MAC, **more: Any) -> None:
        """Answer the latest message."""
        self.machine.receive(reply(kind, self.sent[-1].xid, address, **more), mac, self.now)
        self._drain()

    def bind(self, address: str = FIRST, **more: Any) -> None:
        """Through to a lease in force."""
        self.start()
        self.answer(ReplyKind.OFFER, address, **more)
        self.answer(ReplyKind.ACK, address, **more)
        self.advance(0.31)
        assert self.machine.lease is not None
        assert self.used == [address]

    def state(self) -> ClientState:
        """Of the machine."""
        return self.machine.state

    def latest(self) -> RequestKind:
        """The kind of the latest message."""
        return self.sent[-1].kind

    @property
    def messages(self) -> list[tuple[float, SendMessage]]:
        """Everything that was sent, with its time."""
        return [(at, act) for at, act in self.done if isinstance(act, SendMessage)]

    @property
    def sent(self) -> list[DhcpRequest]:
        """The messages alone."""
        return [act.message for _, act in self.messages]

    @property
    def used(self) -> list[str]:
        """Addresses that were put into force."""
        return [act.lease.address for _, act in self.done if isinstance(act, UseLease)]

    def _drain(self) -> None:
        while self.machine.acts:
            self.done.append((self.now, self.machine.acts.popleft()))
