"""All that is told of registrations: lines of the log, metrics, events, and the devices that phones are.

    Registrar --accepted, removed, refused, unanswered, out of reach--> log, Metrics, Events, DeviceWatch

A sender that proved nothing causes a line and an event a few times at once, and then now and then (LineLimit): wrong
passwords sent as fast as a network carries them must fill neither a disk nor the ring of events.

Not here: the life of a REGISTER (registrar.py), the table of devices (state/devices/device_table.py).
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


class DeviceWatches:
    """Tells several of the devices that register. One that fails is logged, and told of the next."""

    def __init__(self, *watches: DeviceWatch) -> None:
        self._watches = watches

    def add(self, watch: DeviceWatch) -> None:
        """Tell one more."""
        self._watches = (*self._watches, watch)

    def registered(self, binding: Binding) -> None:
        """See DeviceWatch."""
        for watch in self._watches:
            try:
                watch.registered(binding)
            except Exception:
                log.failure("a registration of {aor} was not looked at", aor=binding.aor)


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
        self._events.note(EventName.REGISTRATION_UNREACHABLE, **told, why="its connection is gone")

    def silent(self, binding: Binding) -> None:
        """A phone behind NAT answers no pings any more."""
        self._tell_pinged(binding, EventName.REGISTRATION_UNREACHABLE, why="it does not answer pings")

    def answers_again(self, binding: Binding) -> None:
        """It does again."""
        self._tell_pinged(binding, EventName.REGISTRATION_REACHABLE)

    def _tell_pinged(self, binding: Binding, name: EventName, **fields: str) -> None:
        source, is_back = binding.flow.remote, not fields
        more = self._lines.more(binding.flow.source)
        if more is not None:
            said = "answers pings again" if is_back else "is out of reach: it does not answer pings"
            log.info("{aor} at {source} {said}{more}", aor=binding.aor, source=source, said=said, more=more)
            self._events.note(name, source=str(source), domain=binding.domain, who=binding.aor, **fields)

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
