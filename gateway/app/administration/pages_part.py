"""The pages of the administration interface, and the facts that they and `gatewayctl status` are made of."""

from __future__ import annotations

from collections import Counter
from functools import partial

import attrs

from gateway.admin.kept_pages import KeptPages
from gateway.admin.overview import Overview
from gateway.admin.pages.desk import Desk
from gateway.admin.pages.page_routes import PageRoutes
from gateway.admin.routes import HttpRoute
from gateway.admin.security.limit_pages import LimitPages
from gateway.admin.status.cluster_api import as_row
from gateway.admin.status.gathering import Gathering, Watched
from gateway.admin.status.status_api import StatusApi
from gateway.admin.turns import Turns
from gateway.app.administration.operation_part import OperationPart
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis
from gateway.base.build import build
from gateway.config.switches import Settings
from gateway.media.pool import RelayPool


@attrs.frozen
class PagesPart:
    """The routes of all pages and of the answer about the state."""

    routes: tuple[HttpRoute, ...]
    desk: Desk
    """Draws the pages of accounts, too, and that for errors."""
    kept: KeptPages


def pages_part(
    basis: Basis,
    settings: Settings,
    overview: Overview,
    calls: CallsPart,
    operation: OperationPart,
    turns: Turns,
) -> PagesPart:
    """The pages of a gateway that has just been started."""
    ports = partial(_ports, calls.relay)
    watched = Watched(
        calls.health,
        basis.metrics.figures,
        ports,
        partial(overview.population, turns.next),
        overview.calls_up,
        lambda: operation.is_draining,
        lambda: operation.listeners,
        partial(_loops, calls.relay),
        lambda: {} if basis.cluster is None else as_row(basis.cluster.answer()),
    )
    gathering = Gathering(
        overview,
        settings,
        watched,
        basis.clock,
        basis.metrics.events,
        build().version,
    )
    desk = Desk(gathering, basis.configuration.gateway.name, turns)
    limits = LimitPages(calls.limits, desk, settings.audit)
    routes = (*StatusApi(gathering).routes(), *PageRoutes(overview, overview, desk).routes(), *limits.routes())
    return PagesPart(routes, desk, KeptPages(turns, basis.clock.seconds))


def _ports(relay: RelayPool) -> Counter[str]:
    """The media ports of all relays by state, as each said last."""
    return sum((Counter(node.figures.ports) for node in relay.nodes), Counter())


def _loops(relay: RelayPool) -> Counter[str]:
    """The loops of packets that the workers said they have."""
    return Counter(node.figures.loop for node in relay.nodes if node.figures.loop is not None)
