"""Pings of phones behind NAT over UDP: they keep the NAT's port open, and tell of a phone that has fallen silent.

    registration -> registered -> due, spread over nat_ping_seconds -> OPTIONS (RFC 3261 section 11) -> any final answer
                                      ^                                  `- none in ANSWER_WITHIN: once more at once,
                                      `----------------------------------   and MISSES times: out of reach

A phone that is out of reach is asked on, and is back with its first answer, or when it registers. Calls still try it,
after the other phones of its user. A start asks nobody at once: phones of before are spread over the whole distance.
A_SECOND pings leave at most, and all of them later where there are more phones than that allows.

Over TCP and TLS a connection tells by itself. Not here: the signs of a NAT (acceptance.py), the short grants
that do without pings (``nat_interval``).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from zlib import crc32

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.registrar.acceptance import is_elsewhere
from gateway.registrar.binding import Binding, LocationStore
from gateway.registrar.news import RegistrationNews
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transaction.client import TransactionFailure
from gateway.transaction.pings import Pings, Send
from gateway.transport.flow import Flow, FlowKey, Transport

log = Logger()

MISSES: Final = 2
"""Pings without answer, in a row, that put a phone out of reach."""
A_SECOND: Final = 200
"""Pings at most: some 0.1 ms each, so that they leave in small lots and no call waits for them."""
LOT: Final = 5

Reach = Callable[[FlowKey], Flow | None]


@attrs.define(eq=False)
class PingedPhone:
    """How one phone stands."""

    token: str
    due: float
    """Of the next ping, in seconds of the clock."""
    misses: int = 0
    is_waiting: bool = False


class NatPings:
    """Asks the phones behind NAT how they are. ``seconds`` is, by listener, the distance of the pings of one phone."""

    def __init__(
        self,
        store: LocationStore,
        clock: IReactorTime,
        reach: Reach,
        send: Send,
        new_token: Callable[[], str],
        news: RegistrationNews,
    ) -> None:
        self._store = store
        self._clock = clock
        self._reach = reach
        self._pings = Pings(clock, send)
        self._new_token = new_token
        self._news = news
        self._seconds: Mapping[str, int] = {}
        self._phones: dict[str, PingedPhone] = {}
        self._due: list[tuple[float, str]] = []
        """With entries of before, which are dropped as they surface."""
        self._timer: IDelayedCall | None = None
        self._is_late = False
        self._is_running = False

    def __len__(self) -> int:
        """The phones that are asked."""
        return len(self._phones)

    def start(self, seconds: Mapping[str, int]) -> None:
        """Begin with the phones that are bound, spread over the whole distance. May be called again with others."""
        self._seconds = {name: number for name, number in seconds.items() if number}
        self._is_running = True
        self._phones.clear()
        self._due.clear()
        for binding in self._store.all() if self._seconds else ():
            self._note(binding, earliest=0.0)
        self._arm()

    def stop(self) -> None:
        """Ask no more."""
        self._is_running = False
        self._disarm()
        self._pings.stop()

    def registered(self, binding: Binding) -> None:
        """A phone registered, or came again: it is there. See registrar.news.DeviceWatch."""
        if not self._seconds or not self._is_running:
            return
        known = self._phones.get(binding.token)
        if known is not None:
            known.misses = 0
        elif self._note(binding, earliest=0.5):
            self._arm()

    def _note(self, binding: Binding, earliest: float) -> bool:
        """Ask a phone from now on, if it is one to be asked: first after a share of the distance, `earliest` to 1."""
        seconds = self._seconds_of(binding)
        if not seconds:
            return False
        share = earliest + (1.0 - earliest) * (crc32(binding.token.encode()) % 1000) / 1000
        self._plan(PingedPhone(binding.token, self._clock.seconds() + seconds * share))
        return True

    def _seconds_of(self, binding: Binding) -> int:
        """The distance of a phone's pings; 0 where there are none."""
        seconds = self._seconds.get(binding.flow.listener, 0)
        if not seconds or binding.flow.transport is not Transport.UDP:
            return 0
        is_behind = binding.is_behind_nat or is_elsewhere(Uri.parse(binding.contact), binding.came_over)
        return seconds if is_behind else 0

    def _plan(self, phone: PingedPhone) -> None:
        self._phones[phone.token] = phone
        heapq.heappush(self._due, (phone.due, phone.token))

    def _arm(self) -> None:
        """Wait for the next ping."""
        self._disarm()
        if self._due and self._is_running:
            left = self._due[0][0] - self._clock.seconds()
            self._timer = self._clock.callLater(max(left, LOT / A_SECOND), self._ask_some)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _ask_some(self) -> None:
        """A lot of those that are due; the others wait for the next."""
        now, asked = self._clock.seconds(), 0
        while self._due and self._due[0][0] <= now and asked < LOT:
            due, token = heapq.heappop(self._due)
            phone = self._phones.get(token)
            if phone is not None and phone.due == due:
                asked += 1
                self._take_turn(phone, now)
        self._arm()

    def _take_turn(self, phone: PingedPhone, now: float) -> None:
        binding = self._store.find_token(phone.token)
        seconds = 0 if binding is None else self._seconds_of(binding)
        if binding is None or not seconds:
            del self._phones[phone.token]
            return
        self._tell_lateness(now - phone.due > seconds / 2)
        phone.due = max(phone.due + seconds, now + seconds / 2)
        self._plan(phone)
        if not phone.is_waiting:
            self._ask(phone, binding)

    def _ask(self, phone: PingedPhone, binding: Binding) -> None:
        flow = self._reach(binding.flow)
        if flow is None:
            return  # the listener is being opened again
        flow.allowance.fill()  # a phone that has proved nothing since the start has to be asked, too
        phone.is_waiting = True
        question = _question(binding, flow, self._new_token)
        self._pings.ask(
            question, flow, partial(self._answered, phone, binding), partial(self._unanswered, phone, binding)
        )

    def _answered(self, phone: PingedPhone, asked: Binding, _: Response) -> None:
        """A phone is there."""
        phone.is_waiting, phone.misses = False, 0
        binding = self._still(phone, asked)
        if binding is not None and not self._store.is_reachable(binding):
            self._store.set_reachable(binding, is_reachable=True)
            self._news.answers_again(binding)
            self._news.count(self._store)

    def _unanswered(self, phone: PingedPhone, asked: Binding, _: TransactionFailure) -> None:
        """A phone did not answer a ping: it is asked again at once, for a datagram may be lost."""
        phone.is_waiting = False
        binding = self._still(phone, asked)
        if binding is None or not self._is_running:
            return
        phone.misses += 1
        if phone.misses < MISSES:
            self._ask(phone, binding)
        elif self._store.is_reachable(binding):
            self._store.set_reachable(binding, is_reachable=False)
            self._news.silent(binding)
            self._news.count(self._store)

    def _still(self, phone: PingedPhone, asked: Binding) -> Binding | None:
        """The phone's binding, where it is at the place that was asked."""
        binding = self._store.find_token(phone.token)
        is_same = binding is not None and binding.flow == asked.flow and self._phones.get(phone.token) is phone
        return binding if is_same else None

    def _tell_lateness(self, is_late: bool) -> None:
        if is_late and not self._is_late:
            count = len(self._phones)
            log.warn("pings of {count} phones behind NAT are late: {most} a second leave", count=count, most=A_SECOND)
        self._is_late = is_late


def _question(binding: Binding, flow: Flow, new_token: Callable[[], str]) -> Request:
    us = f"sip:{flow.advertised}"
    headers = Headers(
        (
            ("Max-Forwards", "70"),
            ("From", f"<{us}>;tag={new_token()}"),
            ("To", f"<{binding.aor}>"),
            ("Call-ID", new_token() + new_token()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", f"<{us}>"),
        )
    )
    return Request("OPTIONS", binding.contact, headers)
