"""The way to a provider: its URI located (RFC 3263), a flow to each target, those first that answer.

Calls take the ways one by one themselves (each attempt is a leg of its own). Requests that only need to get there
(REGISTER, MESSAGE, OPTIONS, SUBSCRIBE) are given to `Trunk.forward`.

Not here: the order of tries and the policy (attempts.py, forward.py), DNS (locate.py), asking targets (health.py).
"""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from gateway.config.model import Provider, Side, Signalling
from gateway.routing.answer_times import HEARD_WITHIN, AnswerTimes
from gateway.routing.attempts import Way
from gateway.routing.first_answer import AskedTarget, FirstAnswer, Unheard
from gateway.routing.forward import Dressed, Forwarding, NextHop
from gateway.routing.health import Health
from gateway.routing.locate import Locator, all_of
from gateway.routing.mediasec import Mediasec
from gateway.security.answering import Answering
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transaction.client import TransactionUser
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow, Target, TlsTerms, Transport
from gateway.transport.layer import TransportLayer


class Trunk:
    """Leads requests to providers. ``clock`` times the questions whether their targets are up."""

    def __init__(
        self,
        clock: IReactorTime,
        locator: Locator,
        transport: TransportLayer,
        transactions: TransactionLayer,
        memory: PeerMemory,
        answering: Answering,
    ) -> None:
        self.memory = memory
        self.answering = answering
        """Answers the providers' challenges where the gateway holds the password."""
        self.health = Health(clock, self._locate, self.flow, transactions.send_request, self._spoke, memory.events)
        """Which targets answer; to be started and stopped with the gateway."""
        self.mediasec = Mediasec()
        self.answer_times = AnswerTimes()
        """Of first answers to INVITEs."""
        self._clock = clock
        self._last: dict[tuple[str, bool], Target] = {}
        self._locator = locator
        self._transport = transport
        self._transactions = transactions

    def ways(self, provider: Provider, signalling: Signalling, emergency: bool = False) -> Deferred[list[Way]]:
        """The ways to a provider over TLS, or in clear, best first; none where it has none. Fails with NotFound.

        While a server answers, no call waits for the names of those behind it."""
        uris = provider.uris_for(signalling, emergency=emergency)
        if not uris:
            return succeed([])
        return all_of(self._locate, uris, self.health.is_any_up).addCallback(
            lambda targets: [
                self._way(provider, one) for one in self.health.order(targets) if _is_over(one, signalling)
            ]
        )

    def way_at_once(self, provider: Provider, signalling: Signalling, emergency: bool = False) -> Way | None:
        """The one way to a provider whose only URI has a numeric host; None where `ways` is to be asked."""
        uri = None if provider.more_uris else provider.uri_for(signalling, emergency=emergency)
        target = None if uri is None else self._locator.at_once(Uri.parse(uri))
        return None if target is None or not _is_over(target, signalling) else self._way(provider, target)

    def flow(self, provider: Provider, target: Target) -> Flow:
        """The flow to one target of a provider: the open one, or one that begins to connect."""
        terms = TlsTerms.of(provider) if target.transport is Transport.TLS else None
        return self._transport.flow_to(target, Side.PROVIDER, terms)

    def forward(self, request: Request, next_hop: NextHop, user: TransactionUser, dress: Dressed) -> None:
        """Send a request the first way to a provider that works and is allowed; `user` gets its responses."""
        Forwarding(self, self._transactions.send_request, request, next_hop, user, dress).begin()

    def unheard(self, flow: Flow, seconds: float = HEARD_WITHIN) -> None:
        """Nothing came back over this flow in so many seconds."""
        self.health.unheard(flow, seconds)

    def first_answer(self, asked: AskedTarget, unheard: Unheard, *, has_next: bool) -> FirstAnswer:
        """The wait for the first answer to an INVITE that leaves now."""
        return FirstAnswer(self._clock, self.answer_times, asked, unheard, has_next=has_next)

    def reopened(self, provider: Provider, is_secure: bool) -> Flow | None:
        """A flow to the provider's last target, over TLS or in clear: for a dialog that lost its own."""
        target = self._last.get((provider.name, is_secure))
        return None if target is None else self.flow(provider, target)

    def way_to(self, provider: Provider, target: Target) -> Way:
        """The way to a target that is known, as of a dialog that another process began there."""
        return self._way(provider, target)

    def _locate(self, uri: str) -> Deferred[list[Target]]:
        return self._locator.locate(Uri.parse(uri))

    def _spoke(self, provider: Provider, target: Target) -> None:
        if target.transport is Transport.TLS:
            self.memory.saw(Peer.of(provider), Feature.TLS, did=True)

    def _way(self, provider: Provider, target: Target) -> Way:
        return partial(self._opened, provider, target)

    def _opened(self, provider: Provider, target: Target) -> Flow:
        self._last[(provider.name, target.transport is Transport.TLS)] = target
        return self.flow(provider, target)


def _is_over(target: Target, signalling: Signalling) -> bool:
    return (target.transport is Transport.TLS) == (signalling is Signalling.TLS)
