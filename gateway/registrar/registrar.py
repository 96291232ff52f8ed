"""Registrations: phones register through the gateway to their provider (RFC 3261 section 10).

Here: the life of a REGISTER, the bindings it makes, and finding them for inbound requests. Not here: reading and
writing the messages (registration.py), where bindings are kept (gateway/location), the way there (``forward``).

    phone -REGISTER-> receive_request -+- refresh(safe to answer) -> 200
                                       `- forward(provider's REGISTER) -> 2xx: bindings, 200 to the phone
                                                                       -> 401, 403, 423...: passed back
                                                                       -> no answer: 504 / 503, Retry-After

Nobody is bound without the provider's 2xx to that very request, so whose password was right is the provider's judgement
alone. A refresh is answered here only under the conditions of ``_is_refresh``, which say why that is safe.
"""

from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.logger import Logger

from gateway.config.model import Domain, Downgrade
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding, LocationStore, StoreFull
from gateway.registrar.request import Asked, AskedContact
from gateway.registrar.upstream import (
    authentication_info,
    call_id_for,
    granted,
    is_rejection,
    keyed,
    passed_back,
    provider_request,
    service_route,
    token_for,
)
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.grammar import split_list
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow, FlowKey

log = Logger()


class Forwarded(TransactionUser, Protocol):
    """Waits for the provider's answer to a REGISTER."""

    def leaving(self, flow: Flow) -> None:
        """The REGISTER is about to leave by this flow, perhaps after another that failed."""


Forward = Callable[[Request, Domain, Forwarded], None]
"""Sends a REGISTER to the domain's provider, completed (registration.dress) for each flow that it leaves by."""


@attrs.frozen
class RegistrarTerms:
    """The registrar's limits."""

    floor: int = 60
    """Seconds: a shorter interval is answered 423; 0 allows any."""
    provider_interval: int = 3600
    """Seconds that the provider is asked for at least, however often the phone refreshes."""
    contacts_per_aor: int = 10
    bindings: int = 100_000


@attrs.frozen
class Surroundings:
    """What a registrar stands on; handed in once."""

    domain_named: Callable[[str], Domain | None]
    forward: Forward
    store: LocationStore
    now: Callable[[], float]
    """Seconds since the epoch."""
    metrics: Metrics
    memory: PeerMemory
    new_tag: Callable[[], str]
    secret: bytes
    """Keys tokens and Call-IDs. It should outlive restarts, or the provider sees every phone as a new one."""
    changed_at: Callable[[str], float] = lambda domain: 0.0
    """When the way to a domain's provider last changed, seconds since the epoch."""


class Registrar:
    """Registers phones at their providers, and remembers where they are."""

    def __init__(self, surroundings: Surroundings, terms: RegistrarTerms | None = None) -> None:
        self._around = surroundings
        self._store = surroundings.store
        self._terms = terms or RegistrarTerms()
        self._ways: dict[str, Flow] = {}  # by token: what the provider may reach the phone over

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Answer a phone's REGISTER, now or when its provider has; raises Refused and MalformedMessage."""
        domain = self._domain_of(request)
        asked = Asked.read(request, domain.name)
        self._check_order(asked)
        self._check_intervals(asked)
        self._check_transport(asked, domain, transaction)
        if self._is_refresh(asked, transaction):
            self._refresh(asked, transaction, request)
            return
        self._check_room(asked)
        tokens = {contact.uri: self._token(asked, contact) for contact in asked.contacts}
        outward = provider_request(
            request, asked, tokens, self._terms.provider_interval, call_id_for(self._around.secret, asked)
        )
        self._around.forward(outward, domain, _Pending(self, transaction, request, asked, tokens))

    def service_route_of(self, aor: str, flow: FlowKey) -> tuple[str, ...]:
        """The Route values for requests of whoever is bound to this address of record over this flow (RFC 3608)."""
        bound = self._bound_over(aor, flow)
        return tuple(split_list(bound.service_route)) if bound is not None and bound.service_route else ()

    def is_bound(self, aor: str, flow: FlowKey) -> bool:
        """Whether a live binding of an address of record came over this flow."""
        return self._bound_over(aor, flow) is not None

    def find(self, request_uri: Uri, to: Uri) -> list[Binding]:
        """The live bindings that a provider's request is for: by the token we gave it, else by address of record."""
        binding = self._store.find_token(request_uri.user) if request_uri.user else None
        if binding is not None:
            return [binding]
        return self._find_user(request_uri) or self._find_user(to)

    def expire(self) -> int:
        """Forget bindings whose time is over; how many. To be called every few seconds."""
        count = self._store.expire(self._around.now())
        self._count()
        return count

    def flow_ended(self, flow: FlowKey) -> None:
        """A phone's connection is gone: whoever calls its bindings need not be kept waiting until they expire."""
        for binding in self._store.remove_flow(flow):
            log.info("{aor} is out of reach: its connection from {source} is gone", aor=binding.aor, source=flow.remote)
            self._count()

    def accept(self, pending: "_Pending", response: Response) -> None:
        """The provider's 2xx: bind or unbind what was asked, and tell the phone."""
        asked = pending.asked
        if asked.is_wildcard:
            for binding in self._store.find(asked.aor):
                self._unbind(asked, binding.contact)
        if any(contact.interval for contact in asked.contacts):
            self._learn(asked, pending.transaction.flow.is_secure)
        kept = [(contact, self._bind(pending, contact, response)) for contact in asked.contacts]
        self._count()
        bound = [(contact.uri, seconds) for contact, seconds in kept if seconds]
        if asked.is_query:
            now = self._around.now()
            bound = [(item.contact, int(item.expires_at - now)) for item in self._store.find(asked.aor)]
        answer = self._granting(pending.request, bound)
        authentication_info(answer, response)
        pending.transaction.respond(answer)

    def pass_back(self, pending: "_Pending", response: Response) -> None:
        """Any other final answer of the provider. What is bound stays bound: the asker may be somebody else."""
        said = {"aor": pending.asked.aor, "source": pending.transaction.flow.remote, "status": response.status}
        if is_rejection(pending.request, response):
            log.info("{aor} from {source} is not registered: the provider answers {status}", **said)
        self._respond(pending.transaction, passed_back(pending.request, response, self._around.new_tag()))

    def give_up(self, pending: "_Pending", failure: TransactionFailure) -> None:
        """No answer came: 504, or 503 when there was no way to the provider."""
        said = failure.transport.kind.value if failure.transport is not None else "timeout"
        why = failure.transport.reason if failure.transport is not None else "no answer"
        log.warn("{aor} cannot be registered: {reason} ({why})", aor=pending.asked.aor, reason=said, why=why)
        status = 504 if failure.timed_out else 503
        self.refuse(pending, status, f"the provider cannot be reached: {said}")

    def refuse(self, pending: "_Pending", status: int, why: str) -> None:
        """Answer a REGISTER that came to nothing on our side of the provider."""
        response = pending.request.response(status, None, self._around.new_tag())
        response.headers.add("Retry-After", str(self._retry_after(pending.asked)))
        response.headers.add("Reason", f'SIP;cause={status};text="{why}"')
        self._respond(pending.transaction, response)

    def _domain_of(self, request: Request) -> Domain:
        """The domain that the Request-URI names; phones that register at the gateway's address name it in To."""
        named = self._around.domain_named(request.request_uri.host) or self._around.domain_named(request.to.uri.host)
        if named is None:
            raise Refused(403, "Domain Not Served Here")
        return named

    def _check_order(self, asked: Asked) -> None:
        """Section 10.3 step 7: within one Call-ID an update that is not newer must not take effect."""
        if any(binding.call_id == asked.call_id and binding.cseq >= asked.cseq for binding in self._touched(asked)):
            raise Refused(500, "CSeq Out Of Order")

    def _check_intervals(self, asked: Asked) -> None:
        if any(0 < contact.interval < self._terms.floor for contact in asked.contacts):
            raise Refused(423, "", (("Min-Expires", str(self._terms.floor)),))

    def _check_transport(self, asked: Asked, domain: Domain, transaction: ServerTransaction) -> None:
        """A phone that registered over TLS before and does not now is a probable downgrade, refused where so told."""
        memory, peer = self._around.memory, Peer(asked.aor)
        if domain.downgrade is not Downgrade.REFUSE or transaction.flow.is_secure or not memory.known(peer).tls:
            return
        memory.report(peer, Feature.TLS, refused=True)
        raise Refused(403, "Registered Over TLS Before")

    def _learn(self, asked: Asked, is_secure: bool) -> None:
        """What a registration that the provider granted shows of its phone. One that never did TLS is no news."""
        memory, peer = self._around.memory, Peer(asked.aor)
        if is_secure:
            memory.saw(peer, Feature.TLS, did=True)
        elif memory.known(peer).tls:
            memory.saw(peer, Feature.TLS, did=False)
            memory.report(peer, Feature.TLS, refused=False)

    def _check_room(self, asked: Asked) -> None:
        """Before anything is sent: what does not fit here must not be registered there."""
        bound = {binding.contact for binding in self._store.find(asked.aor)}
        instances = {binding.instance for binding in self._store.find(asked.aor)} - {None}
        added = {contact.uri for contact in asked.contacts if contact.interval and contact.instance not in instances}
        if len(bound | added) > self._terms.contacts_per_aor or len(asked.contacts) > self._terms.contacts_per_aor:
            raise Refused(403, "Too Many Contacts")
        if len(self._store) + len(added - bound) > self._terms.bindings:
            raise Refused(503, "Too Many Registrations", (("Retry-After", str(self._retry_after(asked))),))

    def _touched(self, asked: Asked) -> list[Binding]:
        """The bindings that this request is about."""
        bound = self._store.find(asked.aor)
        return bound if asked.is_wildcard else [item for item in bound if _contact_of(asked, item) is not None]

    def _is_refresh(self, asked: Asked, transaction: ServerTransaction) -> bool:
        """Whether every contact is one that this very flow registered under this Call-ID, and is fresh at the provider.

        Such a refresh is answered without asking for a password. That is safe because it can do nothing but keep what
        the provider granted to somebody who had it: it binds no new contact, moves none to another flow, and never
        lasts longer than the provider's own registration. Somebody who forges the phone's address and knows its Call-ID
        could at most keep the phone registered that is registered, and the answer goes to the phone. The provider is
        asked again, password and all, once half of what it granted is over, or when the way to it was changed since:
        so registrations move to another transport with their next refresh.
        """
        changed_at = self._around.changed_at(asked.domain)
        bound = {binding.contact: binding for binding in self._store.find(asked.aor)}
        return bool(asked.contacts) and all(
            contact.interval > 0
            and (binding := bound.get(contact.uri)) is not None
            and binding.flow == transaction.flow.key
            and self._has_way(binding)
            and binding.call_id == asked.call_id
            and binding.instance == contact.instance
            and self._provider_remaining(binding) > binding.provider_interval / 2
            and binding.provider_expires_at - binding.provider_interval >= changed_at
            for contact in asked.contacts
        )

    def _provider_remaining(self, binding: Binding) -> float:
        return binding.provider_expires_at - self._around.now()

    def _has_way(self, binding: Binding) -> bool:
        """Whether the connection is up that the provider was asked over.

        Where it is gone, the provider may have been restarted and have forgotten the phone, or may be one that reaches
        phones only over the connection that registered them (RFC 5626 section 5.3).
        """
        way = self._ways.get(binding.token)
        return way is not None and way.is_open

    def _note_way(self, token: str, way: Flow | None) -> None:
        """Remember what a phone was registered over; at times forget those of bindings that expired."""
        if way is not None:
            self._ways[token] = way
        if len(self._ways) > 2 * len(self._store) + 100:
            self._ways = {token: way for token, way in self._ways.items() if self._store.find_token(token) is not None}

    def _refresh(self, asked: Asked, transaction: ServerTransaction, request: Request) -> None:
        bound = {binding.contact: binding for binding in self._store.find(asked.aor)}
        answers = []
        for contact in asked.contacts:
            binding = bound[contact.uri]
            seconds = min(contact.interval, int(self._provider_remaining(binding)))
            expires_at = self._around.now() + seconds
            self._store.save(attrs.evolve(binding, expires_at=expires_at, cseq=asked.cseq, q=contact.q))
            answers.append((contact.uri, seconds))
        self._respond(transaction, self._granting(request, answers))

    def _token(self, asked: Asked, contact: AskedContact) -> str:
        """The token of this place; in the rare case that another's has the same, the next that is free."""
        attempt = 0
        while True:
            place = contact.instance or contact.uri
            token = token_for(self._around.secret, asked.user, asked.aor, place, attempt)
            holder = self._store.find_token(token)
            if holder is None or (holder.aor == asked.aor and (holder.instance or holder.contact) == place):
                return token
            attempt += 1

    def _bind(self, pending: "_Pending", contact: AskedContact, response: Response) -> int:
        """Bind or unbind one contact as the provider's 2xx says; the seconds that the phone is granted."""
        asked, token = pending.asked, pending.tokens[contact.uri]
        interval = max(contact.interval, self._terms.provider_interval) if contact.interval else 0
        provider_seconds = granted(response, token, interval) if contact.interval else 0
        if provider_seconds == 0:
            self._unbind(asked, contact.uri)
            return 0
        seconds = min(contact.interval, provider_seconds)
        now = self._around.now()
        binding = Binding(
            aor=asked.aor,
            contact=contact.uri,
            flow=pending.transaction.flow.key,
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
        )
        self._keep(binding, pending.way, pending.transaction.flow.is_open)
        return seconds

    def _keep(self, binding: Binding, way: Flow | None, is_open: bool) -> None:
        """Save unless an answer that overtook this one was about a later request (section 10.3 step 7)."""
        if not self._is_overtaken(binding.aor, binding.contact, binding.call_id, binding.cseq):
            if self._store.find_token(binding.token) is None:
                log.info("{aor} registered from {source}", aor=binding.aor, source=binding.flow.remote)
            self._store.save(binding)
            self._note_way(binding.token, way)
            if not is_open:  # the phone did not wait for the provider
                self._store.remove_flow(binding.flow)

    def _unbind(self, asked: Asked, contact: str) -> None:
        if not self._is_overtaken(asked.aor, contact, asked.call_id, asked.cseq):
            log.info("{aor} unregistered", aor=asked.aor)
            self._store.remove(asked.aor, contact)

    def _is_overtaken(self, aor: str, contact: str, call_id: str, cseq: int) -> bool:
        bound = next((binding for binding in self._store.find(aor) if binding.contact == contact), None)
        return bound is not None and bound.call_id == call_id and bound.cseq > cseq

    def _granting(self, request: Request, bound: list[tuple[str, int]]) -> Response:
        """A 200 that lists (contact, seconds)."""
        answer = request.response(200, None, self._around.new_tag())
        for contact, seconds in bound:
            answer.headers.add("Contact", f"<{contact}>;expires={seconds}")
        return answer

    def _respond(self, transaction: ServerTransaction, response: Response) -> None:
        response.headers.add("Server", SOFTWARE)
        transaction.respond(response)

    def _retry_after(self, asked: Asked) -> int:
        """Seconds, 20 to 49, spread by user, so that phones do not all come back at once after an outage."""
        return 20 + int(keyed(self._around.secret, asked.aor)[:4], 16) % 30

    def _bound_over(self, aor: str, flow: FlowKey) -> Binding | None:
        return next((binding for binding in self._store.find(aor) if binding.flow == flow), None)

    def _find_user(self, uri: Uri) -> list[Binding]:
        domain = self._around.domain_named(uri.host) if uri.user and uri.is_sip else None
        return [] if domain is None else self._store.find(f"sip:{uri.user}@{domain.name.lower()}")

    def _count(self) -> None:
        self._around.metrics.registrations.set(len(self._store))
        self._around.metrics.unreachable.set(self._store.unreachable)


@attrs.define(eq=False)
class _Pending:
    """One REGISTER that waits for its provider: the user of the provider-side transaction."""

    registrar: Registrar
    transaction: ServerTransaction
    request: Request
    asked: Asked
    tokens: dict[str, str]
    way: Flow | None = None

    def leaving(self, flow: Flow) -> None:
        """What counts is what the last attempt left by."""
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


def _contact_of(asked: Asked, binding: Binding) -> AskedContact | None:
    return next((contact for contact in asked.contacts if contact.uri == binding.contact), None)
