"""Phones that register while a roll-out follows them: as wanted, in clear still, or back in clear.

    Registrar -2xx-> registered(binding) -> the phone of that address of record and device -> the table's event

Only a registration that the provider granted comes here, so its address of record is proved. The device is the phone's
own word: it tells two phones of one address apart, and never leads to a phone of another address.

Before a phone has fetched its file, a registration in clear is the old configuration's refresh and says nothing yet.
Afterwards one under a new Call-ID is of a phone that started again without TLS.

    call.started (a known caller) -> the address of record of a phone -> call.ended, ENCRYPTED -> call_was_encrypted
    a file is fetched             -> the device                                                -> fetched

The stream of events is listened to while a roll-out is open and at no other time, so that a call costs nothing more. A
call that began before is not recognised; the next one is. A caller is known by the flow of its registration, so no
stranger's call confirms a phone.
"""

from __future__ import annotations

from typing import Final

from gateway.observe.events import EventName, Events, GatewayEvent
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import RollOutBook
from gateway.registrar.enablement.driver import Driver
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.roll_out_list import RollOutList
from gateway.registrar.enablement.rollout_table import ASKED, PhoneEvent, PhoneState
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.registrar.sightings import key_of
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import Uri

BOTH_LEGS: Final = "ENCRYPTED"
CALLS: Final = 10_000
"""Calls that are followed at once; of more, the oldest are let go of."""


class Returns:
    """Hears of registrations and encrypted calls."""

    def __init__(
        self,
        around: RolloutSurroundings,
        book: RollOutBook,
        rollouts: RollOutList,
        driver: Driver,
    ) -> None:
        self._around = around
        self._book = book
        self._rollouts = rollouts
        self._driver = driver

    def registered(self, binding: Binding) -> None:
        """See registrar.news.DeviceWatch."""
        found = self._rollouts.phones_at(binding.aor)
        if not found:
            return
        key = "" if len(found) == 1 else key_of(binding)
        for rollout, phone in tuple(found):
            if len(found) == 1 or phone.key == key:
                self._came(rollout, phone, binding)

    def fetched(self, device: str) -> None:
        """A device fetched its file, as the inventory names it. One that the file leads to TLS already fetches the
        same once more."""
        for rollout in self._rollouts.under_way():
            for phone in tuple(self._rollouts.live[rollout.number].values()):
                if phone.key == device:
                    self._driver.happens(rollout, phone, PhoneEvent.FETCHED)

    def call_was_encrypted(self, address: str) -> None:
        """A call of an address of record was encrypted on both legs."""
        for rollout, phone in tuple(self._rollouts.phones_at(address)):
            self._driver.happens(rollout, phone, PhoneEvent.SEEN)

    def _came(self, rollout: RollOut, phone: RolloutPhone, binding: Binding) -> None:
        if binding.came_over.transport.is_secure:
            self._came_over_tls(rollout, phone, binding)
        else:
            self._came_clear(rollout, phone, binding)
        if rollout.stage is RolloutStage.RUNNING and self._driver.happens(rollout, phone, PhoneEvent.REGISTERED):
            self._rollouts.enliven(rollout, phone)

    def _came_over_tls(self, rollout: RollOut, phone: RolloutPhone, binding: Binding) -> None:
        if phone.state is PhoneState.ROLLED_BACK:
            self._around.memory.forget_phone(binding.aor)  # its way back in clear must stay open
        elif phone.state is PhoneState.ROLLING_BACK:
            self._driver.happens(rollout, phone, PhoneEvent.RETURNED, phone.reason)
            phone.until = self._around.clock.now() + self._around.terms.return_seconds
        elif phone.state is PhoneState.CONFIRMED:
            if not phone.is_led:
                self._driver.promise(rollout, phone)
        elif rollout.goal is not Goal.RESYNC:
            self._driver.is_right(rollout, phone, PhoneReason.NONE)

    def _came_clear(self, rollout: RollOut, phone: RolloutPhone, binding: Binding) -> None:
        if phone.state is PhoneState.ROLLING_BACK:
            self._driver.happens(rollout, phone, PhoneEvent.CAME_CLEAR)
            return
        if phone.state in ASKED and not phone.has_refreshed:
            phone.has_refreshed = True
            self._book.keep_phone(rollout, phone)
        if binding.call_id != phone.call_id:
            self._driver.happens(rollout, phone, PhoneEvent.CAME_CLEAR, PhoneReason.CAME_BACK_CLEAR)


class EventWatch:
    """Listens while it is worth it. ``look`` is to be called now and then."""

    def __init__(self, events: Events, rollouts: RollOutList, returns: Returns) -> None:
        self._events = events
        self._rollouts = rollouts
        self._returns = returns
        self._calls: dict[str, str] = {}
        """The address of record of each call that is followed."""
        self._is_listening = False

    def look(self) -> None:
        """Begin to listen, or stop."""
        is_worth_it = any(one.stage.is_open for one in self._rollouts.latest())
        if is_worth_it and not self._is_listening:
            self._is_listening = self._events.subscribe(self.hear)
        elif self._is_listening and not is_worth_it:
            self._events.unsubscribe(self.hear)
            self._is_listening = False
            self._calls.clear()

    def hear(self, _: int, event: GatewayEvent) -> None:
        """One event of the gateway."""
        match event.name:
            case EventName.CALL_STARTED:
                self._begun(event)
            case EventName.CALL_ENDED:
                address = self._calls.pop(event.call, None)
                if address is not None and event.fields.get("verdict") == BOTH_LEGS:
                    self._returns.call_was_encrypted(address)

    def _begun(self, event: GatewayEvent) -> None:
        try:
            address = Uri.parse(event.who).address_of_record(event.domain)
        except MalformedMessage:
            return
        waiting = self._rollouts.phones_at(address)
        if any(phone.state is PhoneState.RETURNED for _, phone in waiting):
            self._calls[event.call] = address
            if len(self._calls) > CALLS:
                del self._calls[next(iter(self._calls))]
