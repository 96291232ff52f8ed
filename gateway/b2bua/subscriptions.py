"""Subscriptions (RFC 6665): message waiting, dialog state, presence and whatever else phones watch at their provider.

    subscriber leg                                   notifier leg
    SUBSCRIBE          -->  a dialog on each side -> SUBSCRIBE
    NOTIFY             <--  crosses               <- NOTIFY, perhaps before the 2xx
    SUBSCRIBE (again)  -->  crosses                  ... until terminated, refused, or not refreshed in time

The bodies cross as they are; nothing of a subscription has media. It ends by itself when nobody refreshes it, so the
table is bounded by what subscribers keep alive, and by CEILING.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.b2bua.across.headers import crossing_with_capabilities
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.offer_answer import has_sdp, is_readable, passed_body
from gateway.b2bua.across.request import Crossing
from gateway.b2bua.across.transfer import translate
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.leg import Leg, LegSpec, Stack
from gateway.b2bua.setup.first_request import Identities, Identity, initial_request
from gateway.dialog.dialog import Dialog
from gateway.media.relay import Encryption, SdpWish
from gateway.routing.forward import NextHop
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallDirection, CallRecord, LegName
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()

CEILING: Final = 100_000
"""Subscriptions at once; above it new ones are refused with 503."""

DEFAULT_SECONDS: Final = 3600
"""How long a subscription lasts whose SUBSCRIBE does not say."""

GRACE_SECONDS: Final = 64.0
"""How much later than announced a subscription is forgotten."""


class Subscriptions:
    """All subscriptions."""

    def __init__(self, stack: Stack, trunk: Trunk, dialogs: Dialogs, identities: Identities) -> None:
        self._stack = stack
        self._trunk = trunk
        self._dialogs = dialogs
        self._identities = identities
        self._all: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._all)

    def start(self, transaction: ServerTransaction, route: Route, phone_flow: Flow | None) -> None:
        """Begin what a SUBSCRIBE asks for. Raises Refused 415, 503 and MalformedMessage."""
        request = transaction.request
        if len(self._all) >= CEILING:
            raise Refused(503, "Too many subscriptions", (("Retry-After", "60"),))
        if has_sdp(request) or not is_readable(request):
            raise Refused(415)
        identity = self._identities.identity_for(request)
        subscription = Subscription(transaction, identity, self._stack, self._dialogs, self._all.discard)
        self._all.add(subscription)
        onward = initial_request(request, route, identity, request.body)
        if phone_flow is None:
            next_hop = NextHop(route.domain, route.provider)
            self._trunk.forward(onward, next_hop, subscription, subscription.reach)
        else:
            subscription.reach(onward, phone_flow)
            self._stack.transactions.send_request(onward, phone_flow, subscription)


class Subscription:
    """One subscription: who watches, and who is watched."""

    def __init__(
        self,
        transaction: ServerTransaction,
        identity: Identity,
        stack: Stack,
        dialogs: Dialogs,
        forget: Callable[[Subscription], None],
    ) -> None:
        request, flow = transaction.request, transaction.flow
        self.record = CallRecord(
            identity.call_id, CallDirection.INTERNAL, "", str(request.from_.uri), str(request.to.uri), stack.now()
        )
        self.media_path = MediaPath(self.id, stack.relay, self.end)
        self._transaction = transaction
        self._request = request
        self._identity = identity
        self._stack = stack
        self._dialogs = dialogs
        self._forget = forget
        self._notifier: Leg | None = None
        self._asked: Request | None = None
        self._timer: IDelayedCall | None = None
        self._subscriber = Leg(_terms(LegName.CALLER, flow, request.to.uri.user), flow, stack, self)
        self._subscriber.dialog = Dialog.from_request(request, stack.new_tag())
        dialogs.began(self._subscriber, self._subscriber.dialog)
        self._keep_for(request)

    @property
    def id(self) -> str:
        """What logs call it."""
        return self.record.id

    def reach(self, request: Request, flow: Flow) -> None:
        """The SUBSCRIBE is about to leave by this flow, perhaps after another that failed."""
        user = self._request.from_.uri.user
        self._notifier = Leg(_terms(LegName.CALLEE, flow, user), flow, self._stack, self)
        self._asked = request
        request.headers.set("Contact", self._notifier.contact)
        self._dialogs.expect(self._notifier, self._identity.call_id, self._identity.tag)

    @guarded
    def receive_response(self, response: Response) -> None:
        """The answer to the first SUBSCRIBE."""
        if response.status < 200:
            return
        request, leg = self._request, self._subscriber
        tag = None if leg.dialog is None else leg.dialog.local_tag
        back = request.response(response.status, response.reason, to_tag=tag)
        back.body = passed_body(response)
        back.headers.add_all(crossing_with_capabilities(response.headers, leg.terms.side, back.body))
        if response.status < 300:
            self._accepted(response)
        leg.respond(self._transaction, back)
        if response.status >= 300:
            self.end(f"answered {response.status}")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Nobody answered."""
        status = 504 if failure.transport is None else 503
        self._subscriber.respond(self._transaction, self._request.response(status))
        self.end("no answer")

    @guarded
    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A NOTIFY or a refresh crosses."""
        if has_sdp(request) or not is_readable(request):
            leg.respond(transaction, request.response(415))
            return
        peer = self.other_leg(leg)
        if peer is None or peer.dialog is None:
            leg.respond(transaction, request.response(481))
            return
        if request.method == "SUBSCRIBE":
            self._keep_for(request)
        elif (request.headers.get("Subscription-State") or "").lower().startswith("terminated"):
            self._end_after(GRACE_SECONDS, "terminated")
        Crossing(self, (leg, peer), transaction).begin()

    def first_request(self, leg: Leg, request: Request) -> None:
        """A NOTIFY came before the 2xx, and makes the dialog (RFC 6665 section 4.4.1)."""
        if leg.dialog is None:
            leg.dialog = Dialog.from_request(request, self._identity.tag)
            leg.dialog.local_cseq = self._identity.cseq
            leg.dialog.remote_cseq = None
            self._expected(leg, leg.dialog)

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """BYE has no meaning here; it was answered, and ends it."""
        self.end("BYE")

    def leg_broke(self, leg: Leg, why: str) -> None:
        """One side knows nothing of it any more."""
        self.end(why)

    def media_settled(self, leg: Leg) -> None:
        """There are no media."""

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""
        return self._notifier if leg is self._subscriber else self._subscriber

    def translate(self, headers: Headers, leg: Leg) -> None:
        """Let what names a dialog name it as it is known on that leg."""
        translate(headers, None, self._dialogs.other_leg)

    def dialog_began(self, leg: Leg, dialog: Dialog) -> None:
        """Requests of this dialog go to this leg."""
        self._dialogs.began(leg, dialog)

    def dialog_ended(self, dialog: Dialog) -> None:
        """They no longer do."""
        self._dialogs.ended(dialog)

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Forget it. Who still asks about it gets 481, which is how it is told (RFC 6665 section 4.1.2.2)."""
        log.debug("subscription {call_id} ended: {why}", call_id=self.id, why=why)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._transaction.is_answered:
            self._subscriber.respond(self._transaction, self._request.response(status))
        self._dialogs.expect_no_more(self._identity.call_id, self._identity.tag)
        for leg in (self._subscriber, self._notifier):
            if leg is not None:
                leg.close()
        self._forget(self)

    def _accepted(self, response: Response) -> None:
        leg = self._notifier
        if leg is not None and leg.dialog is None and self._asked is not None:
            leg.dialog = Dialog.from_response(self._asked, response)
            self._expected(leg, leg.dialog)

    def _expected(self, leg: Leg, dialog: Dialog) -> None:
        self._dialogs.expect_no_more(self._identity.call_id, self._identity.tag)
        self._dialogs.began(leg, dialog)

    def _keep_for(self, request: Request) -> None:
        asked = request.expires
        seconds = DEFAULT_SECONDS if asked is None else min(asked, 24 * DEFAULT_SECONDS)
        self._end_after(seconds + GRACE_SECONDS, "not refreshed")

    def _end_after(self, seconds: float, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._stack.clock.callLater(seconds, self._expired, why)

    def _expired(self, why: str) -> None:
        self._timer = None
        self.end(why)


def _terms(name: LegName, flow: Flow, user: str | None) -> LegSpec:
    return LegSpec(name, flow.side, SdpWish(flow.side, Encryption.NONE), user or "")
