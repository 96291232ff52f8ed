"""INVITE, answered and sent (RFC 3261 sections 13.2 and 13.3), from the first request to the session.

Lives here: the INVITE service of a user agent (100, 180, and after a moment 200 with audio), and the placing of a call
(INVITE, credentials when asked for, ACK). Not here: whether a caller may call (the given `admitted` decides), the
session, the audio. A response that forks is not followed: the first 2xx is the call.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import TypeAlias

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.demo.agent.accounts import Account
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import UserAgent, ask, contact
from gateway.demo.audio.listen import Heard
from gateway.demo.audio.offers import AudioStream
from gateway.dialog.dialog import Dialog
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()

RINGING = 0.5  # seconds before the call is answered

Admitted: TypeAlias = Callable[[ServerTransaction, Request], bool]
"""Whether the INVITE is to be answered; when not, it has been given its final response."""


@frozen
class AnsweringTerms:
    """How calls are answered."""

    account: Account
    admitted: Admitted
    new_stream: Callable[[], AudioStream]
    began: Callable[[Session], None]
    refused: Callable[[Request, Refused], None]


class IncomingCalls:
    """The INVITE service of a user agent."""

    def __init__(self, agent: UserAgent, clock: IReactorTime, terms: AnsweringTerms) -> None:
        self._agent = agent
        self._clock = clock
        self._terms = terms
        agent.services["INVITE"] = self.receive_invite

    def receive_invite(self, transaction: ServerTransaction, request: Request) -> None:
        """A new call."""
        if not self._terms.admitted(transaction, request):
            return
        dialog = Dialog.from_request(request, token_hex(6))
        transaction.respond(request.response(100))
        stream = self._terms.new_stream()
        try:
            description = stream.answer(request.body) if request.body else stream.offer()
        except Refused as refused:
            stream.close()
            self._terms.refused(request, refused)
            transaction.respond(request.response(refused.status, refused.reason, dialog.local_tag))
            return
        session = Session(self._agent, self._clock, dialog, transaction.flow, self._terms.account, stream)
        _Ringing(self._agent, self._clock, self._terms, transaction, session).begin(description)


class _Ringing:
    """A call between its INVITE and its final response."""

    def __init__(
        self,
        agent: UserAgent,
        clock: IReactorTime,
        terms: AnsweringTerms,
        transaction: ServerTransaction,
        session: Session,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._terms = terms
        self._transaction = transaction
        self._session = session

    def begin(self, description: bytes) -> None:
        """Ring, and answer a moment later unless the caller gives up: by CANCEL, or by BYE in the early dialog."""
        self._transaction.respond(self._response(180))
        self._answering = self._clock.callLater(RINGING, self._answer, description)
        self._answered = self._agent.until_answered(self._transaction, self._session.abandon)
        self._session.ended.addCallback(self._ended)

    def _answer(self, description: bytes) -> None:
        self._answered()
        response = self._response(200)
        response.body = description
        response.headers.set("Content-Type", "application/sdp")
        self._session.answer(self._transaction, response)
        self._terms.began(self._session)

    def _ended(self, heard: Heard) -> Heard:
        """An end before the answer means 487; the end of an answered call is the session's affair."""
        if self._answering.active():
            self._answering.cancel()
            self._answered()
            self._transaction.respond(self._response(487))
        return heard

    def _response(self, status: int) -> Response:
        response = self._transaction.request.response(status, to_tag=self._session.dialog.local_tag)
        if response.status < 300:
            response.headers.set("Contact", contact(self._terms.account.user, self._transaction.flow))
        return response


@frozen
class NotAnswered(Exception):
    """The call was refused with this final response."""

    status: int
    reason: str

    def __str__(self) -> str:
        return f"the call was refused: {self.status} {self.reason}"


@frozen
class Addressee:
    """The target of a request outside any dialog: its URIs and its flow."""

    request_uri: str
    to: str
    """The URI of the To header, which need not be the Request-URI."""
    flow: Flow


async def place_call(
    agent: UserAgent, clock: IReactorTime, account: Account, addressee: Addressee, stream: AudioStream
) -> Session:
    """Place a call. Raises NotAnswered or Unanswered; the stream is closed then."""
    acknowledgement = _Acknowledgement(agent.transactions, addressee.flow)
    invite = new_request(account, "INVITE", addressee, agent.allowed)
    invite.body = stream.offer()
    invite.headers.set("Content-Type", "application/sdp")
    try:
        answered = await ask(agent.transactions, addressee.flow, invite, account, acknowledgement.send_again)
        if answered.response.status >= 300:
            raise NotAnswered(answered.response.status, answered.response.reason)
        dialog = Dialog.from_response(answered.request, answered.response)
    except BaseException:
        stream.close()
        raise
    stream.take_answer(answered.response.body)
    session = Session(agent, clock, dialog, addressee.flow, account, stream)
    acknowledgement.send(dialog.make_ack(answered.request.cseq.number))
    return session


class _Acknowledgement:
    """The ACK of the 2xx that makes a call, sent again for each copy of that 2xx (RFC 3261 section 13.2.2.4)."""

    def __init__(self, transactions: TransactionLayer, flow: Flow) -> None:
        self._transactions = transactions
        self._flow = flow
        self._ack: Request | None = None

    def send(self, ack: Request) -> None:
        """Send the ACK, and keep it for copies of the 2xx."""
        self._ack = ack
        self._transactions.send_ack(ack, self._flow)

    def send_again(self, _copy: Response) -> None:
        """A copy of the 2xx has come; without effect before the first ACK."""
        if self._ack is not None:
            self._transactions.send_ack(self._ack, self._flow)


def new_request(account: Account, method: str, addressee: Addressee, allowed: str) -> Request:
    """A request outside any dialog (RFC 3261 section 8.1.1), without Via."""
    headers = Headers(
        [
            ("Max-Forwards", "70"),
            ("From", f"<{account.aor}>;tag={token_hex(6)}"),
            ("To", f"<{addressee.to}>"),
            ("Call-ID", token_hex(12)),
            ("CSeq", f"1 {method}"),
            ("Contact", contact(account.user, addressee.flow)),
            ("Allow", allowed),
            ("User-Agent", "demonstration"),
        ]
    )
    return Request(method, addressee.request_uri, headers, b"")
