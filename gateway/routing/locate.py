"""Where to send a request for a URI: RFC 3263 section 4, with RFC 2782's order and the system's hosts file.

    Uri -> transport (parameter | NAPTR | SRV | default) -> host and port (SRV) -> A/AAAA -> [Target], best first

A numeric host needs no question, a host of the hosts file none to the network. Lives here: the rules. Not here: asking,
keeping answers and time-outs (names.py). The peer's certificate must be for the URI's own host, whichever DNS names, so
that is every target's name (RFC 5922 section 4).
"""

import random
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.routing.dns_records import KnownAnswer, NamingPointer, Service
from gateway.routing.names import DnsFailed, Names
from gateway.security.access_list import Resolve, Resolved
from gateway.security.admission import ANSWER_LIFETIME
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, FailureKind, Target, Transport, TransportFailure, is_ip_address

log = Logger()

MAX_TARGETS = 32
"""More are not tried for one request."""

_POINTED = {"SIPS+D2T": Transport.TLS, "SIP+D2T": Transport.TCP, "SIP+D2U": Transport.UDP}
"""Transports of NAPTR services (RFC 3263 section 4.1)."""

_TARGETS = (Transport.UDP, Transport.TCP, Transport.TLS)
"""The transports that a target can have: a web phone is reached over its own connection alone (RFC 7118 section 5)."""

_PREFIX = {Transport.TLS: "_sips._tcp.", Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp."}
"""Of SRV names, in our order where the domain has none of its own: TLS, then UDP, which every SIP element speaks."""


class NotFound(Exception):
    """There is no way to the URI; failure says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.failure = TransportFailure(FailureKind.DNS, reason)


@frozen
class _Place:
    """A transport, and a host and port that may still need an address."""

    transport: Transport
    host: str
    port: int


def all_of(
    find: Callable[[str], Deferred[list[Target]]],
    uris: Sequence[str],
    is_enough: Callable[[Sequence[Target]], bool] = lambda targets: False,
) -> Deferred[list[Target]]:
    """The targets of several URIs, those of the first one first; fails with NotFound, the first one's, where none leads
    anywhere.

    Where the targets of one are enough, those behind it are not waited for: without an answer of DNS they are left out.
    """
    return find(uris[0]) if len(uris) == 1 else _Gathering([find(uri) for uri in uris], is_enough).done


class _Gathering:
    """Look-ups under way, with their findings."""

    def __init__(
        self, finding: Sequence[Deferred[list[Target]]], is_enough: Callable[[Sequence[Target]], bool]
    ) -> None:
        self.done: Deferred[list[Target]] = Deferred(lambda _: self._cancel())
        self._finding = finding
        self._is_enough = is_enough
        self._found: list[list[Target] | None] = [None] * len(finding)
        """Of each URI; None before it is known."""
        self._failures: dict[int, Failure] = {}
        for index in reversed(range(len(finding))):  # all that is known is taken, before the first one is enough
            finding[index].addCallbacks(self._know, self._fail, (index,), errbackArgs=(index,))

    def _know(self, targets: list[Target], index: int) -> None:
        self._found[index] = targets
        if not self.done.called and self._is_settled():
            found = [*dict.fromkeys(target for one in self._found for target in one or ())]
            self.done.callback(found) if found else self.done.errback(self._failures[min(self._failures)])

    def _fail(self, failure: Failure, index: int) -> None:
        if failure.check(NotFound) is not None:
            self._failures[index] = failure
            self._know([], index)
        elif not self.done.called:
            self.done.errback(failure)
        elif failure.check(CancelledError) is None:
            log.failure("a name could not be looked up", failure)

    def _is_settled(self) -> bool:
        for targets in self._found:
            if targets is None:
                return False
            if targets and self._is_enough(targets):
                return True
        return True

    def _cancel(self) -> None:
        for one in self._finding:
            one.cancel()


class Locator:
    """Finds targets. chance spreads load over servers of the same priority (RFC 2782)."""

    def __init__(self, names: Names, chance: random.Random | None = None) -> None:
        self._names = names
        self._chance = chance or random.Random()

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        """The targets, best first and at least one; fails with NotFound. default is the transport of a URI that names
        none and is of a domain that chooses none (UDP if not given; always TLS for sips)."""
        target = _numeric_target(uri, default)
        return Deferred.fromCoroutine(self._locate(uri, default)) if target is None else succeed([target])

    def at_once(self, uri: Uri) -> Target | None:
        """The target of a URI with a numeric host, which needs no look-up; None for another."""
        return _numeric_target(uri, None)

    def known(self, uri: Uri) -> list[KnownAnswer]:
        """The answers of DNS in memory that lead from a URI to its targets; after `locate` all that it went by."""
        host = _host(uri)
        if not host or is_ip_address(host):
            return []
        found, waiting, seen = [], [host, *(prefix + host for prefix in _PREFIX.values())], set[str]()
        while waiting and len(seen) < MAX_TARGETS:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            answers = self._names.known(name)
            found += answers
            waiting += [value.split()[-1] for one in answers if one.kind in ("NAPTR", "SRV") for value in one.values]
        return found

    async def _locate(self, uri: Uri, default: Transport | None) -> list[Target]:
        host = _host(uri)
        if not host:
            raise NotFound(f"{uri} names no host")
        fallback = _fallback(uri, default)
        try:
            places = await self._places(host, uri.port, _asked_for(uri), uri.is_secure, fallback)
            targets = await self._targets(places, uri.host)
        except DnsFailed as failed:
            raise NotFound(f"{host}: {failed}") from failed
        if not targets:
            raise NotFound(f"{host} has no address")
        return targets

    async def _places(
        self, host: str, port: int | None, asked: Transport | None, is_secure: bool, fallback: Transport
    ) -> list[_Place]:
        """RFC 3263 sections 4.1 and 4.2, up to the addresses."""
        transport = asked or fallback
        if port is not None or is_ip_address(host) or self._names.listed(host):
            return [_Place(transport, host, port or transport.default_port)]
        if asked is not None:
            found = await self._served_or_unknown(asked, host)
        else:
            found = await self._chosen_by_domain(host, is_secure)
        return [_Place(transport, host, transport.default_port)] if found is None else found

    async def _chosen_by_domain(self, host: str, is_secure: bool) -> list[_Place] | None:
        pointers = [pointer for pointer in await self._pointers(host) if not is_secure or _is_secure(pointer)]
        if pointers:
            places: list[_Place] = []
            for pointer in pointers:
                transport = _POINTED[pointer.service]
                places += await self._served(transport, pointer.replacement) or []
            return places
        found: list[_Place] | None = None
        for transport, prefix in _PREFIX.items():
            if is_secure and transport is not Transport.TLS:
                continue
            served = await self._served(transport, prefix + host)
            if served is not None:
                found = (found or []) + served
        return found

    async def _pointers(self, host: str) -> list[NamingPointer]:
        """The usable NAPTR records in order. A DNS that is silent about this rare type is asked for the others."""
        try:
            pointers = await self._names.naming_pointers(host)
        except DnsFailed:
            return []
        usable = [pointer for pointer in pointers if pointer.flags == "S" and pointer.service in _POINTED]
        return sorted(usable, key=lambda pointer: (pointer.order, pointer.preference))

    async def _served_or_unknown(self, transport: Transport, host: str) -> list[_Place] | None:
        """SRV of a transport that was asked for: a DNS that fails here may still know the host's address."""
        try:
            return await self._served(transport, _PREFIX[transport] + host)
        except DnsFailed:
            return None

    async def _served(self, transport: Transport, name: str) -> list[_Place] | None:
        """The servers of an SRV name in order; None if there is no such record, none if the domain says: no service.
        Raises DnsFailed: without an answer about TLS nobody may conclude that there is none."""
        services = await self._names.services(name)
        if not services:
            return None
        return [
            _Place(transport, service.host, service.port)
            for service in in_order(services, self._chance)
            if service.host
        ]

    async def _targets(self, places: Iterable[_Place], name: str) -> list[Target]:
        targets: list[Target] = []
        failed: DnsFailed | None = None
        for place in places:
            try:
                addresses = (place.host,) if is_ip_address(place.host) else await self._names.addresses(place.host)
            except DnsFailed as failure:
                failed = failure
                continue
            targets += [Target(place.transport, Address(address, place.port), name) for address in addresses]
        if failed is not None and not targets:
            raise failed
        return list(dict.fromkeys(targets))[:MAX_TARGETS]


@lru_cache(maxsize=256)
def _numeric_target(uri: Uri, default: Transport | None) -> Target | None:
    """The target of a URI with a numeric host, which every call to such a provider asks for; None for any other URI,
    and for one that leads nowhere."""
    host = _host(uri)
    if not is_ip_address(host):
        return None
    try:
        transport = _asked_for(uri) or _fallback(uri, default)
    except NotFound:
        return None
    return Target(transport, Address(host, uri.port or transport.default_port), uri.host)


def _host(uri: Uri) -> str:
    """The host to be located; '' for a URI without one."""
    return (uri.parameter("maddr") or uri.host).strip("[]").rstrip(".").lower()


def _fallback(uri: Uri, default: Transport | None) -> Transport:
    """The transport where neither URI nor domain chooses one."""
    return Transport.TLS if uri.is_secure else default or Transport.UDP


def _asked_for(uri: Uri) -> Transport | None:
    """The transport of the URI's parameter. Raises NotFound for one we do not speak, and for sips over UDP."""
    text = uri.transport
    if text is None:
        return None
    if text not in _TARGETS:
        raise NotFound(f"transport {text} is not spoken here")
    transport = Transport(text)
    if not uri.is_secure:
        return transport
    if transport is Transport.UDP:  # RFC 5630 section 3.1.3
        raise NotFound("sips never goes over UDP")
    return Transport.TLS


def _is_secure(pointer: NamingPointer) -> bool:
    return _POINTED[pointer.service] is Transport.TLS


def in_order(services: Iterable[Service], chance: random.Random) -> list[Service]:
    """Lowest priority first; within one, chosen by weight (RFC 2782)."""
    ordered: list[Service] = []
    left = sorted(services, key=lambda service: (service.priority, service.weight))
    while left:
        same = [service for service in left if service.priority == left[0].priority]
        chosen = _by_weight(same, chance)
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _by_weight(services: list[Service], chance: random.Random) -> Service:
    """One of them, each as likely as its weight; those of weight 0 come first in the list and are rarely chosen."""
    point = chance.randint(0, sum(service.weight for service in services))
    for service in services:
        point -= service.weight
        if point <= 0:
            return service
    return services[-1]


def resolver_of(locator: Locator) -> Resolve:
    """Resolves a name to every address that RFC 3263 gives for it, over any transport."""

    def resolve(name: str) -> Deferred[Resolved]:
        uri = Uri(host=name)
        questions = [locator.locate(uri.with_parameter("transport", transport.value)) for transport in _TARGETS]
        return DeferredList([*questions, locator.locate(uri)], consumeErrors=True).addCallback(_all_found)

    return resolve


def _all_found(results: Iterable[tuple[bool, list[Target]]]) -> Resolved:
    """The addresses that any of the questions found; none at all count as a failure of DNS."""
    found = [target.address.host for succeeded, targets in results if succeeded for target in targets]
    return Resolved(tuple(dict.fromkeys(found)), ANSWER_LIFETIME)
