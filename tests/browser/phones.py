"""Two phones that register at a gateway and hold a call each, until this process is ended.

They are the demonstration's phone: plain SIP over UDP, plain RTP. One line of standard output says that both talk.
"""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from gateway.demo.agent.accounts import Account
from gateway.demo.agent.user_agent import Reactor, UserAgent
from gateway.demo.phone import Phone, PhoneTerms, listener
from gateway.demo.roles import EXTENSION, PASSWORDS
from gateway.transport.flow import Address


def main(reactor: PosixReactorBase, gateway: str, host: str, domain: str, log: str) -> Deferred[None]:
    """Call; never fires."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(Path(log).open("w"))], redirectStandardIO=False)  # noqa: SIM115
    return ensureDeferred(_call(Reactor.of(reactor), Address.parse(gateway), host, domain))


async def _call(reactor: Reactor, gateway: Address, host: str, domain: str) -> None:
    sessions = []
    for number, (user, password) in enumerate(PASSWORDS.items()):
        terms = PhoneTerms(Address(host, 5070 + number), gateway, Account(user, domain, password))
        phone = Phone(UserAgent.over(reactor, listener(terms)), reactor, terms)
        await phone.start()
        sessions.append(await phone.call(EXTENSION))
    print(f"{len(sessions)} calls are up", flush=True)
    await Deferred[None]()


if __name__ == "__main__":
    react(main, sys.argv[1:])
