"""The UAS core (RFC 3261 section 8.2): inspects each request and gives it to whom it is for.

    request -> within a dialog?  -> its leg
            -> REGISTER          -> registrar (phones only)
            -> admitted? (provider side) -> routed -> a new call, or passed on

The order is a security order. A request within a dialog is matched first, by tags of which one is ours and random:
whoever knows it was in the dialog. Everything else from the provider's side must be admitted before anything of it but
its headers is looked at, and before it can make the gateway send anything but a challenge. Phones are not admitted
here: what they send goes to their domain's provider, which challenges them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.logger import Logger

from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.out_of_dialog import METHODS as PASSED
from gateway.b2bua.out_of_dialog import Passing
from gateway.b2bua.subscriptions import Subscriptions
from gateway.config.model import Side
from gateway.dialog.dialog import key_of
from gateway.ingress.overload import Overload
from gateway.observe.metrics import Metrics
from gateway.registrar.registrar import Registrar
from gateway.routing.router import Route, Router
from gateway.sdp.description import MalformedDescription
from gateway.security.access_list import Proof
from gateway.sip.capabilities import ALLOW, CAPABILITIES, METHODS, SOFTWARE, SUPPORTED
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow
from gateway.transport.layer import TransportLayer

log = Logger()


KNOWN_EXTENSIONS = frozenset(SUPPORTED)
"""Option tags of Require that are understood (RFC 3261 section 8.2.2.3); any other is refused by name."""


COUNTED = frozenset({*METHODS, "REGISTER"})
"""Methods that are counted by their name; a peer must not be able to make up new series."""

_OTHER = "OTHER"

RECONNECTS_WITHIN = 30
"""Seconds after which it is worth calling a phone again whose connection is gone (RFC 5626 section 4.5)."""

Onward = Callable[[ServerTransaction, Route, Flow | None], None]


class Admission(Protocol):
    """Decides who may ask from the provider's side."""

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        """How the sender proved to be a peer of the domain; None drops it without an answer. Raises Refused 401."""

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a call may go on; False drops it without an answer. Raises Refused 401."""


class UasCore:
    """Where every request that arrives is sorted."""

    def __init__(
        self,
        dialogs: Dialogs,
        calls: Calls,
        subscriptions: Subscriptions,
        registrar: Registrar,
        router: Router,
        passing: Passing,
        transport: TransportLayer,
        admission: Admission,
        overload: Overload,
        metrics: Metrics,
    ) -> None:
        self._dialogs = dialogs
        self._calls = calls
        self._subscriptions = subscriptions
        self._registrar = registrar
        self._router = router
        self._passing = passing
        self._transport = transport
        self._admission = admission
        self._overload = overload
        self.refused: Callable[[Request, Flow, int, str], None] = lambda request, flow, status, reason: None
        """Told of each request that is refused here, with status and reason."""
        self._received = {
            side: {method: metrics.requests.labels(str(side), method) for method in (*COUNTED, _OTHER)} for side in Side
        }

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Sort one request."""
        flow = transaction.flow
        counter = self._received[flow.side]
        (counter.get(request.method) or counter[_OTHER]).inc()
        try:
            self._sort(transaction, request, flow)
        except Refused as refused:
            self._answer(transaction, refused.status, refused.reason or None, refused.headers)
        except MalformedMessage as error:
            self._answer(transaction, error.status, error.reason)
        except MalformedDescription as error:
            self._answer(transaction, 488, f"Unusable SDP: {error.reason}")

    def receive_ack(self, request: Request, flow: Flow) -> None:
        """An ACK for a 2xx: it belongs to a leg, or to nothing."""
        leg = self._dialogs.leg_of(key_of(request))
        if leg is not None and leg.flow.side is flow.side:
            leg.receive_ack(request)

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The INVITE of this transaction is cancelled."""
        self._calls.cancel(transaction, cancel)

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        """A response nobody waits for is dropped: a B2BUA forwards no responses statelessly."""
        log.debug("a stray {status} from {source}", status=response.status, source=flow.remote)

    def _sort(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        if request.to.tag is not None:
            self._within_dialog(transaction, request)
            return
        if request.max_forwards == 0:
            raise Refused(483)
        _check_extensions(request)
        if request.method == "REGISTER":
            self._register(transaction, request, flow)
        elif request.method == "OPTIONS" and request.request_uri.user is None:
            self._answer(transaction, 200, None, CAPABILITIES)
        else:
            onward = self._onward(request.method)
            route = self._admitted_route(request, flow)
            if route is None:
                transaction.stop()
            else:
                self._check_load(request, route)
                onward(transaction, route, self._phone_flow(route))

    def _onward(self, method: str) -> Onward:
        """What takes a request of this method to the other side; Refused 405 or 501."""
        if method == "INVITE":
            return self._calls.start
        if method == "SUBSCRIBE":
            return self._subscriptions.start
        if method in PASSED:
            return self._passing.pass_on
        raise Refused(405 if method in METHODS else 501, "", (("Allow", ALLOW),))

    def _check_load(self, request: Request, route: Route) -> None:
        """New calls wait for better times when everything is late already; emergency calls never do."""
        if not self._overload.is_shedding or request.method != "INVITE":
            return
        if not route.domain.is_emergency(request.request_uri.user or ""):
            self._overload.count_shed()
            raise Refused(503, "Overloaded", (("Retry-After", str(random.randint(5, 15))),))

    def _within_dialog(self, transaction: ServerTransaction, request: Request) -> None:
        leg = self._dialogs.leg_of(key_of(request))
        if leg is None or leg.flow.side is not transaction.flow.side:
            raise Refused(481)
        if not _is_where_it_was(leg.flow, transaction.flow):
            log.warn(
                "a {method} within a dialog of {leg} from {source}",
                method=request.method,
                leg=leg.flow.remote,
                source=transaction.flow.remote,
            )
            raise Refused(481)
        if request.method not in METHODS:
            raise Refused(405 if request.method in COUNTED else 501, "", (("Allow", ALLOW),))
        if request.method != "BYE":
            _check_extensions(request)
            if leg.flow.is_secure and not transaction.flow.is_secure:
                raise Refused(403, "This dialog is on TLS")  # the answer would tell keys to everybody on the way
        is_outside = transaction.flow.side is Side.PROVIDER
        if is_outside and not self._admission.admit_within(request, transaction.flow, leg.domain):
            transaction.stop()
            return
        leg.receive_request(transaction, request)

    def _register(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        if flow.side is not Side.PHONES:
            raise Refused(403, "Only phones register here")
        self._registrar.receive_request(transaction, request)

    def _admitted_route(self, request: Request, flow: Flow) -> Route | None:
        route = self._router.route(request, flow.side)
        if flow.side is Side.PHONES:
            aor = f"sip:{request.from_.uri.user or ''}@{route.domain.name.lower()}"
            self._check_caller(request, route, aor, flow)
            service_route = self._registrar.service_route_of(aor, flow.key)
            return attrs.evolve(route, service_route=service_route) if service_route else route
        proof = self._admission.admit(request, flow, route.domain.name)
        return None if proof is None else attrs.evolve(route, proof=proof)

    def _check_caller(self, request: Request, route: Route, aor: str, flow: Flow) -> None:
        """Where the provider takes the gateway's word for who calls, a name counts only from where it registered."""
        domain = route.domain
        if not domain.registered_callers_only or domain.is_emergency(request.request_uri.user or ""):
            return
        if not self._registrar.is_bound(aor, flow.key):
            raise Refused(403, "Register First")

    def _phone_flow(self, route: Route) -> Flow | None:
        if route.binding is None:
            return None
        flow = self._transport.flow(route.binding.flow)
        if flow is None:
            raise Refused(480, "The phone's connection is gone", (("Retry-After", str(RECONNECTS_WITHIN)),))
        return flow

    def _answer(
        self, transaction: ServerTransaction, status: int, reason: str | None, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        response = transaction.with_same_tag(transaction.request.response(status, reason))
        if status >= 400:
            self.refused(transaction.request, transaction.flow, status, response.reason)
        response.headers.add_all(fields)
        response.headers.add("Server", SOFTWARE)
        transaction.respond(response)


def _check_extensions(request: Request) -> None:
    unknown = [tag for tag in request.headers.values("Require") if tag not in KNOWN_EXTENSIONS]
    if unknown:
        raise Refused(420, "", (("Unsupported", ", ".join(unknown)),))


def _is_where_it_was(own: Flow, other: Flow) -> bool:
    """Whether a request may come over another flow than its dialog's own.

    The tags of a dialog in clear are known to everybody on the way, so on the phones' side its host must be the same (a
    NAT may change the port). Behind TLS the tags are secret, and a phone may come from another network.
    """
    return own.side is Side.PROVIDER or own.is_secure or own.remote.host == other.remote.host
