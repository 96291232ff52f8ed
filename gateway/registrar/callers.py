"""Callers, known by the flow of their registration: the phone that a request is from, and the names that are its own.

    request, flow -> From names one bound over this flow            -> that binding
                  -> From hides its name (RFC 3323 section 4.1.1.3) -> by P-Preferred-Identity, Contact, or the only one
                  -> From names anybody else                        -> nobody

A name in a message is its sender's claim, and so is each of the other fields that name somebody (RFC 3325 section 9.2,
RFC 3892). The flow is none: the provider has seen the password of the phone that registered over it. So a name counts
where a live binding came over the same flow, and nowhere else. Where a flow has several lines, and nothing of its own
tells which one hides its name, it is none of them: a guess would let one line call with the password of another.

Here: these questions. Not here: the permission that follows (ingress/sender_rights.py), the fields that cross
(ingress/own_identities.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.config.model import Domain
from gateway.registrar.binding import Binding, LocationStore
from gateway.security.policy.peer_memory import Peer, PeerMemory
from gateway.sip.address import NameAddress
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import FlowKey, is_ip_address

_HIDDEN: Final = "anonymous"
_NO_HOST: Final = ".invalid"
"""Ends the host of a caller without a name, anonymous.invalid (RFC 3323), and every other host that is none (RFC
2606)."""
_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.()")


@attrs.frozen
class Callers:
    """The phones that are bound, as senders of requests. ``domain_named`` gives the domain that a host names."""

    _store: LocationStore
    _domain_named: Callable[[str], Domain | None]
    _memory: PeerMemory | None = None

    def is_bound(self, aor: str, flow: FlowKey) -> bool:
        """Whether a live binding of an address of record came over this flow."""
        return self._bound(aor, flow) is not None

    def is_bound_from(self, aor: str, source: str) -> bool:
        """Whether a live binding of an address of record came from this source (``Flow.source``)."""
        return any(binding.came_over.source == source for binding in self._store.find(aor))

    def caller_of(self, request: Request, flow: FlowKey) -> Binding | None:
        """The registered phone that a request is from; None where its name is not one of this flow's.

        Raises MalformedMessage.
        """
        named = request.from_.uri
        owner = self._owner_at_called(named, request.request_uri, flow)
        return owner if owner is not None or not is_hidden(named) else self._hidden(request, flow)

    def owner_of(self, uri: Uri, flow: FlowKey) -> Binding | None:
        """The binding over this flow that a URI names: by its user, or as a tel URI by its number (RFC 3966)."""
        if uri.is_sip:
            domain = self._domain_named(uri.host)
            if domain is not None:
                return self._bound(uri.address_of_record(domain.name), flow)
            if not is_ip_address(uri.host):  # a number is the gateway's own, which stands for the domain
                return None
        elif uri.scheme.lower() == "tel":
            uri = attrs.evolve(uri, user=_number(uri.user or ""))
        else:
            return None
        return next((one for one in self._store.over(flow) if uri.address_of_record(one.domain) == one.aor), None)

    def is_led(self, request: Request, caller: Binding | None, domain: str) -> bool:
        """Whether a roll-out has led the phone to TLS that a request is from, or that its From claims to be: who is not
        registered over its flow may be anybody, and is refused as the one that it names."""
        if self._memory is None:
            return False
        aor = request.from_.uri.address_of_record(domain) if caller is None else caller.aor
        return self._memory.is_led(Peer(aor))

    def _owner_at_called(self, named: Uri, called: Uri, flow: FlowKey) -> Binding | None:
        """The owner of a name; one at a host that is not ours counts as one of the domain that is called."""
        owner = self.owner_of(named, flow)
        if owner is not None or not named.is_sip or self._domain_named(named.host) is not None:
            return owner
        domain = self._domain_named(called.host)
        return None if domain is None else self._bound(named.address_of_record(domain.name), flow)

    def _hidden(self, request: Request, flow: FlowKey) -> Binding | None:
        for value in request.headers.values("P-Preferred-Identity"):
            owner = self.owner_of(NameAddress.parse(value).uri, flow)
            if owner is not None:
                return owner
        bound, contact = self._store.over(flow), request.contact
        user = contact.uri.user if contact is not None else None
        named = [one for one in bound if Uri.parse(one.contact).user == user]
        for lines in (named, bound):
            if len({one.aor for one in lines}) == 1:
                return lines[-1]
        return None

    def _bound(self, aor: str, flow: FlowKey) -> Binding | None:
        for binding in self._store.find(aor):
            if binding.came_over == flow:
                return binding
        return None


def is_hidden(uri: Uri) -> bool:
    """Whether a From names nobody."""
    return not uri.user or uri.user.lower() == _HIDDEN or uri.host.lower().endswith(_NO_HOST)


def _number(text: str) -> str:
    return text.partition(";")[0].translate(_VISUAL_SEPARATORS)
