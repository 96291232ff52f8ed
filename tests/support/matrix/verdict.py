"""The verdict of a played cell by its bytes, and every rule that holds in each cell.

The gateway is not asked here. A verdict is made from all that the two parties received: TLS by the bytes of the
connection, SRTP by packets that open with the keys of the two SDPs and with nothing less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.matrix.cells import ARRIVALS
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.run import Outcome
from tests.support.matrix.sound import Heard

ENCRYPTED = ("ENCRYPTED", "ENCRYPTED_TO_PROVIDER")
KEY = re.compile(rb"inline:[A-Za-z0-9+/=]+")


def status(outcome: Outcome) -> int:
    """What the caller was told; 0: nothing."""
    return 0 if outcome.caller is None else outcome.caller.status


def seen(outcome: Outcome) -> str:
    """The verdict that the bytes give; "" for a call that was not answered."""
    if status(outcome) != 200:
        return ""
    phone, provider = legs(outcome)
    to_phone, to_provider = outcome.heard
    if provider.wire.is_tls and is_verified(outcome):
        if to_provider != Heard.SRTP:
            return "SIGNALLING_ONLY"
        return ENCRYPTED[0] if phone.wire.is_tls and to_phone == Heard.SRTP else ENCRYPTED[1]
    return "MEDIA_ONLY_WEAK" if to_provider == Heard.SRTP else "CLEAR"


def legs(outcome: Outcome) -> tuple[Exchange, Exchange]:
    """The phone's side and the provider's side of the call that came about."""
    assert outcome.caller is not None
    both = outcome.caller, outcome.callee
    return both if outcome.cell.direction == "out" else (both[1], both[0])


def is_verified(outcome: Outcome) -> bool:
    """Whether the provider's certificate is one that the gateway may trust, in this cell."""
    if outcome.cell.direction == "out":
        return outcome.cell.kind.certificate == "good"
    arrival = ARRIVALS[outcome.cell.row]
    return outcome.cell.kind.certificate == "good" if arrival.over == "gateway's" else arrival.certificate == "good"


def objections(outcome: Outcome) -> Iterator[str]:
    """What is wrong in a cell, whatever the document says of it."""
    yield from _claimed(outcome)
    yield from _wires(outcome)
    if status(outcome) == 200:
        yield from _completed(outcome)
    elif any(one.sound is not None and one.sound.received for one in _exchanges(outcome)):
        yield "media flowed in a call that did not come about"
    if outcome.cell.policy == "required" and outcome.cell.number != "112":
        yield from _required(outcome)
    if outcome.cell.direction == "out" and outcome.cell.number == "112" and status(outcome) != 200:
        yield "an emergency call did not complete"


def _claimed(outcome: Outcome) -> Iterator[str]:
    claim, verdict = outcome.claim, seen(outcome)
    if status(outcome) == 0:
        if claim:
            yield f"it claims {claim['verdict']} of a call that nobody got an answer to"
        return
    if outcome.calls != 1:
        yield f"it knows {outcome.calls} calls"
    if claim["status"] != status(outcome):
        yield f"it claims status {claim['status']}, the caller got {status(outcome)}"
    if verdict and claim["verdict"] != verdict:
        yield f"it claims {claim['verdict']}, the wire says {verdict}"
    if not verdict and claim["verdict"] not in ("REFUSED", "UNANSWERED"):
        yield f"it claims {claim['verdict']} of a call that was not answered"
    # A call that did not come about may have a reason, if it was somebody's fault.
    if claim["verdict"] != "UNANSWERED" and bool(claim["reason"]) == (claim["verdict"] in ENCRYPTED):
        yield f"the reason of {claim['verdict']} is {claim['reason']!r}"


def _wires(outcome: Outcome) -> Iterator[str]:
    for one in _exchanges(outcome):
        if one.wire.is_tls != (one.wire.transport == "TLS"):
            yield f"a {one.wire.transport} wire is not what it should be"
        if one.wire.transport == "UDP" and KEY.search(one.theirs) and not (one.is_caller and KEY.search(one.own)):
            yield "a key was sent in clear to who did not send one"
    owned = [(one, key) for one in _exchanges(outcome) for key in KEY.findall(one.own)]
    for owner, key in owned:
        if any(key in one.theirs for one in _exchanges(outcome) if one is not owner):
            yield "a party's key reached the other party"


def _completed(outcome: Outcome) -> Iterator[str]:
    for who, heard in zip(("phone", "provider"), outcome.heard, strict=True):
        if heard not in (Heard.RTP, Heard.SRTP):
            yield f"the {who} heard {heard}"
    phone, provider = legs(outcome)
    for who, one, heard in (("phone", phone, outcome.heard[0]), ("provider", provider, outcome.heard[1])):
        if (one.keys is not None) != (heard == Heard.SRTP):
            yield f"the {who} agreed on {'SRTP' if one.keys else 'RTP'} and heard {heard}"
    if outcome.cell.direction == "out" and provider.wire.is_tls and outcome.cell.kind.certificate != "good":
        yield "it spoke SIP to a certificate that it must not trust"


def _required(outcome: Outcome) -> Iterator[str]:
    if status(outcome) == 200 and seen(outcome) not in ENCRYPTED:
        yield f"required, and it came about as {seen(outcome)}"
    if outcome.cell.direction == "out" and any(one.wire.transport == "UDP" for one in outcome.callees):
        yield "required, and an INVITE left in clear"


def _exchanges(outcome: Outcome) -> list[Exchange]:
    return [one for one in (outcome.caller, *outcome.callees) if one is not None]
