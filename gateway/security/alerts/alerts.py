"""All receivers of alerts: a subscriber of the events that gives each event to those that want it.

    Events -> note -> wanted by name and severity? -> AlertQueue of each receiver -> its way

Of one receiver that fails the others are told (`alerts.undelivered`), once until it is reached again; never the one
itself. So two that fail tell of each other once, and it ends there.

Not here: the receivers by kind (`alert_receivers`), queues (`alert_queue`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gateway.base.build import build
from gateway.base.clock import Clock
from gateway.config.model import Alert, Configuration, ConfigurationError
from gateway.config.tables.alert_table import SEVERITIES
from gateway.observe.events import EventName, Events, GatewayEvent, Severity
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.security.alerts.alert_queue import AlertQueue, DeliveryStanding
from gateway.security.alerts.alert_receivers import receiver_of
from gateway.security.alerts.notice import Notice
from gateway.transport.tls.certificates import CertificateError

log = Logger()


@attrs.frozen
class KnownReceiver:
    """A receiver of the configuration, and the queue before it."""

    terms: Alert
    queue: AlertQueue

    def wants(self, event: GatewayEvent) -> bool:
        """Whether it is told of the event; never of itself."""
        if event.name is EventName.ALERTS_UNDELIVERED and event.who == self.terms.name:
            return False
        return _is_wanted(self.terms.events, self.terms.least, event.name, event.severity)


@attrs.frozen
class ReceiverStanding:
    """How the delivery to one receiver stands, for people."""

    terms: Alert
    standing: DeliveryStanding


class Alerts:
    """The receivers of one gateway. ``token`` gives random ids of notices."""

    def __init__(
        self, configuration: Configuration, events: Events, clock: Clock, token: Callable[[], str], reactor: Any
    ) -> None:
        """Raises ConfigurationError where a secret, a password or authorities cannot be read."""
        self._name = configuration.gateway.name
        self._version = build().version
        self._events = events
        self._token = token
        self._clock = clock
        self._receivers = {terms.name: self._known(configuration, terms, reactor) for terms in configuration.alerts}
        if self._receivers:
            events.subscribe(self.note)

    def note(self, number: int, event: GatewayEvent) -> None:
        """A subscriber of events: put this one before each receiver that wants it."""
        for receiver in self._receivers.values():
            if receiver.wants(event):
                receiver.queue.put(event)

    def test(self, name: str) -> Deferred[str]:
        """Tell one receiver that it is tested; gives its answer. Fails with NotDelivered; KeyError: there is none."""
        fields = {"note": "a test: nothing happened"}
        event = GatewayEvent.of(EventName.ALERTS_TEST, self._clock.wall(), who=name, fields=fields)
        return self._receivers[name].queue.test(event)

    def standing(self) -> list[ReceiverStanding]:
        """How each receiver stands, in the order of the configuration."""
        return [ReceiverStanding(one.terms, one.queue.standing) for one in self._receivers.values()]

    def figures(self) -> Iterator[Sample]:
        """The figures of this moment, by kind of receiver, for a scrape of the metrics."""
        counted: dict[tuple[str, str], int] = {}
        for one in self._receivers.values():
            for result, count in attrs.asdict(one.queue.standing.counts).items():
                key = one.terms.to, result
                counted[key] = counted.get(key, 0) + count
        for labels, count in counted.items():
            yield Metrics.alerts, labels, count

    def stop(self) -> Deferred[None]:
        """Tell those events that wait, for a moment, and close every connection."""
        self._events.unsubscribe(self.note)
        stopped = DeferredList([one.queue.stop() for one in self._receivers.values()], consumeErrors=True)
        return stopped.addCallback(lambda _: None)

    def _known(self, configuration: Configuration, terms: Alert, reactor: Any) -> KnownReceiver:
        try:
            receiver = receiver_of(terms, self._clock, reactor)
        except (OSError, ValueError, CertificateError) as error:
            text = f"{configuration.source}: alert {terms.name}: {error}"
            raise ConfigurationError((text,)) from None
        queue = AlertQueue(
            receiver,
            lambda events: Notice(self._token(), self._name, self._version, events),
            partial(self._lost, terms.name),
            partial(self._undelivered, terms),
            self._clock,
        )
        return KnownReceiver(terms, queue)

    def _lost(self, name: str, count: int) -> GatewayEvent:
        return GatewayEvent.of(EventName.ALERTS_LOST, self._clock.wall(), who=name, fields={"alerts": count})

    def _undelivered(self, terms: Alert, reason: str) -> None:
        log.warn(
            "alerts are not taken by {receiver} ({kind}): {reason}", receiver=terms.name, kind=terms.to, reason=reason
        )
        self._events.note(EventName.ALERTS_UNDELIVERED, who=terms.name, to=terms.to, reason=reason)


@lru_cache(maxsize=1024)
def _is_wanted(globs: tuple[str, ...], least: str, name: EventName, severity: Severity) -> bool:
    """The same few questions for every event: the answers are kept."""
    is_enough = SEVERITIES.index(str(severity)) >= SEVERITIES.index(least)
    return is_enough and any(fnmatchcase(str(name), glob) for glob in globs)
