"""The command `python -m gateway.demo.provider`: the demonstration provider as a process of its own.

What lives here: its options, its log (standard error) and its events (standard output, one JSON object a line:
`events`). What does not: the provider (`echo_provider`). It runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from gateway.demo.agent.user_agent import UserAgent
from gateway.demo.echo_provider import EchoProvider, ProviderTerms, listener
from gateway.demo.events import Event, to_line
from gateway.demo.reactors import Reactor
from gateway.transport.flow import Address
from gateway.transport.sockets import CannotListen


def main(reactor: PosixReactorBase, *arguments: str) -> Deferred[None]:
    """Run the provider; the Deferred fails with SystemExit when its port is taken."""
    return ensureDeferred(_serve(Reactor.of(reactor), terms_of(arguments)))


def terms_of(arguments: Sequence[str]) -> ProviderTerms:
    """What the command line asks for; exits with a usage message when it cannot be understood."""
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
