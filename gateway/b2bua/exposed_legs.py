"""The worst that could be heard of both legs of one call: fed with each moment that counts, weighed into the verdict.

    answer told to the relay, a call's answer -> hear(), answered()  \\
    relay's reports                           -> reported()           > weigh() -> verdict and reason in the record

Phases and remarks are written into the call's chain as they come. Here is the state of one call; the rules are values
and pure functions (gateway/security/policy/exposure.py and verdict.py). Not here: decisions (protection).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Side
from gateway.media.relay import JSON
from gateway.media.reports import CLEAR_CONTROL, remarks
from gateway.security.policy.exposure import Exposure, Phases
from gateway.security.policy.terms import Reason
from gateway.security.policy.verdict import explanation, verdict
from gateway.state.call_record import CallDirection, CallRecord, ChainLink, ChainStep, LegName
from gateway.transport.flow import Transport
from gateway.transport.way import Strength

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PROVIDER: Final = Side.PROVIDER
_PHONES: Final = Side.PHONES
_CLEAR: Final = Strength.CLEAR

PHONES_SEAT: Final = 0
PROVIDER_SEAT: Final = 1
_SEATS: Final = {_PHONES: PHONES_SEAT, _PROVIDER: PROVIDER_SEAT}
"""The places of the legs in what is kept of both."""

_UNEXPOSED: Final = Exposure()
_NO_PHASES: Final[Mapping[tuple[LegName, str], ChainLink]] = {}
_NO_REMARKS: Final[frozenset[tuple[LegName, str]]] = frozenset()
"""Of all calls that have none of either."""
_IN_CLEAR: Final = {transport: f"{transport.upper()} in clear" for transport in Transport}


class ExposedLegs:
    """The legs of one call, by their sides."""

    __slots__ = (
        "_began",
        "_caller_side",
        "_clock",
        "_exposed",
        "_media_now",
        "_phases",
        "_record",
        "_remarked",
        "_verdict",
        "_weighed",
        "is_verified",
    )

    def __init__(self, record: CallRecord, clock: IReactorTime) -> None:
        self.is_verified = True
        """Whether the provider's leg is with the provider: we verify the provider that we call, but a caller may be
        anybody."""
        self._record = record
        self._clock = clock
        self._began = clock.seconds()
        self._caller_side = _PROVIDER if record.direction is CallDirection.INBOUND else _PHONES
        self._exposed = [_UNEXPOSED, _UNEXPOSED]
        """By seat, as the next."""
        self._media_now: list[bool | None] = []
        """The media of legs of an answered call, as they are now."""
        self._weighed: tuple[Exposure, Exposure, tuple[bool | None, ...], Reason | None] | None = None
        """All that the verdict was made of, and the verdict."""
        self._verdict = ""
        self._phases: Mapping[tuple[LegName, str], ChainLink] = _NO_PHASES
        self._remarked = _NO_REMARKS

    @property
    def kept(self) -> dict[str, object]:
        """All of it that outlives this process, as values of JSON."""
        return {
            "verified": self.is_verified,
            "legs": {str(side): _kept(exposure) for side, exposure in zip(_SEATS, self._exposed, strict=True)},
            "now": {str(side): encrypted for side, encrypted in zip(_SEATS, self._media_now, strict=False)},
        }

    def resume(self, kept: Mapping[str, Any], age: float) -> None:
        """Go on with `kept` of a call that began so many seconds ago: nothing of it is forgotten."""
        self.is_verified = bool(kept["verified"])
        self._began = self._clock.seconds() - age
        for side, one in kept["legs"].items():
            self._exposed[_SEATS[Side(side)]] = _resumed(one)
        now = kept["now"]
        self._media_now = [now[str(side)] for side in _SEATS] if now else []
        caller = self._caller_side
        for side, exposure in zip(_SEATS, self._exposed, strict=True):
            leg = LegName.CALLER if side is caller else LegName.CALLEE
            for kind, phases in (("media", exposure.media), ("signalling", exposure.signalling)):
                if phases.has_changed:
                    link = ChainLink(leg, ChainStep.OUTCOME, str(phases))
                    self._phases = {**self._phases, (leg, kind): link}

    def is_secure(self, leg: Leg) -> bool:
        """Whether a leg's signalling was TLS all the time; the provider's: with the provider."""
        return leg.way.weakest > _CLEAR and (self.is_verified or not leg.is_toward_provider)

    def hear(self, leg: Leg, encrypted: bool | None, reason: Reason | None = None) -> None:
        """Note a moment of a leg that counts: it has media, or was answered; ``encrypted`` is about media that the
        relay carries from now on, if any."""
        seat, flow = _SEATS[leg.spec.side], leg.way.flow
        former = self._exposed[seat]
        is_secure = flow.is_secure and self.is_secure(leg)
        way = "TLS" if flow.is_secure else _IN_CLEAR[flow.transport]
        if encrypted is None and former.is_known(way, is_secure=is_secure):
            return  # its phases were told
        at = self._clock.seconds() - self._began
        exposure = former.signalled(at, way, is_secure=is_secure)
        if encrypted is not None:
            exposure = exposure.carried(at, encrypted=encrypted, reason=reason)
        self._exposed[seat] = exposure
        if former is _UNEXPOSED:
            return  # these are the first ones
        for kind, phases in (("media", exposure.media), ("signalling", exposure.signalling)):
            if phases.has_changed:
                self._tell_phases(leg.spec.name, kind, phases)

    def answered(self, leg: Leg, reason: Reason | None) -> None:
        """The leg of an answered call, as it is now. Media that the relay may have opened in clear count, and those
        that it may have encrypted do not."""
        self.hear(leg, False if leg.media.opening is False else None, reason)
        self._media_now = self._media_now or [None, None]
        self._media_now[_SEATS[leg.spec.side]] = leg.media.encrypted

    def reported(self, report: dict[str, JSON]) -> None:
        """The relay has told of the media so far, which may be of RTCP in clear."""
        for side, text in remarks(report):
            if text == CLEAR_CONTROL:
                self._exposed[_SEATS[side]] = self._exposed[_SEATS[side]].reported(has_clear_control=True)
            self._remark(LegName.CALLER if side is self._caller_side else LegName.CALLEE, text)

    def weigh(self, reason: Reason | None) -> None:
        """Write down the verdict of a call that was answered; ``reason`` is why the provider's leg is weak."""
        if not self._media_now:
            return
        facts = self._exposed[PROVIDER_SEAT], self._exposed[PHONES_SEAT], (*self._media_now,), reason
        if facts == self._weighed and self._record.verdict == self._verdict:
            return
        self._weighed = facts
        provider = self._exposed[PROVIDER_SEAT].facts(self._media_now[PROVIDER_SEAT], reason)
        phone = self._exposed[PHONES_SEAT].facts(self._media_now[PHONES_SEAT])
        self._record.verdict = self._verdict = verdict(phone, provider)
        self._record.reason = str(explanation(provider) or "")

    def _remark(self, leg: LegName, text: str) -> None:
        """Write a remark of the relay's into the chain, once."""
        if (leg, text) not in self._remarked:
            self._remarked |= {(leg, text)}
            self._record.add_reason(ChainLink(leg, ChainStep.OUTCOME, text))

    def _tell_phases(self, leg: LegName, kind: str, phases: Phases) -> None:
        """Write the phases into the chain, in the place of those told before."""
        former, link = self._phases.get((leg, kind)), ChainLink(leg, ChainStep.OUTCOME, str(phases))
        if link != former:
            self._record.put_reason(link, former)
            self._phases = {**self._phases, (leg, kind): link}


def _kept(exposure: Exposure) -> list[object]:
    signalling, media, *flags = exposure
    return [[*signalling], [*media], *flags]


def _resumed(kept: Sequence[Any]) -> Exposure:
    signalling, media = (
        Phases(tuple((float(at), str(state)) for at, state in phases), str(last), int(left_out))
        for phases, last, left_out in kept[:2]
    )
    in_clear, heard, reason, control = kept[2:]
    return Exposure(signalling, media, bool(in_clear), bool(heard), reason and Reason(reason), bool(control))


def signalling_of(leg: Leg) -> str:
    """A leg's signalling as it is now, for people."""
    flow = leg.way.flow
    return "TLS" if flow.is_secure else _IN_CLEAR[flow.transport]
