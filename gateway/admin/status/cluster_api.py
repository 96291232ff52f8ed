"""The cluster over HTTP: the active node, since when, and how far its copies are behind.

    GET /api/v1/cluster
    GET /may-hold    200, or 503 where the floating address is better elsewhere: asked by keepalived

A node that waits answers it as well, and little else. Not here: the lease and the store (state/cluster), the node that
waits (app/cluster), which hand their state in as values of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import MAY_HOLD
from gateway.admin.inspection import Role, Row
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.resources import sent
from gateway.state.cluster.node_lease import LeaseState


@attrs.frozen
class NodeAnswer:
    """A node of the cluster."""

    node: str
    seen_seconds_ago: float
    """Since its last sign of life in the store, by this machine's clock."""


@attrs.frozen
class ClusterAnswer:
    """This node in its cluster."""

    state: str
    """active; active without store; standby: another node is active, or none can be; none: there is no [cluster]."""
    name: str = ""
    """Of the cluster."""
    node: str = ""
    """This one."""
    active: str = ""
    """The node that has the lease; empty where none has, or none is known."""
    since: float | None = None
    """When it took the lease, seconds since the epoch."""
    epoch: int = 0
    """The number of that lease."""
    store_answers: bool = True
    """Whether the store answered this node's latest question."""
    address: str = ""
    """The floating address; empty where none is configured."""
    has_address: bool = True
    """Whether this machine has it."""
    waiting_changes: int = 0
    """Of the active node: changes that the store does not have yet."""
    lag_seconds: float = 0.0
    """Of the active node: the age of the oldest of them."""
    whole_copies: int = 0
    """Of the active node: whole copies since its start."""
    nodes: tuple[NodeAnswer, ...] = ()
    """All that gave a sign of life lately, this one among them."""


STANDBY: Final = LeaseState.WAITING.value
"""The state of a node that waits."""


def as_row(answer: ClusterAnswer) -> Row:
    """The answer as the state of the gateway is judged by it."""
    row = attrs.asdict(answer)
    return {**row, "nodes": [*row["nodes"]]}


@attrs.frozen
class ClusterApi:
    """The answer, and the route that leads to it."""

    look: Callable[[], ClusterAnswer]

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", f"{PREFIX}cluster", self.cluster, Role.VIEWER, schema=ClusterAnswer),
            HttpRoute("GET", MAY_HOLD, self.may_hold, Role.NOBODY),
        )

    def cluster(self, request: IRequest) -> bytes:
        """This node in its cluster."""
        return sent(request, attrs.asdict(self.look()))

    def may_hold(self, request: IRequest) -> bytes:
        """Says whether the floating address is of use on this machine: not where a node waits that the store does not
        answer, since it cannot become active. It says so without the address as well, or keepalived would move it to
        and fro where no node reaches the store. For keepalived."""
        standing = self.look()
        may_hold = standing.store_answers or standing.state != STANDBY
        request.setResponseCode(200 if may_hold else 503)
        return sent(request, {"may_hold": may_hold})
