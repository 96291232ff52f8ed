"""Which requests outside a dialog may go to the other side: routed, allowed to their sender, within our capacity.

    request -> routed -+- from a phone    -> registered, where the domain wants that -> Route
                       `- from a provider -> admitted: its peer, challenged where so told -> Route | dropped
                                                       new calls are refused while everything is late

Phones are not admitted here: their requests go to their domain's provider, which challenges them.

Here: the rights of a request in good form. Not here: strangers (gate.py), the form (core.py), the proof and the
challenge themselves (security).
"""

from __future__ import annotations

import random
from typing import Protocol

import attrs

from gateway.config.model import Side
from gateway.ingress.overload import Overload
from gateway.registrar.registrar import Registrar
from gateway.routing.router import Route, Router
from gateway.security.access_list import Proof
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transport.flow import Flow


class Admission(Protocol):
    """Decides which requests are admitted from the provider's side."""

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        """How the sender proved to be a peer of the domain; None drops it without an answer. Raises Refused 401."""

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a call may go on; False drops it without an answer. Raises Refused 401."""


class Screening:
    """Decides on each request that would reach the other side."""

    def __init__(self, router: Router, registrar: Registrar, admission: Admission, overload: Overload) -> None:
        self._router = router
        self._registrar = registrar
        self._admission = admission
        self._overload = overload

    def route(self, request: Request, flow: Flow) -> Route | None:
        """The way of a request that may go on; None drops it without an answer. Raises Refused."""
        route = self._router.route(request, flow.side)
        admitted = (
            self._from_phone(request, route, flow) if flow.side is Side.PHONES else self._proved(request, route, flow)
        )
        if admitted is not None:
            self._check_load(request, admitted)
        return admitted

    def admits_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a dialog may go on; False drops it without an answer. Raises Refused."""
        return flow.side is not Side.PROVIDER or self._admission.admit_within(request, flow, domain)

    def _from_phone(self, request: Request, route: Route, flow: Flow) -> Route:
        aor = f"sip:{request.from_.uri.user or ''}@{route.domain.name.lower()}"
        self._check_caller(route, aor, flow)
        service_route = self._registrar.service_route_of(aor, flow.key)
        return attrs.evolve(route, service_route=service_route) if service_route else route

    def _proved(self, request: Request, route: Route, flow: Flow) -> Route | None:
        proof = self._admission.admit(request, flow, route.domain.name)
        return None if proof is None else attrs.evolve(route, proof=proof)

    def _check_caller(self, route: Route, aor: str, flow: Flow) -> None:
        """Where the provider takes the gateway's word for the caller, a name counts only from where it registered."""
        if not route.domain.registered_callers_only or route.is_emergency:
            return
        if not self._registrar.is_bound(aor, flow.key):
            raise Refused(403, "Register First")

    def _check_load(self, request: Request, route: Route) -> None:
        """New calls wait for better times when everything is late already; emergency calls never do."""
        if self._overload.is_shedding and request.method == "INVITE" and not route.is_emergency:
            self._overload.count_shed()
            raise Refused(503, "Overloaded", (("Retry-After", str(random.randint(5, 15))),))
