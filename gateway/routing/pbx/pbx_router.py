"""Routes to PBXs: a provider's request for one of their numbers goes to their addresses, one after the other.

The order of proof and look-up is the router's: the domain is found and its sender admitted before a number is looked
for (ingress/sender_rights.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.model import Configuration, Domain
from gateway.registrar.binding import Binding
from gateway.routing.pbx.pbx import Pbx
from gateway.routing.pbx.pbxs import Pbxs
from gateway.routing.router import Bindings, Route, Router
from gateway.security.access_list import Proof
from gateway.sip.errors import Refused
from gateway.sip.message import Request


class PbxBindings:
    """The bindings that the router looks tokens up in: phones', and those that stand for PBXs."""

    def __init__(self, phones: Bindings, pbxs: Pbxs) -> None:
        self._phones = phones
        self._pbxs = pbxs

    def find(self, aor: str) -> Sequence[Binding]:
        """The live bindings of phones."""
        return self._phones.find(aor)

    def find_token(self, token: str) -> Binding | None:
        """The phone or PBX that the provider knows by a token."""
        return self._pbxs.find_token(token) or self._phones.find_token(token)

    def is_reachable(self, binding: Binding) -> bool:
        """Whether a phone's connection is up, as far as is known."""
        return self._phones.is_reachable(binding)


class PbxRouter(Router):
    """Finds the route of a request, to a phone, to a PBX or to a provider."""

    def __init__(self, configuration: Configuration, bindings: Bindings, pbxs: Pbxs) -> None:
        super().__init__(configuration, PbxBindings(bindings, pbxs))
        self._pbxs = pbxs

    def inward(self, request: Request, domain: Domain, proof: Proof | None = None) -> Route:
        """The way of a provider's request: to a PBX where it is for one of its numbers. Raises Refused 404 or 480."""
        target, to = self.called_uris(request, domain)
        found = self._pbxs.called(target, to, domain.name)
        if found is not None:
            return self._to_pbx(request, domain, proof, *found)
        try:
            return super().inward(request, domain, proof)
        except Refused:
            user = to.user or ""
            pbx = self._pbxs.named(user, domain.name)
            if pbx is None:
                raise
            return self._to_pbx(request, domain, proof, pbx, user)

    def _to_pbx(self, request: Request, domain: Domain, proof: Proof | None, pbx: Pbx, user: str) -> Route:
        bound = self._pbxs.bindings(pbx, user)
        if not bound:
            raise Refused(480, "The PBX's address is not found")
        first, *others = bound
        emergency = domain.is_emergency(request.request_uri.user or "")
        more = tuple(others) if request.method == "INVITE" else ()
        provider, numbers = self.provider_of(domain), self.numbers_of(domain)
        return Route(domain, provider, first.contact, first, emergency, None, False, proof, more, numbers)
