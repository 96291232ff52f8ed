"""Writes calls that are up into the journal, each time that one changes, before the message that makes it so leaves.

    a call is taken, before its 100      -> enough to refuse it
    an INVITE of ours has left           -> enough to cancel it
    the callee's 2xx, before its ACK     -> enough to hang it up
    a fork too many has answered,        -> enough to hang that up, before its ACK
    and the call is not over
    the caller's ACK, a change accepted  -> all of the call        a second of audio needs none of it
    the call's end                       -> ENDING, before BYE,    so that BYE is said by the next process, if not by us
                                            or the 200 to one
    its record is written                -> RECORDED               so that there is one, and no second
    GONE_AFTER seconds later             -> nothing of it is kept

A subscription is written each time that it begins, is prolonged, or a request of it crosses, and is gone with its end.

Here: the moments. Not here: the contents (frozen_call), the file (state/journal), the next process (rebuilding).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from twisted.logger import Logger

from gateway.b2bua.call import Call, CallState
from gateway.b2bua.calls import is_settled
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.leg import Leg, LegOwner
from gateway.b2bua.subscription import Subscription
from gateway.b2bua.survival.frozen_call import frozen_call
from gateway.b2bua.survival.frozen_opening import (
    ENDING,
    RECORDED,
    frozen_answer,
    frozen_invite,
    frozen_opening,
    frozen_stray,
)
from gateway.b2bua.survival.frozen_subscription import frozen_subscription, name_of
from gateway.b2bua.turned_away import CHALLENGES
from gateway.sip.message import Response
from gateway.state.journal.live_journal import LiveJournal

log = Logger()

GONE_AFTER: Final = 5.0
"""Seconds that a call which has ended is kept: its BYE was sent four times by then, or answered."""

AGAIN_SECONDS: Final = 10.0
"""Between two attempts to write all calls to a disk that takes nothing."""
TOUCH_SECONDS: Final = 20.0
"""Between two signs in the file that this process lives: see STALE of live_journal."""


class CallKeeper:
    """Keeps calls in a journal. ``seconds`` never go back."""

    def __init__(self, journal: LiveJournal, seconds: Callable[[], float]) -> None:
        self._journal = journal
        self._seconds = seconds
        self._ended: deque[tuple[float, str]] = deque()
        self._subscriptions: dict[str, Subscription] = {}
        self._touch_at = self._renew_at = 0.0

    def note(self, owner: LegOwner) -> None:
        """See CallKeeping. Of an owner that is neither a call nor a subscription nothing is kept."""
        try:
            if type(owner) is Call:
                self._note(owner)
            elif isinstance(owner, Subscription):
                self._note_subscription(owner)
        except Exception:
            log.failure("call {call_id} is not kept", call_id=owner.record.id)

    def ends(self, owner: LegOwner) -> None:
        """See CallKeeping."""
        if type(owner) is Call:
            self._journal.change(owner.id, ENDING)
            self._ended.append((self._seconds() + GONE_AFTER, owner.id))
        elif isinstance(owner, Subscription):
            name = name_of(owner)
            self._subscriptions.pop(name, None)
            self._journal.drop(name)

    def begin(self, calls: Iterable[Call], subscriptions: Iterable[Subscription] = ()) -> None:
        """Begin a new journal with these calls and subscriptions, in the place of the one before."""
        self._subscriptions = {name_of(one): one for one in subscriptions}
        self._journal.renew(self._frozen(calls))

    def invited(self, leg: Leg) -> None:
        """See CallKeeping."""
        try:
            if isinstance(leg, CalleeLeg) and leg.request is not None:
                self._journal.change(leg.record.id, frozen_invite(leg, leg.request))
        except Exception:
            log.failure("call {call_id} is not kept", call_id=leg.record.id)

    def turns_away(self, leg: Leg, answer: Response) -> None:
        """See CallKeeping."""
        try:
            if isinstance(leg, CalleeLeg):
                self._journal.change(leg.record.id, frozen_stray(leg, answer))
        except Exception:
            log.failure("call {call_id} is not kept", call_id=leg.record.id)

    def recorded(self, call_id: str) -> None:
        """The record of a call is written."""
        self._journal.change(call_id, RECORDED)

    def tidy(self, active: Iterable[Call]) -> None:
        """Forget calls that ended some time ago, and write the file anew where the disk did not take something. To be
        called now and then."""
        now = self._seconds()
        while self._ended and self._ended[0][0] <= now:
            self._journal.drop(self._ended.popleft()[1])
        if now >= self._touch_at:
            self._touch_at = now + TOUCH_SECONDS
            self._journal.touch()
        if self._journal.is_behind and now >= self._renew_at:
            self._renew_at = now + AGAIN_SECONDS
            self._journal.renew(self._frozen(active))

    def leave(self, active: Iterable[Call]) -> frozenset[str]:
        """Leave calls that are up to the next process. The ids of those that it will find,
        with changes that are still to come; none before `begin`: it finds those of the process before."""
        if not self._journal.has_begun:
            return frozenset()
        calls = [*self._frozen(active)]
        self._journal.renew(calls)
        kept = (name for name, _ in calls if name not in self._subscriptions)
        return frozenset(call_id for call_id in kept if self._journal.holds(call_id))

    def stop(self) -> None:
        """All calls have ended: leave none to the next process, but the subscriptions. Before `begin` those of the
        process before stay: a start was stopped that had not come to them."""
        if self._journal.has_begun:
            self._journal.renew(self._frozen(()))
            self._journal.close()

    def _note(self, call: Call) -> None:
        if call.state is CallState.ESTABLISHED:
            if call.caller.is_confirmed:
                frozen = frozen_call(call, self._journal.clock.now())
                if frozen is not None:
                    self._journal.put(call.id, frozen)
        elif call.state is CallState.ANSWERING:
            if call.callee is not None:
                self._journal.change(call.id, frozen_answer(call.callee))
        elif call.state is CallState.ROUTING:
            self._journal.put(call.id, frozen_opening(call.caller))
        elif call.record.status in CHALLENGES:  # it comes again
            self._journal.drop(call.id)
        elif not self._ended or self._ended[-1][1] != call.id:
            self.ends(call)

    def _note_subscription(self, subscription: Subscription) -> None:
        frozen = frozen_subscription(subscription, self._journal.clock.now())
        if frozen is not None:
            name = name_of(subscription)
            self._subscriptions[name] = subscription
            self._journal.put(name, frozen)

    def _frozen(self, active: Iterable[Call]) -> Iterator[tuple[str, bytes]]:
        for call in active:
            if is_settled(call):
                frozen = frozen_call(call, self._journal.clock.now())
                if frozen is not None:
                    yield call.id, frozen
        for name, subscription in self._subscriptions.items():
            kept = frozen_subscription(subscription, self._journal.clock.now())
            if kept is not None:
                yield name, kept
