"""The way to a provider: its URI located (RFC 3263), a flow to each target, and the next target when one fails.

Calls take the targets one by one themselves (each attempt is a leg of its own). Requests that only need to get there
(REGISTER, MESSAGE, OPTIONS) are given to `Trunk.forward`, which goes on to the next target while the transport fails.
It never goes on after a certificate that does not verify: another target of the same name is no better proof of who it
is, and an attacker must not be able to choose the target by spoiling one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config import Provider, Side
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.users import FailureKind as Cause
from gateway.transaction.users import TransactionFailure, TransactionUser
from gateway.transport.flow import FailureKind, Flow, Target, TlsTerms, Transport, TransportFailure
from gateway.transport.layer import TransportLayer
from gateway.transport.locate import Locator, NotFound

log = Logger()

Dressed = Callable[[Request, Flow], None]
"""Completes a request for the flow it leaves by: its Contact."""


class Trunk:
    """Leads requests to providers."""

    def __init__(self, locator: Locator, transport: TransportLayer, transactions: TransactionLayer) -> None:
        self._locator = locator
        self._transport = transport
        self._transactions = transactions

    def targets(self, uri: str) -> Deferred[list[Target]]:
        """Where a provider's URI leads, best first; fails with NotFound."""
        return self._locator.locate(Uri.parse(uri))

    def flow(self, provider: Provider, target: Target) -> Flow:
        """The flow to one target of a provider: the open one, or one that begins to connect."""
        terms = TlsTerms(provider.trust, provider.certificate, provider.private_key)
        return self._transport.flow_to(target, Side.PROVIDER, terms if target.transport is Transport.TLS else None)

    def forward(self, request: Request, provider: Provider, user: TransactionUser, dress: Dressed) -> None:
        """Send a request to the first target of a provider that can be reached; `user` hears what comes of it."""
        forwarding = _Forwarding(self, self._transactions, request, provider, user, dress)
        self.targets(provider.uri).addCallbacks(forwarding.located, forwarding.lost).addErrback(forwarding.broke)


@attrs.define(eq=False)
class _Forwarding:
    """One request on its way to a provider, target by target."""

    trunk: Trunk
    transactions: TransactionLayer
    request: Request
    provider: Provider
    user: TransactionUser
    dress: Dressed
    _left: list[Target] = attrs.field(factory=list, init=False)

    def located(self, targets: Sequence[Target]) -> None:
        """Begin with the first."""
        self._left = list(targets)
        self._next()

    def lost(self, failure: Failure) -> None:
        """The name leads nowhere."""
        failure.trap(NotFound)
        reason = TransportFailure(FailureKind.DNS, failure.getErrorMessage())
        self.user.transaction_failed(TransactionFailure(Cause.TRANSPORT, reason))

    def broke(self, failure: Failure) -> None:
        """The guard of this entry point."""
        log.failure("a {method} could not be forwarded", failure, method=self.request.method)
        reason = TransportFailure(FailureKind.CLOSED, "internal error")
        self.user.transaction_failed(TransactionFailure(Cause.TRANSPORT, reason))

    def receive_response(self, response: Response) -> None:
        """Hand it on."""
        self.user.receive_response(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Go on to the next target, unless the peer was not who it should be."""
        transport = failure.transport
        if not self._left or transport is None or transport.kind is FailureKind.CERTIFICATE:
            self.user.transaction_failed(failure)
            return
        self._next()

    def _next(self) -> None:
        flow = self.trunk.flow(self.provider, self._left.pop(0))
        request = attrs.evolve(self.request, headers=self.request.headers.copy())
        self.dress(request, flow)
        self.transactions.send_request(request, flow, self)
