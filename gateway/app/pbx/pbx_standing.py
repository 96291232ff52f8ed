"""How PBXs stand, as the API, gatewayctl and the state of the gateway tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.admin.routes import HttpRoute
from gateway.admin.v1.pbx_routes import PbxAnswer, PbxApi, PbxPlaceAnswer, PbxRegistrationAnswer
from gateway.observe.figures import PbxFigures
from gateway.routing.pbx.pbx import Pbx
from gateway.routing.pbx.pbx_health import PbxHealth
from gateway.routing.pbx.pbx_registration import PbxRegistration
from gateway.routing.pbx.pbx_ways import PbxWays


class PbxStanding:
    """Tells; ``registration_of`` gives None where the gateway registers nothing for a PBX."""

    def __init__(
        self, ways: PbxWays, health: PbxHealth, registration_of: Callable[[Pbx], PbxRegistration | None]
    ) -> None:
        self._ways = ways
        self._health = health
        self._registration_of = registration_of

    def routes(self) -> tuple[HttpRoute, ...]:
        """Those of the API."""
        return PbxApi(self.answers).routes()

    def answers(self) -> tuple[PbxAnswer, ...]:
        """Every PBX, for people and programs."""
        return tuple(map(self._answer, self._ways.all))

    def figures(self) -> tuple[PbxFigures, ...]:
        """The same in short."""
        return tuple(map(self._figures, self._ways.all))

    def _answer(self, pbx: Pbx) -> PbxAnswer:
        terms, registration = pbx.terms, self._registration_of(pbx)
        return PbxAnswer(
            terms.name,
            terms.domain,
            tuple(map(str, terms.numbers)),
            str(terms.proof),
            terms.account or "",
            tuple(self._places(pbx)),
            None if registration is None else _registration(registration),
        )

    def _figures(self, pbx: Pbx) -> PbxFigures:
        places, registration = [*self._places(pbx)], self._registration_of(pbx)
        down = tuple(f"{one.target or one.uri}: {one.why}" for one in places if not one.is_up)
        why = "" if registration is None else registration.why
        is_registered = registration is None or registration.is_registered
        return PbxFigures(pbx.terms.name, len(places) - len(down), down, is_registered, why)

    def _places(self, pbx: Pbx) -> Iterator[PbxPlaceAnswer]:
        whys = {one.target: one.why for one in self._health.looked_at(pbx.terms.name)}
        for address in pbx.addresses:
            if not address.targets:
                yield PbxPlaceAnswer(address.uri, "", False, address.why or "it was not looked up yet")
            for target in address.targets:
                is_up = not self._health.is_down(target)
                why = "" if is_up else whys.get(target) or "it does not answer"
                yield PbxPlaceAnswer(address.uri, f"{target.transport.upper()} {target.address}", is_up, why)


def _registration(one: PbxRegistration) -> PbxRegistrationAnswer:
    return PbxRegistrationAnswer(one.is_registered, int(one.seconds_left), one.failures, one.why)
