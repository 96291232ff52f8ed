"""Answers of the API, as classes: the document of the API is made of them.

Answers are JSON values of `inspection`; a class here names the keys that each has. One with a default may be missing: a
call that an earlier version kept has fewer. Not here: the questions (questions.py), the routes (resources.py).
"""

from __future__ import annotations

import attrs


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
    caller_number: str | None = None
    """E.164, or the user part where that cannot be read; the same of the callee, as it was dialled."""
    callee_number: str | None = None


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
    fork: int | None = None
    """The number of the phone, from 1, where several of one user rang; without it there was one."""


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
    tls: dict[str, str] = attrs.Factory(dict)
    """The TLS version and cipher suite of each leg that had one."""
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
class PhoneAnswer:
    """A device as it was last seen. Times are seconds since the epoch."""

    key: str
    make: str
    model: str
    firmware: str
    learnt: str
    user_agent: str
    addresses_of_record: tuple[str, ...]
    contact: str
    transport: str
    first_seen_at: float
    last_seen_at: float
    did_srtp_at: float | None
    lacked_srtp_at: float | None
    reachable: bool | None
    """Null where it is not registered."""


@attrs.frozen
class PhonesAnswer:
    """A page of the inventory of devices."""

    phones: tuple[PhoneAnswer, ...]
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
