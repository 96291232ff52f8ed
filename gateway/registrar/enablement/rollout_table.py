"""The states of one phone in a roll-out, as a table.

A row reads (state, event) -> (actions, next state). An absent row means: the event changes nothing for this phone.

    WAITING -turn-> NOTIFIED -2xx-> ACCEPTED -file fetched-> FETCHED -registered as wanted-> RETURNED -seen-> CONFIRMED
                    |-401, 407-> no password: FAILED   `-in time, not as wanted-> again, or FAILED
                    |-481, 405, 489...-> UNSUPPORTED
                    `-silence-> OPTIONS: UNSUPPORTED or UNREACHABLE       any -roll back-> ROLLING_BACK -> ROLLED_BACK

Three rules keep the table free of side conditions:
- The driver (rollouts.py) says by the event whether another attempt is left: `..._AGAIN` or the event itself.
- A phone that registers as wanted is right, though it was given up before: it may have been slow, or led here by
  hand. Only one that was rolled back, or is, is not taken for that.
- An action that starts a time replaces the one that runs. A state without a time of its own has none.

The state of a phone is kept before anything is sent that follows from it. So a process that was killed finds NOTIFIED,
and does not know whether the NOTIFY left: RESTARTED waits as for one that was accepted, and sends none.

Not here: the actions, times and reasons (rollouts.py, phone_reasons.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PhoneState(StrEnum):
    """The state of one phone in a roll-out."""

    WAITING = "waiting"
    """For its turn, for an idle moment, for the hours."""
    NOTIFIED = "notified"
    ACCEPTED = "accepted"
    FETCHED = "fetched"
    RETURNED = "returned"
    """Registered as wanted; its first encrypted call is waited for."""
    CONFIRMED = "confirmed"
    UNSUPPORTED = "unsupported"
    """It takes no order by NOTIFY."""
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    LEFT = "left"
    """Not asked: never idle, or the roll-out was stopped."""
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


class PhoneEvent(StrEnum):
    """Things that happen to a phone in a roll-out."""

    TURN = "its turn has come"
    ACCEPTED = "2xx"
    REFUSED = "refused for good"
    NOT_NOW = "refused for now"
    NOT_NOW_AGAIN = "refused for now, an attempt is left"
    NO_PASSWORD = "its challenge cannot be answered"  # noqa: S105 - words
    SILENT = "no answer, but one to OPTIONS"
    DEAD = "no answer to anything"
    FETCHED = "its file was fetched"
    RETURNED = "registered as wanted"
    CAME_CLEAR = "registered anew in clear"
    SEEN = "seen as `confirm` wants"
    TIME = "its time is over"
    TIME_AGAIN = "its time is over, an attempt is left"
    REGISTERED = "registered again"
    NEVER_IDLE = "waited for too long"
    STOPPED = "the roll-out was stopped"
    RETRY = "to be tried again"
    ROLL_BACK = "to be rolled back"
    RESTARTED = "the gateway was started again"


class PhoneAction(StrEnum):
    """The actions of the driver."""

    ORDER = "give the order"
    START_ACCEPTED = "wait for its return"
    START_FETCHED = "wait for its return from now"
    START_WAIT = "wait for an idle moment"
    PROMISE = "expect TLS of it from now on"
    COUNT = "count a failure"
    FORGET = "forget that it did TLS"
    FRESH = "count attempts anew"


Row = tuple[tuple[PhoneAction, ...], PhoneState]

NEED_A_LOOK: Final = (PhoneState.FAILED, PhoneState.UNREACHABLE, PhoneState.UNSUPPORTED)
"""States that somebody has to see to."""
FINAL: Final = frozenset({*NEED_A_LOOK, PhoneState.CONFIRMED, PhoneState.LEFT, PhoneState.ROLLED_BACK})
"""States that are left by an operator's word alone, or since the phone comes right by itself."""
SETTLED: Final = FINAL | {PhoneState.RETURNED}
"""States of which no further wave has to wait."""
ASKED: Final = frozenset({PhoneState.NOTIFIED, PhoneState.ACCEPTED, PhoneState.FETCHED})
"""States with an order under way."""

_S, _E, _A = PhoneState, PhoneEvent, PhoneAction
_FAIL: Final[Row] = ((_A.COUNT,), _S.FAILED)
_AGAIN: Final[Row] = ((_A.START_WAIT,), _S.WAITING)
_BEFORE_RETURN: Final = (
    _S.WAITING, _S.NOTIFIED, _S.ACCEPTED, _S.FETCHED, _S.UNSUPPORTED, _S.UNREACHABLE, _S.FAILED, _S.LEFT,
)  # fmt: skip
_CAN_BE_RETRIED: Final = (_S.UNSUPPORTED, _S.UNREACHABLE, _S.FAILED, _S.LEFT, _S.ROLLED_BACK)

TABLE: Final[Mapping[tuple[PhoneState, PhoneEvent], Row]] = {
    (_S.WAITING, _E.TURN): ((_A.ORDER,), _S.NOTIFIED),
    (_S.WAITING, _E.NEVER_IDLE): ((), _S.LEFT),
    (_S.WAITING, _E.STOPPED): ((), _S.LEFT),
    (_S.NOTIFIED, _E.ACCEPTED): ((_A.START_ACCEPTED,), _S.ACCEPTED),
    (_S.NOTIFIED, _E.REFUSED): ((), _S.UNSUPPORTED),
    (_S.NOTIFIED, _E.SILENT): ((), _S.UNSUPPORTED),
    (_S.NOTIFIED, _E.NOT_NOW): _FAIL,
    (_S.NOTIFIED, _E.NOT_NOW_AGAIN): _AGAIN,
    (_S.NOTIFIED, _E.NO_PASSWORD): _FAIL,
    (_S.NOTIFIED, _E.DEAD): ((_A.COUNT,), _S.UNREACHABLE),
    (_S.NOTIFIED, _E.RESTARTED): ((_A.START_ACCEPTED,), _S.ACCEPTED),
    # A phone may fetch its file before its 2xx is here.
    (_S.NOTIFIED, _E.FETCHED): ((_A.START_FETCHED,), _S.FETCHED),
    (_S.ACCEPTED, _E.FETCHED): ((_A.START_FETCHED,), _S.FETCHED),
    (_S.ACCEPTED, _E.TIME): _FAIL,
    (_S.ACCEPTED, _E.TIME_AGAIN): _AGAIN,
    (_S.FETCHED, _E.TIME): _FAIL,
    (_S.FETCHED, _E.TIME_AGAIN): _AGAIN,
    # Before its file is fetched, a registration in clear is the old configuration's, and says nothing.
    (_S.FETCHED, _E.CAME_CLEAR): _FAIL,
    (_S.UNREACHABLE, _E.REGISTERED): _AGAIN,
    **{(state, _E.RETURNED): ((), _S.RETURNED) for state in _BEFORE_RETURN},
    (_S.RETURNED, _E.SEEN): ((_A.PROMISE,), _S.CONFIRMED),
    **{(state, _E.RETRY): ((_A.FRESH, _A.START_WAIT), _S.WAITING) for state in _CAN_BE_RETRIED},
    # A phone that was never asked has nothing to take back, and yet it may have done TLS since the roll-out began.
    **{
        (state, _E.ROLL_BACK): ((_A.FRESH, _A.FORGET, _A.ORDER), _S.ROLLING_BACK)
        for state in PhoneState
        if state not in (_S.ROLLING_BACK, _S.ROLLED_BACK, _S.LEFT, _S.WAITING)
    },
    (_S.WAITING, _E.ROLL_BACK): ((_A.FORGET,), _S.ROLLED_BACK),
    (_S.LEFT, _E.ROLL_BACK): ((_A.FORGET,), _S.ROLLED_BACK),
    (_S.ROLLING_BACK, _E.ACCEPTED): ((_A.START_ACCEPTED,), _S.ROLLING_BACK),
    # Without an order it is brought back by hand: nothing is kept against it, and it is waited for all the same.
    **{
        (_S.ROLLING_BACK, event): ((_A.START_ACCEPTED,), _S.ROLLING_BACK)
        for event in (_E.REFUSED, _E.SILENT, _E.NOT_NOW, _E.NOT_NOW_AGAIN, _E.NO_PASSWORD, _E.DEAD, _E.RESTARTED)
    },
    (_S.ROLLING_BACK, _E.CAME_CLEAR): ((_A.FORGET,), _S.ROLLED_BACK),
    # Until it has read its file it comes over TLS: that must not be remembered, or its way back is refused.
    (_S.ROLLING_BACK, _E.RETURNED): ((_A.FORGET,), _S.ROLLING_BACK),
    (_S.ROLLING_BACK, _E.TIME): ((), _S.FAILED),
    (_S.ROLLING_BACK, _E.TIME_AGAIN): ((), _S.FAILED),
}
