"""The rights of PBXs and of callers that use their numbers: a number of a PBX is the PBX's alone.

    a request over a PBX's flow, in the name of one of its numbers       -> on
                                 in any other name                       -> 403
    a request of anybody else in the name of a PBX's number              -> 403
    a call to an emergency number                                        -> on, from anybody

The provider takes the gateway's word for the caller, or is answered with the PBX's password. So no doubt is decided in
the caller's favour.

Here: the right to a name. Not here: the proof that a flow is a PBX's (routing/pbx), other rights (sender_rights.py).
"""

from __future__ import annotations

from gateway.ingress.drain import Drain
from gateway.ingress.overload import Overload
from gateway.ingress.sender_rights import Admission, Replaced, Screening, UnregisteredCaller
from gateway.registrar.callers import Callers
from gateway.routing.pbx.pbxs import Pbxs
from gateway.routing.router import Route, Router
from gateway.security.guesses import Guesses
from gateway.sip.message import Request
from gateway.transport.flow import Flow


class NotItsNumber(UnregisteredCaller):
    """A request in the name of a number that is not its sender's."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self.reason = "Not Your Number"


class PbxScreening(Screening):
    """Decides on each request that would reach the other side, where PBXs are."""

    def __init__(
        self,
        rights: tuple[Router, Callers, Pbxs],
        admission: Admission,
        overload: Overload,
        drain: Drain,
        guesses: Guesses,
    ) -> None:
        router, callers, self._pbxs = rights
        super().__init__(router, callers, admission, overload, drain, guesses)

    def _from_phone(self, request: Request, flow: Flow, replaced: Replaced) -> Route:
        """The way of a phone's or PBX's request. Raises Refused 403 for one in another one's name."""
        route = super()._from_phone(request, flow, replaced)
        if route.caller is None and not route.is_emergency:
            named = request.from_.uri
            is_number = self._pbxs.named(named.user, route.domain.name) is not None
            if is_number or self._pbxs.at(flow.key) is not None:
                raise NotItsNumber(route)
        return route
