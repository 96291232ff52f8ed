"""The demonstration's phone as a process: it registers at a gateway, makes short calls, and ends.

python -m tests.support.demo_calls GATEWAY:PORT HOST:PORT DOMAIN NUMBER
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import deferLater, react

from gateway.demo.agent.accounts import Account
from gateway.demo.agent.user_agent import Reactor, UserAgent
from gateway.demo.phone import Phone, PhoneTerms, listener
from gateway.demo.roles import CALLER, EXTENSION, PASSWORDS
from gateway.transport.flow import Address

SECONDS = 1.2
"""Of a call."""


def main(reactor: PosixReactorBase, gateway: str, own: str, domain: str, number: str) -> Deferred[None]:
    """Call; fires when the last call is over."""
    return ensureDeferred(_call(Reactor.of(reactor), gateway, own, domain, int(number)))


async def _call(reactor: Reactor, gateway: str, own: str, domain: str, number: int) -> None:
    terms = PhoneTerms(Address.parse(own), Address.parse(gateway), Account(CALLER, domain, PASSWORDS[CALLER]))
    phone = Phone(UserAgent.over(reactor, listener(terms)), reactor, terms)
    await phone.start()
    for _ in range(number):
        session = await phone.call(EXTENSION)
        await deferLater(reactor.clock, SECONDS)
        await session.hang_up()
    await phone.stop()
    print(f"{number} calls are over", flush=True)


if __name__ == "__main__":
    react(main, sys.argv[1:])
