"""Registrations: phones register through the gateway to their provider (RFC 3261 section 10).

    phone -REGISTER-> receive_request -+- refresh(safe to answer) -> 200
                                       +- the same, bound by the process before -> 200, and the provider is asked beside
                                       `- forward(provider's REGISTER) -> 2xx: bindings, 200 to the phone
                                                                       -> 401, 403, 423...: passed back
                                                                       -> no answer: 504 / 503, Retry-After

Nobody is bound without the provider's 2xx to that very request: the password is the provider's judgement alone. A
refresh is answered here only under the conditions of ``Rules.is_refresh``, which say why that is safe.

Here: the life of a REGISTER, and the bindings it makes. Not here: the rules, reading and writing messages, the stores,
bound phones as callers (callers.py) and as the called (routing), the way to the provider (``forward``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from gateway.config.model import Domain
from gateway.registrar.acceptance import Rules, is_behind_nat
from gateway.registrar.answer import authentication_info, granting, passed_back, try_later
from gateway.registrar.binding import Binding, LocationStore, StoreFull
from gateway.registrar.news import RegistrationNews
from gateway.registrar.request import Asked, AskedContact
from gateway.registrar.upstream import call_id_for, dress, granted, is_rejection, provider_request, service_route
from gateway.security.answering import has_credentials
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.errors import MalformedMessage, NotServed
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow, FlowKey, is_ip_address


class Forwarded(TransactionUser, Protocol):
    """Waits for the provider's answer to a REGISTER."""

    def leaving(self, request: Request, flow: Flow) -> None:
        """Complete a REGISTER that is about to leave by this flow, perhaps after another that failed."""


Forward = Callable[[Request, Domain, Forwarded], None]
"""Sends a REGISTER to the domain's provider, completed (``Forwarded.leaving``) for each flow that it leaves by."""


class Registrar:
    """Registers phones at their providers, and remembers where they are."""

    def __init__(
        self,
        domain_named: Callable[[str], Domain | None],
        forward: Forward,
        store: LocationStore,
        rules: Rules,
        new_tag: Callable[[], str],
        news: RegistrationNews,
    ) -> None:
        self._domain_named = domain_named
        self._forward = forward
        self._store = store
        self._rules = rules
        self._new_tag = new_tag
        self._news = news

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Answer a phone's REGISTER, now or when its provider has; raises Refused and MalformedMessage."""
        domain = self._domain_of(request)
        asked = Asked.read(request, domain.name, lambda host: is_ip_address(host) or self._domain_named(host) is domain)
        self._rules.check(asked, domain, transaction.flow)
        if self._rules.is_refresh(asked, transaction.flow):
            self._refresh(asked, transaction, request)
            return
        is_left_over = self._rules.is_left_over(asked, transaction.flow)
        if is_left_over:
            self._refresh(asked, transaction, request)
        else:
            self._rules.check_room(asked)
        tokens = {contact.uri: self._rules.token(asked, contact) for contact in asked.contacts}
        if is_left_over and not self._rules.flows.may_ask(tokens.values(), self._rules.now()):
            return
        interval, call_id = self._rules.terms.provider_interval, call_id_for(self._rules.secret, asked)
        outward = provider_request(request, asked, tokens, interval, call_id)
        if is_left_over:
            self._forward(outward, domain, _Beside(self._store, self._rules, asked, tokens))
        else:
            self._forward(outward, domain, _Pending(self, transaction, request, asked, tokens))

    def expire(self) -> int:
        """Forget bindings that have expired; their number. To be called every few seconds."""
        count = self._store.expire(self._rules.now())
        self._news.count(self._store)
        return count

    def flow_ended(self, flow: FlowKey) -> None:
        """A phone's connection is gone: callers of its bindings need not be kept waiting until they expire."""
        for binding in self._store.remove_flow(flow):
            self._news.out_of_reach(binding, flow)
        self._news.count(self._store)

    def accept(self, pending: _Pending, response: Response) -> None:
        """The provider's 2xx: bind or unbind as was asked, and answer the phone."""
        asked = pending.asked
        if asked.is_wildcard:
            for binding in self._store.find(asked.aor):
                self._unbind(asked, binding.contact)
        if any(contact.interval for contact in asked.contacts):
            self._rules.learn(asked, pending.transaction.flow.is_secure)
        kept = [(contact, self._bind(pending, contact, response)) for contact in asked.contacts]
        self._news.count(self._store)
        bound = [(contact.uri, seconds) for contact, seconds in kept if seconds]
        if asked.is_query:
            now = self._rules.now()
            bound = [(item.contact, int(item.expires_at - now)) for item in self._store.find(asked.aor)]
        answer = granting(pending.request, bound, self._new_tag(), self._rules.wall())
        authentication_info(answer, response)
        pending.transaction.respond(answer)

    def pass_back(self, pending: _Pending, response: Response) -> None:
        """Any other final answer of the provider. All bindings stay: the asker may be somebody else."""
        request = pending.request
        if is_rejection(request, response):
            flow, had = pending.transaction.flow, has_credentials(request)
            self._news.refused(pending.asked.aor, flow, response.status, had_credentials=had)
        _respond(pending.transaction, passed_back(pending.request, response, self._new_tag()))

    def give_up(self, pending: _Pending, failure: TransactionFailure) -> None:
        """No answer came: 504, or 503 when there was no way to the provider."""
        said = failure.transport.kind.value if failure.transport is not None else "timeout"
        why = failure.transport.reason if failure.transport is not None else "no answer"
        self._news.unanswered(pending.asked.aor, pending.transaction.flow, said, why)
        status = 504 if failure.timed_out else 503
        self.refuse(pending, status, f"the provider cannot be reached: {said}")

    def refuse(self, pending: _Pending, status: int, why: str) -> None:
        """Answer a REGISTER that came to nothing on our side of the provider."""
        seconds = self._rules.retry_after(pending.asked)
        _respond(pending.transaction, try_later(pending.request, status, why, seconds, self._new_tag()))

    def _domain_of(self, request: Request) -> Domain:
        """The domain that the Request-URI names; phones that register at the gateway's address name it in To."""
        named = self._domain_named(request.request_uri.host) or self._domain_named(request.to.uri.host)
        if named is None:
            raise NotServed(403, "Domain Not Served Here")
        return named

    def _refresh(self, asked: Asked, transaction: ServerTransaction, request: Request) -> None:
        bound = {binding.contact: binding for binding in self._store.find(asked.aor)}
        answers = []
        for contact in asked.contacts:
            binding = bound[contact.uri]
            remaining = int(self._rules.provider_remaining(binding))
            seconds = self._rules.granted(contact, transaction.flow, remaining, asked.via)
            refreshed = binding.refreshed(self._rules.now() + seconds, asked.cseq, contact.q)
            self._store.save(refreshed)
            self._news.accepted(refreshed, is_new=False)
            answers.append((contact.uri, seconds))
        _respond(transaction, granting(request, answers, self._new_tag(), self._rules.wall()))

    def _bind(self, pending: _Pending, contact: AskedContact, response: Response) -> int:
        """Bind or unbind one contact as the provider's 2xx says; the seconds that the phone is granted."""
        asked, token = pending.asked, pending.tokens[contact.uri]
        interval = self._rules.provider_interval(contact)
        provider_seconds = granted(response, token, interval) if interval else 0
        if provider_seconds == 0:
            self._unbind(asked, contact.uri)
            return 0
        seconds = self._rules.granted(contact, pending.transaction.flow, provider_seconds, asked.via)
        if not self._rules.is_overtaken(asked, contact.uri):
            now = self._rules.now()
            self._keep(
                Binding(
                    aor=asked.aor,
                    contact=contact.uri,
                    flow=pending.transaction.back.key,
                    expires_at=now + seconds,
                    call_id=asked.call_id,
                    cseq=asked.cseq,
                    q=contact.q,
                    instance=contact.instance,
                    user_agent=asked.user_agent,
                    token=token,
                    provider_expires_at=now + provider_seconds,
                    provider_interval=provider_seconds,
                    service_route=service_route(response),
                    source=pending.source,
                    is_behind_nat=is_behind_nat(Uri.parse(contact.uri), pending.transaction.flow, asked.via),
                ),
                pending,
            )
        return seconds

    def _keep(self, binding: Binding, pending: _Pending) -> None:
        is_new = self._store.find_token(binding.token) is None
        self._store.save(binding)
        self._news.accepted(binding, is_new=is_new)
        if has_credentials(pending.request):
            pending.transaction.flow.allowance.prove()  # the provider's nonce went there
        if pending.way is not None:
            self._rules.flows.note(binding.token, pending.way)
        if not pending.transaction.flow.is_open:  # the phone did not wait for the provider
            self._store.remove_flow(binding.flow)

    def _unbind(self, asked: Asked, contact: str) -> None:
        if not self._rules.is_overtaken(asked, contact):
            self._news.removed(asked.aor)
            self._store.remove(asked.aor, contact)


@attrs.define(eq=False)
class _Pending:
    """One REGISTER that waits for its provider: the user of the provider-side transaction."""

    registrar: Registrar
    transaction: ServerTransaction
    request: Request
    asked: Asked
    tokens: dict[str, str]
    way: Flow | None = None

    @property
    def source(self) -> FlowKey | None:
        """The flow that the REGISTER came by, where its answer goes another way."""
        flow = self.transaction.flow
        return None if flow is self.transaction.back else flow.key

    def leaving(self, request: Request, flow: Flow) -> None:
        """Name the flow's address in the Contacts. The flow of the last attempt counts."""
        dress(request, flow)
        self.way = flow

    def receive_response(self, response: Response) -> None:
        """A final response settles it; a provisional one says nothing that a phone could use (RFC 4320)."""
        try:
            if 200 <= response.status < 300:
                self.registrar.accept(self, response)
            elif response.status >= 300:
                self.registrar.pass_back(self, response)
        except MalformedMessage:
            self.registrar.refuse(self, 502, "the provider's answer cannot be read")
        except StoreFull:
            self.registrar.refuse(self, 503, "too many registrations")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no answer."""
        self.registrar.give_up(self, failure)


@attrs.define(eq=False)
class _Beside:
    """A REGISTER whose phone has been answered: it tells whether the provider still has the binding, and the way to it.

    Only a 2xx that grants it is a yes. After any other answer, such as a challenge for a nonce that is old, the phone's
    next refresh goes to the provider like its first."""

    store: LocationStore
    rules: Rules
    asked: Asked
    tokens: dict[str, str]
    way: Flow | None = None

    def leaving(self, request: Request, flow: Flow) -> None:
        """Name the flow's address in the Contacts."""
        dress(request, flow)
        self.way = flow

    def receive_response(self, response: Response) -> None:
        """A final response settles it."""
        if response.status < 200:
            return
        for contact in self.asked.contacts:
            token = self.tokens[contact.uri]
            try:
                is_granted = response.status < 300 and self._grant(contact, token, response)
            except (MalformedMessage, StoreFull):
                is_granted = False
            self.rules.flows.asked(token, self.way if is_granted else None)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no answer."""
        for token in self.tokens.values():
            self.rules.flows.unanswered(token)

    def _grant(self, contact: AskedContact, token: str, response: Response) -> bool:
        seconds = granted(response, token, self.rules.provider_interval(contact))
        binding = self.store.find_token(token)
        if binding is None or seconds == 0:
            return False
        until = self.rules.now() + seconds
        self.store.save(
            attrs.evolve(
                binding,
                expires_at=min(binding.expires_at, until),
                provider_expires_at=until,
                provider_interval=seconds,
                service_route=service_route(response),
            )
        )
        return True


def _respond(transaction: ServerTransaction, response: Response) -> None:
    response.headers.add("Server", SOFTWARE)
    transaction.respond(response)
