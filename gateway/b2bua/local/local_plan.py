"""Reaching a phone that another phone calls: as a phone is reached (setup/plan), and judged by the domain's policy.

    TLS of its registration -> SRTP -> refused, or answered in clear -> RTP, where the policy lets it
    in clear                -> RTP, where the policy lets it

A phone that asks its caller for a password (401, 407) is out: the caller has another password than it wants, and is to
answer no challenge of anybody but the gateway.
"""

from __future__ import annotations

import attrs

from gateway.b2bua.local.phones_protection import PhonesProtection
from gateway.b2bua.setup.plan import PhonePlan
from gateway.media.relay import Encryption
from gateway.security.answering import FIELDS
from gateway.security.policy.terms import (
    MEDIA_REFUSALS,
    Acceptance,
    Attempt,
    Failure,
    MediaFailure,
    Reason,
    Refusal,
)
from gateway.state.call_record import LegName
from gateway.transport.flow import Flow

_ASKS_PASSWORD = Refusal(
    480,
    Reason.PHONE_UNREACHABLE,
    "The phone cannot be reached",
    cause="it asks its caller for a password, which is for its provider alone to give",
)


class LocalPlan(PhonePlan):
    """Reaches a phone for another one."""

    def __init__(self, protection: PhonesProtection, flow: Flow) -> None:
        super().__init__(protection, flow)
        self._phones = protection

    def first(self) -> Attempt | Refusal:
        decision = self._phones.weigh(LegName.CALLEE, self.flow, None)
        return decision if isinstance(decision, Refusal) else super().first()

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        refuses_media = failure in MEDIA_REFUSALS or isinstance(failure, MediaFailure)
        if refuses_media and self._encryption not in (Encryption.NONE, Encryption.DTLS):
            decision = self._phones.weigh(LegName.CALLEE, self.flow, False)
            if isinstance(decision, Refusal):
                return attrs.evolve(decision, cause=cause)
        return _ASKS_PASSWORD if failure in FIELDS else super().after(failure, cause)

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        decision = self._phones.weigh(LegName.CALLEE, self.flow, encrypted)
        if isinstance(decision, Acceptance):
            self._phones.because(decision.reason)
        return decision
