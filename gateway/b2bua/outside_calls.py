"""The policy for a provider's request outside calls: MESSAGE, NOTIFY, SUBSCRIBE, INFO, PUBLISH, OPTIONS.

It is judged as an INVITE is, before any phone hears of it: under ``required`` one that came in clear, or over TLS of
nobody in particular, is refused. Else a text, a status or the busy lamps of a phone would cross a clear hop, and so
would the phone's answer, which goes back the way that the request came. No emergency number is an exception: those are
of calls.

A phone's request needs no judge here: the trunk takes it along the policy's ways (``routing.forward``). One to another
phone does, for there is no trunk on its way.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.logger import Logger

from gateway.b2bua.chain_words import arrival
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.security.policy.decisions import accepts_inbound
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import CallTerms, InboundSignalling, Reason, Refusal
from gateway.sip.errors import Refused
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()


@attrs.frozen
class OutsideCalls:
    """Judges a provider's requests outside calls."""

    memory: PeerMemory
    metrics: Metrics
    name: str
    """The gateway's name in Warning fields (RFC 3261 section 20.43)."""

    def judge(self, transaction: ServerTransaction, route: Route) -> None:
        """Let the provider's request go on to a phone, recorded where it is protected less than wanted; Refused 503
        where the policy does not allow it."""
        came_over = arrival(transaction.flow, route.proof)
        peer = Peer.of(route.provider)
        terms = CallTerms.of(route.domain, route.provider)
        decision = accepts_inbound(terms, came_over, None, self.memory.known(peer))
        is_refused = isinstance(decision, Refusal)
        if decision.is_downgrade and came_over is InboundSignalling.CLEAR:
            self.memory.report(peer, Feature.TLS, refused=is_refused)
        if decision.reason not in (None, Reason.CLEAR_POLICY_OFF):
            self._record(transaction, route, decision.reason, is_refused)
        if isinstance(decision, Refusal):
            raise Refused(decision.status, decision.text, decision.headers(self.name))

    def between_phones(
        self, transaction: ServerTransaction, route: Route, phones: Sequence[tuple[Binding, Flow]]
    ) -> list[tuple[Binding, Flow]]:
        """Those phones that a phone's request may go on to; Refused 503 where it may go to none. Each is judged as its
        leg of a call would be, and so is the sender."""
        terms = CallTerms.of(route.domain, route.provider)
        sender = self._judged(terms, transaction, route, route.caller, transaction.flow)
        judged = [(phone, flow, self._judged(terms, transaction, route, phone, flow)) for phone, flow in phones]
        taken = [(phone, flow) for phone, flow, refusal in judged if refusal is None]
        refusal = sender or next((refusal for _, _, refusal in judged if refusal is not None and not taken), None)
        if refusal is not None:
            raise Refused(refusal.status, refusal.text, refusal.headers(self.name))
        return taken

    def _judged(
        self, terms: CallTerms, transaction: ServerTransaction, route: Route, phone: Binding | None, flow: Flow
    ) -> Refusal | None:
        peer = Peer("" if phone is None else phone.aor)
        came_over = InboundSignalling.VERIFIED if flow.is_secure else InboundSignalling.CLEAR
        decision = accepts_inbound(terms, came_over, None, self.memory.known(peer))
        is_refused = isinstance(decision, Refusal)
        if decision.is_downgrade:
            self.memory.report(peer, Feature.TLS, refused=is_refused)
        if decision.reason not in (None, Reason.CLEAR_POLICY_OFF):
            self._record(transaction, route, decision.reason, is_refused)
        return decision if isinstance(decision, Refusal) else None

    def _record(self, transaction: ServerTransaction, route: Route, reason: Reason | None, is_refused: bool) -> None:
        result = "refused" if is_refused else "allowed"
        self.metrics.weak_requests.labels(route.domain.name, result, str(reason)).inc()
        log.info(
            "a {method} of {source} for {domain} is {result}: {reason}",
            method=transaction.request.method,
            source=transaction.flow.remote,
            domain=route.domain.name,
            result=result,
            reason=reason,
        )
