"""A request on its way to a provider: REGISTER, MESSAGE, OPTIONS, SUBSCRIBE, all that makes no call.

It follows the domain's policy as calls do: TLS first, in clear only where the policy allows it and TLS is lacking.

    first_attempt -> ways -> first way -failure-> next way ... -> next_attempt -> ways -> ...

Not here: finding the ways (trunk.py), which way comes after a failure (attempts.py), calls, which make a
leg of each attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config.model import Domain, Provider, Signalling
from gateway.routing.attempts import Attempts, Way
from gateway.routing.locate import NotFound
from gateway.routing.mediasec import Mediasec, asks_again
from gateway.security.policy.decisions import first_attempt, next_attempt
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import SHOWS_NO_TLS, UNREACHED, Attempt, CallTerms, Capability, Refusal
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transport.flow import FailureKind, Flow, TransportFailure

log = Logger()

_NO_WAY = TransportFailure(FailureKind.TLS, "its uri leads nowhere over TLS")

Dressed = Callable[[Request, Flow], None]
"""Completes a request for the flow it leaves by: its Contact."""

Send = Callable[[Request, Flow, TransactionUser], object]


@attrs.frozen
class NextHop:
    """A provider, on the terms of the domain that the request belongs to."""

    domain: Domain
    provider: Provider


class Outward(Protocol):
    """The trunk, as a request sees it."""

    memory: PeerMemory
    mediasec: Mediasec

    def ways(self, provider: Provider, signalling: Signalling) -> Deferred[list[Way]]:
        """The ways to a provider over TLS, or in clear, best first; fails with NotFound."""


@attrs.define(eq=False)
class Forwarding:
    """One request on its way to a provider; `user` gets the responses, or the failure of the last way."""

    trunk: Outward
    send: Send
    request: Request
    next_hop: NextHop
    user: TransactionUser
    dress: Dressed
    _attempt: Attempt | None = attrs.field(default=None, init=False)
    _ways: Attempts = attrs.field(factory=Attempts, init=False)
    _is_heard: bool = attrs.field(default=False, init=False)
    _sent: tuple[Request, Way, Flow] | None = attrs.field(default=None, init=False)
    _is_repeated: bool = attrs.field(default=False, init=False)
    """Whether it was sent once more, under the list that the provider named in its 494."""
    _is_tls_unreached: bool = attrs.field(default=False, init=False)
    """Whether nothing answered at the provider's address for TLS: that it lacks TLS is clear once it is heard."""
    _terms: CallTerms = attrs.field(init=False)
    _known: Capability = attrs.field(init=False)
    _peer: Peer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        is_sips = self.request.request_uri.is_secure
        self._terms = CallTerms.of(self.next_hop.domain, self.next_hop.provider, is_sips=is_sips)
        self._peer = Peer.of(self.next_hop.provider)
        self._known = self.trunk.memory.known(self._peer)

    def begin(self) -> None:
        """Try the policy's first attempt."""
        self._try(first_attempt(self._terms, self._known), TransactionFailure(_NO_WAY))

    def receive_response(self, response: Response) -> None:
        """Hand it on. By any response its sender proves to speak the transport that it came over."""
        self._is_heard = True
        if self._attempt is not None and self._attempt.signalling is Signalling.TLS:
            self.trunk.memory.saw(self._peer, Feature.TLS, did=True)
        elif self._is_tls_unreached:
            self.trunk.memory.saw(self._peer, Feature.TLS, did=False)
        if self._sent is not None:
            request, way, flow = self._sent
            self.trunk.mediasec.learn(response, self.next_hop.provider, flow)
            if not self._is_repeated and asks_again(request, response, self.next_hop.provider, flow):
                self._is_repeated = True
                self._send(way)
                return
        self.user.receive_response(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Go on to the next way, or to the attempt that the policy allows next. A peer that is silent ends it."""
        transport = failure.transport
        if transport is None or self._attempt is None:
            self.user.transaction_failed(failure)
            return
        way = self._ways.after(transport.kind, is_heard=self._is_heard)
        if way is not None:
            self._send(way)
        else:
            self._after(transport)

    def _try(self, decision: Attempt | Refusal, failure: TransactionFailure) -> None:
        if decision.is_downgrade:
            self.trunk.memory.report(self._peer, Feature.TLS, refused=isinstance(decision, Refusal))
        if isinstance(decision, Refusal):
            self.user.transaction_failed(_with_words(failure, decision))
            return
        self._attempt = decision
        ways = self.trunk.ways(self.next_hop.provider, decision.signalling)
        ways.addCallbacks(self._located, self._nowhere).addErrback(self._broke)

    def _after(self, transport: TransportFailure) -> None:
        attempt = self._attempt
        if attempt is None:
            raise AssertionError("a failure without an attempt")
        if attempt.signalling is Signalling.TLS and transport.kind in SHOWS_NO_TLS:
            speaks_tls = transport.kind is FailureKind.HANDSHAKE
            self.trunk.memory.saw(self._peer, Feature.TLS, did=False, speaks_tls=speaks_tls)
        elif attempt.signalling is Signalling.TLS and transport.kind in UNREACHED:
            self._is_tls_unreached = True
        decision = next_attempt(self._terms, attempt.failed(transport.kind, transport.reason), self._known)
        self._try(decision, TransactionFailure(transport))

    def _located(self, ways: Sequence[Way]) -> None:
        self._ways = Attempts(ways)
        if self._ways.has_next:
            self._send(self._ways.take())
        else:
            self._after(TransportFailure(FailureKind.DNS, f"its uri leads nowhere over {self._wanted()}"))

    def _wanted(self) -> str:
        """The transports of the attempt, for people."""
        is_tls = self._attempt is not None and self._attempt.signalling is Signalling.TLS
        return "TLS" if is_tls else "UDP or TCP"

    def _nowhere(self, failure: Failure) -> None:
        failure.trap(NotFound)
        self._after(TransportFailure(FailureKind.DNS, failure.getErrorMessage()))

    def _broke(self, failure: Failure) -> None:
        """The guard of this entry point."""
        log.failure("a {method} could not be forwarded", failure, method=self.request.method)
        reason = TransportFailure(FailureKind.CLOSED, "internal error")
        self.user.transaction_failed(TransactionFailure(reason))

    def _send(self, way: Way) -> None:
        flow = self._ways.open(way)
        request = attrs.evolve(self.request, headers=self.request.headers.copy())
        self.dress(request, flow)
        self.trunk.mediasec.dress(request, self.next_hop.provider, flow)
        self._is_heard, self._sent = False, (request, way, flow)
        self.send(request, flow, self)


def _with_words(failure: TransactionFailure, refusal: Refusal) -> TransactionFailure:
    """The failure of the last way, and why there is no other."""
    transport = failure.transport
    if transport is None or not refusal.is_by_policy:
        return failure
    return TransactionFailure(attrs.evolve(transport, reason=f"{transport.reason}. {refusal.text}"))
