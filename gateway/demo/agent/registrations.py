"""The provider's registrar (RFC 3261 section 10.3): REGISTER with digest, bindings in memory.

Lives here: the REGISTER service and the contacts of each user. Not here: the check of credentials. A binding
remembers the flow it came over, as calls to the user go back through that connection (RFC 5626).
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from gateway.demo.agent.accounts import Accounts
from gateway.demo.agent.user_agent import UserAgent
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

_DEFAULT_EXPIRES = 300  # seconds
_LONGEST_EXPIRES = 3600  # seconds


@frozen
class Contact:
    """One contact of a registered user, with the flow that leads to it."""

    address: NameAddress
    flow: Flow
    expires_at: float  # seconds of the clock


class Registrations:
    """The REGISTER service of a user agent."""

    def __init__(
        self, agent: UserAgent, clock: IReactorTime, accounts: Accounts, registered: Callable[[str, Contact], None]
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._registered = registered
        self._contacts: dict[str, dict[str, Contact]] = {}
        agent.services["REGISTER"] = self.receive_register

    def contacts_of(self, user: str) -> list[Contact]:
        """The live contacts of a user, the newest last."""
        now = self._clock.seconds()
        return [contact for contact in self._contacts.get(user, {}).values() if contact.expires_at > now]

    def receive_register(self, transaction: ServerTransaction, request: Request) -> None:
        """Challenge, check that users register themselves only, change the bindings, list them."""
        user = self._accounts.user_of(request, 401)
        if user is None:
            transaction.respond(self._accounts.challenge(request, 401))
        elif request.to.uri.user != user:
            transaction.respond(request.response(403, to_tag=token_hex(6)))
        else:
            self._bind(user, transaction.flow, request)
            transaction.respond(self._listing(user, request))

    def _bind(self, user: str, flow: Flow, request: Request) -> None:
        known = self._contacts.setdefault(user, {})
        if (request.headers.get("Contact") or "").strip() == "*":
            known.clear()
            return
        for address in request.contacts:
            known.pop(str(address.uri), None)
            seconds = _expires(address, request)
            if seconds > 0:
                contact = Contact(address, flow, self._clock.seconds() + seconds)
                known[str(address.uri)] = contact
                self._registered(user, contact)

    def _listing(self, user: str, request: Request) -> Response:
        response = request.response(200, to_tag=token_hex(6))
        for contact in self.contacts_of(user):
            left = round(contact.expires_at - self._clock.seconds())
            response.headers.add("Contact", f"<{contact.address.uri}>;expires={left}")
        return response


def _expires(address: NameAddress, request: Request) -> int:
    """Seconds that a contact asks for: its own parameter, else the Expires header, else ours (10.3 step 7)."""
    own = address.parameter("expires")
    if own is not None and own.isdecimal():
        return min(int(own), _LONGEST_EXPIRES)
    try:
        asked = request.expires
    except MalformedMessage:
        asked = None
    return _DEFAULT_EXPIRES if asked is None else min(asked, _LONGEST_EXPIRES)
