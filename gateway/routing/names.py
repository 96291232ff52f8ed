"""Questions to DNS for locate.py: answers kept for their TTL, none waited for long.

    Names.services / naming_pointers / addresses -> kept answer, or resolver with a time-out -> values

While DNS is silent, an answer that has run out serves for another hour (RFC 8767), "there is none" among them: it is
given after half a second, while the question goes on, and DNS is asked again now and then only. So no call waits long
for a server that is dead. A host of the system's hosts file is never
asked for. Lives here: asking. Not here: the meaning of the answers (locate.py).
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred  # noqa: A004
from twisted.internet.interfaces import IReactorTime
from twisted.names import dns
from twisted.names.error import (
    DNSNameError,
    DNSQueryTimeoutError,
    DomainError,
    ResolverError,
)
from twisted.names.hosts import searchFileForAll
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

from gateway.routing.dns_records import (
    KnownAnswer,
    LastingAnswer,
    NamingPointer,
    Service,
    Value,
    ipv4,
    ipv6,
    pointer,
    said,
    service,
    shown,
)
from gateway.transport.flow import is_ip_address
from gateway.transport.sockets import is_ipv6

ANSWER_WITHIN = 4.0
"""Seconds that one question may take, retries included."""

ASK_AGAIN_AFTER = (1, 2)
"""Seconds that the resolver waits for the first and the second try of each server."""

MAX_KEPT = 10_000
"""Answers kept, of each kind."""

LONGEST_KEPT, NEGATIVE_KEPT, STALE_FOR = 3600.0, 30.0, 3600.0
"""Seconds: that an answer is believed at most, that "no such thing" is, and that an old answer serves a silent DNS."""

RECHECK_AFTER = 30.0
"""Seconds for which an old answer serves without another look, once DNS was silent (RFC 8767 section 5)."""

OLD_AFTER = 0.5
"""Seconds of silence after which an old answer serves; the question goes on (the client response timer of RFC 8767
section 5)."""

HOSTS = Path("/etc/hosts")

FILE_KEPT = 5.0
"""Seconds that the hosts file is believed: it is not read for every call."""

Records = tuple[Sequence[dns.RRHeader], Sequence[dns.RRHeader], Sequence[dns.RRHeader]]
Lookup = Callable[[str, Sequence[int]], Deferred[Records]]
T = TypeVar("T")


class Resolver(Protocol):
    """The part of twisted.names.client.Resolver that we use."""

    def lookupService(self, name: str, timeout: Sequence[int]) -> Deferred[Records]: ...

    def lookupNamingAuthorityPointer(self, name: str, timeout: Sequence[int]) -> Deferred[Records]: ...

    def lookupAddress(self, name: str, timeout: Sequence[int]) -> Deferred[Records]: ...

    def lookupIPV6Address(self, name: str, timeout: Sequence[int]) -> Deferred[Records]: ...


class DnsFailed(Exception):
    """DNS did not answer, or not sensibly: nobody knows whether the name exists."""


class Names:
    """Asks a resolver. families are the kinds of address wanted, in order of preference."""

    def __init__(
        self,
        resolver: Resolver,
        clock: IReactorTime,
        hosts: Path = HOSTS,
        families: tuple[socket.AddressFamily, ...] = (socket.AF_INET, socket.AF_INET6),
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._listed: dict[str, tuple[str, ...]] = {}  # of the hosts file
        self._listed_until = 0.0
        self._families = families
        self._services = _Question(clock, resolver.lookupService, dns.SRV, service)
        self._pointers = _Question(clock, resolver.lookupNamingAuthorityPointer, dns.NAPTR, pointer)
        self._addresses = {
            socket.AF_INET: _Question(clock, resolver.lookupAddress, dns.A, ipv4),
            socket.AF_INET6: _Question(clock, resolver.lookupIPV6Address, dns.AAAA, ipv6),
        }

        questions: tuple[_Question[Any], ...] = (self._services, self._pointers, *self._addresses.values())
        self._all = {dns.QUERY_TYPES[question.kind]: question for question in questions}

    @property
    def kept(self) -> dict[str, int]:
        """Answers in memory by the kind of record, at most MAX_KEPT of each."""
        return {kind: len(question) for kind, question in self._all.items()}

    @property
    def news(self) -> int:
        """Answers so far that named something other than the one before about the same name."""
        return sum(question.news for question in self._all.values())

    def listed(self, host: str) -> tuple[str, ...]:
        """The addresses that the system's hosts file has for the host, in order of preference."""
        now = self._clock.seconds()
        if now >= self._listed_until or len(self._listed) >= MAX_KEPT:
            self._listed.clear()
            self._listed_until = now + FILE_KEPT
        addresses = self._listed.get(host)
        if addresses is None:
            addresses = self._listed[host] = self._read_hosts(host)
        return addresses

    def known(self, name: str) -> list[KnownAnswer]:
        """The answers about a name that are in memory, in the order of RFC 3263. Nobody is asked."""
        addresses = self.listed(name)
        if addresses:
            return [KnownAnswer("hosts", name, addresses, None)]
        questions: tuple[_Question[Any], ...] = (self._pointers, self._services, *self._addresses.values())
        return [found for question in questions if (found := question.recall(name)) is not None]

    def memory(self) -> list[LastingAnswer]:
        """All answers in memory that name something, the oldest first, for `recall` of another process."""
        return [one for question in self._all.values() for one in question.memory()]

    def recall(self, answers: Iterable[LastingAnswer]) -> None:
        """Take up answers of a process before. One that DNS is to be asked for again serves while DNS is silent."""
        for one in answers:
            question = self._all.get(one.kind)
            if question is not None:
                question.take_up(one)

    def _read_hosts(self, host: str) -> tuple[str, ...]:
        found = searchFileForAll(FilePath(str(self._hosts)), host.encode("ascii", "replace"))
        addresses = [address for address in found if is_ip_address(address)]
        return tuple(
            address
            for family in self._families
            for address in addresses
            if is_ipv6(address) == (family == socket.AF_INET6)
        )

    async def services(self, name: str) -> tuple[Service, ...]:
        """The SRV records of a name, none when it has none. Raises DnsFailed."""
        return await self._services.ask(name)

    async def naming_pointers(self, name: str) -> tuple[NamingPointer, ...]:
        """The NAPTR records of a name, none when it has none. Raises DnsFailed."""
        return await self._pointers.ask(name)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The numeric addresses of a host in order of preference, none when it has none. Raises DnsFailed."""
        listed = self.listed(host)
        if listed:
            return listed
        asked = [Deferred.fromCoroutine(self._addresses[family].ask(host)) for family in self._families]
        found: tuple[str, ...] = ()
        failed: DnsFailed | None = None
        for answer in asked:
            try:
                found += await answer
            except DnsFailed as failure:
                failed = failure
        if failed is not None and not found:
            raise failed
        return found


@frozen
class _Kept(Generic[T]):
    values: tuple[T, ...]
    until: float
    """When DNS is to be asked again."""
    stale_until: float
    """How long it serves while DNS is silent."""


class _Question(Generic[T]):
    """One kind of question, with the answers to it that are still good."""

    def __init__(
        self, clock: IReactorTime, lookup: Lookup, kind: int, read: Callable[[dns.RRHeader], T | None]
    ) -> None:
        self._clock = clock
        self._lookup = lookup
        self.kind = kind
        self._read = read
        self._kept: dict[str, _Kept[T]] = {}
        self.news = 0

    def __len__(self) -> int:
        """Answers in memory, at most MAX_KEPT."""
        return len(self._kept)

    def recall(self, name: str) -> KnownAnswer | None:
        """The answer in memory; None where there is none."""
        kept = self._kept.get(name.lower())
        if kept is None:
            return None
        values = tuple(map(shown, kept.values))
        return KnownAnswer(dns.QUERY_TYPES[self.kind], name, values, kept.until - self._clock.seconds())

    def memory(self) -> list[LastingAnswer]:
        """The answers in memory that name something."""
        now = self._clock.seconds()
        return [
            LastingAnswer(
                dns.QUERY_TYPES[self.kind],
                name,
                cast("tuple[Value, ...]", kept.values),
                kept.until - now,
                kept.stale_until - now,
            )
            for name, kept in self._kept.items()
            if kept.values and kept.stale_until > now
        ]

    def take_up(self, one: LastingAnswer) -> None:
        """Remember an answer of before. An old one is used for a moment before DNS is asked, so that no call waits for
        a server that is dead, question after question."""
        now = self._clock.seconds()
        serves_for = min(one.serves_for, LONGEST_KEPT + STALE_FOR)
        if serves_for > 0:
            good_for = min(max(one.good_for, RECHECK_AFTER), LONGEST_KEPT, serves_for)
            self._keep(one.name, _Kept(cast("tuple[T, ...]", one.values), now + good_for, now + serves_for))

    async def ask(self, name: str) -> tuple[T, ...]:
        """The answer, from memory if it is still good. Raises DnsFailed."""
        name = name.lower()
        kept = self._kept.get(name)
        if kept is not None and self._clock.seconds() < kept.until:
            return kept.values
        if kept is None or self._clock.seconds() >= kept.stale_until:
            return (await self._renew(name, kept)).values
        return (await self._soon(name, kept)).values

    def _soon(self, name: str, kept: _Kept[T]) -> Deferred[_Kept[T]]:
        """The new answer; after OLD_AFTER without one the old answer, which serves for RECHECK_AFTER then, or until DNS
        answers: the question goes on."""
        soon: Deferred[_Kept[T]] = Deferred()

        def serve_old() -> None:
            old = evolve(kept, until=self._clock.seconds() + RECHECK_AFTER)
            self._keep(name, old)
            soon.callback(old)

        timer = self._clock.callLater(OLD_AFTER, serve_old)

        def end(found: _Kept[T] | Failure) -> None:
            if timer.active():
                timer.cancel()
                soon.callback(found)
            elif isinstance(found, Failure):
                found.trap(DnsFailed)

        Deferred.fromCoroutine(self._renew(name, kept)).addBoth(end)
        return soon

    async def _renew(self, name: str, kept: _Kept[T] | None) -> _Kept[T]:
        """Ask, and keep the answer; for one without, the old answer where it serves. Raises DnsFailed."""
        try:
            fresh = await self._fetch(name)
        except DnsFailed:
            now = self._clock.seconds()
            if kept is None or now >= kept.stale_until:
                raise
            fresh = evolve(kept, until=now + RECHECK_AFTER)
        else:
            self.news += kept is None or {*kept.values} != {*fresh.values}
        self._keep(name, fresh)
        return fresh

    async def _fetch(self, name: str) -> _Kept[T]:
        question = maybeDeferred(self._lookup, name, ASK_AGAIN_AFTER)
        question.addTimeout(ANSWER_WITHIN, self._clock)
        try:
            answers, _, _ = await question
        except DNSNameError:
            answers = ()
        except (TimeoutError, DNSQueryTimeoutError, CancelledError) as error:
            raise DnsFailed("DNS does not answer") from error
        except (DomainError, ResolverError, OSError, ValueError) as error:
            raise DnsFailed(said(error)) from error
        return self._good_for(answers)

    def _good_for(self, answers: Sequence[dns.RRHeader]) -> _Kept[T]:
        own = [answer for answer in answers if answer.type == self.kind]
        values = tuple(value for answer in own if (value := self._read(answer)) is not None)
        seconds = min((float(answer.ttl) for answer in answers), default=0.0) if values else NEGATIVE_KEPT
        until = self._clock.seconds() + min(seconds, LONGEST_KEPT)
        return _Kept(values, until, until + STALE_FOR)

    def _keep(self, name: str, fresh: _Kept[T]) -> None:
        self._kept.pop(name, None)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = fresh
