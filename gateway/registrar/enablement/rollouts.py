"""All roll-outs: begun, paused, resumed, stopped, tried again, rolled back, and moved on by time.

    begin -> phones in waves -> wave 0 (canary) -> every phone settled -> wave 1 ... -> DONE
    look (ten times a second): times that are over -> the next phones (waves.py) -> orders (orders.py)

An emergency call is never affected, since nothing is ended here. A domain has one roll-out at a time. The work of a
round is bounded by the phones that are under way: those of a wave. All that a roll-out knows is kept (book.py); after a
start it goes on where it was.

Here: the course of roll-outs. Not here: one phone (driver.py), registrations (returns.py), the choice of phones
(roll_out.py), HTTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.config.model import Security
from gateway.observe.events import EventName, Field, GatewayEvent
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import KEPT, RollOutBook
from gateway.registrar.enablement.driver import Driver, time_over
from gateway.registrar.enablement.order_exchange import OrderOutcome
from gateway.registrar.enablement.orders import BusyPhones, Orders
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.returns import EventWatch, Returns
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.roll_out_list import RollOutList
from gateway.registrar.enablement.rollout_table import SETTLED, TABLE, PhoneEvent, PhoneState
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.registrar.enablement.waves import Waves

log = Logger()

AT_ONCE: Final = 20
"""Phones that a change of a whole roll-out comes to in one round."""


class NotPossible(Exception):
    """A wish that does not fit the state of things; the text is for people."""


class RollOuts:
    """The roll-outs of one gateway."""

    def __init__(self, around: RolloutSurroundings, book: RollOutBook) -> None:
        self._around = around
        self._book = book
        self.list = RollOutList()
        self._busy = BusyPhones(around)
        self._orders = Orders(around, book, self._busy, self._binding_of, self._answered)
        self._driver = Driver(around, book, self._orders.add, self._failed, self.list.phones_at)
        self._waves = Waves(around, self.list, self._driver, self._busy)
        self.returns = Returns(around, book, self.list, self._driver)
        around.files.follow(self.returns.fetched)
        self._pending: deque[tuple[RollOut, RolloutPhone, PhoneEvent]] = deque()
        """Changes of whole roll-outs, that come to a few phones in each round."""
        self._watch = EventWatch(around.metrics.events, self.list, self.returns)

    @property
    def lead_to_tls(self) -> bool:
        """Whether one is not over that leads phones to TLS, or back."""
        return any(one.stage.is_open and one.goal is not Goal.RESYNC for one in self.list.latest())

    def recall(self, rollouts: Iterable[RollOut]) -> None:
        """Go on with the roll-outs of before the start."""
        for rollout in rollouts:
            self.list.add(rollout)
            for phone in tuple(self.list.live[rollout.number].values()):
                if phone.state is PhoneState.ROLLING_BACK and not phone.attempts:
                    self._orders.add(rollout, phone)
                else:
                    self._driver.happens(rollout, phone, PhoneEvent.RESTARTED, phone.reason)
            if rollout.stage is RolloutStage.ROLLING_BACK:  # those that the process before had not come to
                self._change(rollout, PhoneEvent.ROLL_BACK, (one for one in rollout.phones if not _went_back(one)))
            elif rollout.stage is RolloutStage.STOPPED:
                self._change(rollout, PhoneEvent.STOPPED, rollout.phones)
            elif rollout.stage is RolloutStage.RUNNING:
                self._waves.begin(rollout, rollout.wave)  # the time of those that wait is not kept, and counts anew
            if rollout.stage.is_open:
                log.info("roll-out {number} of {domain} goes on", number=rollout.number, domain=rollout.domain)

    def begin(self, rollout: RollOut) -> None:
        """Begin a roll-out with its phones. Raises NotPossible where the domain has one that is not over."""
        if self.list.open_of(rollout.domain) is not None:
            raise NotPossible(f"A roll-out of {rollout.domain} is not over yet: gatewayctl rollout shows it.")
        rollout.waves = 1 + max((phone.wave for phone in rollout.phones), default=-1)
        self.list.add(rollout)
        self._book.keep(rollout)
        for gone in self.list.beyond(KEPT):
            self._book.drop(gone)
        self._tell(EventName.ROLLOUT_STARTED, rollout, phones=len(rollout.phones), goal=str(rollout.goal))
        if rollout.stage is RolloutStage.RUNNING:
            self._begin_wave(rollout, 0)

    def pause(self, rollout: RollOut, why: str) -> None:
        """Ask no further phone for now. Raises NotPossible."""
        if rollout.stage not in (RolloutStage.RUNNING, RolloutStage.PLANNED):
            raise NotPossible(f"Roll-out {rollout.number} is {rollout.stage}, and cannot be paused.")
        self._stage(rollout, RolloutStage.PAUSED, why)
        self._tell(EventName.ROLLOUT_PAUSED, rollout, why=why)

    def resume(self, rollout: RollOut) -> None:
        """Go on, or begin before the time. Raises NotPossible."""
        if rollout.stage not in (RolloutStage.PAUSED, RolloutStage.PLANNED):
            raise NotPossible(f"Roll-out {rollout.number} is {rollout.stage}, and cannot be resumed.")
        self._waves.forgive(rollout)
        self._stage(rollout, RolloutStage.RUNNING)
        self._tell(EventName.ROLLOUT_RESUMED, rollout)
        self._begin_wave(rollout, rollout.wave)

    def stop(self, rollout: RollOut, why: str) -> None:
        """Ask no further phone, for good; those with an order are followed to their end. Raises NotPossible."""
        if not rollout.stage.is_open:
            raise NotPossible(f"Roll-out {rollout.number} is over already.")
        self._stage(rollout, RolloutStage.STOPPED, why)
        self._pending = deque(one for one in self._pending if one[0] is not rollout)
        self._change(rollout, PhoneEvent.STOPPED, rollout.phones)
        self._tell(EventName.ROLLOUT_STOPPED, rollout, why=why)

    def retry(self, rollout: RollOut, phones: Iterable[RolloutPhone]) -> int:
        """Ask phones again that failed, were not reached or left out; how many. Raises NotPossible."""
        _check_latest(self.list, rollout)
        tried = self._change(rollout, PhoneEvent.RETRY, phones)
        if tried and rollout.stage is not RolloutStage.RUNNING:
            self._waves.forgive(rollout)
            self._stage(rollout, RolloutStage.RUNNING)
            self._waves.begin(rollout, rollout.wave)
        return tried

    def roll_back(self, rollout: RollOut, phones: Iterable[RolloutPhone] | None, who: str) -> int:
        """Lead phones back, or all of them (None) and the domain's security as well; how many. Raises NotPossible,
        and NoSuchDomain and OSError where the domain cannot be switched."""
        _check_latest(self.list, rollout)
        if rollout.goal is Goal.RESYNC:
            raise NotPossible(f"Roll-out {rollout.number} had phones fetch their files: there is nothing to take back.")
        if phones is None:
            if rollout.security_before:
                self._around.settings.switch(rollout.domain, Security(rollout.security_before), who, "rolled back")
                rollout.security_before = ""
            self._stage(rollout, RolloutStage.ROLLING_BACK)
            self._tell(EventName.ROLLOUT_ROLLING_BACK, rollout)
        return self._change(rollout, PhoneEvent.ROLL_BACK, rollout.phones if phones is None else phones)

    def order_now(self, binding: Binding, *, reboot: bool) -> Deferred[OrderOutcome]:
        """Order one phone by hand, at once; fires with the outcome, 64 s later at most. Raises NotPossible for a phone
        in a call, and for one that no connection leads to."""
        if self._busy.has_call(binding):
            raise NotPossible(f"{binding.aor} has a call: ask again when that is over.")
        make, done = self._around.makes.of(binding.user_agent), Deferred[OrderOutcome]()

        def tell(outcome: OrderOutcome) -> None:
            self._around.metrics.resync_requests.labels(make.name, str(outcome.result)).inc()
            done.callback(outcome)

        if not self._around.sender.order(binding, make.order(reboot=reboot), tell):
            raise NotPossible(f"No connection leads to {binding.aor} now.")
        return done

    def look(self) -> None:
        """Let time have its effects; a few times a second."""
        under_way = self.list.under_way()
        self._watch.look()
        if not under_way and not self._orders.waiting and not self._pending:
            return
        self._carry_out()
        self._busy.look()
        room = self._orders.room()
        for rollout in under_way:
            self._look_at_times(rollout)
            if rollout.stage is RolloutStage.PLANNED and self._around.clock.wall() >= rollout.at:
                self._stage(rollout, RolloutStage.RUNNING)
                self._begin_wave(rollout, 0)
            if rollout.stage is RolloutStage.RUNNING:
                room -= self._waves.ask(rollout, room)
            self._go_on(rollout)
        self._orders.release()

    def figures(self) -> Iterator[Sample]:
        """How many phones of each domain's latest roll-out are in each state, and whether it goes on."""
        for rollout in self.list.latest():
            yield Metrics.rollout_running, (rollout.domain,), float(rollout.stage.is_open)
            found = rollout.by_state()
            for state in PhoneState:
                yield Metrics.rollout_phones, (rollout.domain, str(state)), found.get(state, 0)

    def _binding_of(self, phone: RolloutPhone) -> Binding | None:
        return self._driver.binding_of(phone)

    def _answered(self, rollout: RollOut, phone: RolloutPhone, outcome: OrderOutcome) -> None:
        self._driver.answered(rollout, phone, outcome)

    def _failed(self, rollout: RollOut, phone: RolloutPhone) -> None:
        why = self._waves.failed(rollout, phone)
        if why and rollout.stage is RolloutStage.RUNNING:
            self.pause(rollout, why)
        took_it = phone.reason in (PhoneReason.NO_RETURN, PhoneReason.TLS_FAILED, PhoneReason.CAME_BACK_CLEAR)
        if self._around.terms.automatic_roll_back and took_it and rollout.goal is not Goal.RESYNC:
            self._roll_back(rollout, phone)

    def _change(self, rollout: RollOut, event: PhoneEvent, phones: Iterable[RolloutPhone]) -> int:
        """Have an event come to phones, a few in each round, since each takes 0.1 ms; how many it will change."""
        changed = [(rollout, phone, event) for phone in phones if (phone.state, event) in TABLE]
        self._pending.extend(changed)
        return len(changed)

    def _carry_out(self) -> None:
        for _ in range(min(AT_ONCE, len(self._pending))):
            rollout, phone, event = self._pending.popleft()
            if not self.list.is_latest(rollout):
                continue  # another one follows its phones by now
            if event is PhoneEvent.ROLL_BACK:
                self._roll_back(rollout, phone)
            elif event is PhoneEvent.STOPPED:
                self._driver.happens(rollout, phone, event, PhoneReason.STOPPED)
            elif self._driver.happens(rollout, phone, event):
                self.list.enliven(rollout, phone)

    def _roll_back(self, rollout: RollOut, phone: RolloutPhone) -> None:
        """Lead one phone back."""
        if (phone.state, PhoneEvent.ROLL_BACK) not in TABLE:
            return
        self._around.files.roll_back(phone.key)
        self._driver.happens(rollout, phone, PhoneEvent.ROLL_BACK, phone.reason, phone.detail)
        if phone.state is PhoneState.ROLLING_BACK:
            self.list.enliven(rollout, phone)

    def _look_at_times(self, rollout: RollOut) -> None:
        now, live = self._around.clock.now(), self.list.live[rollout.number]
        for phone in tuple(live.values()):
            is_halted = phone.state is PhoneState.WAITING and rollout.stage is not RolloutStage.RUNNING
            if phone.state in SETTLED:
                del live[phone.number]
            elif phone.until and now >= phone.until and not is_halted:
                failure = self._around.handshakes.client_failure(phone.host)
                is_served = self._around.files.serves(phone.key)
                over = time_over(phone, self._around.terms, failure, is_served=is_served)
                if over is not None:
                    self._driver.happens(rollout, phone, over.event, over.reason, over.detail)

    def _go_on(self, rollout: RollOut) -> None:
        """The next wave, or the end."""
        is_moving = rollout.stage in (RolloutStage.RUNNING, RolloutStage.ROLLING_BACK)
        if not is_moving or self._pending or not self._waves.is_over(rollout):
            return
        if rollout.stage is RolloutStage.RUNNING and rollout.wave + 1 < rollout.waves:
            self._begin_wave(rollout, rollout.wave + 1)
        elif rollout.stage is RolloutStage.ROLLING_BACK or not _is_waiting_for_calls(rollout):
            why = "rolled back" if rollout.stage is RolloutStage.ROLLING_BACK else ""
            self._stage(rollout, RolloutStage.DONE, why)
            told = {str(state): number for state, number in rollout.by_state().items()}
            self._tell(EventName.ROLLOUT_DONE, rollout, **told)

    def _begin_wave(self, rollout: RollOut, wave: int) -> None:
        is_next = wave != rollout.wave or wave == 0
        self._waves.begin(rollout, wave)
        self._book.keep(rollout)
        if is_next:
            self._tell(EventName.ROLLOUT_WAVE, rollout, wave=wave + 1, waves=rollout.waves)

    def _stage(self, rollout: RollOut, stage: RolloutStage, why: str = "") -> None:
        rollout.stage, rollout.why = stage, why
        self._book.keep(rollout)
        words = {
            "number": rollout.number,
            "domain": rollout.domain,
            "stage": str(stage),
            "why": f": {why}" if why else "",
        }
        log.info("roll-out {number} of {domain} is {stage} now{why}", **words)

    def _tell(self, name: EventName, rollout: RollOut, **fields: Field) -> None:
        events = self._around.metrics.events
        told: dict[str, Field] = {"rollout": rollout.number, **fields}
        events.tell(GatewayEvent.of(name, events.now(), domain=rollout.domain, who=rollout.who, fields=told))


def _went_back(phone: RolloutPhone) -> bool:
    """Whether a roll-back has come to a phone already."""
    return phone.state in (PhoneState.ROLLING_BACK, PhoneState.ROLLED_BACK) or (
        phone.reason is PhoneReason.NOT_ROLLED_BACK
    )


def _is_waiting_for_calls(rollout: RollOut) -> bool:
    """Whether the first encrypted call of a phone is still waited for, which may take days of looks."""
    return any(phone.state is PhoneState.RETURNED for phone in rollout.phones)


def _check_latest(rollouts: RollOutList, rollout: RollOut) -> None:
    if not rollouts.is_latest(rollout):
        raise NotPossible(f"Another roll-out of {rollout.domain} came after number {rollout.number}.")
