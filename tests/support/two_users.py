"""A ladder whose domain has local calls: alice and bob have phones, on UDP or on TLS; the provider is there, too."""

from __future__ import annotations

from typing import Any

import attrs

from gateway.registrar.binding import Binding
from gateway.sip.message import Request, Response
from gateway.transport.flow import Address, Flow, FlowKey
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, BINDING, PHONES, Ladder, Party
from tests.support.many_phones import TLS_PHONES


class TwoUsers(Ladder):
    """Alice has one phone, bob one or more; each is a party. `tls` has the names of those on TLS."""

    def __init__(self, bobs: int = 1, tls: tuple[str, ...] = (), **more: Any) -> None:
        self._flows: dict[FlowKey, RecordingFlow] = {}
        super().__init__(**{"local_calls": True, **more})
        self.bindings: dict[str, Binding] = {}
        self.store.remove(BINDING.aor, BINDING.contact)
        self.alice = self._add("alice", 11, is_secure="alice" in tls)
        self.bobs = [self._add("bob", 21 + number, is_secure="bob" in tls) for number in range(bobs)]
        self.bob = self.bobs[0]

    def _add(self, user: str, host: int, *, is_secure: bool) -> Party:
        listener, address = TLS_PHONES if is_secure else PHONES, Address(f"192.0.2.{host}", 5070)
        flow = RecordingFlow(listener, address, connection=host if is_secure else 0)
        binding = attrs.evolve(
            BINDING,
            aor=f"sip:{user}@example.com",
            contact=f"sip:{user}@{address.host}:{address.port}",
            flow=flow.key,
            instance=f"<urn:uuid:{host}>",
            user_agent=f"Phone/{host}",
            token=f"{user}-{host}",
        )
        self._flows[flow.key] = flow
        self.bindings[f"{user}-{host}"] = binding
        self.store.save(binding)
        return Party(self, flow, str(address))

    def flow(self, key: FlowKey) -> Flow | None:
        return self._flows.get(key) or super().flow(key)

    def next(self, **made: Any) -> TwoUsers:
        """The next process, with the same phones; those on TLS have to connect again."""
        after = TwoUsers(**made)
        after._flows = {key: flow for key, flow in self._flows.items() if not key.connection}
        after.alice, after.bobs, after.bob = self.alice, self.bobs, self.bob
        for party in (after.alice, *after.bobs):
            party._ladder = after
        return after

    def calls_bob(self, sdp: bytes = AVP, uri: str = "sip:bob@example.com", **more: Any) -> Request:
        """Alice's INVITE, which goes on."""
        invite = self.alice.invite(uri, sdp, **more)
        self.alice.sends(invite)
        self.alice.receives(100)
        return invite

    def talk(self, offer: bytes = AVP, answer: bytes = AVP) -> tuple[Request, Response]:
        """A call from alice to bob that is up: the INVITE as bob got it, and the 200 as alice did."""
        invite = self.calls_bob(offer)
        onward = self.bob.receives_request("INVITE")
        self.bob.answers(onward, 200, sdp=answer)
        self.bob.receives("ACK")
        answered = self.alice.receives_response(200)
        self.alice.acknowledges(invite, answered)
        return onward, answered
