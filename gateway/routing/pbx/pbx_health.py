"""Health of the PBXs' places: OPTIONS to each of them, as providers are asked (gateway/routing/health.py)."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from gateway.config.model import Provider
from gateway.observe.events import EventName, Events
from gateway.routing.health import Health
from gateway.routing.locate import NotFound
from gateway.routing.pbx.pbx import Pbx
from gateway.routing.pbx.pbx_ways import PbxWays
from gateway.transaction.pings import Send
from gateway.transport.flow import Flow, Target


class PbxHealth(Health):
    """Asks the places of all PBXs how they are; an answer that is not 503 shows that calls may go there."""

    UP = EventName.PBX_UP
    DOWN = EventName.PBX_DOWN
    KIND = "phone"

    def __init__(
        self,
        clock: IReactorTime,
        ways: PbxWays,
        send: Send,
        events: Events,
    ) -> None:
        def reach(asked: Provider, target: Target) -> Flow:
            return ways.reach(self._named[asked.name], target)

        super().__init__(clock, ways.locate, reach, send, lambda asked, target: None, events)
        self._ways = ways
        self._named: dict[str, Pbx] = {}
        """Those that are asked."""
        self._lost: set[str] = set()
        """Addresses whose names lead nowhere now."""

    def begin(self) -> None:
        """Begin to ask, or go by the PBXs as they are now."""
        self._named = {pbx.terms.name: pbx for pbx in self._ways.all}
        self._lost &= {uri for pbx in self._ways.all for uri in pbx.terms.addresses}
        self.start(self._asked())

    def _ask_each(self, targets: list[Target], provider: Provider) -> None:
        if provider.name not in self._named:
            return  # a reload took it away while its name was looked up
        if provider.uri in self._lost:
            self._lost.discard(provider.uri)
            self._events.note(self.UP, who=provider.name, target=provider.uri)
        super()._ask_each(targets, provider)

    def _not_found(self, failure: Failure, provider: Provider) -> None:
        """Each address is lost and found by itself: others of the same PBX may still be there."""
        if failure.check(NotFound) is None:
            super()._not_found(failure, provider)
        elif provider.uri not in self._lost:
            self._lost.add(provider.uri)
            told = {"target": provider.uri, "why": f"its name is not found: {failure.value}"}
            self._events.note(self.DOWN, who=provider.name, **told)

    def _asked(self) -> Iterator[Provider]:
        """Each address as a name to ask; a PBX that wants no OPTIONS has 0 seconds, and is left out."""
        for pbx in self._ways.all:
            for uri in pbx.terms.addresses:
                yield Provider(pbx.terms.name, uri, ping_seconds=pbx.terms.ping_seconds)
