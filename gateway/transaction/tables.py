"""The four transaction machines of RFC 3261 section 17 as tables.

A machine's row reads (state, event) -> (actions, next state). An absent row means: absorb the event and count it. The
machines follow the RFC's figures as RFC 6026 corrects them (Accepted, timers L and M), and RFC 4320 for non-INVITE
requests (no provisional response but a late 100, never a 408).

Three rules keep the tables free of side conditions:
- A transaction enters the next state first and then acts, so the core and the user, called by an action, may use the
  transaction at once. An action that calls them is the last of its row.
- A timer that has no row in the next state is stopped on the way there.
- The tables are written for unreliable transports. `over_reliable` derives the other form: timers A, E and G never run,
  and timers D, I, J and K are zero, so that the state which they would end is skipped.

Not here: the actions themselves (client.py, server.py) and the seconds of each timer (timers.py). docs/transactions.md
is drawn from here.
"""

from collections.abc import Mapping
from enum import StrEnum

from attrs import evolve, frozen


class State(StrEnum):
    """The states of all four machines. Initial is before the first request was sent or passed to the core."""

    INITIAL = "Initial"
    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Event(StrEnum):
    """The events of a transaction."""

    START = "request from the user"
    CANCEL = "cancelled by the user"
    RECEIVE_1XX = "1xx received"
    RECEIVE_2XX = "2xx received"
    RECEIVE_3XX_6XX = "3xx-6xx received"
    TRANSPORT_FAILURE = "transport failure"
    RECEIVE_REQUEST = "request received"
    RECEIVE_ACK = "ACK received"
    SEND_1XX = "1xx from the core"
    SEND_2XX = "2xx from the core"
    SEND_3XX_6XX = "3xx-6xx from the core"
    SEND_408 = "408 from the core"
    TIMER_A = "timer A"
    TIMER_B = "timer B"
    TIMER_D = "timer D"
    TIMER_E = "timer E"
    TIMER_F = "timer F"
    TIMER_G = "timer G"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"
    TIMER_CANCELLED = "64*T1 after CANCEL"
    TIMER_TRYING = "200 ms after the INVITE"
    TIMER_LATE_TRYING = "T2 - T1 after the request"
    TIMER_EXPIRED = "64*T1 after the request"


class Action(StrEnum):
    """The actions of a transaction."""

    SEND_REQUEST = "send the request"
    SEND_ACK = "send ACK"
    REMEMBER_CANCEL = "remember the CANCEL"
    SEND_REMEMBERED_CANCEL = "CANCEL if remembered"
    SEND_CANCEL = "send CANCEL"
    PASS_RESPONSE = "response to the user"  # noqa: S105
    REPORT_TIMEOUT = "time-out to the user"
    REPORT_TRANSPORT_FAILURE = "failure to the user"
    PASS_REQUEST = "request to the core"  # noqa: S105
    PASS_ACK = "ACK to the core"  # noqa: S105
    SEND_TRYING = "send 100"
    SEND_RESPONSE = "send the response"
    RESEND_RESPONSE = "send the last response again"
    START_A = "start timer A"
    START_B = "start timer B"
    START_D = "start timer D"
    START_E = "start timer E"
    START_E_AT_T2 = "start timer E at T2"
    START_F = "start timer F"
    START_G = "start timer G"
    START_H = "start timer H"
    START_I = "start timer I"
    START_J = "start timer J"
    START_K = "start timer K"
    START_L = "start timer L"
    START_M = "start timer M"
    START_CANCELLED = "wait 64*T1 for the INVITE's end"
    START_TRYING = "wait 200 ms before a 100"
    START_LATE_TRYING = "wait T2 - T1 before a 100"
    STOP_TRYING = "no 100 any more"
    START_EXPIRED = "wait 64*T1 for a final response"


STARTED_TIMER: Mapping[Action, Event] = {
    Action.START_E_AT_T2: Event.TIMER_E,
    **{Action["START" + event.name.removeprefix("TIMER")]: event for event in Event if event.name.startswith("TIMER")},
}
"""The timer that each starting action starts."""

Row = tuple[tuple[Action, ...], State]


@frozen
class Machine:
    """One machine: its name, its place in the RFC, and its rows."""

    name: str
    section: str
    rows: Mapping[tuple[State, Event], Row]

    @property
    def states(self) -> tuple[State, ...]:
        """The states that it can be in, in the order of State."""
        reached = {State.INITIAL} | {state for _, state in self.rows.values()}
        return tuple(state for state in State if state in reached)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events that some row is about, in the order of Event."""
        known = {event for _, event in self.rows}
        return tuple(event for event in Event if event in known)


INVITE_CLIENT = Machine(
    "INVITE client",
    "RFC 3261 section 17.1.1, RFC 6026 section 7.2; CANCEL: RFC 3261 section 9.1",
    {
        (State.INITIAL, Event.START): ((Action.START_A, Action.START_B, Action.SEND_REQUEST), State.CALLING),
        (State.CALLING, Event.TIMER_A): ((Action.START_A, Action.SEND_REQUEST), State.CALLING),
        (State.CALLING, Event.TIMER_B): ((Action.REPORT_TIMEOUT,), State.TERMINATED),
        (State.CALLING, Event.TRANSPORT_FAILURE): ((Action.REPORT_TRANSPORT_FAILURE,), State.TERMINATED),
        # 9.1: a CANCEL waits for the first provisional response, or it could overtake the INVITE.
        (State.CALLING, Event.CANCEL): ((Action.REMEMBER_CANCEL,), State.CALLING),
        (State.CALLING, Event.RECEIVE_1XX): ((Action.SEND_REMEMBERED_CANCEL, Action.PASS_RESPONSE), State.PROCEEDING),
        (State.CALLING, Event.RECEIVE_2XX): ((Action.START_M, Action.PASS_RESPONSE), State.ACCEPTED),
        (State.CALLING, Event.RECEIVE_3XX_6XX): (
            (Action.START_D, Action.SEND_ACK, Action.PASS_RESPONSE),
            State.COMPLETED,
        ),
        (State.PROCEEDING, Event.RECEIVE_1XX): ((Action.PASS_RESPONSE,), State.PROCEEDING),
        (State.PROCEEDING, Event.RECEIVE_2XX): ((Action.START_M, Action.PASS_RESPONSE), State.ACCEPTED),
        (State.PROCEEDING, Event.RECEIVE_3XX_6XX): (
            (Action.START_D, Action.SEND_ACK, Action.PASS_RESPONSE),
            State.COMPLETED,
        ),
        # Responses come back on the connection of the request; without it nothing would ever end this wait.
        (State.PROCEEDING, Event.TRANSPORT_FAILURE): ((Action.REPORT_TRANSPORT_FAILURE,), State.TERMINATED),
        (State.PROCEEDING, Event.CANCEL): ((Action.START_CANCELLED, Action.SEND_CANCEL), State.PROCEEDING),
        (State.PROCEEDING, Event.TIMER_CANCELLED): ((Action.REPORT_TIMEOUT,), State.TERMINATED),
        # RFC 6026: a 2xx retransmission and the 2xx of other forks go to the user, who owns the ACK.
        (State.ACCEPTED, Event.RECEIVE_2XX): ((Action.PASS_RESPONSE,), State.ACCEPTED),
        (State.ACCEPTED, Event.TIMER_M): ((), State.TERMINATED),
        # The figure has a transport failure here as well. This state lasts over UDP only, where no flow fails.
        (State.COMPLETED, Event.RECEIVE_3XX_6XX): ((Action.SEND_ACK,), State.COMPLETED),
        (State.COMPLETED, Event.TIMER_D): ((), State.TERMINATED),
    },
)

NON_INVITE_CLIENT = Machine(
    "Non-INVITE client",
    "RFC 3261 section 17.1.2",
    {
        (State.INITIAL, Event.START): ((Action.START_E, Action.START_F, Action.SEND_REQUEST), State.TRYING),
        (State.TRYING, Event.TIMER_E): ((Action.START_E, Action.SEND_REQUEST), State.TRYING),
        (State.TRYING, Event.TIMER_F): ((Action.REPORT_TIMEOUT,), State.TERMINATED),
        (State.TRYING, Event.TRANSPORT_FAILURE): ((Action.REPORT_TRANSPORT_FAILURE,), State.TERMINATED),
        (State.TRYING, Event.RECEIVE_1XX): ((Action.PASS_RESPONSE,), State.PROCEEDING),
        (State.TRYING, Event.RECEIVE_2XX): ((Action.START_K, Action.PASS_RESPONSE), State.COMPLETED),
        (State.TRYING, Event.RECEIVE_3XX_6XX): ((Action.START_K, Action.PASS_RESPONSE), State.COMPLETED),
        (State.PROCEEDING, Event.TIMER_E): ((Action.START_E_AT_T2, Action.SEND_REQUEST), State.PROCEEDING),
        (State.PROCEEDING, Event.TIMER_F): ((Action.REPORT_TIMEOUT,), State.TERMINATED),
        (State.PROCEEDING, Event.TRANSPORT_FAILURE): ((Action.REPORT_TRANSPORT_FAILURE,), State.TERMINATED),
        (State.PROCEEDING, Event.RECEIVE_1XX): ((Action.PASS_RESPONSE,), State.PROCEEDING),
        (State.PROCEEDING, Event.RECEIVE_2XX): ((Action.START_K, Action.PASS_RESPONSE), State.COMPLETED),
        (State.PROCEEDING, Event.RECEIVE_3XX_6XX): ((Action.START_K, Action.PASS_RESPONSE), State.COMPLETED),
        (State.COMPLETED, Event.TIMER_K): ((), State.TERMINATED),
    },
)

INVITE_SERVER = Machine(
    "INVITE server",
    "RFC 3261 section 17.2.1, RFC 6026 section 7.1",
    {
        (State.INITIAL, Event.RECEIVE_REQUEST): ((Action.START_TRYING, Action.PASS_REQUEST), State.PROCEEDING),
        (State.PROCEEDING, Event.RECEIVE_REQUEST): ((Action.RESEND_RESPONSE,), State.PROCEEDING),
        (State.PROCEEDING, Event.TIMER_TRYING): ((Action.SEND_TRYING,), State.PROCEEDING),
        (State.PROCEEDING, Event.SEND_1XX): ((Action.STOP_TRYING, Action.SEND_RESPONSE), State.PROCEEDING),
        (State.PROCEEDING, Event.SEND_2XX): ((Action.START_L, Action.SEND_RESPONSE), State.ACCEPTED),
        (State.PROCEEDING, Event.SEND_3XX_6XX): (
            (Action.START_G, Action.START_H, Action.SEND_RESPONSE),
            State.COMPLETED,
        ),
        # RFC 6026: the core retransmits its 2xx; INVITE copies are absorbed, ACKs that match belong to the core.
        (State.ACCEPTED, Event.RECEIVE_REQUEST): ((), State.ACCEPTED),
        (State.ACCEPTED, Event.RECEIVE_ACK): ((Action.PASS_ACK,), State.ACCEPTED),
        (State.ACCEPTED, Event.SEND_2XX): ((Action.SEND_RESPONSE,), State.ACCEPTED),
        (State.ACCEPTED, Event.TIMER_L): ((), State.TERMINATED),
        (State.COMPLETED, Event.RECEIVE_REQUEST): ((Action.RESEND_RESPONSE,), State.COMPLETED),
        (State.COMPLETED, Event.TIMER_G): ((Action.START_G, Action.RESEND_RESPONSE), State.COMPLETED),
        (State.COMPLETED, Event.TIMER_H): ((), State.TERMINATED),
        (State.COMPLETED, Event.RECEIVE_ACK): ((Action.START_I,), State.CONFIRMED),
        (State.CONFIRMED, Event.RECEIVE_ACK): ((), State.CONFIRMED),
        (State.CONFIRMED, Event.TIMER_I): ((), State.TERMINATED),
    },
)

NON_INVITE_SERVER = Machine(
    "Non-INVITE server",
    "RFC 3261 section 17.2.2, RFC 4320 section 4",
    {
        (State.INITIAL, Event.RECEIVE_REQUEST): (
            (Action.START_LATE_TRYING, Action.START_EXPIRED, Action.PASS_REQUEST),
            State.TRYING,
        ),
        (State.TRYING, Event.RECEIVE_REQUEST): ((), State.TRYING),
        # RFC 4320: the core's provisional responses and its 408 have no row; the 100 is ours, and late.
        (State.TRYING, Event.TIMER_LATE_TRYING): ((Action.SEND_TRYING,), State.PROCEEDING),
        (State.TRYING, Event.TIMER_EXPIRED): ((), State.TERMINATED),
        (State.TRYING, Event.SEND_2XX): ((Action.START_J, Action.SEND_RESPONSE), State.COMPLETED),
        (State.TRYING, Event.SEND_3XX_6XX): ((Action.START_J, Action.SEND_RESPONSE), State.COMPLETED),
        (State.PROCEEDING, Event.RECEIVE_REQUEST): ((Action.RESEND_RESPONSE,), State.PROCEEDING),
        (State.PROCEEDING, Event.TIMER_EXPIRED): ((), State.TERMINATED),
        (State.PROCEEDING, Event.SEND_2XX): ((Action.START_J, Action.SEND_RESPONSE), State.COMPLETED),
        (State.PROCEEDING, Event.SEND_3XX_6XX): ((Action.START_J, Action.SEND_RESPONSE), State.COMPLETED),
        (State.COMPLETED, Event.RECEIVE_REQUEST): ((Action.RESEND_RESPONSE,), State.COMPLETED),
        (State.COMPLETED, Event.TIMER_J): ((), State.TERMINATED),
    },
)

MACHINES = (INVITE_CLIENT, NON_INVITE_CLIENT, INVITE_SERVER, NON_INVITE_SERVER)

NEVER_RELIABLE = frozenset({Event.TIMER_A, Event.TIMER_E, Event.TIMER_G})
"""Timers that a reliable transport has no use for: it retransmits by itself."""

ZERO_RELIABLE = frozenset({Event.TIMER_D, Event.TIMER_I, Event.TIMER_J, Event.TIMER_K})
"""Timers that wait for retransmissions which a reliable transport does not have: zero seconds there."""


def over_reliable(machine: Machine) -> Machine:
    """The same machine over TCP or TLS: without the states that only wait for retransmissions."""
    rows = {
        (state, event): _without_zero_timers(machine, row)
        for (state, event), row in machine.rows.items()
        if event not in NEVER_RELIABLE | ZERO_RELIABLE
    }
    reached = _reachable(rows)
    return evolve(machine, rows={pair: row for pair, row in rows.items() if pair[0] in reached})


def _reachable(rows: Mapping[tuple[State, Event], Row]) -> set[State]:
    reached: set[State] = set()
    found = {State.INITIAL}
    while found - reached:
        reached |= found
        found = {next_state for (state, _), (_, next_state) in rows.items() if state in reached}
    return reached


def _without_zero_timers(machine: Machine, row: Row) -> Row:
    actions, state = row
    kept = []
    for action in actions:
        timer = STARTED_TIMER.get(action)
        if timer in ZERO_RELIABLE:
            state = machine.rows[state, timer][1]
        elif timer not in NEVER_RELIABLE:
            kept.append(action)
    return tuple(kept), state
