"""The registrar's rules: which REGISTER may bind, and which refresh needs no word of the provider.

    check(order, interval, downgrade) -> is_refresh? -> answered here
                                         `- no: check_room -> token for each contact -> provider

Each check reads the store and changes nothing; a REGISTER that may not go on is Refused with its status.

Here: order within a Call-ID (RFC 3261 section 10.3 step 7), limits, downgrade, refresh, tokens. Not here: the life of a
REGISTER (registrar.py), reading one (request.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

import attrs

from gateway.config.model import Domain, Downgrade, PhonesSecurity
from gateway.registrar.binding import Binding, LocationStore
from gateway.registrar.request import Asked, AskedContact
from gateway.registrar.upstream import keyed, token_for
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.policy.terms import TLS_REQUIRED
from gateway.sip.errors import Refused
from gateway.sip.uri import Uri, canonical_host
from gateway.transport.flow import Flow, FlowKey, Transport, is_ip_address

ASKS_A_SECOND: Final = 200
"""Bindings of the process before that providers are asked for in a second at most: a seventh of what can be."""


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
        self._flows: dict[str, Flow | None] = {}
        """None: the provider was asked, and has not granted it again."""
        self._asking: set[str] = set()
        self._may_ask_at = 0.0

    def __len__(self) -> int:
        return len(self._flows)

    def note(self, token: str, flow: Flow | None) -> None:
        """Remember a flow, or None where the binding is not granted; at times forget those of bindings that expired."""
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

    def is_unasked(self, token: str) -> bool:
        """Whether this process has not asked the provider yet for a binding that it has found."""
        return token not in self._flows

    def may_ask(self, tokens: Collection[str], now: float) -> bool:
        """Whether to ask now for these, which a phone does not wait for; they count as asked for then. Few at once: all
        phones refresh within a minute of a restart, and the provider is asked for each."""
        if now < self._may_ask_at or not self._asking.isdisjoint(tokens):
            return False
        self._may_ask_at = now + 1 / ASKS_A_SECOND
        self._asking.update(tokens)
        return True

    def asked(self, token: str, way: Flow | None) -> None:
        """The provider has granted a binding over this way; None: it has not."""
        self._asking.discard(token)
        self.note(token, way)

    def unanswered(self, token: str) -> None:
        """The provider has not answered: it is asked again."""
        self._asking.discard(token)


def is_behind_nat(contact: Uri, flow: Flow, via: str = "") -> bool:
    """Whether a phone does not know the address that its packets come from, by its Contact or the host of its Via.

    Some phones have asked a server for the address that the NAT gives them (STUN), or were told it by our answers, and
    write that into their Contact; over UDP their Via still names their own. A name there tells nothing, nor does an
    address of the other IP version, which a phone with both may write.
    """
    if is_elsewhere(contact, flow.key):
        return True
    source = flow.remote.host
    is_alike = is_ip_address(via) and (":" in via) == (":" in source)
    return is_alike and not flow.is_reliable and canonical_host(via) != canonical_host(source)


def is_elsewhere(contact: Uri, key: FlowKey) -> bool:
    """Whether a Contact is another place than its REGISTER came from.

    Over TCP and TLS the port tells nothing, nor does a name: there the Contact is where the phone listens.
    """
    same_host = canonical_host(contact.host) == canonical_host(key.remote.host)
    if key.transport is not Transport.UDP:
        return not same_host and is_ip_address(contact.host)
    return not same_host or (contact.port or key.transport.default_port) != key.remote.port


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
        return self._is_kept(asked, flow, self.flows.is_open)

    def is_left_over(self, asked: Asked, flow: Flow) -> bool:
        """Whether it is such a refresh, but for the provider, whom this process has not asked yet: the binding was made
        by the process before.

        It is as safe to answer, for it can do no more. The provider is to be asked all the same, while the phone does
        not wait: it may reach phones only over a connection that ended with that process. Over UDP alone: a connection
        of the phone's ended as well.
        """
        return flow.transport is Transport.UDP and self._is_kept(asked, flow, self.flows.is_unasked)

    def _is_kept(self, asked: Asked, flow: Flow, is_way: Callable[[str], bool]) -> bool:
        changed_at = self._changed_at(asked.domain)
        bound = {binding.contact: binding for binding in self._store.find(asked.aor)}
        return bool(asked.contacts) and all(
            contact.interval > 0
            and (binding := bound.get(contact.uri)) is not None
            and binding.came_over == flow.key
            and is_way(binding.token)
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

    def granted(self, contact: AskedContact, flow: Flow, most: int, via: str = "") -> int:
        """Seconds that a phone is granted of ``most``: its wish, and less behind NAT; ``via`` is the host of its Via.

        A NAT forgets the port of a phone that is silent, many within a minute, and no call reaches it from then on. A
        phone that must register again in time keeps its port open. Most of these refreshes are answered here.
        """
        wished = min(contact.interval, most)
        shorter = flow.listener.nat_interval
        return min(wished, shorter) if shorter and is_behind_nat(Uri.parse(contact.uri), flow, via) else wished

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
        """A phone that registered over TLS before and does not now is a probable downgrade, refused where so told.

        A phone that a roll-out has led to TLS is refused in clear first, and is no downgrade to alert of: most often it
        is one that was set back by hand. Both come after the order of REGISTERs (a copy of an old one is no news of the
        phone) and before the provider is asked, so that no password in clear is passed on. A stranger learns by the
        403 that this user had a phone over TLS, which ``downgrade`` tells as well; that it exists, any challenge tells.
        Phones that no roll-out is done with are not refused: a key in a file must not silence a house at once.
        """
        peer = Peer(asked.aor)
        if not is_secure and domain.phones_security is PhonesSecurity.REQUIRED and self._memory.is_led(peer):
            raise Refused(403, TLS_REQUIRED)
        if domain.downgrade is not Downgrade.REFUSE or is_secure or not self._memory.known(peer).tls:
            return
        self._memory.report(peer, Feature.TLS, refused=True)
        raise Refused(403, "Registered Over TLS Before")

    def _touched(self, asked: Asked) -> list[Binding]:
        """The bindings that this request is about."""
        bound = self._store.find(asked.aor)
        contacts = {contact.uri for contact in asked.contacts}
        return bound if asked.is_wildcard else [binding for binding in bound if binding.contact in contacts]
