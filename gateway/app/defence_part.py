"""Defence: attacks observed, judged and turned away; the sources that are known, and those that never are banned."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall

from gateway.app.administration.bans_part import BansPart
from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import go_on_without
from gateway.app.state_part import StatePart
from gateway.config.model import Configuration, DefenceTerms
from gateway.ingress.lookout import Lookout
from gateway.routing.locate import resolver_of
from gateway.security.defence.defence import JoinedDefence
from gateway.security.defence.doors import Doors
from gateway.security.defence.mode import first_run
from gateway.security.defence.signatures import look_of
from gateway.security.defence.trust import REMEMBERED, KnownSources, Trusts, granted_at
from gateway.security.provider_addresses import ProviderAddresses
from gateway.transport.sockets import is_any_address, is_ipv6

LOOK_SECONDS = 2.0
"""Between two looks for bans that are over, calls that have ended, and addresses of providers."""


class DefencePart(GatewayPart):
    """The judgement, the doors, and the lookout that the transport hands messages to."""

    def __init__(
        self,
        basis: Basis,
        state: StatePart,
        signalling: SignallingPart,
        peers: PeersPart,
        calls: CallsPart,
        ingress: IngressPart,
    ) -> None:
        configuration, now = basis.configuration, basis.clock.now
        self._transport = signalling.transport
        self._admission, self._pbx = peers.admission, peers.pbx
        self._state, self._dialogs = state, calls.dialogs
        self._providers = ProviderAddresses(resolver_of(signalling.locator), now)
        self._providers.adopt(configuration.providers)
        self._known = KnownSources(now, lambda source, at: state.known_sources.put(source, at, {"at": at}))
        is_bound = lambda flow: bool(state.store.over(flow))  # noqa: E731
        trusts = Trusts(self._hosts, state.store.sources, self._known, is_bound=is_bound)
        since = first_run(configuration.gateway.state_directory / "defence-since", now())
        is_user = lambda aor: bool(state.store.find(aor))  # noqa: E731
        terms = _terms(configuration)
        self.defence = JoinedDefence(terms, trusts, basis.metrics, basis.clock, since, is_user)
        self.doors = Doors(self.defence.bans, signalling.transport.banned, self._stakes, now)
        self.bans = BansPart(basis, state.bans, self.defence, self.doors, signalling.transport.banned)
        is_in_dialog = calls.b2bua.is_in_dialog
        banned, sieve = signalling.transport.banned, self.defence.sieve
        self._banned, self._look_of_scanners = banned, look_of(configuration.defence.scanners)
        banned.look_for(self._look_of_scanners)
        self.lookout = Lookout(ingress.gate, banned, sieve, ingress.screening, is_in_dialog)
        self._looking = LoopingCall(self.look)
        self._looking.clock = basis.reactor

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the sources that are known, and the bans. Sources that cannot be read have to register again."""
        kept = self._state.known_sources.latest(REMEMBERED)
        kept.addCallback(lambda rows: self._known.recall(granted_at(rows)))
        yield kept.addErrback(go_on_without)
        self.defence.mode.tell()
        yield self.bans.start()
        self._looking.start(LOOK_SECONDS, now=True)

    def stop(self) -> Deferred[None]:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()
        return self.bans.stop()

    def adopt(self, configuration: Configuration) -> None:
        """Judge by another configuration from now on."""
        self._providers.adopt(configuration.providers)
        self.defence.adopt(_terms(configuration))
        self._look_of_scanners = look_of(configuration.defence.scanners)
        self.bans.adopt(configuration)

    def look(self) -> None:
        """Let time have its effects; every LOOK_SECONDS."""
        self._providers.refresh()
        self.defence.look()
        self.doors.look()
        self._banned.look_for(self._look_of_scanners)
        self._banned.settle()
        self.bans.look()

    def _hosts(self) -> Iterator[str]:
        """Addresses that nothing is held against: of providers, peers, PBXs (those within their `sources` are spared as
        `never_ban` is); our own as far as they are one each."""
        yield from self._admission.addresses()
        yield from self._providers.addresses()
        yield from self._pbx.ways.hosts()
        for listener in self._transport.listeners:
            if not is_any_address(listener.address) and not is_ipv6(listener.address):
                yield listener.address

    def _stakes(self) -> Iterator[str]:
        """The sources with registered phones, or with calls that are up."""
        yield from self._state.store.sources
        for leg in self._dialogs.legs():
            yield leg.flow.source


def _terms(configuration: Configuration) -> DefenceTerms:
    """The terms of the defence, which spares the networks that PBXs send from as well: a forged datagram must no more
    cut a PBX off than a provider."""
    sources = (network for phone in configuration.phones for network in phone.sources)
    return attrs.evolve(configuration.defence, never_ban=(*configuration.defence.never_ban, *sources))
