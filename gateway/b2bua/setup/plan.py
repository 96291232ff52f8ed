"""Reaching a callee as a plan: the first attempt, the next one after a failure, and whether an answer may stand.

Toward the provider the domain's policy is the plan (``protection``). A phone is offered SRTP first where it is on TLS,
and RTP when it refuses that, so that one estate may hold both. A web phone is offered DTLS-SRTP and nothing else, since
browsers take nothing else (RFC 8827 section 6.5).
"""

from __future__ import annotations

from typing import Protocol

import attrs

from gateway.b2bua.protection import Protection
from gateway.config.model import Signalling
from gateway.media.relay import Encryption, SdpWish
from gateway.security.policy.terms import (
    MEDIA_REFUSALS,
    Acceptance,
    Attempt,
    Failure,
    MediaFailure,
    PeerFailure,
    Reason,
    Refusal,
    accepted,
    tried,
)
from gateway.transport.flow import Flow


class Plan(Protocol):
    """The order of attempts at one callee."""

    def first(self) -> Attempt | Refusal:
        """The attempt to begin with."""

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        """The attempt after a failed one; ``cause`` is the transport's failure in words."""

    def heard(self) -> None:
        """The callee of this attempt gave a provisional response."""

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        """Whether a 2xx may stand."""

    def media(self, encryption: Encryption) -> SdpWish:
        """The form of SDP toward the callee."""


def form_of(flow: Flow) -> Encryption:
    """The form in which a phone on an encrypted flow is offered SRTP."""
    return Encryption.DTLS if flow.transport.is_web else Encryption.SAVP


@attrs.define
class PhonePlan:
    """Reaches a phone over the flow of its registration."""

    protection: Protection
    flow: Flow
    _encryption: Encryption = Encryption.NONE

    def first(self) -> Attempt | Refusal:
        self._encryption = form_of(self.flow) if self.flow.is_secure else Encryption.NONE
        return self._attempt()

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        refuses_media = failure in MEDIA_REFUSALS or isinstance(failure, MediaFailure)
        if refuses_media and self._encryption not in (Encryption.NONE, Encryption.DTLS):
            self._encryption = Encryption.NONE
            return self._attempt()
        if isinstance(failure, int) or refuses_media:
            return Refusal(failure if isinstance(failure, int) else 488, None, cause or "the phone's answer")
        # Its address is in the transport's words, and has no place in a record.
        is_silent = failure is PeerFailure.NO_ANSWER
        why = "it does not answer the INVITE" if is_silent else f"the way to it has ended ({failure})"
        return Refusal(408 if is_silent else 480, Reason.PHONE_UNREACHABLE, "The phone cannot be reached", cause=why)

    def heard(self) -> None:
        """Nothing is to be learned from it."""

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        return accepted()

    def media(self, encryption: Encryption) -> SdpWish:
        return self.protection.phone_media(encryption)

    def _attempt(self) -> Attempt:
        return tried(Signalling.TLS if self.flow.is_secure else Signalling.CLEAR, self._encryption)
