"""The UAS core (RFC 3261 section 8.2): inspects each request and gives it to its taker.

    request -> within a dialog?  -> its leg
            -> REGISTER          -> registrar (phones only)
            -> screened, routed  -> a new call, or passed on

The order is a security order. A request within a dialog is matched first, by tags of which one is ours and random, and
by its way: its sender was in the dialog. Everything else from the provider's side must be admitted before anything of
it but its headers is looked at, and before it can make the gateway send anything but a challenge.

Here: the form of a request, and refusals. Not here: its sender's rights (sender_rights.py), calls and subscriptions.
"""

from __future__ import annotations

from typing import Protocol

from twisted.logger import Logger

from gateway.b2bua.b2bua import B2bua
from gateway.b2bua.legs import in_dialog
from gateway.b2bua.legs.asking_back import ask_back
from gateway.b2bua.legs.leg import Leg
from gateway.config.model import MovedPhones, Side
from gateway.ingress.gate import capabilities
from gateway.ingress.refusal_log import Refusals
from gateway.ingress.sender_rights import PhoneInClear, Screening, UnregisteredCaller
from gateway.observe.metrics import Metrics
from gateway.registrar.registrar import Registrar
from gateway.routing.router import Route
from gateway.sdp.description import MalformedDescription
from gateway.security.authenticator import PasswordAsked
from gateway.sip.capabilities import ALLOW, METHODS, SOFTWARE, SUPPORTED, extensions_of
from gateway.sip.errors import MalformedMessage, NotServed, Refused
from gateway.sip.message import Request, Response
from gateway.transaction.room import Claim
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow, FlowKey
from gateway.transport.way import may_ask

log = Logger()


KNOWN_EXTENSIONS = {method: frozenset((*SUPPORTED, *extensions_of(method))) for method in METHODS}
"""Option tags of Require that are understood (RFC 3261 section 8.2.2.3), by method; any other is refused by name."""


COUNTED = frozenset({*METHODS, "REGISTER"})
"""Methods that are counted by their name; a peer must not be able to make up new series."""

_OTHER = "OTHER"

NAMED = 5
"""Domains that a line of the log names."""

RECONNECTS_WITHIN = 30
"""Seconds after which a phone without connection is worth calling again (RFC 5626 section 4.5)."""


class Flows(Protocol):
    """The ways to phones."""

    def flow(self, key: FlowKey) -> Flow | None:
        """The flow that a key names; None where its connection is gone."""


class UasCore:
    """Where every request that arrives is sorted."""

    def __init__(
        self,
        b2bua: B2bua,
        registrar: Registrar,
        screening: Screening,
        transport: Flows,
        metrics: Metrics,
        refusals: Refusals,
    ) -> None:
        self._b2bua = b2bua
        self._registrar = registrar
        self._screening = screening
        self._transport = transport
        self._refusals = refusals
        self._received = {
            side: {method: metrics.requests.labels(str(side), method) for method in (*COUNTED, _OTHER)} for side in Side
        }

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Sort one request."""
        flow = transaction.flow
        counter = self._received[flow.side]
        counter[request.method if request.method in counter else _OTHER].inc()
        try:
            self._sort(transaction, request, flow)
        except UnregisteredCaller as refused:
            self._note(transaction, refused.route, refused)
            self._refusals.unknown(request, flow)
            self._answer(transaction, refused.status, refused.reason)
        except PhoneInClear as refused:
            self._note(transaction, refused.route, refused)
            self._answer(transaction, refused.status, refused.reason)
        except Refused as refused:
            aside = self._served() if isinstance(refused, NotServed) else ""
            if aside:
                self._refusals.unknown(request, flow)
            self._answer(transaction, refused.status, refused.reason or None, refused.headers, aside)
        except MalformedMessage as error:
            self._answer(transaction, error.status, error.reason)
        except MalformedDescription as error:
            self._answer(transaction, 488, f"Unusable SDP: {error.reason}")

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        """The claim of a new request to the last room: urgent are the provider's, one within a dialog that is up (any
        To tag looks like one), and a call to an emergency number."""
        if flow.side is Side.PROVIDER:
            return Claim.URGENT
        if request.to.tag is not None:
            return Claim.URGENT if self._b2bua.is_in_dialog(request) else Claim.NONE
        if request.method == "INVITE" and self._screening.is_emergency(request, flow):
            return Claim.URGENT
        return Claim.REGISTERED if self._screening.is_registered(request, flow) else Claim.NONE

    def receive_ack(self, request: Request, flow: Flow) -> None:
        """An ACK for a 2xx: it belongs to a leg, or to nothing."""
        leg = self._b2bua.leg_of(request)
        if leg is not None and (leg.way.flow is flow or self._is_way_of(leg, request, flow)):
            if not flow.allowance.is_proved:
                _prove(leg, flow)
            in_dialog.receive_ack(leg, request)

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The INVITE of this transaction is cancelled."""
        self._b2bua.calls.cancel(transaction, cancel)

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        """A response nobody waits for is dropped: a B2BUA forwards no responses statelessly. But no call may stay up
        for an INVITE that was given up."""
        if self._b2bua.forgotten.turn_away(response, flow):
            log.info(
                "a {status} from {source} came too late, and is hung up", status=response.status, source=flow.remote
            )
            return
        log.debug("a stray {status} from {source}", status=response.status, source=flow.remote)

    def _sort(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        if request.to.tag is not None:
            self._within_dialog(transaction, request)
            return
        if request.max_forwards == 0:
            raise Refused(483)
        _check_extensions(request)
        if request.method == "OPTIONS" and request.request_uri.user is None:
            transaction.respond(transaction.with_same_tag(capabilities(request)))
            return
        passed = self._screening.weigh(request, flow)
        try:
            self._pass_on(transaction, passed.request, flow)
        except PasswordAsked:
            if passed.watcher is not None:  # it is in the provider's place, and so is its word of a guess
                transaction.watch(passed.watcher)
            raise
        if passed.watcher is not None:  # not before: a refusal of ours says nothing of a password
            transaction.watch(passed.watcher)

    def _pass_on(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        if request.method == "REGISTER":
            self._register(transaction, request, flow)
        else:
            onward = self._b2bua.onward(request.method)
            route = self._screening.route(request, flow, self._b2bua.replaced)
            if route is None:
                transaction.stop()
            else:
                onward(transaction, *self._reached(transaction, route))

    def _within_dialog(self, transaction: ServerTransaction, request: Request) -> None:
        leg = self._b2bua.leg_of(request)
        flow = transaction.flow
        if leg is None or (leg.way.flow is not flow and not self._is_way_of(leg, request, flow)):
            if leg is not None and self._screening.may_be_its_own(leg, flow):
                raise ask_back(leg, request)
            is_clear = leg is not None and leg.flow.is_secure and not flow.is_secure
            raise Refused(403, "This dialog is on TLS") if is_clear else Refused(481)
        if not flow.allowance.is_proved:
            _prove(leg, flow)
        if request.method not in METHODS:
            raise Refused(405 if request.method in COUNTED else 501, "", (("Allow", ALLOW),))
        if request.method != "BYE":
            _check_extensions(request)
        if not self._screening.admits_within(request, transaction.flow, leg.record.domain):
            transaction.stop()
            return
        passed = self._screening.weigh_within(request, transaction.flow, leg)
        if passed.watcher is not None:
            transaction.watch(passed.watcher)
        in_dialog.receive_request(leg, transaction, passed.request)

    def _is_way_of(self, leg: Leg, request: Request, flow: Flow) -> bool:
        """Whether a request of a leg may come over another flow than the one that it is on. Its tags alone do not say
        so: flows.py has the reasons."""
        if leg.way.flow.side is not flow.side:
            return False
        if self._screening.is_way_of(leg, flow):
            return True
        more = self._refusals.more(flow)
        if more is not None:
            said = {"method": request.method, "leg": leg.flow.remote, "source": flow.remote, "over": flow.transport}
            log.warn(
                "a {method} within a dialog of {leg} from {source} over {over} is not taken{more}", more=more, **said
            )
        return False

    def _register(self, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        if flow.side is not Side.PHONES:
            raise Refused(403, "Only phones register here")
        self._registrar.receive_request(transaction, request)

    def _reached(self, transaction: ServerTransaction, route: Route) -> tuple[Route, Flow | None]:
        """The route to the first phone that is connected, and the flow there; None toward the provider. Raises Refused
        480."""
        if route.binding is None:
            return route, None
        flow = self._transport.flow(route.binding.flow)
        while flow is None and route.others and route.binding is not None:
            route = route.next
            flow = self._transport.flow(route.binding.flow) if route.binding is not None else None
        if flow is None:
            refused = Refused(480, "The phone's connection is gone", (("Retry-After", str(RECONNECTS_WITHIN)),))
            self._note(transaction, route, refused)
            raise refused
        flow.allowance.fill()  # a phone that has proved nothing has to ring, too
        return route, flow

    def _note(self, transaction: ServerTransaction, route: Route, refused: Refused) -> None:
        """An INVITE that is no call yet leaves the record of one."""
        if transaction.request.method == "INVITE":
            self._b2bua.calls.turned_away.note(transaction, route, refused, outbound=route.binding is None)

    def _answer(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str | None,
        fields: tuple[tuple[str, str], ...] = (),
        aside: str = "",
    ) -> None:
        """Send a response, and tell the log of a refusal, with words that are for nobody else."""
        response = transaction.with_same_tag(transaction.request.response(status, reason))
        if status >= 400:
            self._refusals.tell(transaction.request, transaction.flow, status, response.reason + aside)
        response.headers.add_all(fields)
        response.headers.add("Server", SOFTWARE)
        transaction.respond(response)

    def _served(self) -> str:
        """The domains that are served, beside which a misspelt one is seen."""
        served = self._screening.served
        return f" (served here: {', '.join(served[:NAMED])}{', ...' if len(served) > NAMED else ''})"


def _prove(leg: Leg, flow: Flow) -> None:
    """The sender of a request within a dialog is there: it knows our tag, which is random. Where the tags alone let one
    host speak for another (``moved_phones``) they prove nothing, since the tag did not go to that one."""
    if may_ask(leg.way.flow, flow) and flow.listener.moved_phones is not MovedPhones.TAGS:
        flow.allowance.prove()


def _check_extensions(request: Request) -> None:
    if "require" not in request.headers.present:
        return
    known = KNOWN_EXTENSIONS.get(request.method, SUPPORTED)
    unknown = [tag for tag in request.headers.values("Require") if tag not in known]
    if unknown:
        raise Refused(420, "", (("Unsupported", ", ".join(unknown)),))
