"""PBXs as callers, as peers of dialogs, and before the registrar: the questions that are asked of phones.

A request that has proved to be of a PBX is judged by the PBX's numbers alone. Its caller is named by From, or where
that hides its name (RFC 3323) by P-Asserted-Identity or P-Preferred-Identity (RFC 3325): a PBX vouches for its own
numbers, and for no others.

Here: the caller of a request. Not here: the refusal of a number that is not the PBX's (ingress/pbx_rights.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.base.clock import Clock
from gateway.config.model import Domain
from gateway.registrar.acceptance import Rules
from gateway.registrar.binding import Binding, LocationStore
from gateway.registrar.callers import Callers, is_hidden
from gateway.registrar.phones import Phones
from gateway.registrar.request import Asked
from gateway.routing.pbx.pbxs import Pbxs
from gateway.security.policy.peer_memory import PeerMemory
from gateway.sip.address import NameAddress
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Flow, FlowKey, Transport

_IDENTITIES: Final = ("P-Asserted-Identity", "P-Preferred-Identity")


@attrs.frozen
class PbxCallers(Callers):
    """Registered phones and PBXs as senders of requests."""

    pbxs: Pbxs = attrs.field(kw_only=True)

    def is_bound(self, aor: str, flow: FlowKey) -> bool:
        """Whether a phone is bound over this flow, or a PBX with that account has proved to be there."""
        pbx = self.pbxs.at(flow)
        if pbx is not None:
            return pbx.terms.account is not None and pbx.aor == aor
        return super().is_bound(aor, flow)

    def caller_of(self, request: Request, flow: FlowKey) -> Binding | None:
        """The phone or PBX that a request is from; None where its name is not one of this flow's.

        Raises MalformedMessage.
        """
        pbx = self.pbxs.at(flow)
        if pbx is None:
            return super().caller_of(request, flow)
        named = request.from_.uri
        if not is_hidden(named):
            return self.owner_of(named, flow)
        values = (value for name in _IDENTITIES for value in request.headers.values(name))
        owners = (self.owner_of(NameAddress.parse(value).uri, flow) for value in values)
        return next((owner for owner in owners if owner is not None), None)

    def owner_of(self, uri: Uri, flow: FlowKey) -> Binding | None:
        """The phone or PBX over this flow that a URI names; a PBX writes its numbers at any host of its own."""
        pbx = self.pbxs.at(flow)
        if pbx is None:
            return super().owner_of(uri, flow)
        return self.pbxs.caller(pbx, flow) if (uri.is_sip or uri.scheme == "tel") and pbx.has(uri.user) else None


class PbxPhones(Phones):
    """Registered phones and PBXs as peers of a dialog; ``unheard_at`` is told of a PBX's flow that stays silent."""

    def __init__(self, store: LocationStore, pbxs: Pbxs, unheard_at: Callable[[Flow, float], None]) -> None:
        super().__init__(store, pbxs.ways.flow)
        self._pbxs = pbxs
        self._unheard_at = unheard_at

    def is_same(self, phone: Binding, flow: FlowKey) -> bool:
        """Whether a phone is bound over that flow, or the same PBX has proved to be there."""
        pbx = self._pbxs.pbx_of(phone)
        return super().is_same(phone, flow) if pbx is None else self._pbxs.at(flow) is pbx

    def flow_of(self, phone: Binding) -> Flow | None:
        """The flow of a phone's latest binding; of a PBX without connection, a new one to the first of its
        places that answers. A datagram goes where the last one went."""
        pbx = self._pbxs.pbx_of(phone)
        if pbx is None:
            return super().flow_of(phone)
        if phone.flow.transport is not Transport.TLS:
            return None
        bound = self._pbxs.bindings(pbx, pbx.terms.user)
        same = [one for one in bound if one.flow.remote.host == phone.flow.remote.host]
        return self._pbxs.ways.flow((same or bound)[0].flow) if bound else None

    def unheard(self, flow: Flow, seconds: float) -> None:
        """A PBX is silent there: others of its places are tried first until it answers."""
        self._unheard_at(flow, seconds)


class PbxRules(Rules):
    """The rules for a REGISTER, where PBXs are."""

    def __init__(
        self,
        store: LocationStore,
        memory: PeerMemory,
        clock: Clock,
        secret: bytes,
        changed_at: Callable[[str], float],
        pbxs: Pbxs,
    ) -> None:
        super().__init__(store, memory, clock, secret, changed_at)
        self._pbxs = pbxs

    def check(self, asked: Asked, domain: Domain, flow: Flow) -> None:
        """Refuse a number of a PBX, and every REGISTER from a PBX's address: calls of that phone would be the PBX's.
        Raises Refused 403 besides."""
        if self._pbxs.at(flow.key) is not None:
            raise Refused(403, "This address is a PBX's, which does not register")
        if self._pbxs.named(Uri.parse(asked.aor).user, domain.name) is not None:
            raise Refused(403, "This number is a PBX's")
        super().check(asked, domain, flow)
