"""Orders that wait for their turn: paced, to idle phones alone, and kept before they leave.

    ordered(phone) -> queue -> (idle, within the pace) -> counted and kept -> (the file has it) -> NOTIFY

Between the keeping and the NOTIFY a kill costs the phone an attempt and its time, and never brings a second NOTIFY:
after a start the phone is waited for as if it had taken the order. While the file cannot be written nothing is sent.
An order waits for the row of its phone alone: at a fast pace something is being written all the time.

Calls are looked at once a second; a phone counts as busy for ``idle_seconds`` after the last look that found it in a
call. Here: the queue. Not here: the choice of phones (rollouts.py), one exchange (order_exchange.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import RollOutBook
from gateway.registrar.enablement.order_exchange import OrderOutcome, OrderResult
from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone
from gateway.registrar.enablement.rollout_table import PhoneState
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.transport.flow import Address

LOOK_SECONDS: Final = 1.0
"""Between two looks at the calls that are up."""

Answered = Callable[[RollOut, RolloutPhone, OrderOutcome], None]
Waiting = tuple[RollOut, RolloutPhone]


class BusyPhones:
    """The addresses of phones that have a call, or had one lately. ``look`` is to be called often."""

    def __init__(self, around: RolloutSurroundings) -> None:
        self._around = around
        self._seen: dict[Address, float] = {}
        self._looked = 0.0

    def look(self) -> None:
        """See which phones are in calls, and forget those that have been idle for long enough."""
        now = self._around.clock.now()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            kept = self._around.terms.idle_seconds + LOOK_SECONDS
            self._seen = {one: at for one, at in self._seen.items() if now - at < kept}
            self._seen.update(dict.fromkeys(self._around.in_calls(), now))

    def is_busy(self, binding: Binding) -> bool:
        """Whether a phone has a call, or had one lately."""
        return not self._seen.keys().isdisjoint(_addresses(binding))

    def has_call(self, binding: Binding) -> bool:
        """Whether a phone has a call at this moment, looked at anew."""
        return not self._around.in_calls().isdisjoint(_addresses(binding))


def _addresses(binding: Binding) -> tuple[Address, Address]:
    """The addresses that a phone is called at, and calls from: some send from another port."""
    return binding.flow.remote, binding.came_over.remote


class Orders:
    """The queue of all roll-outs. ``binding_of`` gives the binding that leads to a phone; ``answered`` is given each
    outcome."""

    def __init__(
        self,
        around: RolloutSurroundings,
        book: RollOutBook,
        busy: BusyPhones,
        binding_of: Callable[[RolloutPhone], Binding | None],
        answered: Answered,
    ) -> None:
        self._around = around
        self._book = book
        self._busy = busy
        self._binding_of = binding_of
        self._answered = answered
        self._queue: deque[Waiting] = deque()
        self._ready: deque[tuple[RollOut, RolloutPhone, int]] = deque()
        self._latest: dict[tuple[int, int], int] = {}
        """By roll-out and phone: the number of its latest order, whose outcome alone counts."""
        self._orders = 0
        self._room = 0.0
        self._filled = around.clock.now()

    @property
    def waiting(self) -> int:
        """How many orders have not left."""
        return len(self._queue) + len(self._ready)

    def add(self, rollout: RollOut, phone: RolloutPhone) -> None:
        """A phone is to get an order, soon."""
        self._queue.append((rollout, phone))

    def room(self) -> int:
        """How many more orders the pace lets go now. To be called often."""
        now, pace = self._around.clock.now(), self._around.terms.per_second
        self._room = min(float(pace), self._room + pace * max(0.0, now - self._filled))
        self._filled = now
        return max(0, int(self._room) - len(self._queue))

    def release(self) -> None:
        """Send the orders that were kept at the last round, and keep those that may go at the next."""
        for _ in range(len(self._ready)):
            rollout, phone, number = self._ready.popleft()
            if self._book.is_kept(rollout, phone):
                self._send(rollout, phone, number)
            else:
                self._ready.append((rollout, phone, number))
        before = self._orders
        self._prepare()
        if self._orders > before:
            self._book.hurry()

    def _prepare(self) -> None:
        """Keep those that may go at the next round."""
        for _ in range(len(self._queue)):
            if self._room < 1:
                return
            rollout, phone = self._queue.popleft()
            binding = self._binding_of(phone)
            if binding is not None and self._busy.is_busy(binding):
                self._queue.append((rollout, phone))
                continue
            self._room -= 1
            phone.attempts += 1
            phone.has_refreshed = False
            phone.call_id = "" if binding is None else binding.call_id
            self._book.keep_phone(rollout, phone)
            self._orders += 1
            self._latest[rollout.number, phone.number] = self._orders
            self._ready.append((rollout, phone, self._orders))

    def _send(self, rollout: RollOut, phone: RolloutPhone, number: int) -> None:
        if self._latest.get((rollout.number, phone.number)) != number or phone.state not in (
            PhoneState.NOTIFIED,
            PhoneState.ROLLING_BACK,
        ):
            return  # it has come right, or was rolled back meanwhile
        done = partial(self._done, rollout, phone, number)
        binding = self._binding_of(phone)
        if binding is None:
            done("", OrderOutcome(OrderResult.UNREACHABLE, "no connection leads to it"))
            return
        self._around.handshakes.forget_client(binding.came_over.remote.host)
        make, terms = self._around.makes.of(binding.user_agent), self._around.terms
        is_late = terms.reboot == "if-needed" and phone.attempts > 1
        order = make.order(reboot=rollout.reboot or terms.reboot == "always" or is_late)
        if not self._around.sender.order(binding, order, partial(done, make.name)):
            done(make.name, OrderOutcome(OrderResult.UNREACHABLE, "its connection is gone"))

    def _done(self, rollout: RollOut, phone: RolloutPhone, number: int, make: str, outcome: OrderOutcome) -> None:
        if make:
            self._around.metrics.resync_requests.labels(make, str(outcome.result)).inc()
        key = rollout.number, phone.number
        if self._latest.get(key) == number:
            del self._latest[key]
            self._answered(rollout, phone, outcome)
