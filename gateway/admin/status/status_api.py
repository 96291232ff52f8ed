"""The route of the state: GET /api/v1/status, which `gatewayctl status` shows."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from gateway.admin.inspection import Role, Row
from gateway.admin.routes import HttpRoute
from gateway.admin.status.gathering import Gathering
from gateway.admin.status.summary import status
from gateway.base.json_codec import encode


@attrs.frozen
class LookAnswer:
    """Something that needs a look."""

    harm: str
    """critical, warning or note."""
    fact: str
    remedy: str
    link: str
    """The page about it."""


@attrs.frozen
class StatusAnswer:
    """The state of the gateway."""

    name: str
    """The gateway's."""
    version: str
    now: float
    """Seconds since the epoch, as the next."""
    up_since: float
    is_draining: bool
    sentence: str
    """Whether calls are encrypted, and if not, why."""
    needs_a_look: tuple[LookAnswer, ...]
    """In order of harm."""
    last_24_hours: dict[str, object]
    providers: tuple[dict[str, object], ...]
    domains: tuple[dict[str, object], ...]
    phones: int
    calls: int
    ports: dict[str, object]
    relays: dict[str, object]
    certificates: tuple[dict[str, object], ...]
    defence: dict[str, object]
    """mode (report, defend, off), defends_from (when its first week ends, or null), bans (in force), waiting (for
    approval), would_be (reported)."""


@attrs.frozen
class StatusApi:
    """The answer, and the route that leads to it."""

    gathering: Gathering

    def routes(self) -> tuple[HttpRoute, ...]:
        """Its one route."""
        return (HttpRoute("GET", "/api/v1/status", self.status, Role.VIEWER, schema=StatusAnswer),)

    def status(self, request: IRequest) -> Deferred[bytes]:
        """The state in short: one sentence, providers, domains, certificates, and all that needs a look."""

        def sent(row: Row) -> bytes:
            request.setHeader(b"content-type", b"application/json")
            return encode(row) + b"\n"

        return self.gathering.facts().addCallback(status).addCallback(sent)
