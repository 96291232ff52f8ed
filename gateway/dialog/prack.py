"""Reliable provisional responses (RFC 3262), on each leg by itself: one side may use them and the other not.

    as UAS (caller's leg):  18x with RSeq --again until--> PRACK         then the next one, and at last the 2xx
    as UAC (callee's leg):  18x with RSeq --> PRACK with its RAck        once for each, in order

The gateway sends provisional responses reliably to a caller that requires it, and to one that supports it those with
SDP that came reliably; to a callee it says that it supports them, except where the 2xx is to make the offer and the
caller does not support them: a reliable 18x could make it first, and the answer in its PRACK is the caller's to give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from gateway.dialog.ack import AnswerRetransmission
from gateway.sip.capabilities import RELIABLE
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response

Action = Callable[[], None]


Acknowledged = Callable[[Request], None]


def is_required(message: Request | Response) -> bool:
    """Whether Require names 100rel."""
    return "require" in message.headers.present and RELIABLE in message.headers.values("Require")


def is_supported(request: Request) -> bool:
    """Whether Supported or Require names 100rel."""
    return RELIABLE in request.headers.values("Supported") or is_required(request)


class ReliableProvisionals:
    """Sends provisional responses one after the other, each until its PRACK."""

    def __init__(self, clock: IReactorTime, send: Callable[[Response], None], expired: Action, first: int) -> None:
        self._clock = clock
        self._send = send
        self._expired = expired
        self._number = first
        self._outstanding: AnswerRetransmission | None = None
        self._answered: Acknowledged | None = None
        self._waiting: deque[Action] = deque()

    @property
    def awaits_answer(self) -> bool:
        """Whether the PRACK that is due answers an offer."""
        return self._answered is not None

    def send(self, response: Response, answered: Acknowledged | None = None) -> None:
        """Send a response when all before it are acknowledged. With an offer in it, `answered` is given its PRACK."""
        self._waiting.append(lambda: self._transmit(response, answered))
        self._go_on()

    def then(self, action: Action) -> None:
        """Do something when all before it are acknowledged (the final response, section 3)."""
        self._waiting.append(action)
        self._go_on()

    def receive_prack(self, prack: Request) -> bool:
        """Whether a PRACK acknowledges the outstanding response; raises MalformedMessage."""
        if self._outstanding is None or rack_of(prack)[0] != self._number:
            return False
        self._outstanding.acknowledged()
        self._outstanding = None
        self._number += 1
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(prack)
        self._go_on()
        return True

    def stop(self) -> None:
        """Send nothing more."""
        self._waiting.clear()
        self._answered = None
        if self._outstanding is not None:
            self._outstanding.stop()
            self._outstanding = None

    def _go_on(self) -> None:
        while self._waiting and self._outstanding is None:
            self._waiting.popleft()()

    def _transmit(self, response: Response, answered: Acknowledged | None) -> None:
        self._answered = answered
        response.headers.set("Require", RELIABLE)
        response.headers.set("RSeq", str(self._number))
        self._send(response)
        self._outstanding = AnswerRetransmission(self._clock, lambda: self._send(response), self._expired)


def rack_of(prack: Request) -> tuple[int, int, str]:
    """RAck: the RSeq number, and the CSeq number and method (section 7.2). Raises MalformedMessage."""
    parts = (prack.headers.get("RAck") or "").split()
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 11 for part in parts[:2]):
        raise MalformedMessage("not a RAck")
    return int(parts[0]), int(parts[1]), parts[2]


@attrs.define
class Received:
    """The reliable provisional responses of one early dialog, in order (section 4)."""

    last: int | None = None

    def is_next(self, response: Response) -> bool:
        """Whether a response is the first or the next one; a copy, or one that is too early, is not."""
        text = response.headers.get("RSeq") or ""
        if not (text.isascii() and text.isdigit() and len(text) < 11):
            return False
        number = int(text)
        if self.last is not None and number != self.last + 1:
            return False
        self.last = number
        return True
