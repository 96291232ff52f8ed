"""The demonstration phone: SIP over UDP and plain RTP, as phones without TLS and SRTP have it.

Lives here: registering (again before it expires), calling, being called, all through the gateway. Not here: the user
agent that it is made of. It plays 440 Hz and listens.
"""

from __future__ import annotations

from collections.abc import Callable
from os import urandom
from secrets import token_hex

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.config.model import Listener, Side
from gateway.demo.agent.accounts import Account
from gateway.demo.agent.invites import Addressee, AnsweringTerms, IncomingCalls, new_request, place_call
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import Reactor, UserAgent, ask
from gateway.demo.audio.listen import Ear, Heard
from gateway.demo.audio.offers import AudioEnd, AudioStream
from gateway.demo.audio.rtp_port import RtpEndpoint, tone_alone
from gateway.demo.audio.samples import Tone
from gateway.demo.roles import PHONE_TONE
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Address, Flow, Target, Transport

log = Logger()

REGISTRATION = 120  # seconds asked for


@frozen
class PhoneTerms:
    """The addresses and the account of a phone."""

    place: Address
    gateway: Address
    account: Account


@frozen
class NotRegistered(Exception):
    """The registration was refused with this response."""

    status: int
    reason: str

    def __str__(self) -> str:
        return f"the registration was refused: {self.status} {self.reason}"


class Phone:
    """The phone's whole user agent."""

    def __init__(
        self, agent: UserAgent, reactor: Reactor, terms: PhoneTerms, called: Callable[[Heard], None] = lambda _: None
    ) -> None:
        self._agent = agent
        self._reactor = reactor
        self._terms = terms
        self._called = called
        self._registration = (token_hex(12), token_hex(6))
        self._registrations = 0
        self._refresh = LoopingCall(self._register_again)
        self._refresh.clock = reactor.clock
        IncomingCalls(agent, reactor.clock, self._answering())

    async def start(self) -> None:
        """Listen and register. Raises NotRegistered or Unanswered."""
        await self._agent.start()
        await self._register()
        self._refresh.start(REGISTRATION / 2, now=False)

    def stop(self) -> Deferred[None]:
        """Stop listening; the registration is left to expire."""
        if self._refresh.running:
            self._refresh.stop()
        return self._agent.stop()

    async def call(self, number: str) -> Session:
        """Call a number of the phone's own domain. Raises NotAnswered or Unanswered."""
        uri = f"sip:{number}@{self._terms.account.domain}"
        addressee = Addressee(uri, uri, self._flow())
        return await place_call(self._agent, self._reactor.clock, self._terms.account, addressee, self._new_stream())

    async def _register(self) -> None:
        """One registration: Call-ID and From tag stay, CSeq grows (RFC 3261 section 10.2)."""
        account = self._terms.account
        addressee = Addressee(f"sip:{account.domain}", account.aor, self._flow())
        request = new_request(account, "REGISTER", addressee, self._agent.allowed)
        call_id, tag = self._registration
        request.headers.set("Call-ID", call_id)
        request.headers.set("From", f"<{account.aor}>;tag={tag}")
        request.headers.set("CSeq", f"{self._registrations + 1} REGISTER")
        request.headers.set("Expires", str(REGISTRATION))
        self._registrations += 2  # a challenged request uses the next number too
        answered = await ask(self._agent.transactions, addressee.flow, request, account)
        if answered.response.status >= 300:
            raise NotRegistered(answered.response.status, answered.response.reason)

    def _register_again(self) -> Deferred[None]:
        refreshing = Deferred.fromCoroutine(self._register())
        refreshing.addErrback(lambda failure: log.warn("not registered: {reason}", reason=failure.getErrorMessage()))
        return refreshing

    def _answering(self) -> AnsweringTerms:
        return AnsweringTerms(self._terms.account, _everybody, self._new_stream, self._began, _note_refusal)

    def _began(self, session: Session) -> None:
        session.ended.addCallback(self._called)

    def _new_stream(self) -> AudioStream:
        endpoint = RtpEndpoint(self._reactor.udp, self._reactor.clock, tone_alone(Tone(PHONE_TONE)), Ear())
        return AudioStream(endpoint, AudioEnd(self._terms.place.host, 0, (), urandom))

    def _flow(self) -> Flow:
        target = Target(Transport.UDP, self._terms.gateway, self._terms.gateway.host)
        return self._agent.transport.flow_to(target, Side.PHONES)


def listener(terms: PhoneTerms) -> Listener:
    """The phone's listener."""
    return Listener("phone", Side.PHONES, "udp", terms.place.host, terms.place.port)


def _everybody(_transaction: ServerTransaction, _request: Request) -> bool:
    return True


def _note_refusal(request: Request, refused: Refused) -> None:
    log.warn("call {call_id} refused: {reason}", call_id=request.call_id, reason=refused.reason)
