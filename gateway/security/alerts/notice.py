"""A notice: the events that one receiver is told at once, and the seam to the receivers.

Here: values, the words of an event, the failure of a delivery. Not here: when and how often it is tried
(`alert_queue`), the forms that go over the wire (`webhook`, `mail_message`, `syslog_message`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from gateway.observe.clean_text import clean
from gateway.observe.events import LONGEST, GatewayEvent
from gateway.observe.redaction import redacted


class NotDelivered(Exception):
    """A receiver did not take a notice; str() says why, in one line."""


@attrs.frozen
class Notice:
    """Events for one receiver."""

    token: str
    """Random; the same in each try, so that a receiver knows a notice that it has already."""
    gateway: str
    """The gateway's name."""
    version: str
    events: tuple[GatewayEvent, ...]
    """At least one, in the order of time."""


class AlertReceiver(Protocol):
    """One way to tell somebody."""

    at_once: int
    """Events of one notice at most."""
    pause: float
    """Seconds from one notice to the next."""
    patience: float
    """Seconds for one try."""

    def send(self, notice: Notice) -> Deferred[str]:
        """Tell; gives the receiver's answer in one line. Fails with anything that `reason_of` has words for."""

    def stop(self) -> Deferred[None]:
        """Close all connections."""


def sentence(event: GatewayEvent) -> str:
    """An event in one line for people: `security.scan (warning) from 192.0.2.1:5060 about alice: attempts=9`."""
    place = (("from", event.source), ("about", event.who), ("in", event.domain), ("call", event.call))
    words = " ".join(f"{word} {value}" for word, value in place if value)
    fields = ", ".join(f"{key}={value}" for key, value in event.fields.items() if value not in ("", None))
    line = f"{event.name} ({event.severity}) {words}".strip()
    return clean(f"{line}: {fields}" if fields else line)


def written_time(at: float) -> str:
    """Seconds since the epoch as RFC 3339 writes them in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reason_of(failure: Failure) -> str:
    """Why a delivery failed, in one clean line without secrets: part of it may be the receiver's words."""
    inner = getattr(failure.value, "reasons", None)  # of an HTTP request that was never answered
    if isinstance(inner, list) and inner and isinstance(inner[0], Failure):
        return reason_of(inner[0])
    if failure.check(DeferredTimeout, ConnectTimeout, CancelledError) is not None:
        return "no answer in time"
    if failure.check(ConnectionDone, ConnectionLost) is not None:
        return "the connection was closed before an answer"
    if isinstance(failure.value, OSError) and failure.value.strerror:
        return clean(failure.value.strerror)
    return clean(redacted(failure.getErrorMessage())[:LONGEST]) or type(failure.value).__name__
