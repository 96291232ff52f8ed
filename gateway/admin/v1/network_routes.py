"""This machine over HTTP: the addresses in use, their moves, the lease, and the clock.

    GET  /api/v1/network
    POST /api/v1/network/renew    {}: renew the lease of mode = "dhcp", once in five minutes

Not here: the watch itself (app/network), which hands its state in as values of this file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import read_change
from gateway.admin.v1.questions import NoChange
from gateway.admin.v1.resources import sent
from gateway.state.audit import AuditLog


@attrs.frozen
class AddressAnswer:
    """An address in use."""

    address: str
    interface: str
    """The interface that the configuration names for it; empty where it names the address."""
    users: tuple[str, ...]
    """The listeners and sides of media that have it."""
    is_there: bool
    """Whether this machine has it now."""


@attrs.frozen
class MoveAnswer:
    """A move to another address."""

    at: float
    """Seconds since the epoch."""
    interface: str
    before: str
    after: str
    calls: int
    """Calls that went along."""
    failure: str
    """Why it failed; empty where it did not."""


@attrs.frozen
class ClockAnswer:
    """The system's clock."""

    synchronized: bool | None
    """Whether a time server sets it; null where nobody says."""
    witness: str
    """The source of that: kernel, timesyncd, or none."""


@attrs.frozen
class OtherServerAnswer:
    """A DHCP server that answers beside the one that gave the lease."""

    address: str
    mac: str
    seconds_ago: float
    """Since it was last heard."""


@attrs.frozen
class DhcpAnswer:
    """The lease of this machine's address, as the DHCP client tells of it."""

    why: str
    """Why the client does not answer; empty where it does. All else is empty then."""
    state: str = ""
    """waiting, rebooting, selecting, requesting, probing, bound, renewing, rebinding (RFC 2131 section 4.4)."""
    interface: str = ""
    address: str = ""
    """Empty without a lease."""
    prefix: int = 0
    server: str = ""
    router: str = ""
    seconds_left: float | None = None
    """None without a lease, or for one without an end."""
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    domain: str = ""
    tftp: tuple[str, ...] = ()
    """Options 66 and 150."""
    sip_servers: tuple[str, ...] = ()
    """Option 120."""
    vendor: str = ""
    """Option 43 in hexadecimal."""
    renewed: str = ""
    """The latest renewal: its result, and in brackets its cause."""
    renewed_seconds_ago: float | None = None
    others: tuple[OtherServerAnswer, ...] = ()
    refused: str = ""
    """Why the latest reply was not taken that was not."""
    refusals: int = 0


@attrs.frozen
class NetworkAnswer:
    """This machine under the gateway."""

    mode: str
    """observe; dhcp, with a DHCP client beside the gateway; or static: nothing is watched."""
    watching: bool
    """Whether changes are heard of; false in mode observe too, where a sandbox forbids it."""
    hold_seconds: int
    addresses: tuple[AddressAnswer, ...]
    moves: tuple[MoveAnswer, ...]
    """The latest, the newest first."""
    clock: ClockAnswer
    dhcp: DhcpAnswer | None
    """None but in mode dhcp."""


@attrs.frozen
class RenewedAnswer:
    """The outcome of an order to renew the lease."""

    renewed: str
    """sent: a DHCPREQUEST; wait: it is not time for one; idle: there is no lease, or it is renewed anyway."""
    wait: float
    """Seconds until it is time."""


class NoClient(Exception):
    """The DHCP client does not answer; str() says why."""


class NoLeaseHere(Exception):
    """This gateway has no DHCP client; str() says why."""


@attrs.frozen
class NetworkApi:
    """The answers, and the routes that lead to them."""

    look: Callable[[], NetworkAnswer]
    renew: Callable[[], Awaitable[RenewedAnswer]]
    """Raises NoClient and NoLeaseHere."""
    audit: AuditLog

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        renew = f"{PREFIX}network/renew"
        return (
            HttpRoute("GET", f"{PREFIX}network", self.network, Role.VIEWER, schema=NetworkAnswer),
            HttpRoute("POST", renew, self.order_renewal, Role.OPERATOR, change=NoChange, schema=RenewedAnswer),
        )

    def network(self, request: IRequest) -> bytes:
        """The addresses in use, their moves, and the clock."""
        return sent(request, attrs.asdict(self.look()))

    async def order_renewal(self, request: IRequest) -> bytes:
        """Renew the lease of this machine's address, though the router answers."""
        read_change(NoChange, request)
        who = caller_of(request).author
        try:
            answer = await self.renew()
        except NoLeaseHere as failure:
            raise Rejected(409, str(failure)) from None
        except NoClient as failure:
            raise Rejected(503, str(failure)) from None
        self.audit.write(who, "lease renewed", outcome=answer.renewed)
        return sent(request, attrs.asdict(answer))
