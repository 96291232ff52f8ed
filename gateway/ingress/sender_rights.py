"""Which requests outside a dialog may go to the other side: routed, allowed to their sender, within our capacity.

    request -+- from a phone    -> its caller, by its flow -> registered, where the domain wants that -> Route
             |                     `- to another phone, where the domain has local calls: its password -> Route
             `- from a provider -> its domain -> admitted: its peer, challenged where so told -> Route | dropped
                                                       new calls are refused while everything is late

The order toward phones is a security order: domain, proof, challenge, and only then the look for a phone. The answer
to a request for a phone that is registered differs from one for a phone that is not, by its status (480) or by its
silence. A sender that is no peer of that phone's domain, or has not yet answered its challenge, gets neither: its
answer, and the work it causes, must not depend on the bindings. For the same reason the domain itself is not taken from
the bindings, except by a token, which only that domain's own peers were told.

Phones are not admitted here: their requests go to their domain's provider, which challenges them. Those of local calls
go to no provider, and are challenged here.

Here: the rights of a request in good form. Not here: strangers (gate.py), the form (core.py), the proof and the
challenge themselves (security).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

from gateway.b2bua.legs.asking_back import may_be_its_own
from gateway.b2bua.legs.leg import Leg
from gateway.config.model import PhonesSecurity, Side
from gateway.ingress.drain import Drain
from gateway.ingress.overload import Overload
from gateway.registrar.binding import Binding
from gateway.registrar.callers import Callers
from gateway.routing.router import Route, Router
from gateway.security.access_list import Proof
from gateway.security.answering import has_credentials
from gateway.security.guesses import Guesses, Passed
from gateway.security.policy.terms import TLS_REQUIRED
from gateway.sip.errors import MalformedMessage, NotServed, Refused
from gateway.sip.message import Request
from gateway.transport.flow import Flow

_PHONES_REQUIRED: Final = PhonesSecurity.REQUIRED


Replaced = Callable[[Request], Binding | None]
"""The phone with the dialog that a request is to take the place of, in a call between phones; None where it is none."""


def _nobody(_: Request) -> Binding | None:
    """There are no calls between phones."""
    return None


class Admission(Protocol):
    """Decides which requests are admitted from the provider's side."""

    def served_by(self, flow: Flow) -> tuple[str, ...]:
        """The domains that the sender is proved to be a peer of, in lower case."""

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        """How the sender is a peer of the domain; None: it is none."""

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        """How the sender proved to be a peer of the domain; None drops it without an answer. Raises Refused 401."""

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a call may go on; False drops it without an answer. Raises Refused 401."""

    def prove_caller(self, request: Request, domain: str, user: str) -> bool:
        """Whether a phone's request proves its user's password; False where nobody here knows that. Raises Refused 400
        and PasswordAsked."""


class UnregisteredCaller(Refused):
    """A phone's request that its domain takes of registered phones only."""

    def __init__(self, route: Route) -> None:
        super().__init__(403, "Register First")
        self.route = route


class PhoneInClear(Refused):
    """A request in clear of a phone that a roll-out has led to TLS, in a domain that requires it of such phones."""

    def __init__(self, route: Route) -> None:
        super().__init__(403, TLS_REQUIRED)
        self.route = route


class Screening:
    """Decides on each request that would reach the other side."""

    def __init__(
        self,
        router: Router,
        callers: Callers,
        admission: Admission,
        overload: Overload,
        drain: Drain,
        guesses: Guesses,
    ) -> None:
        self._router = router
        self._callers = callers
        self._admission = admission
        self._overload = overload
        self._drain = drain
        self._guesses = guesses

    @property
    def served(self) -> tuple[str, ...]:
        """The domains that this gateway serves."""
        return self._router.served

    def route(self, request: Request, flow: Flow, replaced: Replaced = _nobody) -> Route | None:
        """The way of a request that may go on; None drops it without an answer. Raises Refused."""
        is_phone = flow.side is Side.PHONES
        route = self._from_phone(request, flow, replaced) if is_phone else self._from_provider(request, flow)
        if route is not None:
            self._check_load(request, route)
        return route

    def weigh(self, request: Request, flow: Flow) -> Passed:
        """A request outside dialogs as it may go on: a phone's passwords are guesses, and so many of them are let
        through, by the domain whose provider hears them. A call to an emergency number always goes on.

        Raises Refused and MalformedMessage."""
        if flow.side is not Side.PHONES:
            return Passed(request)
        if not has_credentials(request):
            return self._guesses.pass_on(request, flow)
        if request.method == "REGISTER":
            hosts = (request.request_uri.host, request.to.uri.host)
            domain = next(filter(None, map(self._router.domain_named, hosts)), None)
            return self._guesses.weigh(request, flow, "" if domain is None else domain.name)
        route = self._router.outward(request, self._callers.caller_of(request, flow.key))
        if request.method == "INVITE" and route.is_emergency:
            return self._guesses.weigh_urgent(request, flow, route.domain.name)
        return self._guesses.weigh(request, flow, route.domain.name)

    def weigh_within(self, request: Request, flow: Flow, leg: Leg) -> Passed:
        """The same for a request within a dialog. Raises Refused and MalformedMessage."""
        is_ours = request.method in ("BYE", "OPTIONS")  # answered here, whatever their credentials
        if flow.side is not Side.PHONES or is_ours or leg.record.is_emergency or not has_credentials(request):
            return Passed(request)
        return self._guesses.weigh(request, flow, leg.record.domain, is_within=True)

    def is_way_of(self, leg: Leg, flow: Flow) -> bool:
        """Whether a message of this leg's peer may come over a flow."""
        domain = leg.spec.border.domain.name
        return leg.way.takes(flow, leg.services.phones, lambda other: self._admission.proof_of(other, domain))

    def may_be_its_own(self, leg: Leg, flow: Flow) -> bool:
        """Whether a request over another way than the leg's may be of its provider: see `asking_back`."""
        domain = leg.spec.border.domain.name
        return may_be_its_own(leg, flow, lambda other: self._admission.proof_of(other, domain))

    def is_emergency(self, request: Request, flow: Flow) -> bool:
        """Whether a phone's request is for an emergency number."""
        try:
            return self._router.outward(request, self._callers.caller_of(request, flow.key)).is_emergency
        except (Refused, MalformedMessage):
            return False

    def is_registered(self, request: Request, flow: Flow) -> bool:
        """Whether a phone's request is of a caller that registered over its flow. Raises MalformedMessage."""
        return self._callers.caller_of(request, flow.key) is not None

    def admits_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a dialog may go on; False drops it without an answer. Raises Refused."""
        return flow.side is not Side.PROVIDER or self._admission.admit_within(request, flow, domain)

    def _from_phone(self, request: Request, flow: Flow, replaced: Replaced) -> Route:
        """Where the provider takes the gateway's word for the caller, it must be one that registered over this flow.

        A phone that is to come over TLS is refused in clear last: the caller is known then, and the look costs nothing
        where no domain wants it. A binding of before the roll-out gives no right to go on in clear."""
        route = self._router.outward(request, self._callers.caller_of(request, flow.key))
        if route.domain.registered_callers_only and not route.is_emergency and route.caller is None:
            raise UnregisteredCaller(route)
        domain = route.domain
        is_judged = domain.phones_security is _PHONES_REQUIRED and not flow.is_secure and not route.is_emergency
        if is_judged and self._callers.is_led(request, route.caller, domain.name):
            raise PhoneInClear(route)
        return route if not domain.local_calls else self._to_phone(request, route, replaced)

    def _to_phone(self, request: Request, route: Route, replaced: Replaced) -> Route:
        """The way to a phone of the caller's domain, where there is one, instead of the way to the provider. The flow
        of its registration names the caller, and its password is asked for as the provider would: over UDP a flow is an
        address, which anybody may write on a packet. Users without a password here are the provider's to judge."""
        local = self._router.between_phones(request, route, replaced(request))
        if local is None or local.caller is None:
            return route
        return local if self._admission.prove_caller(request, local.domain.name, local.caller.user) else route

    def _from_provider(self, request: Request, flow: Flow) -> Route | None:
        domain = self._router.called_domain(request, self._admission.served_by(flow))
        if domain is None:
            raise NotServed(404, "Domain not served here")
        proof = self._admission.admit(request, flow, domain.name)
        return None if proof is None else self._router.inward(request, domain, proof)

    def _check_load(self, request: Request, route: Route) -> None:
        """New calls wait for better times during a drain, and when everything is late; emergency calls never do."""
        if request.method == "INVITE" and not route.is_emergency:
            self._drain.check_new()
        if self._overload.is_shedding and request.method == "INVITE" and not route.is_emergency:
            self._overload.count_shed()
            raise Refused(503, "Overloaded", (("Retry-After", str(random.randint(5, 15))),))
