"""Media: the pool of relays, and the worker processes or rtpengines behind it."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred

from gateway.app.parts import Basis, GatewayPart
from gateway.app.start_checks import tell
from gateway.b2bua.calls import Calls
from gateway.config.doubts import of_media
from gateway.media.configured_nodes import NodeServices, nodes_for
from gateway.media.pool import RelayPool


class MediaPart(GatewayPart):
    """The relays that the configuration names."""

    def __init__(self, basis: Basis) -> None:
        self._configuration = basis.configuration
        media, state = basis.configuration.media, basis.configuration.gateway.state_directory
        services = NodeServices(basis.reactor, basis.reactor, basis.reactor, basis.reactor)
        nodes = nodes_for(services, media, state, basis.written.media)
        self.relay = RelayPool(basis.reactor, nodes, basis.metrics)

    def start(self, calls: Calls) -> Deferred[None]:
        """Fires when at least one relay answers; fails with RelayFailure. ``calls`` hear of media that ended."""
        tell(of_media(self._configuration))
        return self.relay.start(calls)

    def stop(self) -> Deferred[None]:
        """Let go of the relays; media of running calls goes on."""
        return self.relay.stop()

    @property
    def nodes(self) -> Counter[bool]:
        """How many relays answer (True), and how many do not (False)."""
        return Counter(node.is_up for node in self.relay.nodes)
