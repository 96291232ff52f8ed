"""Parameters and answers of the API, as classes: the document of the API is made of them, and queries are read by them.

Answers are JSON values of `inspection`; a class here names the keys that each has. One with a default may be missing: a
call that an earlier version kept has fewer. Not here: the routes (resources.py).
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from gateway.admin.v1.parameters import Moment, said
from gateway.config.model import Security
from gateway.security.policy.peer_memory import Feature
from gateway.state.call_record import CallDirection
from gateway.state.listing.call_filter import CallFilter

# -- Parameters --------------------------------------------------------------------------------------------------------

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
    next: str | None = said("The cursor that an answer gave: the calls after it.", None)

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
    next: str | None = said("The cursor that an answer gave: the registrations after it.", None)


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


# -- Answers -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class CallSummary:
    """A call in a line. Times are seconds since the epoch."""

    id: str
    started_at: float
    direction: str | None = None
    domain: str | None = None
    caller: str | None = None
    callee: str | None = None
    state: str | None = None
    verdict: str | None = None
    reason: str | None = None
    cause: str | None = None
    provider: str | None = None
    emergency: bool | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    seconds: float | None = None
    status: int | None = None
    ending: str | None = None
    mos: float | None = None


@attrs.frozen
class CallsAnswer:
    """A page of calls, the latest begin first. A page may be short and the next one go on."""

    calls: tuple[CallSummary, ...]
    next: str | None
    count: int | None
    """None where it was not asked for."""
    is_all: bool | None
    """False where there are more than were counted."""


@attrs.frozen
class LadderStepAnswer:
    """A message of a call."""

    at: float
    leg: str
    direction: str
    what: str


@attrs.frozen
class ChainLinkAnswer:
    """A step of the explanation of a verdict."""

    leg: str
    step: str
    what: str
    code: str


@attrs.frozen
class CallAnswer(CallSummary):
    """All that is known of a call."""

    ladder: tuple[LadderStepAnswer, ...] = ()
    steps_left_out: int = 0
    chain: tuple[ChainLinkAnswer, ...] = ()
    media: dict[str, object] | None = None


@attrs.frozen
class DomainAnswer:
    """A domain and its policy."""

    name: str
    provider: str
    security: str
    switched_by: str | None
    switched_at: float | None
    downgrade: str
    challenge: tuple[str, ...]
    challenge_exempt: tuple[str, ...]
    restricted_access_domains: tuple[str, ...]
    emergency_numbers: tuple[str, ...]


@attrs.frozen
class AuditEntry:
    """A change: when, by whom, of which kind; more keys by kind."""

    at: str
    who: str
    what: str


@attrs.frozen
class DomainWithChanges(DomainAnswer):
    """A domain, its policy and the audit of its changes, the latest last."""

    changes: tuple[AuditEntry, ...]


@attrs.frozen
class PeerAnswer:
    """A peer, and when it was last seen to do or lack something, seconds since the epoch."""

    name: str
    uri: str
    did_tls_at: float | None
    lacked_tls_at: float | None
    failed_handshake_at: float | None
    did_srtp_at: float | None
    lacked_srtp_at: float | None


@attrs.frozen
class ProviderAnswer(PeerAnswer):
    """A provider."""

    srtp_offer: str
    trust: str


@attrs.frozen
class CertificateAnswer:
    """The certificate that a TLS listener serves."""

    listener: str
    file: str
    names: tuple[str, ...]
    valid_until: str
    days_left: int
    warnings: tuple[str, ...]


@attrs.frozen
class RegistrationAnswer:
    """A binding of a phone."""

    address_of_record: str
    contact: str
    flow: str
    transport: str
    reachable: bool
    user_agent: str
    expires_in: int
    provider_expires_in: int


@attrs.frozen
class RegistrationsAnswer:
    """A page of bindings, by address of record."""

    registrations: tuple[RegistrationAnswer, ...]
    next: str | None


@attrs.frozen
class CountsAnswer:
    """How much there is of everything at this moment."""

    calls: int
    dialogs: int
    subscriptions: int
    bindings: int
    connections: int
    media_calls: int
    timers: int
    transactions: dict[str, object]


@attrs.frozen
class ReloadAnswer:
    """The changes of a reload, a line each."""

    changes: tuple[str, ...]


@attrs.frozen
class ForgottenAnswer:
    """How many entries were forgotten."""

    forgotten: int


@attrs.frozen
class Problem:
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
