"""The pages of the administration interface, and the facts that they and `gatewayctl status` are made of."""

from __future__ import annotations

import attrs

from gateway.admin.overview import Overview
from gateway.admin.pages.desk import Desk
from gateway.admin.pages.page_routes import PageRoutes
from gateway.admin.status.gathering import Gathering, Watched
from gateway.admin.status.status_api import StatusApi
from gateway.app.parts import Basis
from gateway.base.build import build
from gateway.config.switches import Settings


@attrs.frozen
class PagesPart:
    """All pages, and the answer about the state."""

    pages: PageRoutes
    status: StatusApi


def pages_part(basis: Basis, settings: Settings, overview: Overview, watched: Watched) -> PagesPart:
    """The pages of a gateway that has just been started."""
    gathering = Gathering(
        overview,
        settings,
        watched,
        basis.clock,
        basis.events,
        build().version,
    )
    desk = Desk(gathering, basis.configuration.gateway.name)
    return PagesPart(PageRoutes(overview, overview, desk), StatusApi(gathering))
