"""A user with two phones, over TLS and over UDP, called by the provider: the judgement is by all that was heard.

As in matrix_world: each offer with its answer, and the way of each. A phone that only rings is no party of the call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from gateway.config.model import Security
from gateway.transport.flow import Flow
from tests.support.ladder import AVP, BINDING, SAVP
from tests.support.matrix_world import OWN_PHONES, PROVIDERS, Exchange, Reply, World, answer_to, body_of

SECOND: Final = ("192.0.2.12", 5070)
"""The phone over UDP."""

Course = tuple[str, str]
"""The phone that answers, and the one that is heard before it does: "tls", "udp" or neither."""

COURSES: Final[dict[str, Course]] = {
    "the phone with TLS and SRTP answers, the other one only rings": ("tls", ""),
    "the phone with UDP and RTP answers, the other one only rings": ("udp", ""),
    "the phone with UDP and RTP is heard (183), then the other one answers": ("tls", "udp"),
    "the phone with TLS and SRTP is heard (183), then the other one answers": ("udp", "tls"),
}


class TwoPhones(World):
    """One gateway, two phones of one user, one provider that does TLS and SRTP."""

    def __init__(self, directory: Path, security: Security, course: Course) -> None:
        self._winner, self._early = course
        self._invited: dict[str, tuple[bytes, Reply]] = {}
        self._heard: list[Exchange] = []
        super().__init__(directory, PROVIDERS["TLS and SRTP"], security, "tls")
        first = self._phone_flow
        self.network.elsewhere[SECOND] = lambda data, source: self._receives("udp", data, self._say_as_second)
        self._say_as_second(self._request("OPTIONS", "sip:gw.example.com", SECOND, "udp", b""))
        self.network.settle()
        assert isinstance(first, Flow)
        assert isinstance(self._phone_flow, Flow)
        flows = {BINDING.flow: first, self._phone_flow.key: self._phone_flow}
        contact = f"sip:alice@{SECOND[0]}:{SECOND[1]}"
        self.ladder.store.save(attrs.evolve(BINDING, contact=contact, flow=self._phone_flow.key, token="alice-2"))
        self.ladder.flow = flows.get  # type: ignore[method-assign, assignment]
        self.ladder.calls._services.phones._open_flow = flows.get

    def seen(self) -> str:
        """The worst of what was heard."""
        seen = []
        for exchange in self._heard:
            self.phone_exchange = exchange
            seen.append(super().seen())
        return "" if "" in seen else "ENCRYPTED_TO_PROVIDER" if "ENCRYPTED_TO_PROVIDER" in seen else seen[0]

    def in_clear_to_provider(self) -> bytes:
        """With each key that went to the phone over UDP."""
        keys = (data for source, _, data in self.network.packets if source == OWN_PHONES and b"inline:" in data)
        return super().in_clear_to_provider() + b"".join(keys)

    def _say_as_second(self, data: bytes) -> None:
        self.network.send(SECOND, OWN_PHONES, data)

    def _phone_receives(self, data: bytes, reply: Reply) -> None:
        self._receives("tls", data, reply)

    def _receives(self, over: str, data: bytes, reply: Reply) -> None:
        method = data.split(b" ", 1)[0]
        if method == b"INVITE":
            self._invited[over] = data, reply
            if over == self._early:
                self._answer(over, 183)
            else:
                reply(answer_to(data, 180, b"", over))
        elif method == b"CANCEL":
            reply(answer_to(data, 200, b"", over))
            reply(answer_to(self._invited[over][0], 487, b"", over))
        elif method not in (b"ACK", b"SIP/2.0"):
            reply(answer_to(data, 200, b"", over))

    def _answer(self, over: str, status: int) -> None:
        invite, reply = self._invited[over]
        offer = body_of(invite)
        answer = SAVP if b"RTP/SAVP" in offer else AVP
        self._heard.append(Exchange(over, offer, answer, 200))
        reply(answer_to(invite, status, answer, over))

    def _let_it_happen(self) -> None:
        self.network.settle()
        if self._winner in self._invited:
            self._answer(self._winner, 200)
        super()._let_it_happen()
