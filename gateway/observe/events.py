"""Events: one stream of all that happens, for pages that are live, the security log, and the search for attacks.

    note(NAME, ...) -> GatewayEvent -> ring (the latest 10,000) -> after(number): those that a reader has missed
                             `-> each subscriber, at once

Here: the names, the value, the stream. Not here: HTTP (admin/v1/stream.py), the file of security events
(state/security_file.py), log lines and metrics, which are told beside an event and not made of it.

A name is `noun.verb`, and a contract: docs/events.md lists each. Text of peers loses its secrets and is made clean as
it enters. No field holds a key, a password or a nonce.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, Final, TypeAlias

import attrs
from twisted.logger import Logger

from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean
from gateway.observe.redaction import redacted

log = Logger()

REMEMBERED: Final = 10_000
"""Events in the ring."""
LONGEST: Final = 300
"""Characters of a text in an event."""
SUBSCRIBERS: Final = 100
"""Subscribers at most: each costs a call for each event."""


class Severity(StrEnum):
    """How much an event matters to an operator."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class EventName(StrEnum):
    """Every event there is. The severity of each is in `SEVERITIES`, its meaning and fields in docs/events.md."""

    CALL_STARTED = "call.started"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    CALL_REFUSED = "call.refused"
    CALL_CHALLENGED = "call.challenged"
    CALLS_LEFT_OUT = "calls.left_out"
    REGISTRATION_ACCEPTED = "registration.accepted"
    REGISTRATION_REFUSED = "registration.refused"
    REGISTRATION_REMOVED = "registration.removed"
    REGISTRATION_UNREACHABLE = "registration.unreachable"
    REGISTRATION_REACHABLE = "registration.reachable"
    PROVIDER_UP = "provider.up"
    PROVIDER_DOWN = "provider.down"
    PBX_UP = "pbx.up"
    PBX_DOWN = "pbx.down"
    PBX_REGISTERED = "pbx.registered"
    PBX_REGISTRATION_FAILED = "pbx.registration_failed"
    CERTIFICATE_RENEWED = "certificate.renewed"
    CERTIFICATE_EXPIRING = "certificate.expiring"
    DOMAIN_SWITCHED = "domain.switched"
    BUDGET_BURNS = "budget.burns"
    BUDGET_BURNS_FAST = "budget.burns_fast"
    BUDGET_SPENT = "budget.spent"
    CONFIGURATION_RELOADED = "configuration.reloaded"
    GATEWAY_READY = "gateway.ready"
    GATEWAY_DRAINING = "gateway.draining"
    GATEWAY_DRAIN_CANCELLED = "gateway.drain_cancelled"
    GATEWAY_STOPPING = "gateway.stopping"
    MEDIA_NODE_UP = "media.node_up"
    MEDIA_NODE_DOWN = "media.node_down"
    NETWORK_ADDRESS_LOST = "network.address_lost"
    NETWORK_ADDRESS_BACK = "network.address_back"
    NETWORK_ADDRESS_MOVED = "network.address_moved"
    NETWORK_MOVE_FAILED = "network.move_failed"
    NETWORK_CLOCK_SYNCHRONIZED = "network.clock_synchronized"
    NETWORK_CLOCK_UNSYNCHRONIZED = "network.clock_unsynchronized"
    NETWORK_CLOCK_JUMPED = "network.clock_jumped"
    NETWORK_DHCP_LOST = "network.dhcp_lost"
    NETWORK_DHCP_BACK = "network.dhcp_back"
    NETWORK_DHCP_SILENT = "network.dhcp_silent"
    NETWORK_RENEWAL_ASKED = "network.renewal_asked"
    NETWORK_RENEWED_SAME = "network.renewed_same"
    NETWORK_ROGUE_DHCP = "network.rogue_dhcp"
    ALERTS_LOST = "alerts.lost"
    ALERTS_TEST = "alerts.test"
    ALERTS_UNDELIVERED = "alerts.undelivered"
    DEVIATION_NEW_COUNTRY = "deviation.new_country"
    DEVIATION_BUSY_HOUR = "deviation.busy_hour"
    DEVIATION_NIGHT_CALL = "deviation.night_call"
    DEVIATION_SHORT_CALLS = "deviation.short_calls"
    DEVIATION_UNANSWERED_CALLS = "deviation.unanswered_calls"
    SECURITY_DOWNGRADE = "security.downgrade"
    SECURITY_CHANGE_REFUSED = "security.change_refused"
    SECURITY_WRONG_PASSWORD = "security.wrong_password"  # noqa: S105 - the name of an event
    SECURITY_GUESSES_STOPPED = "security.guesses_stopped"
    SECURITY_FIREWALL_FAILED = "security.firewall_failed"
    SECURITY_FIREWALL_RESTORED = "security.firewall_restored"
    SECURITY_BLOCKLIST_FAILED = "security.blocklist_failed"
    SECURITY_BLOCKLIST_READ = "security.blocklist_read"
    SECURITY_SCAN = "security.scan"
    SECURITY_MALFORMED = "security.malformed"
    SECURITY_FLOOD = "security.flood"
    SECURITY_STRANGER = "security.stranger"
    SECURITY_TLS_FAILED = "security.tls_failed"
    SECURITY_USER_UNKNOWN = "security.user_unknown"
    SECURITY_DIGEST_FAILED = "security.digest_failed"
    SECURITY_THROTTLED = "security.throttled"
    SECURITY_BANNED = "security.banned"
    SECURITY_WOULD_BAN = "security.would_ban"
    SECURITY_UNBANNED = "security.unbanned"
    SECURITY_LOG_IN = "security.log_in"
    SECURITY_PROVISIONING = "security.provisioning"
    SECURITY_PROVISIONING_MISMATCH = "security.provisioning_mismatch"
    SECURITY_LOG_IN_REFUSED = "security.log_in_refused"
    FRAUD_LIMIT_WARNED = "fraud.limit_warned"
    FRAUD_LIMIT_REACHED = "fraud.limit_reached"
    FRAUD_LIMIT_HELD = "fraud.limit_held"
    POSTURE_WORSE = "posture.worse"
    POSTURE_PROBE_CHANGED = "posture.probe_changed"
    POSTURE_PROBE_BETTER = "posture.probe_better"
    PROVISIONING_FETCHED = "provisioning.fetched"
    PROVISIONING_FAILED = "provisioning.failed"
    PROVISIONING_WINDOW = "provisioning.window"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_WAVE = "rollout.wave"
    ROLLOUT_PHONE = "rollout.phone"
    ROLLOUT_PHONE_FAILED = "rollout.phone_failed"
    ROLLOUT_PAUSED = "rollout.paused"
    ROLLOUT_RESUMED = "rollout.resumed"
    ROLLOUT_STOPPED = "rollout.stopped"
    ROLLOUT_ROLLING_BACK = "rollout.rolling_back"
    ROLLOUT_DONE = "rollout.done"


SEVERITIES: Final[Mapping[EventName, Severity]] = {
    EventName.CALL_REFUSED: Severity.WARNING,
    EventName.CALLS_LEFT_OUT: Severity.NOTICE,
    EventName.REGISTRATION_REFUSED: Severity.NOTICE,
    EventName.REGISTRATION_UNREACHABLE: Severity.NOTICE,
    EventName.PROVIDER_UP: Severity.NOTICE,
    EventName.PROVIDER_DOWN: Severity.CRITICAL,
    EventName.PBX_UP: Severity.NOTICE,
    EventName.PBX_DOWN: Severity.CRITICAL,
    EventName.PBX_REGISTERED: Severity.NOTICE,
    EventName.PBX_REGISTRATION_FAILED: Severity.CRITICAL,
    EventName.CERTIFICATE_RENEWED: Severity.NOTICE,
    EventName.CERTIFICATE_EXPIRING: Severity.WARNING,
    EventName.DOMAIN_SWITCHED: Severity.WARNING,
    EventName.BUDGET_BURNS: Severity.WARNING,
    EventName.BUDGET_BURNS_FAST: Severity.CRITICAL,
    EventName.BUDGET_SPENT: Severity.CRITICAL,
    EventName.CONFIGURATION_RELOADED: Severity.NOTICE,
    EventName.GATEWAY_READY: Severity.NOTICE,
    EventName.GATEWAY_DRAINING: Severity.WARNING,
    EventName.GATEWAY_DRAIN_CANCELLED: Severity.NOTICE,
    EventName.GATEWAY_STOPPING: Severity.NOTICE,
    EventName.MEDIA_NODE_UP: Severity.NOTICE,
    EventName.MEDIA_NODE_DOWN: Severity.CRITICAL,
    EventName.NETWORK_ADDRESS_LOST: Severity.CRITICAL,
    EventName.NETWORK_ADDRESS_BACK: Severity.NOTICE,
    EventName.NETWORK_ADDRESS_MOVED: Severity.WARNING,
    EventName.NETWORK_MOVE_FAILED: Severity.CRITICAL,
    EventName.NETWORK_CLOCK_SYNCHRONIZED: Severity.NOTICE,
    EventName.NETWORK_CLOCK_UNSYNCHRONIZED: Severity.WARNING,
    EventName.NETWORK_CLOCK_JUMPED: Severity.WARNING,
    EventName.NETWORK_DHCP_LOST: Severity.WARNING,
    EventName.NETWORK_DHCP_BACK: Severity.NOTICE,
    EventName.NETWORK_DHCP_SILENT: Severity.WARNING,
    EventName.NETWORK_RENEWAL_ASKED: Severity.NOTICE,
    EventName.NETWORK_RENEWED_SAME: Severity.NOTICE,
    EventName.NETWORK_ROGUE_DHCP: Severity.WARNING,
    EventName.ALERTS_LOST: Severity.WARNING,
    EventName.ALERTS_TEST: Severity.NOTICE,
    EventName.ALERTS_UNDELIVERED: Severity.WARNING,
    EventName.DEVIATION_NEW_COUNTRY: Severity.WARNING,
    EventName.DEVIATION_BUSY_HOUR: Severity.WARNING,
    EventName.DEVIATION_NIGHT_CALL: Severity.NOTICE,
    EventName.DEVIATION_SHORT_CALLS: Severity.WARNING,
    EventName.DEVIATION_UNANSWERED_CALLS: Severity.WARNING,
    EventName.SECURITY_DOWNGRADE: Severity.WARNING,
    EventName.SECURITY_CHANGE_REFUSED: Severity.WARNING,
    EventName.SECURITY_WRONG_PASSWORD: Severity.NOTICE,
    EventName.SECURITY_GUESSES_STOPPED: Severity.WARNING,
    EventName.SECURITY_FIREWALL_FAILED: Severity.WARNING,
    EventName.SECURITY_FIREWALL_RESTORED: Severity.NOTICE,
    EventName.SECURITY_BLOCKLIST_FAILED: Severity.WARNING,
    EventName.SECURITY_SCAN: Severity.NOTICE,
    EventName.SECURITY_FLOOD: Severity.NOTICE,
    EventName.SECURITY_DIGEST_FAILED: Severity.NOTICE,
    EventName.SECURITY_THROTTLED: Severity.WARNING,
    EventName.SECURITY_BANNED: Severity.WARNING,
    EventName.SECURITY_WOULD_BAN: Severity.WARNING,
    EventName.SECURITY_UNBANNED: Severity.NOTICE,
    EventName.SECURITY_LOG_IN_REFUSED: Severity.NOTICE,
    EventName.FRAUD_LIMIT_WARNED: Severity.NOTICE,
    EventName.FRAUD_LIMIT_REACHED: Severity.WARNING,
    EventName.FRAUD_LIMIT_HELD: Severity.CRITICAL,
    EventName.POSTURE_WORSE: Severity.WARNING,
    EventName.POSTURE_PROBE_CHANGED: Severity.WARNING,
    EventName.POSTURE_PROBE_BETTER: Severity.NOTICE,
    EventName.SECURITY_PROVISIONING: Severity.NOTICE,
    EventName.SECURITY_PROVISIONING_MISMATCH: Severity.WARNING,
    EventName.PROVISIONING_FAILED: Severity.WARNING,
    EventName.PROVISIONING_WINDOW: Severity.NOTICE,
    EventName.ROLLOUT_STARTED: Severity.NOTICE,
    EventName.ROLLOUT_PHONE_FAILED: Severity.NOTICE,
    EventName.ROLLOUT_PAUSED: Severity.WARNING,
    EventName.ROLLOUT_RESUMED: Severity.NOTICE,
    EventName.ROLLOUT_STOPPED: Severity.NOTICE,
    EventName.ROLLOUT_ROLLING_BACK: Severity.WARNING,
    EventName.ROLLOUT_DONE: Severity.NOTICE,
}
"""Those that are not listed are INFO."""

Field: TypeAlias = bool | int | float | str | None


def fit_text(text: str) -> str:
    """A text of a peer as an event keeps it: cut, without secrets, every character one that can be shown."""
    return clean(redacted(text)[:LONGEST])


@attrs.frozen
class GatewayEvent:
    """Something that happened. An empty text: it has none. Texts of peers in it are `fit_text` already."""

    at: float
    """Seconds since the epoch, as people's clocks say."""
    name: EventName
    severity: Severity = Severity.INFO
    source: str = ""
    """The address and port that it came from."""
    domain: str = ""
    who: str = ""
    """The user, peer, listener or operator that it is about."""
    call: str = ""
    """The id of the call that it is about."""
    fields: Mapping[str, Field] = attrs.field(factory=dict)

    @classmethod
    def of(cls, name: EventName, at: float, **told: Any) -> GatewayEvent:
        """An event in the severity of its name."""
        return cls(at, name, SEVERITIES.get(name, Severity.INFO), **told)

    def as_json(self) -> dict[str, Json]:
        """The event as files and the API give it."""
        return {
            "at": self.at,
            "name": str(self.name),
            "severity": str(self.severity),
            "source": self.source,
            "domain": self.domain,
            "who": self.who,
            "call": self.call,
            "fields": {**self.fields},
        }


Subscriber = Callable[[int, GatewayEvent], None]
"""Takes each event with its number. It must be quick, for the teller waits."""


class Events:
    """The stream of one gateway. ``wall`` gives seconds since the epoch, as people's clocks say."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.now = wall
        self._ring: deque[GatewayEvent] = deque(maxlen=REMEMBERED)
        self._subscribers: dict[Subscriber, bool] = {}
        self.last = 0
        """The number of the latest event; the first is 1."""

    def note(
        self, name: EventName, *, source: str = "", domain: str = "", who: str = "", call: str = "", **fields: Field
    ) -> None:
        """Tell an event of this moment, in the severity of its name. Its texts are made fit."""
        said = {key: fit_text(value) if isinstance(value, str) else value for key, value in fields.items()}
        place = {"source": fit_text(source), "domain": fit_text(domain), "who": fit_text(who), "call": fit_text(call)}
        self.tell(GatewayEvent.of(name, self.now(), fields=said, **place))

    def tell(self, event: GatewayEvent) -> None:
        """Keep an event, and give it to every subscriber. Never raises: one that fails is let go of, and logged."""
        self.last += 1
        self._ring.append(event)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(self.last, event)
            except Exception:
                log.failure("a subscriber of events failed, and gets no more")
                self._subscribers.pop(subscriber, None)

    def subscribe(self, subscriber: Subscriber) -> bool:
        """Give every later event to this one too; whether there was room."""
        if len(self._subscribers) >= SUBSCRIBERS:
            return False
        self._subscribers[subscriber] = True
        return True

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Give it no more. Nothing happens where it was none."""
        self._subscribers.pop(subscriber, None)

    def after(self, number: int, most: int = REMEMBERED) -> list[tuple[int, GatewayEvent]]:
        """The events later than that number, oldest first, as far as they are remembered; 0 for all of these."""
        first = self.last - len(self._ring) + 1
        skipped = max(0, min(number - first + 1, len(self._ring)))
        found = islice(self._ring, skipped, skipped + most)
        return [(first + skipped + index, event) for index, event in enumerate(found)]
