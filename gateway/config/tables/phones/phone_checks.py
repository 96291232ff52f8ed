"""Checks of the tables [[phone]]: by themselves, against each other, and against domains, providers and listeners.

A PBX is believed by its address or certificate alone, and calls in the name of its numbers. So nothing may be two
PBXs', nothing the provider's or this gateway's, and nothing may be left to be guessed.

Not here: names, which are looked up while the gateway runs (gateway/routing/pbx).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from ipaddress import ip_address
from itertools import combinations
from typing import Any, Final

import attrs

from gateway.base.telephone_numbers import known_number
from gateway.config import fields
from gateway.config.model import Domain, Listener, Provider, Side
from gateway.config.named_files import file_mistakes, identity_mistakes
from gateway.config.structuring import Mistake, Unread, each, known, repeated, shown
from gateway.config.tables.phones.block_index import BlockIndex
from gateway.config.tables.phones.phone_table import FixedPhone, PbxChoice, PbxProof
from gateway.sip.uri import Uri

MOST: Final = 100
"""Tables."""
MOST_ADDRESSES: Final = 10
MOST_NUMBERS: Final = 500
"""Blocks of numbers of one PBX."""
LEAST_PREFIX: Final = {4: 24, 6: 64}
"""Bits of a network of sources, by IP version: one that is larger is no place of one PBX."""
_PORTS: Final = {"udp": 5060, "tls": 5061}

Entries = list[tuple[str, FixedPhone]]
Numbers = dict[str, BlockIndex[str]]
"""By domain: numbers, and the names of the PBXs that have them."""


@attrs.frozen
class OtherTables:
    """The other tables that the PBXs have to fit, each with its path."""

    listeners: list[tuple[str, Listener]]
    providers: list[tuple[str, Provider]]
    domains: list[tuple[str, Domain]]

    def domain(self, name: str) -> Domain | None:
        """The domain of that name; None where there is none that can be read."""
        found = (domain for _, domain in self.domains if str(known(domain, "name")).lower() == name)
        return next(found, None)

    def provider_hosts(self) -> set[str]:
        """The hosts of all providers."""
        uris = (known(one, key) for _, one in self.providers for key in ("uri", "fallback_uri"))
        more = (uri for _, one in self.providers for uri in known(one, "more_uris") or ())
        return {_host(uri) for uri in (*uris, *more) if uri}


def phone_mistakes(around: OtherTables, entries: Entries) -> Iterator[Mistake]:
    """The mistakes of the tables, each given with its path."""
    if len(entries) > MOST:
        yield Mistake("phone", f"found {len(entries)} tables, allowed: {MOST} at most")
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    own = (_sizes, _transports, _weights, _files, identity_mistakes, _own_numbers)
    fitting = (_domain, _listener, _places, _sources, _written_numbers)
    yield from each(entries, *own, *(partial(check, around) for check in fitting))
    yield from _shared(entries)
    indices = yield from _shared_numbers(entries)
    yield from _shared_accounts(around, entries, indices)


def _sizes(path: str, entry: FixedPhone) -> Iterator[Mistake]:
    for key, most in (("addresses", MOST_ADDRESSES), ("numbers", MOST_NUMBERS)):
        found = known(entry, key)
        if found is not None and not 0 < len(found) <= most:
            yield Mistake(f"{path}.{key}", f"found {len(found)}, allowed: 1 to {most}")


def _transport_of(entry: FixedPhone) -> str | None:
    """The transport of the addresses; None where they have several, or one that is not settled. Raises Unread."""
    found = {fields.uri_transport(uri) for uri in entry.addresses}
    return found.pop() if len(found) == 1 else None


def _transports(path: str, entry: FixedPhone) -> Iterator[Mistake]:
    transport = _transport_of(entry)
    if transport not in _PORTS:
        why = "each with transport=udp, or each with transport=tls: nothing proves a sender over tcp"
        yield Mistake(f"{path}.addresses", f"allowed: one or more addresses of one transport, {why}")
        return
    if transport == "udp" and entry.proof is PbxProof.CERTIFICATE:
        yield Mistake(
            f"{path}.proof",
            'found "certificate", but a datagram bears none, allowed with addresses over udp: "address", if your '
            "network drops packets with forged sources",
        )
    if transport == "tls" and entry.proof is PbxProof.ADDRESS:
        yield Mistake(f"{path}.proof", 'found "address", allowed with addresses over tls: "certificate"')
    for key, of in (("sources", "udp"), ("certificate_names", "tls"), ("certificate", "tls"), ("private_key", "tls")):
        if known(entry, key) and of != transport:
            yield Mistake(f"{path}.{key}", f"is for addresses over {of}, found {transport}")
    if transport != "tls" and known(entry, "trust") != "system":
        yield Mistake(f"{path}.trust", f"is for addresses over tls, found {transport}")


def _weights(path: str, entry: FixedPhone) -> Iterator[Mistake]:
    if entry.choice is PbxChoice.WEIGHT and len(entry.weights) != len(entry.addresses):
        yield Mistake(f"{path}.weights", f"found {len(entry.weights)}, allowed: {len(entry.addresses)}, one an address")
    elif entry.choice is PbxChoice.WEIGHT and not any(entry.weights):
        yield Mistake(f"{path}.weights", "are all 0: no address could be chosen")
    if entry.choice is PbxChoice.ORDER and entry.weights:
        yield Mistake(f"{path}.weights", 'is for choice = "weight", found "order"')


def _files(path: str, entry: FixedPhone) -> Iterator[Mistake]:
    yield from file_mistakes(path, entry, "trust", "certificate", "private_key")


def _own_numbers(path: str, entry: FixedPhone) -> Iterator[Mistake]:
    index = BlockIndex[str]()
    for block in entry.numbers:
        found = index.overlap(block)
        if found is not None:
            yield Mistake(f"{path}.numbers", f"found {shown(str(block))}, which {shown(str(found[0]))} has already")
            return
        index.add(block, path)


def _domain(around: OtherTables, path: str, entry: FixedPhone) -> Iterator[Mistake]:
    domain = around.domain(entry.domain)
    if domain is None:
        names = ", ".join(sorted(str(known(one, "name")) for _, one in around.domains)) or "none is configured"
        yield Mistake(f"{path}.domain", f"found {shown(entry.domain)}, allowed: {names}")
    elif entry.account is not None and domain.credentials is None:
        yield Mistake(f"{path}.account", f"needs credentials in [[domain]] {domain.name}: its password is read there")
    if known(entry, "register") and entry.account is None:
        yield Mistake(f"{path}.account", "is missing: register = true registers it")


def _listener(around: OtherTables, path: str, entry: FixedPhone) -> Iterator[Mistake]:
    """The gateway calls it from a listener of phones, and over TLS hears it there by its certificate."""
    transport = _transport_of(entry)
    if transport not in _PORTS:
        return
    there = [one for _, one in around.listeners if _is_listener(one, transport)]
    if not there:
        yield Mistake(f"{path}.addresses", f'no listener has side = "phones" and transport = "{transport}"')
    elif transport == "tls" and not any(known(one, "client_trust") for one in there):
        yield Mistake(
            f"{path}.proof",
            'found "certificate", but no listener with side = "phones" and transport = "tls" has client_trust: '
            "no client could show one",
        )


def _is_listener(listener: Listener, transport: str) -> bool:
    return known(listener, "side") is Side.PHONES and known(listener, "transport") == transport


def _places(around: OtherTables, path: str, entry: FixedPhone) -> Iterator[Mistake]:
    """Addresses that are somebody else's: a provider's, or this gateway's."""
    ours = {(known(one, "address"), known(one, "port")) for _, one in around.listeners}
    hosts = around.provider_hosts()
    for uri in entry.addresses:
        if _host(uri) in hosts:
            yield Mistake(
                f"{path}.addresses", f"found {shown(uri)}, which is a provider's: it would be taken for the PBX"
            )
        if _endpoint(uri) in ours:
            yield Mistake(
                f"{path}.addresses", f"found {shown(uri)}, where this gateway listens: calls would go in a circle"
            )


def _sources(around: OtherTables, path: str, entry: FixedPhone) -> Iterator[Mistake]:
    hosts = sorted(filter(fields.is_address, around.provider_hosts())) if entry.sources else []
    for network in entry.sources:
        least = LEAST_PREFIX[network.version]
        if network.prefixlen < least:
            yield Mistake(f"{path}.sources", f"found {network}, allowed: networks of /{least} or smaller")
        for host in hosts:
            if ip_address(host) in network:
                yield Mistake(f"{path}.sources", f"found {network}, which has {host} in it, a provider's address")


def _written_numbers(around: OtherTables, path: str, entry: FixedPhone) -> Iterator[Mistake]:
    """A number that the domain reads as one of E.164 is matched in that form alone."""
    domain = around.domain(entry.domain)
    region = None if domain is None else known(domain, "region")
    for block in entry.numbers:
        read = block.first if block.is_prefix else known_number(block.first, region).text
        if read != block.first:
            yield Mistake(f"{path}.numbers", f"found {shown(str(block))}, which is {read} in this domain: write it so")


def _shared(entries: Entries) -> Iterator[Mistake]:
    """All that is two PBXs'. One mistake for each pair and key."""
    for (_, one), (path, other) in combinations(entries, 2):
        for key, shared in (("addresses", _same_place), ("sources", _same_source), ("certificate_names", _same_name)):
            try:
                found = shared(one, other)
            except Unread:
                continue
            if found:
                yield Mistake(f"{path}.{key}", f"found {found}, which is phone {shown(known(one, 'name'))}'s already")


def _shared_numbers(entries: Entries) -> Generator[Mistake, None, Numbers]:
    """Numbers that are two PBXs' of one domain. One mistake for each table and the first of those that it meets.
    Returns the numbers of each domain that are one PBX's."""
    indices: Numbers = {}
    for path, entry in entries:
        index, name = indices.setdefault(str(known(entry, "domain")), BlockIndex()), str(known(entry, "name"))
        blocks = known(entry, "numbers") or ()
        met = ((block, index.overlap(block)) for block in blocks)
        block, found = next(((block, found) for block, found in met if found is not None), (None, None))
        if found is not None:
            said = f"found {shown(str(block))}, but phone {shown(found[1])} has {shown(str(found[0]))}"
            yield Mistake(f"{path}.numbers", f"{said}: a call could be for both")
            continue
        for block in blocks:
            index.add(block, name)
    return indices


def _shared_accounts(around: OtherTables, entries: Entries, numbers: Numbers) -> Iterator[Mistake]:
    """Accounts that are two PBXs' of one domain: the Contact at the provider would be one for both, and its calls one
    PBX's by chance. An account that is another one's number is that as well, in each form that a number is read in."""
    owners: dict[tuple[str, str], str] = {}
    for path, entry in entries:
        account, name, domain = (known(entry, key) for key in ("account", "name", "domain"))
        if account is None:
            continue
        table, own = around.domain(str(domain)), str(name)
        read = known_number(account, None if table is None else known(table, "region")).text
        index = numbers.get(str(domain), BlockIndex())
        found = (index.owner_of(form) for form in dict.fromkeys((account, read, f"+{account}")))
        others = [owners.setdefault((str(domain), account), own), *filter(None, found)]
        owner = next((one for one in others if one != own), None)
        if owner is not None:
            yield Mistake(f"{path}.account", f"found {shown(account)}, which is phone {shown(owner)}'s already")


def _same_place(one: FixedPhone, other: FixedPhone) -> str:
    """Places of both: over UDP a datagram from there could be of either, and over TLS a connection to there."""
    shared = {_endpoint(uri) for uri in one.addresses} & {_endpoint(uri) for uri in other.addresses}
    return ", ".join(sorted(f"{host}:{port}" for host, port in shared))


def _same_source(one: FixedPhone, other: FixedPhone) -> str:
    """Sources of one that another one's sources or addresses lie in."""
    for its, mine in ((other, one), (one, other)):
        for network in its.sources:
            hosts = (_host(uri) for uri in mine.addresses)
            inside = any(fields.is_address(host) and ip_address(host) in network for host in hosts)
            if inside or any(network.version == own.version and network.overlaps(own) for own in mine.sources):
                return str(network)
    return ""


def _same_name(one: FixedPhone, other: FixedPhone) -> str:
    if one.proof is not PbxProof.CERTIFICATE or other.proof is not PbxProof.CERTIFICATE:
        return ""
    return ", ".join(sorted(names_of(one) & names_of(other)))


def names_of(entry: FixedPhone) -> frozenset[str]:
    """The names that the certificate of a PBX may be for, in lower case. Raises Unread."""
    return frozenset(entry.certificate_names or map(_host, entry.addresses))


def _host(uri: Any) -> str:
    return Uri.parse(uri).host.strip("[]").rstrip(".").lower()


def _endpoint(uri: str) -> tuple[str, int]:
    port = Uri.parse(uri).port or _PORTS.get(fields.uri_transport(uri) or "udp", 5060)
    return _host(uri), port
