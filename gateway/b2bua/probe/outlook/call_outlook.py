"""The verdict that a call of one phone would get, now and once a roll-out has led the phone to TLS.

    Prediction of the provider's leg, PhoneLeg -> call_outlook -> CallOutlook

The provider's leg decides (`security.policy.verdict`): a phone's leg can only make ENCRYPTED of ENCRYPTED_TO_PROVIDER.
A phone's TLS is known by its registration, its SRTP by its calls alone. So a phone is not said to be encrypted before
it was seen to be; ``best`` says how far it can come. Of emergency calls nothing is said here. Pure functions.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.b2bua.probe.phone_look import CLEAR, ENCRYPTS
from gateway.b2bua.probe.prediction import Prediction
from gateway.security.policy.terms import TLS_REQUIRED
from gateway.security.policy.verdict import LegFacts, Verdict, verdict

_PROVIDER: Final = LegFacts(signalling_secure=True, media_encrypted=True)
_ENCRYPTED_PHONE: Final = _PROVIDER
_CLEAR_PHONE: Final = LegFacts(signalling_secure=False, media_encrypted=False)


@attrs.frozen
class PhoneLeg:
    """One phone's own leg as it is known."""

    standing: str
    """encrypts, clear, or unknown: TLS, and no call yet that shows SRTP."""
    why: str
    is_refused: bool = False
    """Whether it is refused in clear, since a roll-out has led it to TLS."""


@attrs.frozen
class CallOutlook:
    """The verdict of a phone's calls: a row of docs/security-matrix.md."""

    verdict: str
    """Now; empty where nobody can tell."""
    reason: str
    """The code of its reason; empty where there is none."""
    status: int
    """Of the answer to the phone; 0 where nobody can tell."""
    best: str
    """Once the phone comes over TLS and takes SRTP, which nobody can promise."""
    why: str

    @property
    def is_known(self) -> bool:
        """Whether there is a verdict."""
        return bool(self.verdict)


def call_outlook(provider: Prediction | None, leg: PhoneLeg) -> CallOutlook:
    """The outlook of a phone with that leg; ``provider`` is the prediction under its domain's policy."""
    if leg.is_refused:
        why = f"a roll-out has led it to TLS, so it is refused in clear ({TLS_REQUIRED}); {leg.why}"
        best = "" if provider is None else _best(provider)
        return CallOutlook(str(Verdict.REFUSED), "", 403, best, why)
    if provider is None or not provider.is_known:
        return CallOutlook("", "", 0, "", "nobody can tell of its provider; " + leg.why)
    if not provider.is_encrypted:
        why = provider.text or "the provider's leg decides"
        return CallOutlook(provider.verdict, provider.reason, provider.status, provider.verdict, why)
    phone = _ENCRYPTED_PHONE if leg.standing == ENCRYPTS else _CLEAR_PHONE
    return CallOutlook(str(verdict(phone, _PROVIDER)), provider.reason, provider.status, _best(provider), leg.why)


def has_shown_clear(leg: PhoneLeg, *, is_tls: bool) -> bool:
    """Whether a phone is registered over TLS and took no SRTP: no order to fetch its file has to change that."""
    return is_tls and leg.standing == CLEAR


def _best(provider: Prediction) -> str:
    return str(verdict(_ENCRYPTED_PHONE, _PROVIDER)) if provider.is_encrypted else provider.verdict
