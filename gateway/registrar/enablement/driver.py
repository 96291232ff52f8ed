"""The driver of one phone: walks the table, and does the actions of each row.

    event -> TABLE[state, event] -> next state, reason, time -> kept -> event rollout.phone
                                `-> orders that wait for their turn (`Orders`), promises, things forgotten

The next state is kept before an order leaves (orders.py), so a process that was killed sends none a second time.

Here: one phone. Not here: the choice of the next phone, waves and pauses (rollouts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from gateway.config.model import Resync
from gateway.observe.events import EventName
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import RollOutBook
from gateway.registrar.enablement.order_exchange import OrderOutcome, OrderResult
from gateway.registrar.enablement.phone_reasons import RESULT_REASONS, PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone
from gateway.registrar.enablement.rollout_table import NEED_A_LOOK, TABLE, PhoneAction, PhoneEvent, PhoneState
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.registrar.sightings import key_of
from gateway.security.policy.peer_memory import Peer

FETCH_SECONDS: Final = 120.0
"""From the order until a phone has fetched a file that is served here."""

_EVENTS: Final = {
    OrderResult.ACCEPTED: PhoneEvent.ACCEPTED,
    OrderResult.NOT_UNDERSTOOD: PhoneEvent.REFUSED,
    OrderResult.SILENT: PhoneEvent.SILENT,
    OrderResult.NOT_NOW: PhoneEvent.NOT_NOW,
    OrderResult.NO_PASSWORD: PhoneEvent.NO_PASSWORD,
    OrderResult.WRONG_PASSWORD: PhoneEvent.NO_PASSWORD,
    OrderResult.UNREADABLE: PhoneEvent.NO_PASSWORD,
    OrderResult.UNREACHABLE: PhoneEvent.DEAD,
}


class Driver:
    """Moves phones through the table. ``ordered`` is given each phone that is to get an order, ``failed`` each that
    counts as a failure; ``phones_at`` gives the phones of an address of record."""

    def __init__(
        self,
        around: RolloutSurroundings,
        book: RollOutBook,
        ordered: Callable[[RollOut, RolloutPhone], None],
        failed: Callable[[RollOut, RolloutPhone], None],
        phones_at: Callable[[str], Sequence[tuple[RollOut, RolloutPhone]]],
    ) -> None:
        self._around = around
        self._book = book
        self._ordered = ordered
        self._failed = failed
        self._phones_at = phones_at

    def happens(
        self,
        rollout: RollOut,
        phone: RolloutPhone,
        event: PhoneEvent,
        reason: PhoneReason = PhoneReason.NONE,
        detail: str = "",
    ) -> bool:
        """Something happened to a phone; False where it changes nothing."""
        row = TABLE.get((phone.state, event))
        if row is None:
            return False
        actions, state = row
        before, phone.state = phone.state, state
        phone.reason, phone.detail, phone.until = reason, detail, 0.0
        if state is not before:
            phone.since = self._around.clock.now()
        for action in actions:
            self._act(action, rollout, phone)
        self._book.keep_phone(rollout, phone)
        if state is not before:
            self._tell(rollout, phone)
        if PhoneAction.COUNT in actions:
            self._failed(rollout, phone)
        return True

    def binding_of(self, phone: RolloutPhone) -> Binding | None:
        """The reachable binding that leads to a phone. The only phone of its addresses may have become another device
        since."""
        store = self._around.store
        bound = [one for address in phone.addresses for one in store.find(address) if store.is_reachable(one)]
        own = [one for one in bound if key_of(one) == phone.key]
        is_alone = all(len(self._phones_at(address)) == 1 for address in phone.addresses)
        return next(iter(own or (bound if is_alone else [])), None)

    def answered(self, rollout: RollOut, phone: RolloutPhone, outcome: OrderOutcome) -> None:
        """The outcome of an order to a phone."""
        if outcome.result is OrderResult.ACCEPTED and rollout.goal is Goal.RESYNC:
            self.is_right(rollout, phone, PhoneReason.NONE, outcome.detail)
            return
        event, reason = _EVENTS[outcome.result], RESULT_REASONS.get(outcome.result, PhoneReason.NONE)
        if event is PhoneEvent.NOT_NOW and phone.attempts < self._around.terms.attempts:
            event = PhoneEvent.NOT_NOW_AGAIN
        if phone.state is PhoneState.ROLLING_BACK and event is not PhoneEvent.ACCEPTED:
            reason = PhoneReason.ROLLED_BACK_BY_HAND
        self.happens(rollout, phone, event, reason, outcome.detail)

    def is_right(self, rollout: RollOut, phone: RolloutPhone, reason: PhoneReason, detail: str = "") -> None:
        """A phone is registered as wanted: that is all, or its first encrypted call is waited for."""
        waits = self._around.terms.confirm == "call" and rollout.goal is not Goal.RESYNC
        self.happens(rollout, phone, PhoneEvent.RETURNED, PhoneReason.SRTP_NOT_SEEN if waits else reason, detail)
        if not waits and phone.state is PhoneState.RETURNED:
            self.happens(rollout, phone, PhoneEvent.SEEN, reason, detail)

    def promise(self, rollout: RollOut, phone: RolloutPhone) -> None:
        """Expect TLS of a phone's addresses from now on, where the roll-out's goal is that: of each of them, once all
        its phones do it, or a second phone of the address would be cut off."""
        if rollout.goal is not Goal.TLS_REQUIRED:
            return
        for address in phone.addresses:
            bound = self._around.store.find(address)
            others = (one for _, one in self._phones_at(address))
            is_secure = bool(bound) and all(one.came_over.transport.is_secure for one in bound)
            if is_secure and all(one.state is PhoneState.CONFIRMED for one in others):
                self._around.memory.lead(Peer(address))
                phone.is_led = True

    def _act(self, action: PhoneAction, rollout: RollOut, phone: RolloutPhone) -> None:
        now, terms = self._around.clock.now(), self._around.terms
        match action:
            case PhoneAction.ORDER:
                self._ordered(rollout, phone)
            case PhoneAction.START_ACCEPTED:
                is_served = phone.state is PhoneState.ACCEPTED and self._around.files.serves(phone.key)
                phone.until = now + (FETCH_SECONDS if is_served else terms.return_seconds)
            case PhoneAction.START_FETCHED:
                phone.until = now + terms.return_seconds
            case PhoneAction.START_WAIT:
                phone.until = now + 3_600.0 * terms.wait_hours
            case PhoneAction.PROMISE:
                self.promise(rollout, phone)
            case PhoneAction.FORGET:
                phone.is_led = False
                for address in phone.addresses:
                    self._around.memory.forget_phone(address)
            case PhoneAction.FRESH:
                phone.attempts = 0
                phone.has_refreshed = False

    def _tell(self, rollout: RollOut, phone: RolloutPhone) -> None:
        name = EventName.ROLLOUT_PHONE_FAILED if phone.state in NEED_A_LOOK else EventName.ROLLOUT_PHONE
        told = {"domain": rollout.domain, "who": phone.address}
        fields = {"rollout": rollout.number, "state": str(phone.state), "reason": str(phone.reason)}
        self._around.metrics.events.note(name, **told, **fields, detail=phone.detail)  # type: ignore[arg-type]


@attrs.frozen
class TimeOver:
    """The event and reason of the end of a phone's time."""

    event: PhoneEvent
    reason: PhoneReason
    detail: str = ""


def time_over(phone: RolloutPhone, terms: Resync, tls_failure: str, *, is_served: bool) -> TimeOver | None:
    """The end of the time of a phone's state: pure. None where the state has no end by time.

    A phone with a handshake that fails is not asked again: it would fail again, and now by an order of ours.
    """
    if phone.state is PhoneState.WAITING:
        return TimeOver(PhoneEvent.NEVER_IDLE, PhoneReason.BUSY)
    if phone.state is PhoneState.ROLLING_BACK:
        return TimeOver(PhoneEvent.TIME, PhoneReason.NOT_ROLLED_BACK)
    if phone.state not in (PhoneState.ACCEPTED, PhoneState.FETCHED):
        return None
    if tls_failure:
        return TimeOver(PhoneEvent.TIME, PhoneReason.TLS_FAILED, tls_failure)
    event = PhoneEvent.TIME_AGAIN if phone.attempts < terms.attempts else PhoneEvent.TIME
    if phone.state is PhoneState.ACCEPTED and is_served:
        return TimeOver(event, PhoneReason.NO_FETCH)
    return TimeOver(event, PhoneReason.CAME_BACK_CLEAR if phone.has_refreshed else PhoneReason.NO_RETURN)
