"""The command `python -m gateway.demo.provider`: the demonstration provider as a process of its own.

A TLS registrar, and an extension that answers, plays a tone and echoes all that it hears. It stands for somebody
else's network: it shares the gateway's layers, and none of its processes. It runs until SIGTERM or SIGINT.

Lives here: its decisions (INVITE needs credentials, 407; only `echo` answers; only encrypted audio is taken, 488
otherwise), its options, its log (standard error) and its events (standard output, one JSON object a line). Not here:
the user agent that it is made of, and the play that reads its events.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from os import urandom
from pathlib import Path
from secrets import token_hex
from typing import TypeAlias

from attrs import frozen
from cattrs import Converter
from cattrs.errors import BaseValidationError
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import deferLater, react
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from gateway.config.model import Listener, Side
from gateway.demo.agent.accounts import Account, Accounts
from gateway.demo.agent.invites import Addressee, AnsweringTerms, IncomingCalls, place_call
from gateway.demo.agent.registrations import Contact, Registrations
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import Reactor, UserAgent
from gateway.demo.audio.listen import Ear, Heard
from gateway.demo.audio.offers import AudioEnd, AudioStream
from gateway.demo.audio.rtp_port import RtpEndpoint, tone_with_echo
from gateway.demo.audio.samples import Tone
from gateway.demo.roles import EXTENSION, PROVIDER_TONE
from gateway.sdp.crypto import SUITE_NAMES
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Address
from gateway.transport.sockets import CannotListen

log = Logger()

_CALL_BACK_LENGTH = 4.0  # seconds


@frozen
class Listening:
    """The provider takes connections now."""

    address: str
    port: int


@frozen
class Registered:
    """A user's phone can be reached."""

    user: str
    contact: str


@frozen
class CallRefused:
    """An INVITE was refused because of its offer."""

    call_id: str
    status: int
    reason: str


@frozen
class CallEnded:
    """A call is over."""

    call_id: str
    heard: Heard


Event: TypeAlias = Listening | Registered | CallRefused | CallEnded

_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Listening, Registered, CallRefused, CallEnded)}

_converter = Converter()


def to_line(event: Event) -> str:
    """The event as one line, without its end."""
    return json.dumps({"event": type(event).__name__, **_converter.unstructure(event)})


def from_line(line: str) -> Event | None:
    """The event of a line; None when the line is something else."""
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("event")]
        return _converter.structure(fields, kind)
    except (ValueError, KeyError, TypeError, AttributeError, BaseValidationError):
        return None


@frozen
class ProviderTerms:
    """The options of a provider."""

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
        Registrations(agent, reactor.clock, self._accounts, self._registered)

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
        return AudioStream(endpoint, AudioEnd(self._terms.address, 0, SUITE_NAMES, urandom))

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
        addressee = Addressee(str(contact.address.uri), f"sip:{user}@{self._terms.domain}", contact.flow)
        session = await place_call(self._agent, self._reactor.clock, caller, addressee, self._new_stream())
        self._began(session)
        await deferLater(self._reactor.clock, _CALL_BACK_LENGTH)
        if not session.ended.called:
            await session.hang_up()


def listener(terms: ProviderTerms) -> Listener:
    """The provider's listener."""
    return Listener(
        name="provider",
        side=Side.PROVIDER,
        transport="tls",
        address=terms.address,
        port=terms.port,
        certificate=terms.certificate,
        private_key=terms.private_key,
    )


def main(reactor: PosixReactorBase, *arguments: str) -> Deferred[None]:
    """Run the provider; the Deferred fails with SystemExit when its port is taken."""
    return ensureDeferred(_serve(Reactor.of(reactor), terms_of(arguments)))


def terms_of(arguments: Sequence[str]) -> ProviderTerms:
    """The options on the command line; exits with a usage message when they cannot be understood."""
    parser = ArgumentParser(prog="python -m gateway.demo.provider", description="A TLS registrar that plays an echo.")
    add = parser.add_argument
    add("--listen", type=_address, default=Address("127.0.0.21", 5061), metavar="ADDRESS:PORT")
    add("--certificate", type=Path, required=True, metavar="PEM", help="the full chain")
    add("--private-key", type=Path, required=True, metavar="PEM")
    add("--domain", default="example.com")
    add("--user", type=_login, action="append", default=[], metavar="NAME:PASSWORD", help="may be repeated")
    add("--call-back-after", type=float, metavar="SECONDS", help="call each phone once, so long after it registers")
    options = parser.parse_args(arguments)
    return ProviderTerms(
        address=options.listen.host,
        port=options.listen.port,
        certificate=options.certificate,
        private_key=options.private_key,
        domain=options.domain,
        passwords=dict(options.user),
        call_back_after=options.call_back_after,
    )


async def _serve(reactor: Reactor, terms: ProviderTerms) -> None:
    provider = EchoProvider(UserAgent.over(reactor, listener(terms)), reactor, terms, _tell)
    try:
        await provider.start()
    except CannotListen as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error
    reactor.core.addSystemEventTrigger("before", "shutdown", provider.stop)
    await Deferred()


def _tell(event: Event) -> None:
    print(to_line(event), flush=True)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _login(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise ArgumentTypeError(f"not NAME:PASSWORD: {text!r}")
    return user, password


def _begin_log() -> None:
    observer = textFileLogObserver(sys.stderr)
    quiet = FilteringLogObserver(observer, [LogLevelFilterPredicate(LogLevel.info)])
    globalLogBeginner.beginLoggingTo([quiet], redirectStandardIO=False)


if __name__ == "__main__":
    _begin_log()
    react(main, sys.argv[1:])
