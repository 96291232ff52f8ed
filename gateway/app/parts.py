"""A part of the gateway: built from the parts below it, started after them, stopped before them.

    state -> security -> media -> signalling -> peers -> calls -> ingress -> defence -> operation -> admin

Built and started in this order, stopped the other way.

A true circle of objects (transport -> gate -> transactions -> core -> calls -> transactions) is closed by an argument
of ``start``, so nothing is up and unheard. No attribute of a part is set from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from gateway.admin.pages.desk import Desk
from gateway.admin.routes import HttpRoute
from gateway.app.cluster.cluster_node import ClusterNode as ClusterNode
from gateway.app.succession.calls_at_stop import Parentage as Parentage
from gateway.base.clock import Clock
from gateway.base.tokens import Random
from gateway.config.model import Configuration
from gateway.observe.metrics import Metrics
from gateway.state.cluster.replica import Replica

Adopt = Callable[[], None]
"""Adopts prepared files; raises nothing but our bugs."""


@attrs.frozen
class Basis:
    """Common to all parts: they are built on it."""

    configuration: Configuration
    reactor: Any
    """Its interfaces are checked where it is handed over."""
    metrics: Metrics
    clock: Clock
    random: Random = attrs.field(factory=Random)
    routes: list[HttpRoute] = attrs.Factory(list)
    """Routes of the administration interface that parts offer: each adds its own when it is built, and the
    administration, which is built last, takes them all."""
    pages: list[Callable[[Desk], Sequence[HttpRoute]]] = attrs.Factory(list)
    """The same of pages, which are drawn at the administration's desk."""
    written: Configuration = attrs.Factory(lambda basis: basis.configuration, takes_self=True)
    """The configuration with interfaces as they are written, in place of the addresses that they have."""

    cluster: ClusterNode | None = None
    """This process as a node of a cluster; None without [cluster]."""
    parentage: Parentage = attrs.Factory(Parentage.now)

    @property
    def replica(self) -> Replica | None:
        """Takes copies of all that is kept; None without [cluster]."""
        return None if self.cluster is None else self.cluster.copies

    def offered(self, desk: Desk) -> tuple[HttpRoute, ...]:
        """All routes that parts offer."""
        return (*self.routes, *(route for pages in self.pages for route in pages(desk)))


class GatewayPart:
    """One part. ``start`` is each part's own: its arguments are the listeners that close a circle."""

    def stop(self) -> Deferred[None]:
        """Let go of everything; fires when nothing is left."""
        return succeed(None)

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read again the files that a configuration names: all that can fail. Raises as OPERATORS_ERRORS."""
        return _nothing

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on. Raises nothing but our bugs."""


def _nothing() -> None:
    """Nothing was prepared."""
