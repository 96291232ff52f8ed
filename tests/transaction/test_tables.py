"""Every (state, event) pair of the four machines, over unreliable and reliable transports.

FIGURES repeats what RFC 3261 figures 5 to 8 (with RFC 6026 and RFC 4320) say, in another form than the tables: per
state, what leads where and what is done. What the figures do not name must be absorbed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from gateway.sip.message import Message, Request, Response
from gateway.transaction import client, server
from gateway.transaction.client import ClientTransaction
from gateway.transaction.machine import Program, TransactionServices
from gateway.transaction.room import Ceiling, Room
from gateway.transaction.server import ServerTransaction
from gateway.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    MACHINES,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    STARTED_TIMER,
    Event,
    Machine,
    State,
    over_reliable,
)
from gateway.transaction.timers import TimerQueues
from gateway.transport.flow import Flow
from tests.support.flows import a_flow
from tests.support.transactions import RecordingUser, ack_of, make_request

# state: {event: (next state, what the outside sees)}; the outside: "send M" for a message sent, "tell X" for a
# callback.
Figure = dict[State, dict[Event, tuple[State, tuple[str, ...]]]]
S, E = State, Event

INVITE_CLIENT_FIGURE: Figure = {
    S.INITIAL: {E.START: (S.CALLING, ("send INVITE",))},
    S.CALLING: {
        E.TIMER_A: (S.CALLING, ("send INVITE",)),
        E.TIMER_B: (S.TERMINATED, ("tell timeout",)),
        E.TRANSPORT_FAILURE: (S.TERMINATED, ("tell transport",)),
        E.CANCEL: (S.CALLING, ()),
        E.RECEIVE_1XX: (S.PROCEEDING, ("tell 180",)),
        E.RECEIVE_2XX: (S.ACCEPTED, ("tell 200",)),
        E.RECEIVE_3XX_6XX: (S.COMPLETED, ("send ACK", "tell 486")),
    },
    S.PROCEEDING: {
        E.RECEIVE_1XX: (S.PROCEEDING, ("tell 180",)),
        E.RECEIVE_2XX: (S.ACCEPTED, ("tell 200",)),
        E.RECEIVE_3XX_6XX: (S.COMPLETED, ("send ACK", "tell 486")),
        E.TRANSPORT_FAILURE: (S.TERMINATED, ("tell transport",)),
        E.CANCEL: (S.PROCEEDING, ("start CANCEL",)),
        E.TIMER_CANCELLED: (S.TERMINATED, ("tell timeout",)),
    },
    S.ACCEPTED: {E.RECEIVE_2XX: (S.ACCEPTED, ("tell 200",)), E.TIMER_M: (S.TERMINATED, ())},
    S.COMPLETED: {
        E.RECEIVE_3XX_6XX: (S.COMPLETED, ("send ACK",)),
        E.TIMER_D: (S.TERMINATED, ()),
    },
}
NON_INVITE_CLIENT_FIGURE: Figure = {
    S.INITIAL: {E.START: (S.TRYING, ("send OPTIONS",))},
    **{
        state: {
            E.TIMER_E: (state, ("send OPTIONS",)),
            E.TIMER_F: (S.TERMINATED, ("tell timeout",)),
            E.TRANSPORT_FAILURE: (S.TERMINATED, ("tell transport",)),
            E.RECEIVE_1XX: (S.PROCEEDING, ("tell 180",)),
            E.RECEIVE_2XX: (S.COMPLETED, ("tell 200",)),
            E.RECEIVE_3XX_6XX: (S.COMPLETED, ("tell 486",)),
        }
        for state in (S.TRYING, S.PROCEEDING)
    },
    S.COMPLETED: {E.TIMER_K: (S.TERMINATED, ())},
}
INVITE_SERVER_FIGURE: Figure = {
    S.INITIAL: {E.RECEIVE_REQUEST: (S.PROCEEDING, ("tell INVITE",))},
    S.PROCEEDING: {
        E.RECEIVE_REQUEST: (S.PROCEEDING, ("send 183",)),
        E.TIMER_TRYING: (S.PROCEEDING, ("send 100",)),
        E.SEND_1XX: (S.PROCEEDING, ("send 180",)),
        E.SEND_2XX: (S.ACCEPTED, ("send 200",)),
        E.SEND_3XX_6XX: (S.COMPLETED, ("send 486",)),
    },
    S.ACCEPTED: {
        E.RECEIVE_REQUEST: (S.ACCEPTED, ()),
        E.RECEIVE_ACK: (S.ACCEPTED, ("tell ACK",)),
        E.SEND_2XX: (S.ACCEPTED, ("send 200",)),
        E.TIMER_L: (S.TERMINATED, ()),
    },
    S.COMPLETED: {
        E.RECEIVE_REQUEST: (S.COMPLETED, ("send 183",)),
        E.TIMER_G: (S.COMPLETED, ("send 183",)),
        E.RECEIVE_ACK: (S.CONFIRMED, ()),
        E.TIMER_H: (S.TERMINATED, ()),
    },
    S.CONFIRMED: {E.RECEIVE_ACK: (S.CONFIRMED, ()), E.TIMER_I: (S.TERMINATED, ())},
}
NON_INVITE_SERVER_FIGURE: Figure = {
    S.INITIAL: {E.RECEIVE_REQUEST: (S.TRYING, ("tell OPTIONS",))},
    S.TRYING: {
        E.RECEIVE_REQUEST: (S.TRYING, ()),
        E.TIMER_LATE_TRYING: (S.PROCEEDING, ("send 100",)),
        E.TIMER_EXPIRED: (S.TERMINATED, ()),
        E.SEND_2XX: (S.COMPLETED, ("send 200",)),
        E.SEND_3XX_6XX: (S.COMPLETED, ("send 486",)),
    },
    S.PROCEEDING: {
        E.RECEIVE_REQUEST: (S.PROCEEDING, ("send 183",)),
        E.TIMER_EXPIRED: (S.TERMINATED, ()),
        E.SEND_2XX: (S.COMPLETED, ("send 200",)),
        E.SEND_3XX_6XX: (S.COMPLETED, ("send 486",)),
    },
    S.COMPLETED: {E.RECEIVE_REQUEST: (S.COMPLETED, ("send 183",)), E.TIMER_J: (S.TERMINATED, ())},
}
FIGURES: dict[str, Figure] = {
    INVITE_CLIENT.name: INVITE_CLIENT_FIGURE,
    NON_INVITE_CLIENT.name: NON_INVITE_CLIENT_FIGURE,
    INVITE_SERVER.name: INVITE_SERVER_FIGURE,
    NON_INVITE_SERVER.name: NON_INVITE_SERVER_FIGURE,
}
PROGRAMS = {
    INVITE_CLIENT.name: client.INVITE_PROGRAMS,
    NON_INVITE_CLIENT.name: client.NON_INVITE_PROGRAMS,
    INVITE_SERVER.name: server.INVITE_PROGRAMS,
    NON_INVITE_SERVER.name: server.NON_INVITE_PROGRAMS,
}
# Over TCP and TLS the states that only wait for retransmissions last no time, and nothing is retransmitted (tables 4,
# 17.1, 17.2).
SKIPPED = {
    (INVITE_CLIENT.name, S.COMPLETED): S.TERMINATED,
    (NON_INVITE_CLIENT.name, S.COMPLETED): S.TERMINATED,
    (INVITE_SERVER.name, S.CONFIRMED): S.TERMINATED,
    (NON_INVITE_SERVER.name, S.COMPLETED): S.TERMINATED,
}
UNRELIABLE_ONLY = (E.TIMER_A, E.TIMER_E, E.TIMER_G)
TIMERS = frozenset(STARTED_TIMER.values())


class Outside:
    """The layer, core, user and flow of one transaction; `seen` is what they saw."""

    def __init__(self, program: Program, transport: str) -> None:
        self.seen: list[str] = []
        self.clock = Clock()
        self.flow = a_flow(transport)
        self.user = RecordingUser()
        self.census = dict.fromkeys(State, 0)
        self.absorbed: Counter[tuple[str, State, Event]] = Counter()
        self.forgotten = 0
        self.room = Room(Ceiling())
        self.services = TransactionServices(program, TimerQueues(self.clock), self.census, self.absorbed, self)

    def pass_request(self, transaction: ServerTransaction, request: Request) -> None:
        self.seen.append(f"tell {request.method}")

    def pass_ack(self, ack: Request, flow: Flow) -> None:
        self.seen.append(f"tell {ack.method}")

    def pass_stray_response(self, response: Response, flow: Flow) -> None:
        self.seen.append(f"stray {response.status}")

    def start_cancel(self, cancel: Request, flow: Flow, branch: str) -> None:
        self.seen.append(f"start {cancel.method}")

    def forget_client(self, transaction: ClientTransaction) -> None:
        self.forgotten += 1

    def forget_server(self, transaction: ServerTransaction) -> None:
        self.forgotten += 1

    def take(self) -> tuple[str, ...]:
        """All that happened since the last call, sends first."""
        sent = [f"send {m.method if isinstance(m, Request) else m.status}" for m in self.flow.take()]
        told = [f"tell {r.status}" for r in self.user.responses] + [
            "tell timeout" if failure.timed_out else "tell transport" for failure in self.user.failures
        ]
        seen = (*sent, *self.seen, *told)
        self.seen, self.user.responses, self.user.failures = [], [], []
        return seen


class Walk:
    """One transaction that is brought into a state and then meets one event."""

    def __init__(self, machine: Machine, is_reliable: bool, state: State) -> None:
        self.machine = machine
        self.is_reliable = is_reliable
        self.is_client = machine in (INVITE_CLIENT, NON_INVITE_CLIENT)
        self.method = "INVITE" if machine in (INVITE_CLIENT, INVITE_SERVER) else "OPTIONS"
        self.outside = Outside(PROGRAMS[machine.name][is_reliable], "tls" if is_reliable else "udp")
        self.request = make_request(self.method)
        flow = self.outside.flow
        self.transaction: ClientTransaction | ServerTransaction
        if self.is_client:
            self.transaction = ClientTransaction(
                self.outside.services, self.request, flow, self.outside.user, "z9hG4bKours"
            )
        else:
            self.transaction = ServerTransaction(self.outside.services, self.request, flow, ("key",))
        self._go_to(state)
        self.outside.take()

    def _go_to(self, state: State) -> None:
        way: dict[State, tuple[Event, ...]] = {
            S.INITIAL: (),
            S.CALLING: (E.START,),
            S.TRYING: (E.START,) if self.is_client else (E.RECEIVE_REQUEST,),
            S.CONFIRMED: (E.RECEIVE_REQUEST, E.SEND_3XX_6XX, E.RECEIVE_ACK),
        }
        if self.is_client:
            way[S.PROCEEDING] = (E.START, E.RECEIVE_1XX)
            way[S.ACCEPTED] = (E.START, E.RECEIVE_2XX)
            way[S.COMPLETED] = (E.START, E.RECEIVE_3XX_6XX)
            way[S.TERMINATED] = (E.START, E.TRANSPORT_FAILURE)
        elif self.method == "INVITE":
            way[S.PROCEEDING] = (E.RECEIVE_REQUEST,)
            way[S.ACCEPTED] = (E.RECEIVE_REQUEST, E.SEND_2XX)
            way[S.COMPLETED] = (E.RECEIVE_REQUEST, E.SEND_3XX_6XX)
            way[S.TERMINATED] = (E.RECEIVE_REQUEST, E.SEND_2XX, E.TIMER_L)
        else:
            way[S.PROCEEDING] = (E.RECEIVE_REQUEST, E.TIMER_LATE_TRYING)
            way[S.COMPLETED] = (E.RECEIVE_REQUEST, E.SEND_2XX)
            way[S.TERMINATED] = (E.RECEIVE_REQUEST, E.TIMER_EXPIRED)
        for event in way[state]:
            self.meet(event)
        assert self.transaction.state is state

    def meet(self, event: Event) -> None:
        """Let the event happen the way it does outside."""
        transaction = self.transaction
        responses = {E.RECEIVE_1XX: 180, E.RECEIVE_2XX: 200, E.RECEIVE_3XX_6XX: 486}
        answers = {E.SEND_1XX: 180, E.SEND_2XX: 200, E.SEND_3XX_6XX: 486, E.SEND_408: 408}
        if event in responses and isinstance(transaction, ClientTransaction):
            transaction.receive(self.request.response(responses[event], to_tag="peer"))
        elif event in answers and isinstance(transaction, ServerTransaction) and self._tells_apart(event):
            transaction.respond(self.request.response(answers[event], to_tag="ours"))
        elif event is E.CANCEL and isinstance(transaction, ClientTransaction):
            transaction.cancel()
        elif running := [
            timer for timer in (transaction._repeating, transaction._limit) if timer and timer.event is event
        ]:
            running[0].cancel()  # as if its time had come
            transaction.timer_expired(event)
        else:
            transaction.happen(event, self._message(event))

    def _tells_apart(self, event: Event) -> bool:
        """A 408 is one more refusal to an INVITE server transaction."""
        return event is not E.SEND_408 or self.method != "INVITE"

    def _message(self, event: Event) -> Message | None:
        if event is E.RECEIVE_ACK:
            return ack_of(self.request, self.request.response(486, to_tag="ours"))
        return self.request if event in (E.RECEIVE_REQUEST, E.START) else self.request.response(486, to_tag="x")

    def expected(self, state: State, event: Event) -> tuple[State, tuple[str, ...]] | None:
        """What the figure says, None for an event to be absorbed."""
        if self.is_reliable and event in UNRELIABLE_ONLY:
            return None
        found = FIGURES[self.machine.name].get(state, {}).get(event)
        if found is None:
            return None
        next_state, outside = found
        if self.is_reliable:
            next_state = SKIPPED.get((self.machine.name, next_state), next_state)
        return next_state, tuple(self._last_response(state) if what == "send 183" else what for what in outside)

    def _last_response(self, state: State) -> str:
        """What a copy of the request gets: the last response that was sent."""
        if self.method == "INVITE":
            return "send 486" if state is S.COMPLETED else "send nothing"
        return "send 200" if state is S.COMPLETED else "send 100"


def pairs() -> Iterator[tuple[Machine, bool, State, Event]]:
    for machine in MACHINES:
        for is_reliable in (False, True):
            for state in (over_reliable(machine) if is_reliable else machine).states:
                for event in Event:
                    yield machine, is_reliable, state, event


@pytest.mark.parametrize(
    ("machine", "is_reliable", "state", "event"),
    [pytest.param(*pair, id=f"{pair[0].name}-{'tls' if pair[1] else 'udp'}-{pair[2]}-{pair[3]}") for pair in pairs()],
)
def test_every_pair(machine: Machine, is_reliable: bool, state: State, event: Event) -> None:
    walk = Walk(machine, is_reliable, state)
    absorbed_before = walk.outside.absorbed.total()
    walk.meet(event)
    expected = walk.expected(state, event)
    if expected is None:
        assert walk.transaction.state is state
        assert walk.outside.take() == ()
        assert walk.outside.absorbed.total() == absorbed_before + 1
    else:
        next_state, outside = expected
        assert walk.transaction.state is next_state
        assert walk.outside.take() == tuple(what for what in outside if what != "send nothing")
    assert sum(walk.outside.census.values()) == walk.outside.census[walk.transaction.state] == 1
    if walk.transaction.ended:
        assert walk.outside.clock.getDelayedCalls() == []
        assert walk.outside.forgotten == 1
    assert walk.outside.forgotten == int(walk.transaction.ended)


@pytest.mark.parametrize("is_reliable", [False, True])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_ends_by_itself(machine: Machine, is_reliable: bool) -> None:
    """But two: an INVITE that rings, at either end, for as long as the users want."""
    form = over_reliable(machine) if is_reliable else machine
    for state in form.states:
        if state in (S.INITIAL, S.TERMINATED):
            continue
        walk = Walk(machine, is_reliable, state)
        ends_by_user = walk.method == "INVITE" and state is S.PROCEEDING
        walk.outside.clock.pump([0.25] * 300)
        assert walk.transaction.ended is not ends_by_user


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_tables_are_sound(machine: Machine) -> None:
    for form in (machine, over_reliable(machine)):
        for (state, event), (actions, next_state) in form.rows.items():
            assert state is not S.TERMINATED
            assert next_state in form.states
            tells = [index for index, action in enumerate(actions) if action.name.startswith(("PASS", "REPORT"))]
            assert tells in ([], [len(actions) - 1]), f"{state}, {event}: the core or user is called last"
            for action in actions:
                if action in STARTED_TIMER:
                    assert (next_state, STARTED_TIMER[action]) in form.rows, f"{state}, {event}: {action} for nothing"
        started = {STARTED_TIMER[action] for row in form.rows.values() for action in row[0] if action in STARTED_TIMER}
        for state, event in form.rows:
            assert event not in TIMERS or event in started, f"{state} waits for a {event} that nobody starts"


def test_rfc_4320_the_core_cannot_send_provisional_responses_or_408() -> None:
    for state in (S.TRYING, S.PROCEEDING, S.COMPLETED):
        assert (state, E.SEND_1XX) not in NON_INVITE_SERVER.rows
        assert (state, E.SEND_408) not in NON_INVITE_SERVER.rows
