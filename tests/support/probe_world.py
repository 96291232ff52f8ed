"""The probe of a gateway on a network in memory, asked about the stand-in providers of docs/security-matrix.md.

probing = Probing(World(directory, PROVIDERS["TLS and SRTP"], Security.REQUIRED))
facts = probing.provider(number="600", is_full=True)
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import ProviderFacts
from gateway.b2bua.probe.provider_look import ProviderLook, ProviderQuestion
from gateway.routing.dns_records import KnownAnswer
from gateway.sip.uri import Uri
from gateway.transport.stream.trial import Trials
from tests.support.matrix_world import World

T = TypeVar("T")


class Probing:
    """The look of one world's gateway at its provider."""

    def __init__(self, world: World, passwords: dict[str, str] | None = None) -> None:
        self.world = world
        ladder, network = world.ladder, world.network
        self.around = Around(
            clock=network,
            ports=network,  # type: ignore[arg-type]
            wall=lambda: 1_790_000_000.0,
            new_token=iter(f"{number:016x}" for number in range(10_000)).__next__,
            locator=_Located(world),  # type: ignore[arg-type]
            health=ladder.trunk.health,
            trials=Trials(network, world.layer),
            transport=world.layer,
            transactions=ladder.transactions,
            memory=ladder.memory,
            store=ladder.store,
            relay=ladder.relay,
            media_address=lambda: "198.51.100.1",
            own_hosts=lambda: frozenset({"198.51.100.1", "192.0.2.1"}),
            password_of=lambda domain, user: (passwords or {}).get(f"{user}@{domain}"),
            domains=lambda: ladder.configuration.domains,
            providers=lambda: ladder.configuration.providers,
        )

    def provider(self, **wanted: Any) -> ProviderFacts:
        """The facts about the provider."""
        configuration = self.world.ladder.configuration
        question = ProviderQuestion(configuration.providers[0], configuration.domains, **wanted)
        return self.done(ProviderLook(self.around, question).all())

    def done(self, work: Coroutine[Deferred[Any], Any, T], seconds: int = 120) -> T:
        """The result of some work, once the network has done its part."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        for _ in range(seconds * 5):
            self.world.network.settle()
            if results:
                break
            self.world.network.advance(0.2)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        found: T = result
        return found


class _Located:
    """The locator of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def locate(self, uri: Uri) -> Deferred[Any]:
        return self._world._locate(uri)

    def known(self, uri: Uri) -> list[KnownAnswer]:
        return [KnownAnswer("A", uri.host, ("198.51.100.21",), 60.0)]
