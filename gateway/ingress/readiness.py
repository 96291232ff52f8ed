"""Whether the gateway takes calls, for a service manager or a load balancer that sends it some: `/readyz`.

A gateway that answers is alive (`/healthz`) and may be of no use all the same: a listener is closed, no media relay is
up, no provider can be reached, an address is gone, or it drains. Each reason is a line for people. Overload is none: it
passes in seconds, and a load balancer that takes a gateway out for it sends its calls to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs

from gateway.ingress.drain import Drain
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics


@attrs.frozen
class Readiness:
    """Asks the parts that a call needs."""

    drain: Drain
    is_listening: Callable[[], bool]
    """Whether every listener is open."""
    relays: Callable[[], Mapping[bool, int]]
    """How many media relays are up (True)."""
    targets: Callable[[], Mapping[tuple[str, bool], int]]
    """How many targets of each provider are up (True) and down. One that is never asked is left out, and counts as
    reachable: nobody knows better."""
    providers: Callable[[], int]
    """How many providers there are."""
    addresses: Callable[[], tuple[str, ...]] = tuple
    """A reason for each address in use that is gone from this machine."""

    def reasons(self) -> tuple[str, ...]:
        """All that keeps the gateway from taking calls; none: it takes them."""
        found = (
            (self.drain.is_draining, "it drains: no new calls are taken"),
            (not self.is_listening(), "a listener is not open"),
            (not self.relays().get(True, 0), "no media relay is up"),
            (not self._is_provider_there(), "no provider answers"),
        )
        return *(reason for is_so, reason in found if is_so), *self.addresses()

    def figures(self) -> Iterator[Sample]:
        """Readiness and the drain, for a scrape of the metrics."""
        yield Metrics.ready, (), not self.reasons()
        yield Metrics.draining, (), self.drain.is_draining
        yield Metrics.draining_calls, (), self.drain.calls_left
        yield Metrics.calls_refused_by_drain, (), self.drain.refused

    def _is_provider_there(self) -> bool:
        targets = self.targets()
        if len({provider for provider, _ in targets}) < self.providers():
            return True
        return any(count for (_, is_up), count in targets.items() if is_up)
