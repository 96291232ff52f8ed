"""The states and acts of the DHCP client, and its messages as RFC 2131 table 5 has them.

    ClientMachine --> SendMessage | ProbeAddress | UseLease | LeaveAddress --> lease_loop.py carries them out

Pure values. Not here: when each is done (client_machine.py), the bytes (dhcp_messages.py).
"""

from __future__ import annotations

import socket
from enum import StrEnum
from typing import Final, TypeAlias

import attrs

from gateway.base.network.dhcp.dhcp_messages import LARGEST, WANTED, DhcpOption, DhcpRequest, RequestKind
from gateway.base.network.dhcp.lease import Lease

_HEADERS: Final = 28
"""Bytes of IPv4 and UDP."""


class ClientState(StrEnum):
    """States of the client."""

    WAITING = "waiting"
    REBOOTING = "rebooting"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    PROBING = "probing"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


BACKOFF: Final = 4.0, 8.0, 16.0, 32.0, 64.0
"""Seconds to the next copy of a message, each with a second of chance to it (RFC 2131 section 4.1)."""
MOST_COPIES: Final = {ClientState.REQUESTING: 4, ClientState.REBOOTING: 2}
"""Of a DHCPREQUEST; then another offer is looked for."""


@attrs.frozen
class SendMessage:
    """Send this: to the server of a lease from its address, or (None) to everybody on the wire."""

    message: DhcpRequest
    lease: Lease | None = None


@attrs.frozen
class ProbeAddress:
    """Ask the wire once for an owner of this address; `conflict` is called where there is one."""

    address: str


@attrs.frozen
class UseLease:
    """Give the interface the address of this lease, and no other, until its end."""

    lease: Lease


@attrs.frozen
class LeaveAddress:
    """Take this address away from the interface."""

    address: str


Act: TypeAlias = SendMessage | ProbeAddress | UseLease | LeaveAddress


@attrs.frozen
class DhcpExchange:
    """A question that is under way."""

    xid: int
    began: float
    sent: float
    """When its latest copy was sent; a lease runs from there (RFC 2131 section 4.4.1)."""
    copies: int = 0

    def again(self, now: float) -> DhcpExchange:
        """The same with one more copy."""
        return attrs.evolve(self, sent=now, copies=self.copies + 1)


@attrs.frozen
class ClientIdentity:
    """The client, as servers are told, and its messages."""

    mac: bytes
    hostname: str = ""
    vendor_class: str = "gateway"

    def discover(self, exchange: DhcpExchange, hint: str) -> SendMessage:
        """Ask for offers, of this address if it can be; empty: of any."""
        return SendMessage(self._message(RequestKind.DISCOVER, exchange, {**_named(hint), **self._wishes()}))

    def take(self, exchange: DhcpExchange, offer: Lease) -> SendMessage:
        """Ask for the lease that was offered."""
        return SendMessage(self._message(RequestKind.REQUEST, exchange, {**_offered(offer), **self._wishes()}))

    def reboot(self, exchange: DhcpExchange, known: str) -> SendMessage:
        """Ask whether an address is still this client's."""
        return SendMessage(self._message(RequestKind.REQUEST, exchange, {**_named(known), **self._wishes()}))

    def renew(self, exchange: DhcpExchange, lease: Lease, *, is_broadcast: bool) -> SendMessage:
        """Ask for a lease once more, its server alone or any."""
        message = self._message(RequestKind.REQUEST, exchange, self._wishes(), lease.address)
        return SendMessage(message, None if is_broadcast else lease)

    def decline(self, exchange: DhcpExchange, lease: Lease) -> SendMessage:
        """Tell the server that an address has another owner; nothing is wished for."""
        return SendMessage(self._message(RequestKind.DECLINE, exchange, _offered(lease)))

    def _message(
        self, kind: RequestKind, exchange: DhcpExchange, options: dict[DhcpOption, bytes], own: str = ""
    ) -> DhcpRequest:
        return DhcpRequest(kind, exchange.xid, self.mac, own, int(exchange.sent - exchange.began), options)

    def _wishes(self) -> dict[DhcpOption, bytes]:
        texts = {DhcpOption.HOST_NAME: self.hostname, DhcpOption.VENDOR_CLASS: self.vendor_class}
        named = {code: text.encode("ascii")[:255] for code, text in texts.items() if text}
        return {**named, DhcpOption.WANTED: WANTED, DhcpOption.LARGEST_MESSAGE: (LARGEST + _HEADERS).to_bytes(2, "big")}


def _named(address: str) -> dict[DhcpOption, bytes]:
    return {DhcpOption.REQUESTED_ADDRESS: socket.inet_aton(address)} if address else {}


def _offered(lease: Lease) -> dict[DhcpOption, bytes]:
    return {**_named(lease.address), DhcpOption.SERVER: socket.inet_aton(lease.server)}
