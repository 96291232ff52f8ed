"""One PBX while the gateway runs: its numbers, its addresses as DNS has them now, and the proof that a flow is its own.

    addresses (URIs) -located-> targets -> targets(): the order in which a call tries them
    flow of a request -> is_its_datagram | is_its_connection -> its caller, or nobody

A name that leads nowhere keeps its last addresses for KEEP_SECONDS, and then proves nobody and reaches nobody.

Not here: all PBXs together (pbxs.py), asking its addresses how they are (pbx_health.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

import attrs

from gateway.config.fields import uri_transport
from gateway.config.model import Domain, FixedPhone
from gateway.config.tables.phones.block_index import BlockIndex
from gateway.config.tables.phones.phone_checks import names_of
from gateway.config.tables.phones.phone_table import PbxChoice
from gateway.security.access_list import canonical_name
from gateway.transport.flow import Address, Flow, PeerIdentity, Target, TlsTerms, Transport
from gateway.transport.tls.identity import sip_domains

KEEP_SECONDS: Final = 86_400.0
"""For which the last good addresses of a name count while DNS fails."""
_DIGITS: Final = 8
"""Digits of a number without "+" that may be one of E.164."""


@attrs.define
class PbxAddress:
    """One address of the table, as DNS has it now."""

    uri: str
    weight: int
    targets: tuple[Target, ...] = ()
    good_until: float = 0.0
    is_found: bool | None = None
    """Whether it was the last time; None: it was not looked up yet."""
    why: str = ""
    """Why it leads nowhere now."""


class Pbx:
    """One PBX; ``now`` never goes back."""

    def __init__(self, terms: FixedPhone, domain: Domain, token: str, now: Callable[[], float]) -> None:
        self.terms = terms
        self.domain = domain
        self.token = token
        """The user part of the Contact that the provider is given for it."""
        self.aor = f"sip:{terms.user}@{domain.name.lower()}"
        self.names = frozenset(map(canonical_name, names_of(terms)))
        """The names that its certificate may be for."""
        weights = terms.weights or (1,) * len(terms.addresses)
        self.addresses = [PbxAddress(uri, weight) for uri, weight in zip(terms.addresses, weights, strict=True)]
        self.service_route = ""
        """The Route values that the provider wants in its requests (RFC 3608), once the gateway has registered it."""
        self._is_over_tls = uri_transport(terms.addresses[0]) == "tls"  # all have the same
        self._numbers = BlockIndex((block, self) for block in terms.numbers)
        self._now = now

    def follow(self, before: Pbx) -> None:
        """Take over from the PBX of that name under the configuration before: where its addresses lead, as far as they
        are the same, so that no call waits for DNS; and the provider's Service-Route, if it knows the same Contact."""
        known = {address.uri: address for address in before.addresses}
        for address in self.addresses:
            same = known.get(address.uri)
            if same is not None:
                address.targets, address.good_until = same.targets, same.good_until
                address.is_found, address.why = same.is_found, same.why
        if before.token == self.token:
            self.service_route = before.service_route

    def has(self, user: str | None) -> bool:
        """Whether a user part is one of its numbers, or its account."""
        if not user:
            return False
        return user == self.terms.account or any(map(self._numbers.owner_of, forms_of(self.domain, user)))

    def found(self, address: PbxAddress, targets: Sequence[Target]) -> None:
        """An address leads there now."""
        address.targets, address.is_found, address.why = tuple(targets), True, ""
        address.good_until = self._now() + KEEP_SECONDS

    def not_found(self, address: PbxAddress, why: str) -> bool:
        """An address leads nowhere now; the last good answer counts for a while. Whether this is new."""
        is_new = address.is_found is not False
        address.is_found, address.why = False, why
        if self._now() > address.good_until:
            address.targets = ()
        return is_new

    def known(self) -> list[Target]:
        """All that its addresses lead to."""
        return [target for address in self.addresses for target in address.targets]

    def targets(self, is_down: Callable[[Target], bool], chance: random.Random) -> list[Target]:
        """The places to try, in order: those that do not answer last."""
        addresses = self.addresses if self.terms.choice is PbxChoice.ORDER else _by_weight(self.addresses, chance)
        found = dict.fromkeys(target for address in addresses for target in address.targets)
        return sorted(found, key=is_down)

    def is_its_datagram(self, remote: Address, foreign: Callable[[], set[str]]) -> bool:
        """Whether a datagram from there is of this PBX; ``foreign`` are addresses of others, which prove nothing."""
        if any(target.transport is Transport.UDP and target.address == remote for target in self.known()):
            return remote.host not in foreign()
        if not self.terms.sources:
            return False
        source = ip_address(remote.host)
        is_inside = any(source in network for network in self.terms.sources if network.version == source.version)
        return is_inside and remote.host not in foreign()

    def is_its_connection(self, flow: Flow) -> bool:
        """Whether the other end of a connection has shown a certificate for one of its names."""
        identity = flow.identity
        if not flow.is_secure or identity is None or not self._is_over_tls:
            return False
        if flow.name is not None:  # we began it: it is for the name that was meant, on the word of our own trust
            return canonical_name(flow.name) in self.names and identity.trust == self.terms.trust
        return not self.names.isdisjoint(_names(identity))


def tls_of(terms: FixedPhone) -> TlsTerms:
    """The terms of TLS on which the gateway connects to a PBX."""
    return TlsTerms(terms.trust, terms.certificate, terms.private_key)


def forms_of(domain: Domain, user: str) -> tuple[str, ...]:
    """The forms in which a table may write a user part: as it is, in E.164, and with the "+" that some leave out."""
    plain = user.partition(";")[0]
    number = domain.number(user).text
    forms = (plain, number) if plain != number else (plain,)
    return (*forms, f"+{plain}") if plain.isdecimal() and len(plain) >= _DIGITS else forms


def _names(identity: PeerIdentity) -> set[str]:
    return {canonical_name(name) for name in (*sip_domains(identity), *identity.addresses)}


def _by_weight(places: Sequence[PbxAddress], chance: random.Random) -> list[PbxAddress]:
    """All of them, drawn one after the other, each as likely as its weight; those of weight 0 come last."""
    left, drawn = [place for place in places if place.weight], []
    while left:
        place = chance.choices(left, [one.weight for one in left])[0]
        left.remove(place)
        drawn.append(place)
    return drawn + [place for place in places if not place.weight]
