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
from typing import Final, Protocol

import attrs

from gateway.config.model import Configuration, Domain, Forking, Provider, Side
from gateway.config.tables.numbers.number_plan import NumberPlan
from gateway.config.tables.numbers.number_table import NumberField
from gateway.registrar.binding import Binding
from gateway.security.access_list import Proof
from gateway.sip.errors import NotServed, Refused
from gateway.sip.grammar import split_list
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.sip.via import Via

MOST_PHONES: Final = 10
"""Phones of one user that one request reaches."""

_FORKED: Final = frozenset({"INVITE", "MESSAGE"})
"""Requests that reach several. Others are about the state of one phone, or make a dialog that one phone keeps."""

_FIRST: Final = Forking.FIRST  # read once: Python 3.11 calls a function for each look at a member of an enum


class Bindings(Protocol):
    """The phones that are bound."""

    def find(self, aor: str) -> Sequence[Binding]:
        """The live bindings of an address of record, best first."""

    def find_token(self, token: str) -> Binding | None:
        """The live binding that the provider knows by ``token``."""

    def is_reachable(self, binding: Binding) -> bool:
        """Whether the connection that the binding came over is up, as far as is known; of UDP nothing is."""


def own_hosts(configuration: Configuration) -> frozenset[str]:
    """The names and addresses of the gateway itself, in lower case."""
    hosts = [host for listener in configuration.listeners for host in (listener.address, listener.advertised_host)]
    hosts += [provider.contact_host for provider in configuration.providers]
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
    others: tuple[Binding, ...] = ()
    """More phones of the same user that are to be reached, the best first."""
    numbers: NumberPlan | None = None
    """All that rewrites numbers on this way; None where nothing does."""

    @property
    def next(self) -> Route:
        """The way to the next phone and those behind it; the first cannot be reached. There must be one."""
        binding, *others = self.others
        return attrs.evolve(self.to(binding), others=tuple(others))

    def to(self, phone: Binding) -> Route:
        """The way to one of these phones."""
        return attrs.evolve(self, binding=phone, request_uri=phone.contact)

    @property
    def is_local(self) -> bool:
        """Whether it leads from a phone to phones of another user, and to no provider."""
        return self.binding is not None and self.caller is not None

    @property
    def back(self) -> Route:
        """The way from the phones of a local route to its caller, as the caller's own leg has it."""
        return attrs.evolve(self, binding=None, others=())

    @property
    def service_route(self) -> tuple[str, ...]:
        """The Route values that the provider wants in this caller's requests (RFC 3608)."""
        routes = self.caller.service_route if self.caller is not None and self.binding is None else ""
        return tuple(split_list(routes)) if routes else ()


class Router:
    """Finds the route of a request."""

    def __init__(self, configuration: Configuration, bindings: Bindings) -> None:
        self._bindings = bindings
        self._hosts = own_hosts(configuration)
        self.own_hosts: set[str] = {*self._hosts}
        """Names and addresses of the gateway itself, in lower case, as they are now: one set for all that ask."""
        self.adopt(configuration)

    def move(self, configuration: Configuration) -> None:
        """Go by the names and addresses that a configuration has now. Those right before are known still: phones that
        were given them as their domain register under them, and calls that are up have them."""
        now = own_hosts(configuration)
        if now != self._hosts:
            before, self._hosts = self._hosts, now
            self.own_hosts.clear()
            self.own_hosts.update(before | now)

    def adopt(self, configuration: Configuration) -> None:
        """Go by other domains and providers from now on."""
        self.move(configuration)
        self._domains = {domain.name.lower(): domain for domain in configuration.domains}
        self._providers = {provider.name: provider for provider in configuration.providers}
        plans = ((domain.name.lower(), NumberPlan.of(configuration, domain)) for domain in configuration.domains)
        self._numbers = {name: plan for name, plan in plans if plan is not None}

    @property
    def served(self) -> tuple[str, ...]:
        """The names of all domains."""
        return tuple(domain.name for domain in self._domains.values())

    def provider_of(self, domain: Domain) -> Provider:
        """The provider that serves a domain."""
        return self._providers[domain.provider]

    def numbers_of(self, domain: Domain) -> NumberPlan | None:
        """All that rewrites the numbers of a domain; None where nothing does."""
        return self._numbers.get(domain.name.lower()) if self._numbers else None

    def domain_named(self, host: str) -> Domain | None:
        """The domain of that name, if this gateway serves it.

        The gateway's own name or address counts as the domain when there is only one: many phones are given the
        gateway's address in the place of their domain.
        """
        if host in self._domains:
            return self._domains[host]
        named = self._domains.get(host.lower())
        if named is None and len(self._domains) == 1 and host.lower() in self.own_hosts:
            return next(iter(self._domains.values()))
        return named

    def outward(self, request: Request, caller: Binding | None) -> Route:
        """The way of a request of a phone, known to be ``caller``; raises Refused 403 or 416.

        A binding of a domain that is served no more says nothing about any other.
        """
        caller = None if caller is None or self.domain_named(caller.domain) is None else caller
        target = request.request_uri
        if target.scheme not in ("sip", "sips", "tel", "urn"):
            raise Refused(416, "Unsupported URI Scheme")
        hosts = (request.from_.uri.host, target.host)
        domain = self._first_named(hosts if caller is None else (caller.domain, *hosts))
        if domain is None:
            domain = self._emergency_domain(target)
        uri = request.uri if target.password is None else str(attrs.evolve(target, password=None))
        if target.host.lower() in self.own_hosts:
            uri = str(attrs.evolve(target, password=None, host=domain.name, port=None, parameters=()))
        is_emergency = domain.is_emergency(target.user or "")
        route = Route(domain, self.provider_of(domain), uri, None, is_emergency, caller)
        return _renumbered(route, self.numbers_of(domain)) if self._numbers else route

    def between_phones(self, request: Request, outward: Route, replaced: Binding | None) -> Route | None:
        """The way of a phone's request, which would go `outward` to the provider, to the phones of another user of its
        domain; None where it is the provider's to take. Raises Refused 482.

        `replaced` is the phone that has the dialog which the request asks to take the place of (RFC 3891). One that is
        none of a phone's is the provider's, and so is each caller that is not known by its flow, each emergency number,
        each URI that wants TLS on every hop (RFC 5630), and a phone's call to its own user, which may ask for its
        voice messages.
        """
        caller, domain, target = outward.caller, outward.domain, request.request_uri
        if caller is None or outward.is_emergency or request.method not in _FORKED or "Join" in request.headers:
            return None
        if not domain.local_calls or caller.domain != domain.name.lower():
            return None
        if not target.is_sip or target.is_secure or not target.user or self.domain_named(target.host) is not domain:
            return None
        aor = target.address_of_record(domain.name.lower())
        bound = [one for one in self._bindings.find(aor) if self._bindings.is_reachable(one)]
        if "Replaces" in request.headers:
            bound = [one for one in bound if replaced is not None and _is_same_phone(one, replaced)]
        if not bound or aor == caller.aor or caller not in self._bindings.find(caller.aor):
            return None  # a PBX calls by the provider
        if any(Via.parse(one).host.lower() in self.own_hosts for one in [*request.headers.values("Via")][1:]):
            raise Refused(482, "Loop Detected")  # a phone is a proxy that sends our request back (RFC 3261 16.3)
        others = () if len(bound) == 1 else _other_phones(bound, domain, request)
        return attrs.evolve(outward.to(bound[0]), others=others)

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

    def inward(self, request: Request, domain: Domain, proof: Proof | None = None) -> Route:
        """The way of a provider's request, of a sender with that proof, to the phones of the domain that it is for;
        raises Refused 404 or 480."""
        bound = self._bound(request, domain)
        if not bound:
            names = (self.domain_named(uri.host) for uri in (request.to.uri, request.request_uri))
            raise Refused(480 if any(names) else 404)
        binding = bound[0]
        emergency = domain.is_emergency(request.request_uri.user or "")
        provider = self._providers[domain.provider]
        others = () if len(bound) == 1 else _other_phones(bound, domain, request)
        numbers = self.numbers_of(domain)
        return Route(domain, provider, binding.contact, binding, emergency, None, False, proof, others, numbers)

    def _bound(self, request: Request, domain: Domain) -> Sequence[Binding]:
        """The phones of the user that is named by the token that the provider was given, or by address of record: one
        where it is for one alone.

        A token is the provider's name for one phone. Most providers keep one of each user, the latest, and mean the
        user by it.
        """
        target, name = request.request_uri, domain.name.lower()
        binding = self._bindings.find_token(target.user) if target.user else None
        if binding is not None and binding.domain == name:
            return self._bindings.find(binding.aor) if _is_for_user(request, domain) else (binding,)
        for uri in self.called_uris(request, domain):
            if uri.is_sip and uri.user and self.domain_named(uri.host) is domain:
                bound = self._bindings.find(uri.address_of_record(name))
                if bound:
                    return bound
        return ()

    def called_uris(self, request: Request, domain: Domain) -> tuple[Uri, Uri]:
        """The Request-URI and To of a provider's request with the numbers that the phones of the domain have."""
        target, to, numbers = request.request_uri, request.to.uri, self.numbers_of(domain)
        if numbers is None:
            return target, to
        field = NumberField.REQUEST_URI  # To stands in its place where it names our Contact alone
        is_token = bool(target.user) and self._bindings.find_token(target.user or "") is not None
        named = target if is_token else numbers.uri(target, field, Side.PHONES)
        return named, numbers.uri(to, field, Side.PHONES)

    def _first_named(self, hosts: Iterable[str]) -> Domain | None:
        for host in hosts:
            domain = self.domain_named(host)
            if domain is not None:
                return domain
        return None

    def _emergency_domain(self, target: Uri) -> Domain:
        """A caller of no domain of ours is refused, except to an emergency number: any domain's provider will do."""
        for domain in self._domains.values():
            if domain.is_emergency(target.user or ""):
                return domain
        raise NotServed(403, "Domain not served here")


def _renumbered(route: Route, numbers: NumberPlan | None) -> Route:
    """A way to the provider with the number that is sent; a number for emergencies that a rule has made of another one
    is one."""
    if numbers is None:
        return route
    dialled = Uri.parse(route.request_uri)
    sent = numbers.uri(dialled, NumberField.REQUEST_URI, Side.PROVIDER)
    if sent is dialled:
        return attrs.evolve(route, numbers=numbers)
    is_emergency = route.is_emergency or route.domain.is_emergency(sent.user or "")
    return attrs.evolve(route, request_uri=str(sent), is_emergency=is_emergency, numbers=numbers)


def _is_same_phone(one: Binding, other: Binding) -> bool:
    """Whether two bindings are of one phone: of one instance, or else of one contact."""
    if one.aor != other.aor:
        return False
    return one.contact == other.contact if one.instance is None else one.instance == other.instance


def _is_for_user(request: Request, domain: Domain) -> bool:
    """Whether a request is for all phones of its user. One that replaces or joins a dialog is for the phone that has it
    (RFC 3891, RFC 3911): the others would ring."""
    if domain.fork is _FIRST or request.method not in _FORKED:
        return False
    return "Replaces" not in request.headers and "Join" not in request.headers


def _other_phones(bound: Sequence[Binding], domain: Domain, request: Request) -> tuple[Binding, ...]:
    """The bindings beside the first that are other phones. Of one that has several only the best counts: it would be
    called by all of its ways (RFC 5626 section 5.3)."""
    if not _is_for_user(request, domain):
        return ()
    seen = {bound[0].instance} - {None}
    others = []
    for binding in bound[1:]:
        if binding.instance is None or binding.instance not in seen:
            seen.add(binding.instance)
            others.append(binding)
    return tuple(others[: MOST_PHONES - 1])
