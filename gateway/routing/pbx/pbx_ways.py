"""The ways to PBXs and from them: the PBX that a flow proves to be of, and a flow to any of its places.

    at(key) -> the PBX that a request over this flow is of        reach(pbx, target) -> a flow to one place
    flow(key) -> the flow of any binding; a connection to a PBX that is not up begins

Not here: the proof itself (pbx.py), numbers (pbxs.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config.model import Configuration, Side
from gateway.registrar.upstream import token_for
from gateway.routing.locate import Locator, NotFound
from gateway.routing.pbx.pbx import Pbx, PbxAddress, tls_of
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, Flow, FlowKey, Target, Transport
from gateway.transport.layer import TransportLayer

log = Logger()


def pbxs_of(configuration: Configuration, secret: bytes, now: Callable[[], float]) -> list[Pbx]:
    """The PBXs of a configuration; ``secret`` keys their tokens, ``now`` never goes back."""
    domains = {domain.name.lower(): domain for domain in configuration.domains}
    made = []
    for terms in configuration.phones:
        token = token_for(secret, terms.user, f"sip:{terms.user}@{terms.domain}", f"phone {terms.name}")
        made.append(Pbx(terms, domains[terms.domain], token, now))
    return made


class PbxWays:
    """Where PBXs are; ``foreign`` gives the providers' addresses, which are no PBX's."""

    def __init__(
        self, pbxs: Sequence[Pbx], transport: TransportLayer, locator: Locator, foreign: Callable[[], set[str]]
    ) -> None:
        self.all: tuple[Pbx, ...] = ()
        """In the order of the file."""
        self._transport = transport
        self._locator = locator
        self._foreign = foreign
        self._by_place: dict[Address, list[Pbx]] | None = None
        self._with_sources: tuple[Pbx, ...] = ()
        self.adopt(pbxs)

    def adopt(self, pbxs: Iterable[Pbx]) -> tuple[Pbx, ...]:
        """Go by these PBXs from now on; those that are as before stay the same objects. Returns the others."""
        before = {pbx.terms.name: pbx for pbx in self.all}
        every, fresh = list[Pbx](), list[Pbx]()
        for pbx in pbxs:
            same = before.get(pbx.terms.name)
            if same is not None and same.terms == pbx.terms:
                same.domain = pbx.domain
                every.append(same)
                continue
            if same is not None:
                pbx.follow(same)
            every.append(pbx)
            fresh.append(pbx)
        self.all = tuple(every)
        self._with_sources = tuple(pbx for pbx in every if pbx.terms.sources)
        self._by_place = None
        return tuple(fresh)

    def refresh(self) -> None:
        """Look names up again; to be called at the start and every few seconds (answers are kept for their TTL)."""
        for pbx in self.all:
            for address in pbx.addresses:
                found = self.locate(address.uri).addCallback(partial(pbx.found, address))
                found.addErrback(partial(_not_found, pbx, address)).addCallback(self._forget)

    def locate(self, uri: str) -> Deferred[list[Target]]:
        """The targets of an address; fails with NotFound."""
        return self._locator.locate(Uri.parse(uri))

    def at(self, key: FlowKey) -> Pbx | None:
        """The PBX that a request over this flow is of; None where none has proved to be there, or several may be."""
        if key.transport is Transport.UDP:
            found = self._from(key.remote)
        elif key.transport is Transport.TLS:
            flow = self._transport.flow(key)
            found = [] if flow is None else [pbx for pbx in self.all if pbx.is_its_connection(flow)]
        else:
            return None
        return found[0] if len(found) == 1 else None

    def hosts(self) -> Iterator[str]:
        """The numeric hosts of all places that datagrams come from."""
        for pbx in self.all:
            yield from (target.address.host for target in pbx.known())

    def _from(self, remote: Address) -> list[Pbx]:
        """The PBXs that a datagram from there may be of. Every message of every phone is asked for."""
        if self._by_place is None:
            self._by_place = {}
            for pbx in self.all:
                for target in pbx.known():
                    self._by_place.setdefault(target.address, []).append(pbx)
        near = dict.fromkeys((*self._by_place.get(remote, ()), *self._with_sources))
        return [pbx for pbx in near if pbx.is_its_datagram(remote, self._foreign)]

    def _forget(self, _: object) -> None:
        """Addresses may be others now."""
        self._by_place = None

    def key_of(self, target: Target) -> FlowKey | None:
        """The name of the way to a place, whether or not a connection is up; None where no listener leads there."""
        port = self._transport.port_toward(target, Side.PHONES)
        return None if port is None else FlowKey(port.listener.name, target.transport, target.address)

    def flow(self, key: FlowKey) -> Flow | None:
        """The flow of a binding, a phone's or a PBX's; None where a phone's connection is gone."""
        flow = self._transport.flow(key)
        if flow is not None or key.connection or key.transport is not Transport.TLS:
            return flow
        for pbx in self.all:
            for target in pbx.known():
                if (target.transport, target.address) == (key.transport, key.remote):
                    return self.reach(pbx, target)
        return None

    def reach(self, pbx: Pbx, target: Target) -> Flow:
        """The flow to one place of a PBX. Never raises."""
        return self._transport.flow_to(
            target, Side.PHONES, tls_of(pbx.terms) if target.transport is Transport.TLS else None
        )


def _not_found(pbx: Pbx, address: PbxAddress, failure: Failure) -> None:
    if failure.check(NotFound) is None:
        log.failure("{uri} of {phone} could not be looked up", failure, uri=address.uri, phone=pbx.terms.name)
        return
    why = failure.getErrorMessage()
    if pbx.not_found(address, why):
        log.warn("{uri} of phone {phone} is not found: {why}", uri=address.uri, phone=pbx.terms.name, why=why)
