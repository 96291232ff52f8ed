"""All PBXs of a gateway: by number, by the token that the provider has; and the bindings that stand for them.

A PBX stands in calls as a binding that never ends and is in no store: one for each of its places, of one instance, so
that everything that knows phones knows it, too. `is_pbx` tells such a binding from a phone's.

    named(user, domain) -> Pbx that a number is of          called(request, domain) -> Pbx and user that it is for
    bindings(pbx, user) -> where a call to that user of it goes, best first

Not here: a single PBX (pbx.py), flows (pbx_ways.py), routes (pbx_router.py), callers (pbx_callers.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.config.model import Domain
from gateway.config.tables.phones.block_index import BlockIndex
from gateway.registrar.binding import Binding
from gateway.routing.pbx.pbx import Pbx, forms_of
from gateway.routing.pbx.pbx_ways import PbxWays
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, FlowKey, Target, Transport

NEVER: Final = float("inf")
"""The end of a binding of a PBX; a phone's always ends."""
_NOWHERE: Final = FlowKey("", Transport.UDP, Address("", 0))


class Pbxs:
    """The PBXs; ``is_down`` says of a place that it does not answer."""

    def __init__(self, ways: PbxWays, is_down: Callable[[Target], bool], chance: random.Random | None = None) -> None:
        self.ways = ways
        self._is_down = is_down
        self._chance = chance or random.Random()
        self._by_token: dict[str, Pbx] = {}
        """Also by tokens of before: calls that are up have them, and the provider, until its grant ends."""
        self._domains: dict[str, Domain] = {}
        self._numbers: dict[str, NumberIndex] = {}
        self._indexed: tuple[Pbx, ...] = ()
        """Those whose numbers are known."""
        self._know()

    @property
    def all(self) -> tuple[Pbx, ...]:
        """In the order of the file."""
        return self.ways.all

    def adopt(self, pbxs: Iterable[Pbx]) -> tuple[Pbx, ...]:
        """Go by these PBXs, and their domains, from now on; returns those that are new or others than before."""
        fresh = self.ways.adopt(pbxs)
        self._know()
        return fresh

    def _know(self) -> None:
        every = self.ways.all
        self._domains = {pbx.terms.domain: pbx.domain for pbx in every}
        places = {(pbx.terms.name, pbx.terms.domain): pbx for pbx in every}
        now = ((token, places.get((one.terms.name, one.terms.domain))) for token, one in self._by_token.items())
        self._by_token = {token: pbx for token, pbx in now if pbx is not None} | {pbx.token: pbx for pbx in every}
        if every != self._indexed:
            self._indexed = every
            of_each = {name: [pbx for pbx in every if pbx.terms.domain == name] for name in self._domains}
            self._numbers = {name: NumberIndex(pbxs) for name, pbxs in of_each.items()}

    def at(self, key: FlowKey) -> Pbx | None:
        """The PBX that a request over this flow is of."""
        return self.ways.at(key)

    def named(self, user: str | None, domain: str) -> Pbx | None:
        """The PBX that a user part of a domain is a number of, or the account."""
        index = self._numbers.get(domain.lower())
        if index is None or not user:
            return None
        return index.find(user, forms_of(self._domains[domain.lower()], user))

    def find_token(self, token: str) -> Binding | None:
        """The binding that stands for the PBX that the provider knows by this token."""
        pbx = self._by_token.get(token)
        return None if pbx is None else self.caller(pbx, _NOWHERE)

    def called(self, target: Uri, to: Uri, domain: str) -> tuple[Pbx, str] | None:
        """The PBX that a provider's request is for, and the user of it: by its Request-URI, or by To where that is the
        Contact that the gateway has registered."""
        pbx = self._by_token.get(target.user or "")
        if pbx is not None and pbx.terms.domain == domain.lower():
            return pbx, (to.user or "") if pbx.has(to.user) else pbx.terms.user
        pbx = self.named(target.user, domain)
        return None if pbx is None else (pbx, target.user or "")

    def bindings(self, pbx: Pbx, user: str) -> list[Binding]:
        """Where a call to a user of a PBX goes, best first; none while its names lead nowhere."""
        targets = pbx.targets(self._is_down, self._chance)
        keys = [(target, self.ways.key_of(target)) for target in targets]
        return [_binding(pbx, _contact(user, target), key) for target, key in keys if key is not None]

    def caller(self, pbx: Pbx, key: FlowKey) -> Binding:
        """The binding that stands for a PBX as a caller over this flow."""
        return _binding(pbx, pbx.aor, key)

    def pbx_of(self, binding: Binding) -> Pbx | None:
        """The PBX that a binding stands for; None for a phone's."""
        return self._by_token.get(binding.token)


class NumberIndex:
    """The numbers and accounts of the PBXs of one domain."""

    def __init__(self, pbxs: Sequence[Pbx]) -> None:
        self._accounts = {pbx.terms.account: pbx for pbx in pbxs if pbx.terms.account is not None}
        self._blocks = BlockIndex((block, pbx) for pbx in pbxs for block in pbx.terms.numbers)

    def find(self, user: str, forms: Iterable[str]) -> Pbx | None:
        """The PBX that a user part is the account of, or that one of its forms is a number of."""
        account = self._accounts.get(user)
        return account if account is not None else next(filter(None, map(self._blocks.owner_of, forms)), None)


def is_pbx(binding: Binding | None) -> bool:
    """Whether a binding stands for a PBX."""
    return binding is not None and binding.expires_at == NEVER


def _binding(pbx: Pbx, contact: str, key: FlowKey) -> Binding:
    return Binding(
        aor=pbx.aor,
        contact=contact,
        flow=key,
        expires_at=NEVER,
        call_id="",
        cseq=0,
        q=1.0,
        instance=f"phone {pbx.terms.name}",
        user_agent="",
        token=pbx.token,
        provider_expires_at=NEVER,
        service_route=pbx.service_route,
    )


def _contact(user: str, target: Target) -> str:
    transport = () if target.transport is Transport.UDP else (("transport", target.transport.value),)
    return str(Uri("sip", user, host=target.name, port=target.address.port, parameters=transport))
