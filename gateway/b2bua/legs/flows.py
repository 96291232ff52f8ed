"""The way of a leg: the flow that its peer is reached over, and the proof that a message is of this peer.

The tags of a dialog let its peer in (RFC 3261 section 12.2.2), and are known to everybody that a message in clear has
passed. So a message of a leg is taken only over a way that proves at least as much as the leg's own: its flow, or one
that may ask in its place (gateway/transport/way.py), or else one where the peer shows otherwise that it is the same:

    toward the provider  by a name of the domain's peers: by certificate, where the leg's own flow is verified
    toward a phone       by a binding of the same instance and address of record, which came over that very flow: the
                         provider has accepted the phone's digest for it (RFC 3261 section 10.3, RFC 5626 section 4.1)

A leg on TLS takes nothing in clear. A phone that has changed its network and not registered yet is not followed, unless
its listener is told to take the tags for proof (``moved_phones``): in clear a stranger on the way could be that phone.

Requests of ours follow the same proofs: over the leg's flow, or where that leads nowhere over the one in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.config.model import MovedPhones, Side
from gateway.registrar.binding import Binding
from gateway.registrar.phones import Phones as Phones
from gateway.security.access_list import Proof, ProofKind
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow
from gateway.transport.way import Strength, may_ask

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_CLEAR: Final = Strength.CLEAR
_VERIFIED: Final = Strength.VERIFIED

Reopen = Callable[[], Flow | None]
"""Opens another flow to a peer; None where there is no other way."""


class LegWay:
    """The way of one leg."""

    __slots__ = ("_proved", "_weakest", "flow", "is_awaited", "phone")

    def __init__(self, flow: Flow, phone: Binding | None) -> None:
        self.flow = flow
        """Where requests of ours go."""
        self.phone = phone
        """The phone, where it was registered over that flow when the leg began."""
        self.is_awaited = False
        """Whether the connection ended with another process, and the peer has not come back yet."""
        self._proved = flow
        """The flow that has proved most: one that is opened again and not up yet has proved nothing."""
        self._weakest = _VERIFIED

    @classmethod
    def resumed(cls, flow: Flow, phone: Binding | None, proved: Flow, weakest: Strength) -> LegWay:
        """The way of a leg that another process began: its flow was `proved`, and its weakest one of that strength."""
        way = cls(flow, phone)
        way._proved, way._weakest, way.is_awaited = proved, weakest, not flow.is_open
        return way

    @property
    def proved(self) -> Strength:
        """The most that a flow of this leg has proved."""
        return Strength.of(self._proved)

    @property
    def weakest(self) -> Strength:
        """The least of all flows that the leg's messages came and went over, from its first message on."""
        now = Strength.of(self.flow) if self.flow.is_secure else _CLEAR
        return now if now < self._weakest else self._weakest

    def takes(self, other: Flow, phones: Phones, proof: Callable[[Flow], Proof | None]) -> bool:
        """Whether a message of the peer may come over a flow; ``proof`` is of a peer of the leg's domain."""
        own = self._proved
        if other is own or other is self.flow or may_ask(own, other):
            return True
        if other.side is not own.side or (own.is_secure and not other.is_secure):
            return False
        if other.side is Side.PROVIDER:
            return _is_proof_enough(proof(other), Strength.of(own))
        is_registered = self.phone is not None and phones.is_same(self.phone, other.key)
        return is_registered or other.listener.moved_phones is MovedPhones.TAGS

    def follow(self, transaction: ServerTransaction) -> None:
        """A request was taken: go to its sender from now on, where the old flow leads nowhere.

        Its connection is gone, or a phone has come to another host, or the NAT before it has given it another port.
        """
        other = transaction.back
        weakest = self.weakest
        self._weakest = weakest if transaction.flow is self.flow else min(weakest, Strength.of(transaction.flow))
        if not self.flow.is_open or (other is not self.flow and _has_moved(self.flow, other)):
            self._replace(other)

    def opened(self, reopen: Reopen) -> Flow:
        """The flow for a request of ours: another only where the old one is gone, or a phone has registered elsewhere;
        never one that protects less. Where our own address has changed, the peer is asked at its old place."""
        own = self.flow
        if own.is_open:
            if own.is_reliable or self.phone is None:
                return own
            other = reopen()
        elif self.phone is None:
            other = own.moved() or reopen()
        else:
            other = reopen() or own.moved()
        if other is not None and other is not own and (other.is_secure or not own.is_secure):
            self._replace(other)
        return self.flow

    def _replace(self, other: Flow) -> None:
        self._weakest = self.weakest
        self.flow, self.is_awaited = other, False
        if Strength.of(other) >= Strength.of(self._proved):
            self._proved = other


def _is_proof_enough(proof: Proof | None, own: Strength) -> bool:
    if proof is None:
        return False
    return own is not _VERIFIED or proof.kind is ProofKind.CERTIFICATE


def _has_moved(own: Flow, other: Flow) -> bool:
    """Whether a phone has come to another host, or over UDP to another port."""
    if other.side is not Side.PHONES:
        return False
    is_elsewhere = other.remote.host != own.remote.host
    return is_elsewhere or (not other.is_reliable and other.listener == own.listener and other.remote != own.remote)
