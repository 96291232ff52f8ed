"""Credentials in requests of ours within a dialog (RFC 3261 section 22.3): the seam of all that a leg sends.

    Leg.send -> bears those of the realm that was answered for its INVITE -> transaction -> its user
                `- 401, 407 -> answered once: the request again, with the next CSeq (section 22.2) -> the same user

The user of the request hears of neither: it gets the final response of the last. A request that bears a phone's own
credentials is the phone's to repeat, and passes as it is. The ACK of a 2xx has its INVITE's (``dialog.ack``); a CANCEL
cannot be challenged.

Here: adding and repeating. Not here: whether a challenge may be answered (gateway/security/answering.py says why), the
first INVITE (gateway/b2bua/setup/reach.py).
"""

from __future__ import annotations

from typing import Protocol

import attrs

from gateway.dialog.dialog import Dialog
from gateway.security.answering import FIELDS, Answers, has_credentials, without_credentials
from gateway.sip.message import Request, Response
from gateway.transaction.client import ClientTransaction, TransactionFailure, TransactionUser
from gateway.transport.flow import Flow


class AnsweringLeg(Protocol):
    """The leg that sends."""

    dialog: Dialog | None

    def opened_flow(self) -> Flow:
        """The flow that its requests leave by."""

    def transmit(self, request: Request, user: TransactionUser) -> ClientTransaction:
        """Send a request as it is."""

    def note_received(self, response: Response) -> None:
        """Take note of a response of this leg."""


class LegCredentials:
    """The credentials of one leg; without ``answers`` it has none."""

    __slots__ = ("answers",)

    def __init__(self) -> None:
        self.answers: Answers | None = None

    def send(self, leg: AnsweringLeg, request: Request, user: TransactionUser) -> ClientTransaction:
        """Send a request of the leg's dialog with its credentials, and see to their being asked for again."""
        answers = self.answers
        if answers is None or leg.dialog is None or has_credentials(request):
            return leg.transmit(request, user)
        field = answers.within(request, leg.opened_flow()) if answers.has_given else None
        if field is not None:
            request.headers.set(*field)
        challenged = _Challenged(leg, answers, request, user)
        transaction = challenged.transaction = leg.transmit(request, challenged)
        return transaction


@attrs.define(eq=False)
class _Challenged:
    """Stands between a request and its user, and answers a challenge in the user's place, once."""

    leg: AnsweringLeg
    answers: Answers
    request: Request
    user: TransactionUser
    transaction: ClientTransaction | None = None
    _is_repeated: bool = False

    def receive_response(self, response: Response) -> None:
        """Repeat the request, or pass the response on."""
        again = self._with_answer(response)
        if again is None or self.transaction is None:
            self.user.receive_response(response)
            return
        self._is_repeated = True
        self.leg.note_received(response)
        self.transaction.followed_by(self.leg.transmit(again, self))

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There is no final response."""
        self.user.transaction_failed(failure)

    def _with_answer(self, response: Response) -> Request | None:
        """The request again, with the next CSeq and the answer; None where there is none to give."""
        dialog, request = self.leg.dialog, self.request
        if self._is_repeated or response.status not in FIELDS or dialog is None or self.transaction is None:
            return None
        if self.transaction.is_cancelled or dialog.remote_tag != (request.to.tag or ""):
            return None
        field = self.answers.answer_within(request, response, self.leg.opened_flow())
        if field is None:
            return None
        again = without_credentials(request)
        again.headers.set("CSeq", f"{dialog.next_cseq()} {request.method}")
        again.headers.set(*field)
        return again
