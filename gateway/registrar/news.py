"""All that is told of registrations: lines of the log, metrics, events, and the devices that phones are.

    Registrar --accepted, removed, refused, unanswered, out of reach--> log, Metrics, Events, DeviceWatch

A sender that proved nothing causes a line and an event a few times at once, and then now and then (LineLimit): wrong
passwords sent as fast as a network carries them must fill neither a disk nor the ring of events.

Not here: the life of a REGISTER (registrar.py), the table of devices (state/devices.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.logger import Logger

from gateway.observe.events import EventName
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding, LocationStore
from gateway.transport.flow import Flow, FlowKey

log = Logger()

WRONG_PASSWORD = frozenset({401, 403, 407})
"""Answers of a provider to a REGISTER with credentials that say that these are wrong."""


class DeviceWatch(Protocol):
    """Remembers the devices that register."""

    def registered(self, binding: Binding) -> None:
        """A device registered, or came again."""


class RegistrationNews:
    """Tells. ``seconds`` never go back."""

    def __init__(self, metrics: Metrics, seconds: Callable[[], float], devices: DeviceWatch | None = None) -> None:
        self._metrics = metrics
        self._events = metrics.events
        self._devices = devices
        self._lines = LineLimit(seconds)

    def accepted(self, binding: Binding, *, is_new: bool) -> None:
        """The provider took a phone's registration, or took it again."""
        if self._devices is not None:
            self._devices.registered(binding)
        if not is_new:
            return
        log.info("{aor} registered from {source}", aor=binding.aor, source=binding.flow.remote)
        self._events.note(
            EventName.REGISTRATION_ACCEPTED,
            source=str(binding.flow.remote),
            domain=binding.domain,
            who=binding.aor,
            transport=str(binding.flow.transport),
            user_agent=binding.user_agent,
        )

    def removed(self, aor: str) -> None:
        """A phone unregistered."""
        log.info("{aor} unregistered", aor=aor)
        self._events.note(EventName.REGISTRATION_REMOVED, domain=aor.rpartition("@")[2], who=aor)

    def out_of_reach(self, binding: Binding, flow: FlowKey) -> None:
        """The connection of a phone is gone."""
        log.info("{aor} is out of reach: its connection from {source} is gone", aor=binding.aor, source=flow.remote)
        told = {"source": str(flow.remote), "domain": binding.domain, "who": binding.aor}
        self._events.note(EventName.REGISTRATION_UNREACHABLE, **told)

    def refused(self, aor: str, flow: Flow, status: int, *, had_credentials: bool) -> None:
        """The provider refused a phone, by more than a first challenge."""
        more = self._lines.more(flow.source)
        if more is None:
            return
        said = {"aor": aor, "source": flow.remote, "status": status, "more": more}
        log.info("{aor} from {source} is not registered: the provider answers {status}{more}", **said)
        told = {"source": str(flow.remote), "domain": aor.rpartition("@")[2], "who": aor}
        self._events.note(EventName.REGISTRATION_REFUSED, **told, status=status)
        if had_credentials and status in WRONG_PASSWORD:
            self._events.note(EventName.SECURITY_WRONG_PASSWORD, **told, status=status)

    def unanswered(self, aor: str, flow: Flow, kind: str, why: str) -> None:
        """No answer of the provider's came."""
        more = self._lines.more(flow.source)
        if more is not None:
            words = {"aor": aor, "reason": kind, "why": why, "more": more}
            log.warn("{aor} cannot be registered: {reason} ({why}){more}", **words)

    def count(self, store: LocationStore) -> None:
        """Set the figures of the bindings."""
        self._metrics.registrations.set(len(store))
        self._metrics.unreachable.set(store.unreachable)
