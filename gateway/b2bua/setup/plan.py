"""How a callee can be reached: what to try first, what after a failure, and over which flows.

Toward the provider the domain's policy decides (``protection``). Toward a phone there is one flow, the one that it
registered over; a phone on TLS is offered SRTP first and RTP when it refuses that, so that one estate may hold both.
"""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

from gateway.b2bua.protection import Protection
from gateway.config.model import Provider, Signalling
from gateway.media.relay import Encryption, SdpWish
from gateway.routing.attempts import Way
from gateway.routing.trunk import Trunk
from gateway.security.answering import Answers, Field
from gateway.security.policy.terms import MEDIA_REFUSALS, Acceptance, Attempt, Failure, MediaFailure, Refusal
from gateway.sip.message import Request, Response
from gateway.transport.flow import Flow


class Plan(Protocol):
    """What an approach asks while it tries to reach a callee."""

    def first(self) -> Attempt | Refusal:
        """What to try first."""

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        """What to try next; ``cause`` is the transport's failure in words."""

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        """Whether a 2xx may stand."""

    def ways(self, attempt: Attempt) -> Deferred[list[Way]]:
        """The flows of an attempt, best first; fails with NotFound."""

    def media(self, attempt: Attempt) -> SdpWish:
        """What SDP toward the callee is to look like."""

    def unheard(self, flow: Flow) -> None:
        """Nothing came back over this flow in time."""

    def answer(self, request: Request, response: Response, flow: Flow, is_early: bool) -> Field | None:
        """The field that answers a challenge of the callee; None: the caller is to answer it."""


@attrs.define
class ProviderPlan:
    """Reaches the provider as the domain's policy allows."""

    protection: Protection
    provider: Provider
    trunk: Trunk
    answers: Answers

    def first(self) -> Attempt | Refusal:
        return self.protection.first()

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        return self.protection.after(failure, cause)

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        return self.protection.answered(encrypted)

    def media(self, attempt: Attempt) -> SdpWish:
        return self.protection.provider_media(attempt.encryption)

    def answer(self, request: Request, response: Response, flow: Flow, is_early: bool) -> Field | None:
        return self.answers.answer(request, response, flow, is_early)

    def unheard(self, flow: Flow) -> None:
        self.trunk.unheard(flow)

    def ways(self, attempt: Attempt) -> Deferred[list[Way]]:
        return self.trunk.ways(self.provider, attempt.signalling, self.protection.terms.is_emergency)


@attrs.define
class PhonePlan:
    """Reaches a phone over the flow of its registration."""

    protection: Protection
    flow: Flow
    _encryption: Encryption = Encryption.NONE

    def first(self) -> Attempt | Refusal:
        self._encryption = Encryption.SAVP if self.flow.is_secure else Encryption.NONE
        return self._attempt()

    def after(self, failure: Failure, cause: str = "") -> Attempt | Refusal:
        refuses_media = failure in MEDIA_REFUSALS or isinstance(failure, MediaFailure)
        if refuses_media and self._encryption is not Encryption.NONE:
            self._encryption = Encryption.NONE
            return self._attempt()
        status = failure if isinstance(failure, int) else 488 if refuses_media else 480
        return Refusal(status, None, "the phone cannot be reached")

    def answered(self, encrypted: bool | None) -> Acceptance | Refusal:
        return Acceptance()

    def media(self, attempt: Attempt) -> SdpWish:
        return self.protection.phone_media(attempt.encryption)

    def answer(self, request: Request, response: Response, flow: Flow, is_early: bool) -> Field | None:
        return None  # a phone asks for nobody's password but its caller's

    def unheard(self, flow: Flow) -> None:
        """There is no other way to a phone."""

    def ways(self, attempt: Attempt) -> Deferred[list[Way]]:
        return succeed([lambda: self.flow])

    def _attempt(self) -> Attempt:
        return Attempt(Signalling.TLS if self.flow.is_secure else Signalling.CLEAR, self._encryption)
