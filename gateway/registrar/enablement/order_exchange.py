"""One order to one phone, until its outcome is known.

    order -> NOTIFY -> 2xx -> ACCEPTED              401, 407 -> answered once with the user's password -> NOTIFY again
                    -> 481, 405, 489... -> NOT_UNDERSTOOD         second 401 -> WRONG_PASSWORD, none held -> NO_PASSWORD
                    -> 480, 486, 5xx -> NOT_NOW
                    -> no answer -> OPTIONS -> any answer -> SILENT   no answer -> UNREACHABLE

A phone that says nothing to an order need not be gone: many pass over an Event that they do not know. So it is asked by
OPTIONS before it is called unreachable.

The answer to a challenge tells its reader enough to try passwords against it. It is given for a request that this
gateway sent over the flow of a live binding, by which the provider was shown that very password, and to a response of
that flow alone (the transaction sees to it). One challenge is answered, and a second time only where the phone says
that the nonce was stale. Any realm will do: phones choose theirs. Over UDP a listener can try passwords against it, as
against the phone's own REGISTER; the log says so once.

Here: one exchange. Not here: the choice of the phone and of the moment (rollouts.py), the wording of requests
(notify.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.observe.events import fit_text
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.notify import ExchangeNames, ask_of, order_to
from gateway.registrar.enablement.phone_orders import PhoneOrder
from gateway.security.answering import FIELDS
from gateway.sip import digest
from gateway.sip.message import Request, Response
from gateway.transaction.client import ClientTransaction, TransactionFailure, TransactionUser
from gateway.transport.flow import Flow, FlowKey

log = Logger()

NOT_NOW: Final = frozenset({408, 480, 486, 491, 500, 503, 504, 600})
"""Answers that may be others in a while."""
CHALLENGES: Final = 5
"""Challenges in one answer that are looked at."""


class OrderResult(StrEnum):
    """The outcome of an order."""

    ACCEPTED = "accepted"
    NOT_UNDERSTOOD = "not_understood"
    """It refuses the order: it knows no such Event, or takes none."""
    NOT_NOW = "not_now"
    NO_PASSWORD = "no_password"  # noqa: S105 - an outcome
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    UNREADABLE = "unreadable"
    """It asks for a password in a way that cannot be answered."""
    SILENT = "silent"
    """It answers questions, and not this order."""
    UNREACHABLE = "unreachable"


@attrs.frozen
class OrderOutcome:
    """The outcome, with the words of the phone's answer."""

    result: OrderResult
    detail: str = ""
    """Clean text for people: a status, or the failure of the connection."""


class OrderSender:
    """Everything that an exchange needs of the gateway."""

    def __init__(
        self,
        send: Callable[[Request, Flow, TransactionUser], ClientTransaction],
        open_flow: Callable[[FlowKey], Flow | None],
        password_of: Callable[[str, str], str | None],
        random: Callable[[], str],
    ) -> None:
        """``password_of``: (domain, user) -> password, None where the gateway holds none."""
        self.send = send
        self.open_flow = open_flow
        self.password_of = password_of
        self.random = random
        self._is_told = False

    def order(self, binding: Binding, order: PhoneOrder, done: Callable[[OrderOutcome], None]) -> bool:
        """Give a phone an order; ``done`` is told of the outcome, later. False where no connection leads to it, and
        then ``done`` is told nothing."""
        flow = self.open_flow(binding.flow)
        if flow is None or not flow.is_open:
            return False
        flow.allowance.fill()  # a phone that has proved nothing is to hear of it, too
        try:
            _Exchange(self, binding, order, flow, done).begin()
        except ValueError as error:  # its Contact cannot stand in a request
            log.warn("{aor} cannot be sent an order: {reason}", aor=binding.aor, reason=error)
            return False
        return True

    def tell_of_udp(self, binding: Binding) -> None:
        """Say once that a password was used where others can listen."""
        if not self._is_told:
            self._is_told = True
            log.warn(
                "{aor} asked for its password before it took an order over UDP: a listener there can try passwords "
                "against the answer, as against any REGISTER in clear",
                aor=binding.aor,
            )


@attrs.define(eq=False)
class _Exchange:
    """Waits for the answers to one order."""

    sender: OrderSender
    binding: Binding
    order: PhoneOrder
    flow: Flow
    done: Callable[[OrderOutcome], None]
    names: ExchangeNames = attrs.field(init=False)
    cseq: int = 1
    nonce: str = ""
    """Of the challenge that was answered; empty before."""
    is_stale_used: bool = False

    def begin(self) -> None:
        """Send the NOTIFY."""
        self.names = ExchangeNames(self.sender.random() + self.sender.random(), self.sender.random())
        self.sender.send(order_to(self.binding, self.order, self.flow, self.names, 1), self.flow, self)

    def receive_response(self, response: Response) -> None:
        """The phone's answer. A provisional one changes nothing."""
        status = response.status
        if status < 200:
            return
        said = fit_text(f"{status} {response.reason}")
        if status < 300:
            self.done(OrderOutcome(OrderResult.ACCEPTED, said))
        elif status in FIELDS:
            self._challenged(response, said)
        else:
            self.done(OrderOutcome(OrderResult.NOT_NOW if status in NOT_NOW else OrderResult.NOT_UNDERSTOOD, said))

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No answer: is it there at all?"""
        if failure.transport is not None or not self.flow.is_open:
            why = "the connection is gone" if failure.transport is None else failure.transport.reason
            self.done(OrderOutcome(OrderResult.UNREACHABLE, why))
            return
        names = ExchangeNames(self.sender.random() + self.sender.random(), self.sender.random())
        self.sender.send(ask_of(self.binding, self.flow, names), self.flow, _Question(self.done))

    def _challenged(self, response: Response, said: str) -> None:
        asked, wanted = FIELDS[response.status]
        challenge = next(digest.answerable(response.headers.get_all(asked)[:CHALLENGES]), None)
        if challenge is None:
            self.done(OrderOutcome(OrderResult.UNREADABLE, said))
            return
        may_answer = not self.nonce
        if challenge.stale and challenge.nonce != self.nonce and not self.is_stale_used:
            self.is_stale_used = may_answer = True
        if not may_answer:
            self.done(OrderOutcome(OrderResult.WRONG_PASSWORD, said))
            return
        password = self.sender.password_of(self.binding.domain, self.binding.user)
        if password is None:
            self.done(OrderOutcome(OrderResult.NO_PASSWORD, said))
            return
        if not self.flow.is_reliable:
            self.sender.tell_of_udp(self.binding)
        self.nonce = challenge.nonce
        self.cseq += 1
        again = order_to(self.binding, self.order, self.flow, self.names, self.cseq)
        credentials = digest.answer(
            challenge,
            username=self.binding.user,
            password=password,
            method="NOTIFY",
            uri=again.uri,
            body=self.order.body,
            cnonce=self.sender.random(),
        )
        again.headers.add(wanted, str(credentials))
        self.sender.send(again, self.flow, self)


@attrs.frozen
class _Question:
    """Waits for the answer to OPTIONS."""

    done: Callable[[OrderOutcome], None]

    def receive_response(self, response: Response) -> None:
        """It is there."""
        if response.status >= 200:
            self.done(OrderOutcome(OrderResult.SILENT, fit_text(f"OPTIONS: {response.status} {response.reason}")))

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """It is not."""
        why = "no answer" if failure.transport is None else failure.transport.reason
        self.done(OrderOutcome(OrderResult.UNREACHABLE, why))
