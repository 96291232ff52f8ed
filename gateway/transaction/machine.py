"""The common part of all transactions: a walk through a machine's table, its timers, an end that leaves nothing behind.

A machine is compiled once: for each state, the timers that each event stops and starts, and the calls that it makes. A
transaction has two timers at most: one that repeats a message (A, E, G, and the 100) and one that limits the time in
its state; starting a timer replaces the one in its place. So a step is: the state, timers, and then calls. A state is
an event of its own kind: it puts a transaction there, without timers and calls (`happen(State.TERMINATED)`).

The actions themselves are in client.py and server.py, the tables in tables.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar, cast

from attrs import frozen

from gateway.sip.message import Message
from gateway.transaction.tables import STARTED_TIMER, Action, Event, Machine, State, over_reliable
from gateway.transaction.timers import LONGEST_INTERVAL, T2, Timer, TimerQueues, duration

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_INITIAL: Final = State.INITIAL
_TERMINATED: Final = State.TERMINATED

_OF_TIMERS: Final = {*STARTED_TIMER, Action.STOP_TRYING}
"""Actions that a step has in another form."""

REPEATING = frozenset({Event.TIMER_A, Event.TIMER_E, Event.TIMER_G, Event.TIMER_TRYING, Event.TIMER_LATE_TRYING})
"""Timers in the first place; all others limit a state."""

Act = Callable[["Transaction", Message | None], None]
"""An action: called with the transaction and the message of the event."""

Kind = TypeVar("Kind", bound="Transaction")
Directory = TypeVar("Directory", covariant=True)


Start = tuple[Event, float, float]
"""A timer, the seconds of its (first) run, and those at which its doubling ends: 0 where it does not double."""


class Step(NamedTuple):
    """A compiled row: the calls to make, the state to enter before, which timers have no meaning there, and those that
    start, one for each place."""

    acts: tuple[Act, ...]
    state: State
    stops_repeating: bool
    stops_limit: bool
    repeat: Start | None = None
    limit: Start | None = None


@frozen
class Program:
    """A compiled machine for one kind of transport."""

    machine: Machine
    steps: Mapping[State, Mapping[Event | State, Step]]


def compile_machine(
    machine: Machine, acts: Mapping[Action, Callable[[Kind, Message | None], None]]
) -> tuple[Program, Program]:
    """The program over an unreliable and over a reliable transport, in this order."""
    return _compile(machine, acts, False), _compile(over_reliable(machine), acts, True)


def _compile(
    machine: Machine, acts: Mapping[Action, Callable[[Kind, Message | None], None]], is_reliable: bool
) -> Program:
    by_decree: dict[Event | State, Step] = {state: Step((), state, True, True) for state in State}
    steps = {state: by_decree.copy() for state in State}
    for (state, event), (actions, next_state) in machine.rows.items():
        ended = {timer for old, timer in machine.rows if old is state and (next_state, timer) not in machine.rows}
        ended &= set(STARTED_TIMER.values())
        steps[state][event] = Step(
            tuple(cast(Act, acts[action]) for action in actions if action not in _OF_TIMERS),
            next_state,
            bool(ended & REPEATING) or Action.STOP_TRYING in actions,
            bool(ended - REPEATING),
            _start(actions, is_reliable, lambda timer: timer in REPEATING),
            _start(actions, is_reliable, lambda timer: timer not in REPEATING),
        )
    return Program(machine, steps)


def _start(actions: tuple[Action, ...], is_reliable: bool, is_of_place: Callable[[Event], bool]) -> Start | None:
    for action in actions:
        timer = STARTED_TIMER.get(action)
        if timer is not None and is_of_place(timer):
            seconds = T2 if action is Action.START_E_AT_T2 else duration(timer, is_reliable)
            return timer, seconds, LONGEST_INTERVAL.get(timer, 0.0)
    return None


@frozen(eq=False)
class TransactionServices(Generic[Directory]):
    """Shared by the transactions of one kind: their program, the layer's timers and counts, and the layer itself as
    they see it (Clients in client.py, Servers in server.py)."""

    program: Program
    timers: TimerQueues
    census: dict[State, int]
    absorbed: Counter[tuple[str, State, Event]]
    directory: Directory

    def count_absorbed(self, state: State, event: Event) -> None:
        """An event had no row in this state."""
        self.absorbed[self.program.machine.name, state, event] += 1


class Transaction:
    """One run of a machine."""

    __slots__ = ("__weakref__", "_limit", "_repeating", "_services", "_state", "_steps", "interval")

    def __init__(self, services: TransactionServices[object]) -> None:
        self._steps = services.program.steps
        self._services = services
        self._state = _INITIAL
        self._repeating: Timer | None = None
        self._limit: Timer | None = None
        self.interval = 0.0  # seconds of the last run of timer A, E or G; 0 before the first
        services.census[_INITIAL] += 1

    @property
    def state(self) -> State:
        """Where the machine is."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the transaction is over: nothing that happens to it has an effect."""
        return self._state is _TERMINATED

    def happen(self, event: Event | State, message: Message | None = None) -> None:
        """Take the table's row for the event: first the state and its timers, then the calls."""
        steps = self._steps[self._state]
        if event not in steps:
            assert isinstance(event, Event)
            self._services.count_absorbed(self._state, event)
            return
        acts, state, stops_repeating, stops_limit, repeat, limit = steps[event]
        if state is not self._state:
            census = self._services.census
            census[self._state] -= 1
            census[state] += 1
            self._state = state
        if stops_repeating and self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None
        if stops_limit and self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if repeat is not None:
            self._repeat(*repeat)
        if limit is not None:
            if self._limit is not None:
                self._limit.cancel()
            self._limit = self._services.timers.start(limit[1], self, limit[0])
        for act in acts:
            act(self, message)
        if state is _TERMINATED:
            self._end()

    def timer_expired(self, event: Event) -> None:
        """One of this transaction's timers has run out."""
        if event in REPEATING:
            self._repeating = None
        else:
            self._limit = None
        self.happen(event)

    def limit_to(self, seconds: float, timer: Event) -> None:
        """Run a timer of the second place."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._services.timers.start(seconds, self, timer)

    def resume(self, state: State) -> None:
        """Be in this state, where another process has left a transaction: no timer of the state runs."""
        self.happen(state)

    def stop(self) -> None:
        """End without a word to anybody."""
        if self._state is not _TERMINATED:
            self.happen(_TERMINATED)

    def _repeat(self, timer: Event, seconds: float, longest: float) -> None:
        """Run a timer of the first place; A, E and G for longer each time (RFC 3261 section 17.1.1.2), until T2."""
        if seconds < longest:
            if self.interval:
                seconds = min(2 * self.interval, longest)
            self.interval = seconds
        if self._repeating is not None:
            self._repeating.cancel()
        self._repeating = self._services.timers.start(seconds, self, timer)

    def _end(self) -> None:
        """Drop all that the transaction holds; the machine is in Terminated and its timers are stopped."""
        raise NotImplementedError
