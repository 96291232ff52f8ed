"""PBXs and trunks that do not register over HTTP: where they are, and their registrations at providers.

    GET /api/v1/pbxs

Not here: the PBXs themselves (routing/pbx, app/pbx), which hand their state in as values of this file. No answer holds
a password.
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
class PbxPlaceAnswer:
    """An address of a PBX."""

    uri: str
    """As the table writes it."""
    target: str
    """The transport and numeric address that it leads to; empty where its name is not found."""
    is_up: bool
    """Whether calls go there; an address that is never asked is up until a call meets silence."""
    why: str
    """Why none does; empty where they do."""


@attrs.frozen
class PbxRegistrationAnswer:
    """The registration of a PBX's account, which the gateway keeps up."""

    is_registered: bool
    seconds_left: int
    """Of the provider's grant."""
    failures: int
    """In a row."""
    why: str
    """Why the last one failed; empty where it did not."""


@attrs.frozen
class PbxAnswer:
    """A table [[phone]]."""

    name: str
    domain: str
    numbers: tuple[str, ...]
    proof: str
    """certificate or address."""
    account: str
    """Its name at the provider; empty where the PBX answers the provider's challenges itself."""
    places: tuple[PbxPlaceAnswer, ...]
    registration: PbxRegistrationAnswer | None
    """null where the gateway does not register it."""


@attrs.frozen
class PbxsAnswer:
    """All PBXs, in the order of the file."""

    pbxs: tuple[PbxAnswer, ...]


@attrs.frozen
class PbxApi:
    """The answer, and the route that leads to it."""

    look: Callable[[], tuple[PbxAnswer, ...]]

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (HttpRoute("GET", f"{PREFIX}pbxs", self.pbxs, Role.VIEWER, schema=PbxsAnswer),)

    def pbxs(self, request: IRequest) -> bytes:
        """The PBXs, their addresses and registrations."""
        return sent(request, attrs.asdict(PbxsAnswer(self.look())))
