"""The first request of a new dialog or transaction on the other side, made from the one that came in.

The gateway speaks in its own name: Call-ID, From tag and CSeq are its own (RFC 3261 section 8.1.1). They stay the same,
with CSeq going up, when the same caller asks again after a challenge: some servers refuse an answer to their challenge
that comes under another Call-ID, and RFC 3261 section 8.1.3.5 asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.headers import crossing_with_capabilities, is_auto_answer
from gateway.b2bua.legs.border import Border, bare
from gateway.config.model import Side
from gateway.config.tables.numbers.number_table import NumberField
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.sip.address import NameAddress
from gateway.sip.capabilities import USER_AGENT_LINE
from gateway.sip.grammar import Parameters, format_parameters
from gateway.sip.header_values import CSeq
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.trace.tracer import CallNames

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PROVIDER: Final = Side.PROVIDER
_PHONES: Final = Side.PHONES

REMEMBERED: Final = 10_000
"""Identities kept at most."""

REMEMBERED_FOR: Final = 64.0
"""Seconds for which a caller may come back with an answer to a challenge."""

MAX_FORWARDS: Final = 70

ANONYMOUS: Final = Uri("sip", "anonymous", host="anonymous.invalid")
"""A caller that does not want to be named (RFC 3323 section 4.1.1.3)."""


@attrs.define
class Identity:
    """The names of the gateway as it asks on the other side: Call-ID, From tag and CSeq."""

    call_id: str
    tag: str
    cseq: int = 0
    kept_until: float = 0.0
    media_refusal: int | None = None
    """The status that refused its media, where other media were let on as far as a challenge."""
    forks: dict[str, Identity] | None = None
    """Where several phones ring: those toward each, by its token."""

    def next_cseq(self) -> int:
        """The CSeq number of the next request under this identity."""
        self.cseq += 1
        return self.cseq


class Identities:
    """Remembers the identity that each caller's requests were sent on with, for as long as a challenge lasts."""

    def __init__(self, now: Callable[[], float], new_token: Callable[[], str], names: CallNames) -> None:
        self._now = now
        self._new_token = new_token
        self._names = names
        self._kept: OrderedDict[tuple[str, str | None], Identity] = OrderedDict()

    def identity_for(self, request: Request, call: str = "") -> Identity:
        """The identity of the caller of `request`: the one of before when it comes again, else a new one. Both Call-IDs
        are known from now on as those of `call`, the gateway's id of it; outside of calls as each other's."""
        now = self._now()
        key = (request.call_id, request.from_.tag)
        identity = self._kept.pop(key, None)
        if identity is None or identity.kept_until < now:
            identity = Identity(self._new_token() + self._new_token(), self._new_token())
        identity.kept_until = now + REMEMBERED_FOR
        self._kept[key] = identity
        self._names.join(call or identity.call_id, request.call_id, identity.call_id)
        self._forget(now)
        return identity

    def fork_of(self, identity: Identity, phone: Binding, call: str = "") -> Identity:
        """The identity toward one of several phones. Each has a Call-ID of its own: two that are on one device would
        take the second request for a loop (RFC 3261 section 8.2.2.2)."""
        forks = identity.forks = identity.forks or {}
        fork = forks.get(phone.token)
        if fork is None:
            fork = forks[phone.token] = Identity(self._new_token() + self._new_token(), self._new_token())
        self._names.join(call or identity.call_id, identity.call_id, fork.call_id)
        return fork

    def _forget(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) <= REMEMBERED and self._kept[oldest].kept_until >= now:
                return
            del self._kept[oldest]


def initial_request(request: Request, border: Border, identity: Identity, body: bytes) -> Request:
    """The request to send on, with `body` as the other side is to see it, without Via and Contact."""
    route = border.route
    toward = _PROVIDER if route.binding is None else _PHONES
    from_, to = request.from_, request.to
    if toward is _PHONES:
        from_, to = _calm(from_, border), _calm(to, border)
    caller, callee = _in_domain(from_, route, toward), border.addressed(to, toward)
    if route.numbers is not None:
        caller = border.numbered_address(caller, toward, NumberField.FROM)
        callee = border.numbered_address(callee, toward, NumberField.TO)
    caller = caller.with_tag(identity.tag)
    number = CSeq(identity.next_cseq(), request.method)
    keys = ["max-forwards", "from", "to", "call-id", "cseq"]
    lines = [
        f"Max-Forwards: {_forwards_left(request)}",
        f"From: {caller.text}",
        f"To: {callee.text}",
        f"Call-ID: {identity.call_id}",
        f"CSeq: {number.number} {number.method}",
    ]
    if service_route := route.service_route:
        keys = [*("route" for _ in service_route), *keys]
        lines = [*(f"Route: {value}" for value in service_route), *lines]
    auto_answer = border.domain.auto_answer
    crossed = crossing_with_capabilities(request.headers, toward, body, auto_answer=auto_answer)
    keys, lines = [*keys, *crossed.present, USER_AGENT_LINE[0]], [*lines, *crossed.lines, USER_AGENT_LINE[1]]
    headers = Headers((), keys, lines, {"from": caller, "call-id": identity.call_id, "cseq": number})
    beside = Customs.at(border, toward).beside(request) if request.beside else ()
    return Request(request.method, route.request_uri, headers, body, beside)


def _forwards_left(request: Request) -> int:
    """Max-Forwards goes down across the gateway as across a proxy, so that a loop through it ends (RFC 5393)."""
    given = request.max_forwards
    return MAX_FORWARDS if given is None else given - 1


def _calm(address: NameAddress, border: Border) -> NameAddress:
    """The address without parameters by which some phones answer by themselves (``intercom=true``)."""
    if border.domain.auto_answer or not is_auto_answer(str(address)):
        return address
    uri = attrs.evolve(address.uri, parameters=_calm_parameters(address.uri.parameters))
    return NameAddress(address.display_name, uri, _calm_parameters(address.parameters))


def _calm_parameters(parameters: Parameters) -> Parameters:
    return tuple(pair for pair in parameters if pair[0] == "tag" or not is_auto_answer(format_parameters((pair,))))


def _in_domain(caller: NameAddress, route: Route, toward: Side) -> NameAddress:
    """The caller's address; a phone's has the domain as its host, so that no phone's address shows. A host that
    is none (RFC 2606) hides the name, and a user there would be a name that nobody vouches for."""
    if (toward is _PHONES and not route.is_local) or caller.uri.scheme not in ("sip", "sips"):
        uri = bare(caller.uri)
        return caller if uri is caller.uri else attrs.evolve(caller, uri=uri)
    if caller.uri.host.lower().endswith(".invalid"):
        return NameAddress(caller.display_name, ANONYMOUS)
    return NameAddress.written(caller.display_name, caller.uri.at_host(route.domain.name))
