"""A call in progress at one end: its dialog and its audio.

Lives here: requests inside the dialog (BYE, re-INVITE, OPTIONS and the like), the 2xx that is sent until its ACK
comes, and hanging up. Not here: the beginning of a call, packets.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.demo.agent.accounts import Account
from gateway.demo.agent.user_agent import UserAgent, ask, contact
from gateway.demo.audio.listen import Heard
from gateway.demo.audio.offers import AudioStream
from gateway.dialog.ack import AnswerRetransmission
from gateway.dialog.dialog import Dialog
from gateway.sip.errors import Refused
from gateway.sip.message import Request, Response
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()


class Session:
    """One end of an answered call."""

    def __init__(
        self, agent: UserAgent, clock: IReactorTime, dialog: Dialog, flow: Flow, account: Account, stream: AudioStream
    ) -> None:
        self.dialog = dialog
        self.stream = stream
        self.ended: Deferred[Heard] = Deferred()
        self._agent = agent
        self._clock = clock
        self._flow = flow
        self._account = account
        self._answers: dict[int, AnswerRetransmission] = {}
        agent.add(dialog, self)

    def answer(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a 2xx to an INVITE until its ACK arrives (RFC 3261 section 13.3.1.4)."""
        response.headers.set("Contact", contact(self._account.user, self._flow))
        response.headers.set("Allow", self._agent.allowed)
        number = response.cseq.number
        self.dialog.confirm(response)
        transaction.respond(response)
        self._answers[number] = AnswerRetransmission(
            self._clock, lambda: transaction.respond(response), lambda: self._unacknowledged(number)
        )

    def receive_ack(self, ack: Request) -> None:
        """The 2xx has arrived; when it held an offer, the ACK holds the answer."""
        waiting = self._answers.pop(ack.cseq.number, None)
        if waiting is None:
            return
        waiting.acknowledged()
        if ack.body:
            self.stream.take_answer(ack.body)

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the dialog, in CSeq order."""
        try:
            self.dialog.receive_request(request)
            self._receive_in_order(transaction, request)
        except Refused as refused:
            transaction.respond(request.response(refused.status, refused.reason or None))

    def abandon(self) -> None:
        """The call ends before it was answered."""
        self._close()

    async def hang_up(self) -> Heard:
        """Send BYE and wait for its answer; returns the audio that arrived."""
        heard = self._close()
        bye = self.dialog.make_request("BYE")
        await ask(self._agent.transactions, self._flow, bye, self._account)
        return heard

    def _receive_in_order(self, transaction: ServerTransaction, request: Request) -> None:
        match request.method:
            case "BYE":
                transaction.respond(request.response(200))
                self._close()
            case "INVITE" | "UPDATE":
                self._receive_offer(transaction, request)
            case "OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE":
                transaction.respond(request.response(200))
            case _:
                response = request.response(405)
                response.headers.set("Allow", self._agent.allowed)
                transaction.respond(response)

    def _receive_offer(self, transaction: ServerTransaction, request: Request) -> None:
        """Hold, resume, or a session refresh. An INVITE without an offer is given one (RFC 3261 section 14.2)."""
        response = request.response(200)
        self.dialog.refresh_target(request)
        if request.body or request.method == "INVITE":
            response.body = self.stream.answer(request.body) if request.body else self.stream.offer()
            response.headers.set("Content-Type", "application/sdp")
        if request.method == "INVITE":
            self.answer(transaction, response)
        else:
            transaction.respond(response)

    def _unacknowledged(self, cseq: int) -> None:
        log.warn("no ACK for CSeq {cseq} of call {call_id}", cseq=cseq, call_id=self.dialog.call_id)
        self._answers.pop(cseq, None)
        Deferred.fromCoroutine(self.hang_up()).addErrback(
            lambda failure: log.warn("BYE failed: {reason}", reason=failure.getErrorMessage())
        )

    def _close(self) -> Heard:
        heard = self.stream.close()
        for waiting in self._answers.values():
            waiting.stop()
        self._answers.clear()
        self.dialog.terminate()
        self._agent.remove(self.dialog)
        if not self.ended.called:
            self.ended.callback(heard)
        return heard
