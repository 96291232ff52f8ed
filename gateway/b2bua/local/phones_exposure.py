"""The worst that could be heard of a call between phones: both legs are on one side, and so are told by their names.

The caller's leg has the seat of the phone, the callee's that of the provider, in the tables of ``ExposedLegs``; each
claim of the verdict must hold on both (security/policy/verdict.py). Here: the seats; a look at them in ``ExposedLegs``
would be paid by every call. Not here: the moments.
"""

from __future__ import annotations

from typing import Final

from gateway.b2bua.exposed_legs import PHONES_SEAT, PROVIDER_SEAT, ExposedLegs, signalling_of
from gateway.b2bua.legs.leg import Leg
from gateway.media.relay import JSON
from gateway.media.reports import remarks_by_tag
from gateway.security.policy.terms import Reason
from gateway.security.policy.verdict import LegFacts, explanation, verdict_between_phones
from gateway.state.call_record import LegName

_SEATS: Final = {LegName.CALLER: PHONES_SEAT, LegName.CALLEE: PROVIDER_SEAT}


class PhonesExposure(ExposedLegs):
    """The two phones' legs of one call."""

    __slots__ = ()

    def hear(self, leg: Leg, encrypted: bool | None, reason: Reason | None = None) -> None:
        """See ``ExposedLegs.hear``."""
        seat, at = _SEATS[leg.spec.name], self._clock.seconds() - self._began
        exposure = self._exposed[seat].signalled(at, signalling_of(leg), is_secure=self.is_secure(leg))
        if encrypted is not None:
            exposure = exposure.carried(at, encrypted=encrypted, reason=reason)
        if exposure is self._exposed[seat]:
            return
        self._exposed[seat] = exposure
        for kind, phases in (("media", exposure.media), ("signalling", exposure.signalling)):
            if phases.has_changed:
                self._tell_phases(leg.spec.name, kind, phases)

    def answered(self, leg: Leg, reason: Reason | None) -> None:
        """See ``ExposedLegs.answered``."""
        self.hear(leg, False if leg.media.opening is False else None, reason)
        self._media_now = self._media_now or [None, None]
        self._media_now[_SEATS[leg.spec.name]] = leg.media.encrypted

    def reported(self, report: dict[str, JSON]) -> None:
        """The relay has told of the media so far. It knows both parties by one side, and so they go by their tags."""
        for tag, text, is_clear_control in remarks_by_tag(report):
            if tag not in _SEATS:
                continue
            leg = LegName(tag)
            if is_clear_control:
                self._exposed[_SEATS[leg]] = self._exposed[_SEATS[leg]].reported(has_clear_control=True)
            self._remark(leg, text)

    def weigh(self, reason: Reason | None) -> None:
        """Write down the verdict of a call that was answered; ``reason`` is why a leg is weak, where that was told."""
        if not self._media_now:
            return
        caller, callee = (self._exposed[seat].facts(self._media_now[seat]) for seat in _SEATS.values())
        self._record.verdict = verdict_between_phones(caller, callee)
        self._record.reason = str(_explanation(caller, callee, reason) or "")


def _explanation(caller: LegFacts, callee: LegFacts, reason: Reason | None) -> Reason | None:
    """Why one of them is not encrypted: the caller's leg first."""
    weak = next((one for one in (caller, callee) if not one.is_encrypted), None)
    return None if weak is None else explanation(weak._replace(reason=weak.reason or reason))
