"""Where a request goes: the domain it belongs to, and the next Request-URI.

From a phone everything goes to its own domain's provider, under that domain's policy whichever number it calls, with
the Request-URI the phone wrote (its digest is computed over that). A phone that does not say its domain (anonymous, RFC
3323) is taken to be of the domain it calls. From the provider a request goes to the phone that its Request-URI names.

Nothing here does I/O. Not here: a provider's addresses (trunk.py), bindings (registrar).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from gateway.config.model import Configuration, Domain, Provider, Side
from gateway.registrar.binding import Binding
from gateway.security.access_list import Proof
from gateway.sip.address import NameAddress
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri

Find = Callable[[Uri, Uri], Sequence[Binding]]
"""The live bindings that a Request-URI (or else the To URI) names, best first."""


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
    service_route: tuple[str, ...] = ()
    """The Route values that the provider wants in this caller's requests (RFC 3608)."""
    proof: Proof | None = None
    """How the sender of a request from the provider's side proved its identity."""


class Router:
    """Finds the route of a request."""

    def __init__(self, configuration: Configuration, find: Find) -> None:
        self._find = find
        self._own_hosts = {
            host.lower()
            for listener in configuration.listeners
            for host in (listener.address, listener.advertised_host)
            if host
        }
        self.adopt(configuration)

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on."""
        self._domains = {domain.name.lower(): domain for domain in configuration.domains}
        self._providers = {provider.name: provider for provider in configuration.providers}

    def route(self, request: Request, side: Side) -> Route:
        """The way of a request that came from `side`; raises Refused 403, 404, 416 or 480."""
        target = Uri.parse(request.uri)
        if side is Side.PHONES:
            return self._outward(request, target)
        return self._inward(request, target)

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

    def _outward(self, request: Request, target: Uri) -> Route:
        if target.scheme not in ("sip", "sips", "tel", "urn"):
            raise Refused(416, "Unsupported URI Scheme")
        domain = self.domain_named(request.from_.uri.host) or self.domain_named(target.host)
        if domain is None:
            domain = self._emergency_domain(target)
        uri = request.uri
        if target.host.lower() in self._own_hosts:
            uri = str(attrs.evolve(target, host=domain.name, port=None, parameters=()))
        return Route(domain, self.provider_of(domain), uri, None, domain.is_emergency(target.user or ""))

    def _emergency_domain(self, target: Uri) -> Domain:
        """A caller of no domain of ours is refused, except to an emergency number: any domain's provider will do."""
        for domain in self._domains.values():
            if domain.is_emergency(target.user or ""):
                return domain
        raise Refused(403, "Domain not served here")

    def _inward(self, request: Request, target: Uri) -> Route:
        named: NameAddress = request.to
        bindings = self._find(target, named.uri)
        if not bindings:
            known = self.domain_named(named.uri.host) or self.domain_named(target.host)
            raise Refused(480 if known else 404)
        binding = bindings[0]
        domain = self.domain_named(Uri.parse(binding.aor).host)
        if domain is None:
            raise Refused(404, "Domain not served here")
        emergency = domain.is_emergency(target.user or "")
        return Route(domain, self.provider_of(domain), binding.contact, binding, emergency)
