"""Parameters and changes of the API, as classes: requests are read by them, and the document of the API shows them.

Not here: answers (answers.py), reading (parameters.py), the routes (resources.py).
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from gateway.admin.v1.parameters import Cursor, Moment, said
from gateway.config.model import Security
from gateway.security.policy.peer_memory import Feature
from gateway.state.call_record import CallDirection
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import CallFilter

PAGE = 50


@attrs.frozen
class Nothing:
    """A query without parameters."""


class Stage(StrEnum):
    """Calls by whether they go on."""

    UP = "up"
    ENDED = "ended"


@attrs.frozen
class CallsQuery:
    """The calls that are wanted, and how many of them."""

    since: Moment | None = said("Calls that began then or later.", None)
    until: Moment | None = said("Calls that began before.", None)
    number: str | None = said("The user part of the caller's or callee's URI, as it stands there.", None)
    user: str | None = said("The user part of the phone's URI.", None)
    verdict: str | None = said("Such as CLEAR.", None)
    reason: str | None = said("Such as CLEAR_PEER_NO_SRTP.", None)
    domain: str | None = said("The name of a domain.", None)
    provider: str | None = said("The name of a provider.", None)
    direction: CallDirection | None = said("Seen from the phones.", None)
    stage: Stage | None = said("Calls that are up, or that have ended.", None)
    answered: bool | None = said("Whether the callee answered.", None)
    count: bool = said("Count all calls that are wanted, too, up to 10,000.", False)
    limit: int = said("Calls in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the calls after it.", None)

    def filter(self) -> CallFilter:
        """The question to the list of calls."""
        return CallFilter(
            self.since,
            self.until,
            self.number,
            self.user,
            self.verdict,
            self.reason,
            self.domain,
            self.provider,
            self.direction,
            None if self.stage is None else self.stage is Stage.UP,
            self.answered,
        )


@attrs.frozen
class EventsQuery:
    """The events that are wanted."""

    since: str | None = said("The id of the last event that is known: later ones; all remembered of another run.", None)
    names: tuple[str, ...] = said("Names, and beginnings of names with an asterisk: call.*,security.*", ())


@attrs.frozen
class AuditQuery:
    """The entries of the audit that are wanted."""

    about: str | None = said("The name of a domain or peer.", None)
    limit: int = said("Entries in the answer.", PAGE, 1, 500)


@attrs.frozen
class RegistrationsQuery:
    """The registrations that are wanted."""

    address_of_record: str | None = said("Such as sip:alice@example.com.", None)
    limit: int = said("Registrations in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the registrations after it.", None)


@attrs.frozen
class PhonesQuery:
    """The devices that are wanted."""

    make: str | None = said("Such as Yealink.", None)
    model: str | None = said("Such as SIP-T46G.", None)
    address_of_record: str | None = said("Such as sip:alice@example.com.", None)
    limit: int = said("Devices in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the devices after it.", None)

    def filter(self) -> DeviceFilter:
        """The question to the inventory."""
        return DeviceFilter(self.make, self.model, self.address_of_record)


@attrs.frozen
class SwitchChange:
    """The security that a domain is to have; "configured": that of the file."""

    security: str = said(f"{', '.join(map(str, Security))}, or configured.")


@attrs.frozen
class NoChange:
    """Nothing has to be said."""


@attrs.frozen
class ForgetChange:
    """A peer to forget."""

    name: str = said("A provider's name, or a phone's address of record.")


@attrs.frozen
class LearnChange:
    """A peer to expect something of."""

    name: str = said("A provider's name, or a phone's address of record.")
    features: tuple[Feature, ...] = said("Features that it is expected to have.")
