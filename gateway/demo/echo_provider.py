"""The demonstration provider: a TLS registrar, and an extension that answers, plays a tone and echoes what it hears.

What lives here: the join of the parts, and what the provider decides: INVITE needs credentials (407), only `echo`
answers, and only encrypted audio is taken (488 otherwise). What does not: the command line (`provider`), the parts
themselves. It stands for somebody else's network: it shares the gateway's layers, and none of its processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import urandom
from pathlib import Path
from secrets import token_hex

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gateway.config.model import SUITES, Listener, Side
from gateway.demo.agent.accounts import Account, Accounts
from gateway.demo.agent.invites import AnsweringTerms, IncomingCalls
from gateway.demo.agent.registrar import Contact, Registrar
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import UserAgent
from gateway.demo.audio.listen import Ear, Heard
from gateway.demo.audio.offers import Party
from gateway.demo.audio.rtp_port import RtpEndpoint, tone_with_echo
from gateway.demo.events import CallEnded, CallRefused, Event, Listening, Registered
from gateway.demo.outgoing import Destination, place_call
from gateway.demo.reactors import Reactor
from gateway.demo.roles import EXTENSION, PROVIDER_TONE
from gateway.demo.stream import AudioStream
from gateway.demo.tone import Tone
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transaction.server import ServerTransaction

log = Logger()

_CALL_BACK_LENGTH = 4.0  # seconds


@frozen
class ProviderTerms:
    """What the provider is given."""

    address: str
    port: int
    certificate: Path
    private_key: Path
    domain: str
    passwords: Mapping[str, str]
    call_back_after: float | None = None
    """Seconds after a registration when its phone is called, once."""


class EchoProvider:
    """The provider's whole user agent."""

    def __init__(self, agent: UserAgent, reactor: Reactor, terms: ProviderTerms, tell: Callable[[Event], None]) -> None:
        self._agent = agent
        self._reactor = reactor
        self._terms = terms
        self._tell = tell
        self._called_back: set[str] = set()
        self._accounts = Accounts(terms.domain, terms.passwords, reactor.clock.seconds)
        account = Account(EXTENSION, terms.domain, "")
        answering = AnsweringTerms(account, self._admitted, self._new_stream, self._began, self._refused)
        IncomingCalls(agent, reactor.clock, answering)
        Registrar(agent, reactor.clock, self._accounts, self._registered)

    async def start(self) -> None:
        """Listen, and say so."""
        await self._agent.start()
        self._tell(Listening(self._terms.address, self._terms.port))

    def stop(self) -> Deferred[None]:
        """Stop listening."""
        return self._agent.stop()

    def _admitted(self, transaction: ServerTransaction, request: Request) -> bool:
        if self._accounts.user_of(request, 407) is None:
            transaction.respond(self._accounts.challenge(request, 407))
            return False
        if request.request_uri.user != EXTENSION:
            transaction.respond(request.response(404, to_tag=token_hex(6)))
            return False
        return True

    def _new_stream(self) -> AudioStream:
        endpoint = RtpEndpoint(self._reactor.udp, self._reactor.clock, tone_with_echo(Tone(PROVIDER_TONE)), Ear())
        return AudioStream(endpoint, Party(self._terms.address, 0, SUITES, urandom))

    def _began(self, session: Session) -> None:
        def ended(heard: Heard) -> None:
            self._tell(CallEnded(session.dialog.call_id, heard))

        session.ended.addCallback(ended)

    def _refused(self, request: Request, refused: Refused) -> None:
        log.warn("call {call_id} refused: {reason}", call_id=request.call_id, reason=refused.reason)
        self._tell(CallRefused(request.call_id, refused.status, refused.reason))

    def _registered(self, user: str, contact: Contact) -> None:
        self._tell(Registered(user, str(contact.address.uri)))
        if self._terms.call_back_after is None or user in self._called_back:
            return
        self._called_back.add(user)
        calling = Deferred.fromCoroutine(self._call_back(user, contact, self._terms.call_back_after))
        calling.addErrback(lambda failure: log.warn("no call back: {reason}", reason=failure.getErrorMessage()))

    async def _call_back(self, user: str, contact: Contact, seconds: float) -> None:
        """Call a registered phone over the connection it registered by; answer challenges as its user."""
        await deferLater(self._reactor.clock, seconds)
        caller = Account(EXTENSION, self._terms.domain, self._terms.passwords[user], login=user)
        destination = Destination(str(contact.address.uri), f"sip:{user}@{self._terms.domain}", contact.flow)
        session = await place_call(self._agent, self._reactor.clock, caller, destination, self._new_stream())
        self._began(session)
        await deferLater(self._reactor.clock, _CALL_BACK_LENGTH)
        if not session.ended.called:
            await session.hang_up()


def listener(terms: ProviderTerms) -> Listener:
    """Where the provider listens."""
    return Listener(
        name="provider",
        side=Side.PROVIDER,
        transport="tls",
        address=terms.address,
        port=terms.port,
        certificate=terms.certificate,
        private_key=terms.private_key,
    )
