"""The parts of the gateway that a probe looks through: those that calls use, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime, IReactorUDP

from gateway.config.model import Domain, Provider
from gateway.media.relay import Relay
from gateway.registrar.binding import LocationStore
from gateway.routing.health import Health
from gateway.routing.locate import Locator
from gateway.security.policy.peer_memory import PeerMemory
from gateway.transaction.layer import TransactionLayer
from gateway.transport.layer import TransportLayer
from gateway.transport.stream.trial import Trials


@attrs.frozen
class Around:
    """All of them."""

    clock: IReactorTime
    ports: IReactorUDP
    wall: Callable[[], float]
    """Seconds since the epoch."""
    new_token: Callable[[], str]
    locator: Locator
    health: Health
    trials: Trials
    transport: TransportLayer
    transactions: TransactionLayer
    memory: PeerMemory
    store: LocationStore
    relay: Relay
    media_address: Callable[[], str]
    """Where a party of ours hears and sends media now, beside the relay."""
    own_hosts: Callable[[], frozenset[str]]
    """The addresses that this gateway listens on now."""
    password_of: Callable[[str, str], str | None]
    """(domain, user) -> password, None where the gateway holds none."""
    domains: Callable[[], tuple[Domain, ...]]
    """Those in force."""
    providers: Callable[[], tuple[Provider, ...]]
