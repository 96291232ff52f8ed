"""The way to a provider: its URI located (RFC 3263), a flow to each target, and the next target when one fails.

Calls take the ways one by one themselves (each attempt is a leg of its own). Requests that only need to get there
(REGISTER, MESSAGE, OPTIONS, SUBSCRIBE) are given to `Trunk.forward`, which follows the domain's policy as calls do: TLS
first, in clear only where the policy allows it and TLS is lacking.

    forward -> policy.first_attempt -> ways -> first way -failure-> next way ... -> policy.next_attempt -> ways -> ...

It never goes on after a certificate that does not verify: another target of the same name is no better proof of who it
is, and an attacker must not be able to choose the target by spoiling one.

A connection that was up already and closes before any response says nothing about its target: the request goes there
once more, over a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config.model import Domain, Provider, Side, Signalling
from gateway.routing.locate import Locator, NotFound
from gateway.security.answering import Answering
from gateway.security.policy.decisions import first_attempt, next_attempt
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import LACKS_TLS, Attempt, CallTerms, Capability, Refusal
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transaction.client import FailureKind as Cause
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import FailureKind, Flow, Target, TlsTerms, Transport, TransportFailure
from gateway.transport.layer import TransportLayer

log = Logger()

Dressed = Callable[[Request, Flow], None]
"""Completes a request for the flow it leaves by: its Contact."""

Way = Callable[[], Flow]
"""Opens the flow of one way, when its turn comes."""


@attrs.frozen
class Destination:
    """A provider, on the terms of the domain in whose name it is asked."""

    domain: Domain
    provider: Provider


class Trunk:
    """Leads requests to providers."""

    def __init__(
        self, locator: Locator, transport: TransportLayer, transactions: TransactionLayer, memory: PeerMemory
    ) -> None:
        self.memory = memory
        self.order: Callable[[Sequence[Target]], Sequence[Target]] = lambda targets: targets
        """Puts targets that do not answer last."""
        self.unheard: Callable[[Flow], None] = lambda flow: None
        """Hears of flows over which nothing came back in time."""
        self.answering = Answering()
        """Answers the providers' challenges where the gateway holds the password."""
        self._last: dict[tuple[str, bool], Target] = {}
        self._locator = locator
        self._transport = transport
        self._transactions = transactions

    def ways(self, provider: Provider, signalling: Signalling, emergency: bool = False) -> Deferred[list[Way]]:
        """The ways to a provider over TLS, or in clear, best first; none where it has none. Fails with NotFound."""
        uri = provider.uri_for(signalling, emergency=emergency)
        if uri is None:
            return succeed([])
        return self._locator.locate(Uri.parse(uri)).addCallback(
            lambda targets: [self._way(provider, one) for one in self.order(targets) if _is_over(one, signalling)]
        )

    def flow(self, provider: Provider, target: Target) -> Flow:
        """The flow to one target of a provider: the open one, or one that begins to connect."""
        terms = TlsTerms.of(provider) if target.transport is Transport.TLS else None
        return self._transport.flow_to(target, Side.PROVIDER, terms)

    def forward(self, request: Request, destination: Destination, user: TransactionUser, dress: Dressed) -> None:
        """Send a request the first way to a provider that works and is allowed; `user` hears what comes of it."""
        _Forwarding(self, self._transactions, request, destination, user, dress).begin()

    def reopened(self, provider: Provider, is_secure: bool) -> Flow | None:
        """A flow to where the provider was last reached, over TLS or in clear: for a dialog whose own is gone."""
        target = self._last.get((provider.name, is_secure))
        return None if target is None else self.flow(provider, target)

    def _way(self, provider: Provider, target: Target) -> Way:
        def open_flow() -> Flow:
            self._last[(provider.name, target.transport is Transport.TLS)] = target
            return self.flow(provider, target)

        return open_flow


@attrs.define(eq=False)
class _Forwarding:
    """One request on its way to a provider."""

    trunk: Trunk
    transactions: TransactionLayer
    request: Request
    destination: Destination
    user: TransactionUser
    dress: Dressed
    _attempt: Attempt | None = attrs.field(default=None, init=False)
    _left: list[Way] = attrs.field(factory=list, init=False)
    _way: Way | None = attrs.field(default=None, init=False)
    _may_repeat: bool = attrs.field(default=False, init=False)
    _terms: CallTerms = attrs.field(init=False)
    _known: Capability = attrs.field(init=False)
    _peer: Peer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        is_sips = self.request.request_uri.is_secure
        self._terms = CallTerms.of(self.destination.domain, self.destination.provider, is_sips=is_sips)
        self._peer = Peer.of(self.destination.provider)
        self._known = self.trunk.memory.known(self._peer)

    def begin(self) -> None:
        """Try what the policy says first."""
        self._try(first_attempt(self._terms, self._known), TransactionFailure(Cause.TRANSPORT))

    def receive_response(self, response: Response) -> None:
        """Hand it on. Whatever it says, its sender speaks what it came over."""
        self._may_repeat = False
        if self._attempt is not None and self._attempt.signalling is Signalling.TLS:
            self.trunk.memory.saw(self._peer, Feature.TLS, did=True)
        self.user.receive_response(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Go on to the next way, or to what the policy allows, unless the peer was not who it should be."""
        transport = failure.transport
        if transport is None or self._attempt is None:
            self.user.transaction_failed(failure)
        elif self._may_repeat and self._way is not None and transport.kind is FailureKind.CLOSED:
            self._send(self._way())
        elif self._left and transport.kind is not FailureKind.CERTIFICATE:
            self._next()
        else:
            self._after(transport)

    def _try(self, decision: Attempt | Refusal, failure: TransactionFailure) -> None:
        if decision.is_downgrade:
            self.trunk.memory.report(self._peer, Feature.TLS, refused=isinstance(decision, Refusal))
        if isinstance(decision, Refusal):
            self.user.transaction_failed(failure)
            return
        self._attempt = decision
        ways = self.trunk.ways(self.destination.provider, decision.signalling)
        ways.addCallbacks(self._located, self._nowhere).addErrback(self._broke)

    def _after(self, transport: TransportFailure) -> None:
        attempt = self._attempt
        if attempt is None:
            raise AssertionError("a failure without an attempt")
        if attempt.signalling is Signalling.TLS and transport.kind in LACKS_TLS:
            speaks_tls = transport.kind is FailureKind.HANDSHAKE
            self.trunk.memory.saw(self._peer, Feature.TLS, did=False, speaks_tls=speaks_tls)
        decision = next_attempt(self._terms, attempt.failed(transport.kind, transport.reason), self._known)
        self._try(decision, TransactionFailure(Cause.TRANSPORT, transport))

    def _located(self, ways: Sequence[Way]) -> None:
        self._left = list(ways)
        if self._left:
            self._next()
        else:
            self._after(TransportFailure(FailureKind.DNS, "no way there"))

    def _nowhere(self, failure: Failure) -> None:
        failure.trap(NotFound)
        self._after(TransportFailure(FailureKind.DNS, failure.getErrorMessage()))

    def _broke(self, failure: Failure) -> None:
        """The guard of this entry point."""
        log.failure("a {method} could not be forwarded", failure, method=self.request.method)
        reason = TransportFailure(FailureKind.CLOSED, "internal error")
        self.user.transaction_failed(TransactionFailure(Cause.TRANSPORT, reason))

    def _next(self) -> None:
        self._way = self._left.pop(0)
        flow = self._way()
        self._send(flow, may_repeat=flow.is_connected)

    def _send(self, flow: Flow, may_repeat: bool = False) -> None:
        self._may_repeat = may_repeat
        request = attrs.evolve(self.request, headers=self.request.headers.copy())
        self.dress(request, flow)
        self.transactions.send_request(request, flow, self)


def _is_over(target: Target, signalling: Signalling) -> bool:
    return (target.transport is Transport.TLS) == (signalling is Signalling.TLS)
