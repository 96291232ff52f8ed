"""Answering calls (RFC 3261 section 13.3): 100, 180, and after a moment 200 with audio.

What lives here: the INVITE service of a user agent, from the first request to the session. What does not: whether the
caller may call (the given `admitted` decides: the provider asks for credentials there), what follows the answer
(`session`).
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
from gateway.demo.agent.user_agent import UserAgent, contact
from gateway.demo.audio.listen import Heard
from gateway.demo.stream import AudioStream
from gateway.dialog.dialog import Dialog
from gateway.sip.errors import Refused
from gateway.sip.message import Request, Response
from gateway.transaction.server import ServerTransaction

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
        """The end of an answered call is none of our business; before the answer it means 487."""
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
