"""A part of the gateway: built from the parts below it, started after them, stopped before them.

    state -> media -> signalling -> peers -> calls -> ingress -> admin       built and started; stopped the other way

A true circle of objects (transport -> gate -> transactions -> core -> calls -> transactions) is closed by an argument
of ``start``, so nothing is up and unheard. No attribute of a part is set from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from gateway.base.clock import Clock
from gateway.base.tokens import Random
from gateway.config.model import Configuration
from gateway.observe.metrics import Metrics

Adopt = Callable[[], None]
"""Adopts prepared files; raises nothing but our bugs."""


@attrs.frozen
class Basis:
    """Common to all parts: they are built on it."""

    configuration: Configuration
    reactor: Any
    """Its interfaces are checked where it is handed over."""
    metrics: Metrics
    clock: Clock
    random: Random


class GatewayPart:
    """One part. ``start`` is each part's own: its arguments are the listeners that close a circle."""

    def stop(self) -> Deferred[None]:
        """Let go of everything; fires when nothing is left."""
        return succeed(None)

    def prepare(self, configuration: Configuration) -> Adopt:
        """Read again the files that a configuration names: all that can fail. Raises as OPERATORS_ERRORS."""
        return _nothing

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on. Raises nothing but our bugs."""


def _nothing() -> None:
    """Nothing was prepared."""
