"""The verdict that a call would get, walked through the policy with outcomes of attempts that a probe has seen.

    CallTerms, Capability, outcomes -> first_attempt -> outcome -> accepts_answer | next_attempt -> ... -> Prediction

The decisions are the ones that calls ask (`security.policy.decisions`); here is the walk alone, which takes no more
steps than a call makes attempts. An outcome that nobody has seen ends it without a verdict: nothing is called
encrypted that was not seen to be. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.config.model import Signalling
from gateway.media.relay import Encryption
from gateway.security.policy.decisions import accepts_answer, first_attempt, next_attempt
from gateway.security.policy.terms import (
    Attempt,
    CallTerms,
    Capability,
    Failure,
    MediaFailure,
    Reason,
    Refusal,
)
from gateway.security.policy.verdict import LegFacts, Verdict, explanation, fault_of, verdict

MOST_ATTEMPTS: Final = 6
"""More than the policy ever makes."""
_PLAIN_PHONE: Final = LegFacts(signalling_secure=False, media_encrypted=False)


@attrs.frozen
class AttemptOutcome:
    """How one attempt at a provider ended, or would."""

    failure: Failure | None = None
    """Why it did not become a call; None: it was answered."""
    encrypted: bool | None = None
    """Whether the media of the answer are SRTP."""
    cause: str = ""
    is_seen: bool = True
    """Whether it was seen now, and not concluded from earlier sightings."""


@attrs.frozen
class PredictedAttempt:
    """One attempt of the walk, with its outcome in words."""

    signalling: str
    encryption: str
    outcome: str


@attrs.frozen
class Prediction:
    """The verdict that a call would get. Empty where nobody can tell."""

    verdict: str
    reason: str
    status: int
    """Of the answer to the caller; 0 where nobody can tell."""
    is_seen: bool
    """Whether each outcome on the way was seen now."""
    text: str
    steps: tuple[PredictedAttempt, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there is a verdict."""
        return bool(self.verdict)

    @property
    def is_encrypted(self) -> bool:
        """Whether the provider's leg would have TLS and SRTP."""
        return self.verdict in (Verdict.ENCRYPTED, Verdict.ENCRYPTED_TO_PROVIDER)


AttemptOutcomes = Callable[[Signalling, Encryption], AttemptOutcome | None]
"""The outcome of an attempt; None where nobody has seen it."""


def predict(terms: CallTerms, known: Capability, outcomes: AttemptOutcomes) -> Prediction:
    """The verdict of a call of a phone with UDP and RTP on these terms, at a provider of that capability."""
    steps: list[PredictedAttempt] = []
    is_seen = True
    decision = first_attempt(terms, known)
    while isinstance(decision, Attempt) and len(steps) < MOST_ATTEMPTS:
        outcome = outcomes(decision.signalling, decision.encryption)
        if outcome is None:
            steps.append(_step(decision, "not known"))
            return Prediction("", "", 0, False, _unknown(decision), tuple(steps))
        is_seen = is_seen and outcome.is_seen
        steps.append(_step(decision, _words(outcome)))
        failure = outcome.failure
        if failure is None:
            accepted = accepts_answer(terms, decision, outcome.encrypted, known)
            if not isinstance(accepted, Refusal):
                return _answered(decision, outcome, accepted.reason, is_seen, tuple(steps))
            failure = MediaFailure.ANSWERED_CLEAR
        decision = next_attempt(terms, decision.failed(failure, outcome.cause), known)
    return _refused(decision, is_seen, tuple(steps))


def _answered(
    attempt: Attempt, outcome: AttemptOutcome, reason: Reason | None, is_seen: bool, steps: tuple[PredictedAttempt, ...]
) -> Prediction:
    leg = LegFacts(attempt.signalling is Signalling.TLS, outcome.encrypted, reason)
    claim, code = verdict(_PLAIN_PHONE, leg), explanation(leg)
    return Prediction(str(claim), str(code or ""), 200, is_seen, outcome.cause, steps)


def _refused(decision: Attempt | Refusal, is_seen: bool, steps: tuple[PredictedAttempt, ...]) -> Prediction:
    if isinstance(decision, Attempt):
        raise AssertionError("the policy makes attempts without end")
    claim = Verdict.REFUSED if decision.is_by_policy else Verdict.UNANSWERED
    reason = decision.reason or fault_of(decision.status)
    text = decision.text if decision.cause in decision.text else f"{decision.text}: {decision.cause}"
    return Prediction(str(claim), str(reason or ""), decision.status, is_seen, text, steps)


def _step(attempt: Attempt, outcome: str) -> PredictedAttempt:
    return PredictedAttempt(str(attempt.signalling), str(attempt.encryption), outcome)


def _words(outcome: AttemptOutcome) -> str:
    if outcome.failure is None:
        media = {True: "answered with SRTP", False: "answered with RTP", None: "answered without media"}
        told = media[outcome.encrypted]
    else:
        told = str(outcome.failure)
    told = told if not outcome.cause else f"{told}: {outcome.cause}"
    return told if outcome.is_seen else f"{told} (expected, not tried)"


def _unknown(attempt: Attempt) -> str:
    if attempt.encryption is Encryption.NONE:
        return f"nobody knows the end of a call over {attempt.signalling} with RTP"
    return "nobody has seen whether it does SRTP, which a call alone shows (--call NUMBER)"
