"""The way of the PBXs' registrations to their providers: that of phones' registrations, and the answers of calls."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.config.model import Domain, Side
from gateway.routing.forward import Dressed, NextHop
from gateway.routing.router import Router
from gateway.routing.trunk import Trunk
from gateway.security.answering import Answers
from gateway.sip.message import Request
from gateway.transaction.client import TransactionUser
from gateway.transport.layer import TransportLayer


@attrs.frozen
class RegistrationWay:
    """See `pbx_registration.ToProvider`."""

    trunk: Trunk
    router: Router
    password_of: Callable[[str, str], str | None]
    """(domain, user) -> password, None where the gateway holds none."""
    transport: TransportLayer

    def send(self, request: Request, domain: str, user: TransactionUser, dress: Dressed) -> bool:
        """Send a request to the domain's provider; False where there is no such domain any more."""
        found = self._domain(domain)
        if found is None:
            return False
        self.trunk.forward(request, NextHop(found, self.router.provider_of(found)), user, dress)
        return True

    def answers(self, domain: str, user: str) -> Answers | None:
        """The answers to challenges that may be given in a user's name; None where there is no such domain any more."""
        found = self._domain(domain)
        return None if found is None else self.trunk.answering.for_called(found, self.router.provider_of(found), user)

    def has_password(self, domain: str, user: str) -> bool:
        """Whether the domain's credentials name the user."""
        return self.password_of(domain, user) is not None

    def places(self) -> object:
        """The addresses that the gateway is reached at by providers: another value once they are others."""
        sides = (one for one in self.transport.listeners if one.side is Side.PROVIDER)
        return tuple((one.name, one.address, one.port, one.advertised_host) for one in sides)

    def _domain(self, name: str) -> Domain | None:
        """The domain of that name, and not the only one that stands for another name."""
        found = self.router.domain_named(name)
        return found if found is not None and found.name.lower() == name else None
