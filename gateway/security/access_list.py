"""Restricted Access Domains: the names that a sender must prove to be one of, in order to be answered at all.

Here: the list of names, the addresses they lead to, and the proof that a sender is one of them. Not here: resolving
(a callable), dropping and counting (ingress). Time is an argument; the one edge, ``AccessResolver``, only carries
answers in.

    names --due(now)--> resolver --resolved / failed--> AccessList --proof(address, identity, now)--> Proof | None

A sender proves a name by a certificate that was verified for it (RFC 5922), or by coming from an address that the name
leads to (NAPTR, SRV, A, AAAA). When DNS fails the last good answer counts for ``keep`` seconds more: an attacker that
blocks DNS must not be able to shut the provider out at once, nor an address that was given away stay trusted for ever.
A name counts only on the word of an authority that this provider's configuration takes (``vouching``): another
provider's own authority signs any name that its owner likes. Over UDP a source address can be forged, so the list
decides on answers, and authenticates nobody.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.security.vouching import Vouching
from gateway.transport.flow import PeerIdentity, is_ip_address
from gateway.transport.tls.identity import sip_domains

log = Logger()

SHORTEST_TTL = 10.0
LONGEST_TTL = 3600.0
RETRY = 30.0
"""Seconds after a failed resolution."""


@attrs.frozen
class Resolved:
    """The addresses that a name leads to, for ``ttl`` seconds."""

    addresses: tuple[str, ...]
    ttl: float


Resolve = Callable[[str], Deferred[Resolved]]


class ProofKind(StrEnum):
    """How a sender showed that it is of a domain."""

    CERTIFICATE = "certificate"
    ADDRESS = "address"


@attrs.frozen
class Proof:
    """The name of the list that was proved, and how: kept in the record of the call."""

    name: str
    kind: ProofKind

    def __str__(self) -> str:
        return f"{self.name} by {self.kind}"


@attrs.define
class _Entry:
    name: str
    addresses: frozenset[str] = frozenset()
    due_at: float = 0.0
    good_until: float = 0.0


class AccessList:
    """The names of one domain and their addresses. An empty list proves nobody."""

    def __init__(self, names: Iterable[str], keep: float = 86_400.0, vouching: Vouching | None = None) -> None:
        self.keep = keep
        """Seconds beyond an answer's TTL that it counts while DNS fails."""
        self.vouching = vouching or Vouching()
        """The certificates whose names count."""
        self._entries = {name: _Entry(name) for name in dict.fromkeys(canonical_name(name) for name in names)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self._entries)

    def due(self, now: float) -> tuple[str, ...]:
        """The names to resolve now. Each is due again only after a while, whether or not an answer comes."""
        names = [
            entry.name for entry in self._entries.values() if entry.due_at <= now and not is_ip_address(entry.name)
        ]
        for name in names:
            self._entries[name].due_at = now + RETRY
        return tuple(names)

    def resolved(self, name: str, answer: Resolved, now: float) -> None:
        """An answer came. One without addresses counts as a failure: it would shut everybody out."""
        if not answer.addresses:
            self.failed(name, now)
            return
        entry = self._entries[name]
        ttl = min(max(answer.ttl, SHORTEST_TTL), LONGEST_TTL)
        entry.addresses = frozenset(_canonical_address(address) for address in answer.addresses)
        entry.due_at = now + ttl
        entry.good_until = now + ttl + self.keep

    def failed(self, name: str, now: float) -> None:
        """No answer came; the last good one counts until its time is over."""
        self._entries[name].due_at = now + RETRY

    def addresses(self, now: float) -> set[str]:
        """The addresses that any of the names leads to, and those of the list itself."""
        good = (entry.addresses for entry in self._entries.values() if now <= entry.good_until)
        return {name for name in self._entries if is_ip_address(name)}.union(*good)

    def proof(self, address: str, identity: PeerIdentity | None, now: float) -> Proof | None:
        """How a sender at ``address``, with the names of its verified certificate, is one of the list; None: drop."""
        proved = _names_of(identity) if self.vouching.covers(identity) else frozenset()
        source = _canonical_address(address)
        for name, entry in self._entries.items():
            if name in proved:
                return Proof(name, ProofKind.CERTIFICATE)
            if source == name or (source in entry.addresses and now <= entry.good_until):
                return Proof(name, ProofKind.ADDRESS)
        return None


class AccessResolver:
    """Keeps access lists resolved: calls ``resolve`` for names that are due, and carries the answers in."""

    def __init__(self, lists: Iterable[AccessList], resolve: Resolve, now: Callable[[], float]) -> None:
        self._lists = tuple(lists)
        self._resolve = resolve
        self._now = now

    def refresh(self) -> None:
        """Resolve the names that are due; to be called every few seconds."""
        for access in self._lists:
            for name in access.due(self._now()):
                self._ask(access, name)

    def _ask(self, access: AccessList, name: str) -> None:
        def failed(failure: Failure) -> None:
            log.warn("{name} cannot be resolved, its last addresses count: {reason}", name=name, reason=failure.value)
            access.failed(name, self._now())

        self._resolve(name).addCallbacks(lambda answer: access.resolved(name, answer, self._now()), failed)


@lru_cache(maxsize=4096)
def _names_of(identity: PeerIdentity | None) -> frozenset[str]:
    """The names a verified certificate is for; no wildcard ever equals a name of the list (RFC 5922 section 7.2)."""
    if identity is None:
        return frozenset()
    return frozenset(canonical_name(name) for name in (*sip_domains(identity), *identity.addresses))


def canonical_name(name: str) -> str:
    """One spelling a name or address."""
    bare = name.strip().strip("[]").rstrip(".").lower()
    return _canonical_address(bare)


@lru_cache(maxsize=16_384)
def _canonical_address(text: str) -> str:
    """One spelling an address; an IPv4 address seen by an IPv6 socket is the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
