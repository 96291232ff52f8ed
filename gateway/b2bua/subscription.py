"""One subscription (RFC 6665): the leg of the subscriber, the leg of the notifier, and the time until it is forgotten.

    subscriber leg                                   notifier leg
    SUBSCRIBE          -->  a dialog on each side -> SUBSCRIBE
    NOTIFY             <--  crosses               <- NOTIFY, perhaps before the 2xx
    SUBSCRIBE (again)  -->  crosses                  ... until terminated, refused, or not refreshed in time

Nothing of a subscription has media.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.b2bua.across.headers import crossing_with_capabilities
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.offer_answer import is_readable, passed_body
from gateway.b2bua.across.request import Crossing
from gateway.b2bua.across.transfer import redirections
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.leg import Leg, LegOwner, LegServices, LegSpec, WithoutMedia
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.setup.first_request import Identity
from gateway.dialog.dialog import Dialog
from gateway.media.relay import Encryption, SdpWish
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallDirection, CallRecord, LegName
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()

DEFAULT_SECONDS: Final = 3600
"""How long a subscription lasts whose SUBSCRIBE does not say."""

GRACE_SECONDS: Final = 64.0
"""How much later than announced a subscription is forgotten."""


class Subscription(WithoutMedia):
    """One subscription: the leg of the subscriber, and the leg of the notifier."""

    def __init__(
        self,
        transaction: ServerTransaction,
        border: Border,
        identity: Identity,
        services: LegServices,
        forget: Callable[[Subscription], None],
    ) -> None:
        request, flow = transaction.request, transaction.back
        self.record = CallRecord(
            identity.call_id, CallDirection.INTERNAL, "", str(request.from_.uri), str(request.to.uri), services.wall()
        )
        self.media_path = MediaPath(self.id, services.relay, self.end)
        self._transaction = transaction
        self._request = request
        self._identity = identity
        self._border = border
        self._services = services
        self._forget = forget
        self._notifier: _NotifierLeg | None = None
        self._asked: Request | None = None
        self._timer: IDelayedCall | None = None
        self._subscriber = Leg(_spec(LegName.CALLER, flow, request.to.uri.user, border), flow, services, self)
        self._subscriber.dialog = Dialog.from_request(request, services.new_tag())
        services.dialogs.began(self._subscriber, self._subscriber.dialog)
        self._keep_for(request)

    @property
    def id(self) -> str:
        """Its name in logs."""
        return self.record.id

    def reach(self, request: Request, flow: Flow) -> None:
        """The SUBSCRIBE is about to leave by this flow, perhaps after another that failed."""
        user = self._request.from_.uri.user
        spec = _spec(LegName.CALLEE, flow, user, self._border)
        self._notifier = _NotifierLeg(spec, flow, self._services, self, self._identity)
        self._asked = request
        request.headers.set("Contact", self._notifier.contact)

    @guarded
    def receive_response(self, response: Response) -> None:
        """The answer to the first SUBSCRIBE."""
        if response.status < 200:
            return
        request, leg = self._request, self._subscriber
        tag = None if leg.dialog is None else leg.dialog.local_tag
        back = request.response(response.status, response.reason, to_tag=tag)
        back.body = passed_body(response)
        back.headers.add_all(crossing_with_capabilities(response.headers, leg.spec.side, back.body))
        back.headers.add_all(redirections(response, self._border, leg.spec.side))
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
        Crossing(self.media_path, (leg, peer), transaction).begin()

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """BYE has no meaning here; it was answered, and ends it."""
        self.end("BYE")

    def leg_broke(self, leg: Leg, why: str) -> None:
        """One side knows nothing of it any more."""
        self.end(why)

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""
        return self._notifier if leg is self._subscriber else self._subscriber

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Forget it. A peer that still asks gets 481, which tells of the end (RFC 6665 section 4.1.2.2)."""
        log.debug("subscription {call_id} ended: {why}", call_id=self.id, why=why)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._transaction.is_answered:
            self._subscriber.respond(self._transaction, self._request.response(status))
        for leg in (self._subscriber, self._notifier):
            if leg is not None:
                leg.close()
        self._forget(self)

    def _accepted(self, response: Response) -> None:
        leg = self._notifier
        if leg is not None and leg.dialog is None and self._asked is not None:
            leg.begin(Dialog.from_response(self._asked, response))

    def _keep_for(self, request: Request) -> None:
        asked = request.expires
        seconds = DEFAULT_SECONDS if asked is None else min(asked, 24 * DEFAULT_SECONDS)
        self._end_after(seconds + GRACE_SECONDS, "not refreshed")

    def _end_after(self, seconds: float, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._services.clock.callLater(seconds, self._expired, why)

    def _expired(self, why: str) -> None:
        self._timer = None
        self.end(why)


class _NotifierLeg(Leg):
    """The leg that was sent a SUBSCRIBE, and expects the first NOTIFY to make its dialog, or the 2xx."""

    def __init__(self, spec: LegSpec, flow: Flow, services: LegServices, owner: LegOwner, identity: Identity) -> None:
        super().__init__(spec, flow, services, owner)
        self._identity = identity
        services.dialogs.expect(self, identity.call_id, identity.tag)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog, which a NOTIFY makes that came before the 2xx (RFC 6665 section 4.4.1)."""
        if self.dialog is None:
            dialog = Dialog.from_request(request, self._identity.tag)
            dialog.local_cseq = self._identity.cseq
            dialog.remote_cseq = None
            self.begin(dialog)
        return self.dialog

    def begin(self, dialog: Dialog) -> None:
        """Let requests of this dialog come here, and wait for no other."""
        self.dialog = dialog
        self._expect_no_more()
        self.services.dialogs.began(self, dialog)

    def close(self) -> None:
        """Expect nothing more on this leg."""
        self._expect_no_more()
        super().close()

    def _expect_no_more(self) -> None:
        self.services.dialogs.expect_no_more(self._identity.call_id, self._identity.tag)


def _spec(name: LegName, flow: Flow, user: str | None, border: Border) -> LegSpec:
    return LegSpec(name, flow.side, SdpWish(flow.side, Encryption.NONE), user or "", border)
