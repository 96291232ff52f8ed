"""Where a request goes: the domain it belongs to, and the next Request-URI.

From a phone everything goes to its own domain's provider, under that domain's policy whichever number it calls, with
the Request-URI the phone wrote (its digest is computed over that). The domain is that of the caller, where its flow
tells it; else the one that From names, or, of a caller that names none (anonymous, RFC 3323), the one that is called.

From the provider a request goes to the phone that its Request-URI names. Its domain is found first, by itself, and
bindings are looked up within it afterwards (sender_rights.py says why).

Nothing here does I/O. Not here: a provider's addresses (trunk.py), bindings and callers (registrar).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import attrs

from gateway.config.model import Configuration, Domain, Provider
from gateway.registrar.binding import Binding
from gateway.security.access_list import Proof
from gateway.sip.errors import NotServed, Refused
from gateway.sip.grammar import split_list
from gateway.sip.message import Request
from gateway.sip.uri import Uri


class Bindings(Protocol):
    """The phones that are bound."""

    def find(self, aor: str) -> Sequence[Binding]:
        """The live bindings of an address of record, best first."""

    def find_token(self, token: str) -> Binding | None:
        """The live binding that the provider knows by ``token``."""


def own_hosts(configuration: Configuration) -> frozenset[str]:
    """The names and addresses of the gateway itself, in lower case."""
    hosts = (host for listener in configuration.listeners for host in (listener.address, listener.advertised_host))
    return frozenset(host.lower() for host in hosts if host)


@attrs.frozen
class Route:
    """One way onward."""

    domain: Domain
    provider: Provider
    request_uri: str
    binding: Binding | None
    """The phone to reach, or None when the way leads to the provider."""
    is_emergency: bool = False
    """Whether the user part of the request's URI is an emergency number of the domain."""
    caller: Binding | None = None
    """The registered phone that asks, known by its flow."""
    is_urgent: bool = False
    """Whether the call may use what is kept free for emergency numbers."""
    proof: Proof | None = None
    """How the sender of a request from the provider's side proved its identity."""

    @property
    def service_route(self) -> tuple[str, ...]:
        """The Route values that the provider wants in this caller's requests (RFC 3608)."""
        routes = self.caller.service_route if self.caller is not None else ""
        return tuple(split_list(routes)) if routes else ()


class Router:
    """Finds the route of a request."""

    def __init__(self, configuration: Configuration, bindings: Bindings) -> None:
        self._bindings = bindings
        self._own_hosts = own_hosts(configuration)
        self.adopt(configuration)

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on."""
        self._domains = {domain.name.lower(): domain for domain in configuration.domains}
        self._providers = {provider.name: provider for provider in configuration.providers}

    @property
    def served(self) -> tuple[str, ...]:
        """The names of all domains."""
        return tuple(domain.name for domain in self._domains.values())

    def provider_of(self, domain: Domain) -> Provider:
        """The provider that serves a domain."""
        return self._providers[domain.provider]

    def domain_named(self, host: str) -> Domain | None:
        """The domain of that name, if this gateway serves it.

        The gateway's own name or address counts as the domain when there is only one: many phones are given the
        gateway's address in the place of their domain.
        """
        named = self._domains.get(host.lower())
        if named is None and len(self._domains) == 1 and host.lower() in self._own_hosts:
            return next(iter(self._domains.values()))
        return named

    def outward(self, request: Request, caller: Binding | None) -> Route:
        """The way of a request of a phone, known to be ``caller``; raises Refused 403 or 416.

        A binding of a domain that is served no more says nothing about any other.
        """
        caller = None if caller is None or self.domain_named(caller.domain) is None else caller
        target = Uri.parse(request.uri)
        if target.scheme not in ("sip", "sips", "tel", "urn"):
            raise Refused(416, "Unsupported URI Scheme")
        hosts = (request.from_.uri.host, target.host)
        domain = self._first_named(hosts if caller is None else (caller.domain, *hosts))
        if domain is None:
            domain = self._emergency_domain(target)
        uri = request.uri if target.password is None else str(attrs.evolve(target, password=None))
        if target.host.lower() in self._own_hosts:
            uri = str(attrs.evolve(target, password=None, host=domain.name, port=None, parameters=()))
        is_emergency = domain.is_emergency(target.user or "")
        return Route(domain, self.provider_of(domain), uri, None, is_emergency, caller)

    def called_domain(self, request: Request, served: Sequence[str]) -> Domain | None:
        """The domain that a provider's request is for, without regard to the phones that are bound.

        ``served`` are the domains that its sender is a peer of: a token of any other is no token to it, and where
        neither Request-URI nor To names a domain, the request is for the first of them.
        """
        target = request.request_uri
        named = self.domain_named(target.host)
        binding = self._bindings.find_token(target.user) if named is None and target.user else None
        if binding is not None and binding.domain in served:
            named = self.domain_named(binding.domain)
        return named or self._first_named((request.to.uri.host, *served))

    def inward(self, request: Request, domain: Domain) -> Route:
        """The way of a provider's request to a phone of the domain; raises Refused 404 or 480."""
        binding = self._bound(request, domain)
        if binding is None:
            names = (self.domain_named(uri.host) for uri in (request.to.uri, request.request_uri))
            raise Refused(480 if any(names) else 404)
        emergency = domain.is_emergency(request.request_uri.user or "")
        return Route(domain, self.provider_of(domain), binding.contact, binding, emergency)

    def _bound(self, request: Request, domain: Domain) -> Binding | None:
        """The phone of the domain that is named by the token that the provider was given, or by address of record."""
        target, name = request.request_uri, domain.name.lower()
        binding = self._bindings.find_token(target.user) if target.user else None
        if binding is not None and binding.domain == name:
            return binding
        for uri in (target, request.to.uri):
            if uri.is_sip and uri.user and self.domain_named(uri.host) is domain:
                bound = self._bindings.find(uri.address_of_record(name))
                if bound:
                    return bound[0]
        return None

    def _first_named(self, hosts: Iterable[str]) -> Domain | None:
        return next((domain for host in hosts if (domain := self.domain_named(host)) is not None), None)

    def _emergency_domain(self, target: Uri) -> Domain:
        """A caller of no domain of ours is refused, except to an emergency number: any domain's provider will do."""
        for domain in self._domains.values():
            if domain.is_emergency(target.user or ""):
                return domain
        raise NotServed(403, "Domain not served here")
