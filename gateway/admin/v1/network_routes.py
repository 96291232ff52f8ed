"""This machine over HTTP: the addresses in use, their moves, and the clock.

    GET /api/v1/network

Not here: the watch itself (app/network), which hands its state in as values of this file.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.resources import sent


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
class NetworkAnswer:
    """This machine under the gateway."""

    mode: str
    """observe, or static: nothing is watched."""
    watching: bool
    """Whether changes are heard of; false in mode observe too, where a sandbox forbids it."""
    hold_seconds: int
    addresses: tuple[AddressAnswer, ...]
    moves: tuple[MoveAnswer, ...]
    """The latest, the newest first."""
    clock: ClockAnswer


@attrs.frozen
class NetworkApi:
    """The answer, and the route that leads to it."""

    look: Callable[[], NetworkAnswer]

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (HttpRoute("GET", f"{PREFIX}network", self.network, Role.VIEWER, schema=NetworkAnswer),)

    def network(self, request: IRequest) -> bytes:
        """The addresses in use, their moves, and the clock."""
        return sent(request, attrs.asdict(self.look()))
