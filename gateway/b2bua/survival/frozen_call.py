"""A call as it is kept: the record, the protection, both legs, as values of JSON.

    UP       all of a call that both sides have acknowledged
    ENDING   it is over: BYE is to be said on both legs, by this process or the next
    RECORDED it is over, and its record is written

Written as one whole record, and the last two as a change of a few bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.b2bua.call import Call
from gateway.b2bua.survival.frozen_leg import FrozenLeg, frozen_leg
from gateway.b2bua.survival.frozen_opening import (
    FORM,
    RECORDED,
    TURNED_AWAY,
    UNREADABLE,
    FrozenAnswer,
    frozen_beginning,
    thawed_beginning,
    thawed_strays,
)
from gateway.base.json_codec import decode, encode
from gateway.state.call_record import (
    CallRecord,
    ChainLink,
    ChainStep,
    LadderStep,
    LegName,
    Passage,
)

FIRST_STEPS: Final = 20
LAST_STEPS: Final = 20
"""Steps of a ladder that are kept; those between are counted."""


def frozen_call(call: Call, now: float) -> bytes | None:
    """A call that is up; None for one that lacks a leg. `now` is the time of the journal."""
    callee, caller = call.callee, call.caller
    if callee is None or caller.dialog is None or callee.dialog is None:
        return None
    route = callee.spec.border.route  # to the phone that has answered, where several rang
    return encode(
        {
            "form": FORM,
            "record": _frozen_record(call.record),
            "protection": call.protection.kept,
            "route": [route.request_uri, route.is_emergency, route.is_urgent],
            "told": call.media_path.told,
            "legs": [frozen_leg(caller, now), frozen_leg(callee, now)],
            "answered": now - call.services.clock.seconds() + (call.answered or 0.0),
        }
    )


class FrozenCall(NamedTuple):
    """A call as it was read."""

    record: CallRecord
    protection: Mapping[str, Any]
    request_uri: str
    is_emergency: bool
    is_urgent: bool
    told: dict[str, tuple[str, int]]
    caller: FrozenLeg
    callee: FrozenLeg
    answered_ago: float
    """Seconds."""
    strays: tuple[FrozenAnswer, ...]
    """Callees that answered when another had the call."""
    is_ending: bool
    is_recorded: bool

    @classmethod
    def of(cls, pieces: Sequence[bytes], now: float) -> FrozenCall | None:
        """The call of these records; None for one of another version, or that cannot be read. `now` is the time of the
        journal."""
        try:
            kept: Any = decode(pieces[0])
            if kept["form"] != FORM:
                return None
            request_uri, is_emergency, is_urgent = kept["route"]
            legs = [FrozenLeg.of(leg, now) for leg in kept["legs"]]
            record = _thawed_record(kept["record"])
            answered = kept.get("answered", record.answered_at)  # a version before kept the time for people alone
            return cls(
                record,
                kept["protection"],
                str(request_uri),
                bool(is_emergency),
                bool(is_urgent),
                {str(tag): (str(session), int(version)) for tag, (session, version) in kept["told"].items()},
                legs[0],
                legs[1],
                max(now - float(answered), 0.0),
                thawed_strays(pieces[1:], record.id),
                any(piece[:1] != TURNED_AWAY for piece in pieces[1:]),
                RECORDED in pieces[1:],
            )
        except UNREADABLE:
            return None


def _frozen_record(record: CallRecord) -> dict[str, object]:
    ladder = record.steps()
    kept = ladder if len(ladder) <= FIRST_STEPS + LAST_STEPS else [*ladder[:FIRST_STEPS], *ladder[-LAST_STEPS:]]
    return {
        "begun": frozen_beginning(record),
        "answered_at": record.answered_at,
        "verdict": record.verdict,
        "reason": record.reason,
        "cause": record.cause,
        "ladder": kept,
        "left_out": record.steps_left_out + len(ladder) - len(kept),
        "chain": [[link.leg, link.step, link.what, link.code] for link in record.chain],
        "tls": record.tls,
    }


def _thawed_record(kept: Mapping[str, Any]) -> CallRecord:
    record = thawed_beginning(kept["begun"])
    record.answered_at = float(kept["answered_at"])
    record.state, record.status = "established", 200
    record.verdict, record.reason, record.cause = kept["verdict"], kept["reason"], kept["cause"]
    record.resume_ladder(
        LadderStep(float(at), LegName(leg), Passage(passage), str(said), int(fork))
        for at, leg, passage, said, fork in kept["ladder"]
    )
    record.steps_left_out = int(kept["left_out"])
    record.chain = [ChainLink(leg, ChainStep(step), said, code) for leg, step, said, code in kept["chain"]]
    record.tls = {str(leg): str(terms) for leg, terms in kept["tls"].items()}
    return record
