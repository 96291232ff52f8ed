"""A ladder whose user has several phones: `phones` are parties, in the order in which they registered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from gateway.config.model import Listener, Side
from gateway.registrar.binding import Binding
from gateway.sip.message import Request
from gateway.transport.flow import Address, Flow, FlowKey
from tests.support.flows import RecordingFlow
from tests.support.ladder import BINDING, PHONES, SAVP, Ladder, Party

TLS_PHONES = Listener("tls-phones", Side.PHONES, "tls", "192.0.2.1", 5061)
TOKEN = "sip:alice-1@gw.example.com;transport=tls"
"""The provider's name for the first phone."""
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


class ManyPhones(Ladder):
    """A gateway between the phones of one user and a provider."""

    def __init__(self, count: int = 3, qs: Sequence[float] = (), over_tls: Sequence[int] = (), **more: object) -> None:
        """`qs` are the phones' ranks, 1 each otherwise; `over_tls` are the places of those that are on TLS."""
        self._flows: dict[FlowKey, RecordingFlow] = {}
        super().__init__(**more)  # type: ignore[arg-type]
        self.phones: list[Party] = []
        self.bindings: list[Binding] = []
        self.store.remove(BINDING.aor, BINDING.contact)
        for number in range(count):
            self._add(number, qs[number] if qs else 1.0, number in over_tls)

    def _add(self, number: int, q: float, is_secure: bool) -> None:
        listener = TLS_PHONES if is_secure else PHONES
        address = Address(f"192.0.2.{11 + number}", 5070)
        flow = RecordingFlow(listener, address, connection=number + 1 if is_secure else 0)
        binding = attrs.evolve(
            BINDING,
            contact=f"sip:alice@{address.host}:{address.port}",
            flow=flow.key,
            q=q,
            instance=f"<urn:uuid:{number}>",
            user_agent=f"Phone/{number + 1}",
            token=f"alice-{number + 1}",
        )
        self._flows[flow.key] = flow
        self.phones.append(Party(self, flow, str(address)))
        self.bindings.append(binding)
        self.store.save(binding)

    def flow(self, key: FlowKey) -> Flow | None:
        return self._flows.get(key)

    def next(self, **made: Any) -> ManyPhones:
        """The next process, with the same phones; those on TLS have to connect again."""
        after = ManyPhones(len(self.phones), **made)
        after._flows = {key: flow for key, flow in self._flows.items() if not key.connection}
        after.phones, after.bindings = self.phones, self.bindings
        for party in after.phones:
            party._ladder = after
        return after

    def disconnect(self, number: int) -> None:
        """The connection of this phone is gone, as nobody has noticed."""
        del self._flows[self.bindings[number].flow]

    def rings(self, uri: str = TOKEN, sdp: bytes = SAVP, **more: object) -> Request:
        """The provider's INVITE."""
        invite = self.provider.invite(uri, sdp, **more)
        self.provider.sends(invite)
        self.provider.receives(100)
        return invite

    def invites(self) -> list[Request]:
        """The INVITE that came to each phone; each must have got one."""
        return [phone.receives_request("INVITE") for phone in self.phones]

    @property
    def is_ringing(self) -> list[bool]:
        """Which phones have been sent something that nobody has looked at."""
        return [bool(phone.flow.sent) for phone in self.phones]
