"""The API of deviations: GET /api/v1/deviations, those of a time, each with the figures that were compared.

Not here: their judgement (`security.deviations`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_query, said
from gateway.admin.v1.resources import sent
from gateway.security.deviations.deviations import Deviations, Row
from gateway.state.sqlite import StoreUnusable

log = Logger()

DAY = 86_400.0


@attrs.frozen
class DeviationsQuery:
    """The deviations that are wanted."""

    since: Moment | None = said("Those of then or later; of the last 24 hours where it is not given.", None)
    domain: str | None = said("Those of one domain and its users.", None)
    limit: int = said("How many at most, the newest first.", 100, 1, 10_000)


@attrs.frozen
class DeviationAnswer:
    """A deviation of a user, or of a whole domain."""

    at: Moment = said("When it was seen: at the end of a call.")
    name: str = said("Its kind, as docs/events.md lists them.")
    severity: str = said("notice or warning.")
    source: str = said("Empty.")
    domain: str = said("The domain.")
    who: str = said("The user; empty for the whole domain.")
    call: str = said("The id of the call that showed it.")
    fields: dict[str, object] = said("The figures that were compared.")


class DeviationRoutes:
    """The route of deviations. ``wall`` gives seconds since the epoch."""

    def __init__(self, deviations: Deviations, wall: Callable[[], float]) -> None:
        self._deviations = deviations
        self._wall = wall

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path, every = f"{PREFIX}deviations", tuple[DeviationAnswer, ...]
        return (HttpRoute("GET", path, self.all, Role.VIEWER, query=DeviationsQuery, schema=every),)

    def all(self, request: IRequest) -> Deferred[bytes]:
        """Calls that were unlike those of the same user or domain in the last 28 days, the newest first."""
        now = self._wall()
        query = read_query(DeviationsQuery, request, now)

        def told(found: list[Row]) -> bytes:
            domain = None if query.domain is None else query.domain.lower()
            wanted = [row for row in found if domain is None or str(row.get("domain")).lower() == domain]
            return sent(request, wanted[: query.limit])

        since = now - DAY if query.since is None else query.since
        return self._deviations.since(since).addCallbacks(told, unusable)


def unusable(failure: Failure) -> Any:
    """Raises Rejected for a file that cannot be read, whose reason is for the log alone."""
    failure.trap(StoreUnusable)
    log.error("deviations cannot be read: {reason}", reason=failure.value)
    raise Rejected(503, "deviations.sqlite cannot be read now; the log says why.")
