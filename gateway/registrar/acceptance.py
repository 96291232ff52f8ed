"""The registrar's rules: which REGISTER may bind, and which refresh needs no word of the provider.

    check(order, interval, downgrade) -> is_refresh? -> answered here
                                         `- no: check_room -> token for each contact -> provider

Each check reads the store and changes nothing; a REGISTER that may not go on is Refused with its status.

Here: order within a Call-ID (RFC 3261 section 10.3 step 7), limits, downgrade, refresh, tokens. Not here: the life of a
REGISTER (registrar.py), reading one (request.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from gateway.config.model import Domain, Downgrade
from gateway.registrar.binding import Binding, LocationStore
from gateway.registrar.request import Asked, AskedContact
from gateway.registrar.upstream import keyed, token_for
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.sip.errors import Refused
from gateway.sip.uri import Uri, canonical_host
from gateway.transport.flow import Flow, is_ip_address


@attrs.frozen
class RegistrarTerms:
    """The registrar's limits."""

    floor: int = 60
    """Seconds: a shorter interval is answered 423; 0 allows any."""
    provider_interval: int = 3600
    """Seconds that the provider is asked for at least, however often the phone refreshes."""
    contacts_per_aor: int = 10
    bindings: int = 100_000


class Times(Protocol):
    """The two times of a registration."""

    wall: Callable[[], float]
    """Gives seconds since the epoch as people's clocks say."""

    def now(self) -> float:
        """Seconds since the epoch by which all lifetimes are reckoned, for it never jumps."""


class ProviderFlows:
    """By token: the flow over which the provider was last asked for a binding, and by which it may reach the phone."""

    def __init__(self, store: LocationStore) -> None:
        self._store = store
        self._flows: dict[str, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def note(self, token: str, flow: Flow) -> None:
        """Remember a flow; at times forget those of bindings that expired."""
        self._flows[token] = flow
        if len(self._flows) > 2 * len(self._store) + 100:
            self._flows = {
                token: one for token, one in self._flows.items() if self._store.find_token(token) is not None
            }

    def is_open(self, token: str) -> bool:
        """Whether the connection is up that the provider was asked over.

        Where it is gone, the provider may have been restarted and have forgotten the phone, or may be one that reaches
        phones only over the connection that registered them (RFC 5626 section 5.3).
        """
        flow = self._flows.get(token)
        return flow is not None and flow.is_open


def is_behind_nat(contact: Uri, flow: Flow) -> bool:
    """Whether a phone does not know the address that its packets come from.

    Over TCP and TLS the port tells nothing, nor does a name: there the Contact is where the phone listens.
    """
    same_host = canonical_host(contact.host) == canonical_host(flow.remote.host)
    if flow.is_reliable:
        return not same_host and is_ip_address(contact.host)
    return not same_host or (contact.port or flow.transport.default_port) != flow.remote.port


class Rules:
    """Decides on each REGISTER.

    ``secret`` keys tokens and waiting times. It should outlive restarts, or the provider sees every phone as a new one.
    ``changed_at`` tells when the way to a domain's provider last changed, in seconds since the epoch.
    """

    def __init__(
        self,
        store: LocationStore,
        memory: PeerMemory,
        times: Times,
        secret: bytes,
        changed_at: Callable[[str], float] = lambda domain: 0.0,
        terms: RegistrarTerms | None = None,
    ) -> None:
        self.now = times.now
        self.wall = times.wall
        self.secret = secret
        self.terms = terms or RegistrarTerms()
        self.flows = ProviderFlows(store)
        self._store = store
        self._memory = memory
        self._changed_at = changed_at

    def check(self, asked: Asked, domain: Domain, flow: Flow) -> None:
        """Raises Refused 403, 423 or 500 for a REGISTER that is out of order, too brief, or a downgrade."""
        self._check_order(asked)
        self._check_intervals(asked, flow.listener.nat_interval)
        self._check_transport(asked, domain, flow.is_secure)

    def check_room(self, asked: Asked) -> None:
        """Before anything is sent: contacts without room here must not be registered there. Raises Refused 403, 503."""
        bound = {binding.contact for binding in self._store.find(asked.aor)}
        instances = {binding.instance for binding in self._store.find(asked.aor)} - {None}
        added = {contact.uri for contact in asked.contacts if contact.interval and contact.instance not in instances}
        if len(bound | added) > self.terms.contacts_per_aor or len(asked.contacts) > self.terms.contacts_per_aor:
            raise Refused(403, "Too Many Contacts")
        if len(self._store) + len(added - bound) > self.terms.bindings:
            raise Refused(503, "Too Many Registrations", (("Retry-After", str(self.retry_after(asked))),))

    def is_refresh(self, asked: Asked, flow: Flow) -> bool:
        """Whether every contact is one that this very flow registered under this Call-ID, and is fresh at the provider.

        Such a refresh is answered without asking for a password. That is safe because it can do nothing but keep a
        grant of the provider to its holder: it binds no new contact, moves none to another flow, and never lasts longer
        than the provider's own registration. A sender that forges the phone's address and knows its Call-ID could at
        most keep the phone registered that is registered, and the answer goes to the phone. The provider is asked
        again, password and all, once half of its grant is over, or when the way to it was changed since: so
        registrations move to another transport with their next refresh.
        """
        changed_at = self._changed_at(asked.domain)
        bound = {binding.contact: binding for binding in self._store.find(asked.aor)}
        return bool(asked.contacts) and all(
            contact.interval > 0
            and (binding := bound.get(contact.uri)) is not None
            and binding.came_over == flow.key
            and self.flows.is_open(binding.token)
            and binding.call_id == asked.call_id
            and binding.instance == contact.instance
            and self.provider_remaining(binding) > binding.provider_interval / 2
            and binding.provider_expires_at - binding.provider_interval >= changed_at
            for contact in asked.contacts
        )

    def is_overtaken(self, asked: Asked, contact: str) -> bool:
        """Whether an answer that overtook this one was about a later request (section 10.3 step 7)."""
        bound = next((binding for binding in self._store.find(asked.aor) if binding.contact == contact), None)
        return bound is not None and bound.call_id == asked.call_id and bound.cseq > asked.cseq

    def provider_remaining(self, binding: Binding) -> float:
        """Seconds that the provider's own registration still lasts."""
        return binding.provider_expires_at - self.now()

    def provider_interval(self, contact: AskedContact) -> int:
        """Seconds that the provider is asked for; 0 asks for removal."""
        return max(contact.interval, self.terms.provider_interval) if contact.interval else 0

    def granted(self, contact: AskedContact, flow: Flow, most: int) -> int:
        """Seconds that a phone is granted of ``most``: its wish, and less behind NAT.

        A NAT forgets the port of a phone that is silent, many within a minute, and no call reaches it from then on. A
        phone that must register again in time keeps its port open. Most of these refreshes are answered here.
        """
        wished = min(contact.interval, most)
        shorter = flow.listener.nat_interval
        return min(wished, shorter) if shorter and is_behind_nat(Uri.parse(contact.uri), flow) else wished

    def token(self, asked: Asked, contact: AskedContact) -> str:
        """The token of this place; in the rare case that another's has the same, the next that is free."""
        attempt = 0
        while True:
            place = contact.instance or contact.uri
            token = token_for(self.secret, asked.user, asked.aor, place, attempt)
            holder = self._store.find_token(token)
            if holder is None or (holder.aor == asked.aor and (holder.instance or holder.contact) == place):
                return token
            attempt += 1

    def retry_after(self, asked: Asked) -> int:
        """Seconds, 20 to 49, spread by user, so that phones do not all come back at once after an outage."""
        return 20 + int(keyed(self.secret, asked.aor)[:4], 16) % 30

    def learn(self, asked: Asked, is_secure: bool) -> None:
        """Remember whether a phone with a granted registration does TLS. One that never did is no news."""
        peer = Peer(asked.aor)
        if is_secure:
            self._memory.saw(peer, Feature.TLS, did=True)
        elif self._memory.known(peer).tls:
            self._memory.saw(peer, Feature.TLS, did=False)
            self._memory.report(peer, Feature.TLS, refused=False)

    def _check_order(self, asked: Asked) -> None:
        """Section 10.3 step 7: within one Call-ID an update that is not newer must not take effect."""
        if any(binding.call_id == asked.call_id and binding.cseq >= asked.cseq for binding in self._touched(asked)):
            raise Refused(500, "CSeq Out Of Order")

    def _check_intervals(self, asked: Asked, nat_interval: int) -> None:
        floor = min(self.terms.floor, nat_interval or self.terms.floor)  # a phone may ask for the grant it was given
        if any(0 < contact.interval < floor for contact in asked.contacts):
            raise Refused(423, "", (("Min-Expires", str(floor)),))

    def _check_transport(self, asked: Asked, domain: Domain, is_secure: bool) -> None:
        """A phone that registered over TLS before and does not now is a probable downgrade, refused where so told."""
        peer = Peer(asked.aor)
        if domain.downgrade is not Downgrade.REFUSE or is_secure or not self._memory.known(peer).tls:
            return
        self._memory.report(peer, Feature.TLS, refused=True)
        raise Refused(403, "Registered Over TLS Before")

    def _touched(self, asked: Asked) -> list[Binding]:
        """The bindings that this request is about."""
        bound = self._store.find(asked.aor)
        contacts = {contact.uri for contact in asked.contacts}
        return bound if asked.is_wildcard else [binding for binding in bound if binding.contact in contacts]
