"""Subscriptions of two legs without a call (RFC 6665, RFC 5057), and the time until they are forgotten.

    subscriber leg                                   notifier leg
    SUBSCRIBE          -->  a dialog on each side -> SUBSCRIBE
    NOTIFY             <--  crosses               <- NOTIFY, perhaps before the 2xx
    SUBSCRIBE (again)  -->  crosses                  ... until terminated, refused, or not refreshed in time

    the legs of a call after BYE, with the subscriptions that were begun in it by REFER or SUBSCRIBE

Nothing of a subscription has media: a request that is part of a call gets 481 here, as the call is none or over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.headers import crossing_back
from gateway.b2bua.across.plain_request import PlainRequest
from gateway.b2bua.across.transfer import redirections
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.in_dialog import puts_off
from gateway.b2bua.legs.leg import Leg, LegOwner, LegServices, LegSpec, WithoutMedia
from gateway.b2bua.setup.first_request import Identity
from gateway.dialog.dialog import Dialog
from gateway.dialog.usages import KeptUsage, Usage, Usages, usage_of
from gateway.media.relay import Encryption, SdpWish
from gateway.sip.message import Request, Response
from gateway.state.call_record import CallDirection, CallRecord, LegName
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

log = Logger()


class Subscription(WithoutMedia):
    """Two legs, as long as a subscription of their dialogs is alive. `forget` is told of the end."""

    def __init__(self, record: CallRecord, services: LegServices, forget: Callable[[Subscription], None]) -> None:
        self.record = record
        self._services = services
        self._forget = forget
        self._usages = Usages(services.clock.seconds, self._changed)
        self._caller: Leg | None = None
        self._callee: Leg | None = None
        self._timer: IDelayedCall | None = None

    @property
    def id(self) -> str:
        """Its name in logs."""
        return self.record.id

    @property
    def legs(self) -> tuple[Leg | None, Leg | None]:
        """The subscriber's leg and the notifier's, as far as they are there; of a call's the caller's and callee's."""
        return self._caller, self._callee

    @property
    def usages(self) -> Usages:
        """The subscriptions of its dialogs."""
        return self._usages

    def resume(self, legs: tuple[Leg, Leg], usages: Iterable[KeptUsage]) -> None:
        """Go on with the subscriptions of a process that is gone, by legs whose dialogs are there."""
        self._caller, self._callee = legs
        self._usages.resume(usages)

    def outlive(self, usages: Usages, caller: Leg, callee: Leg) -> None:
        """Go on with the subscriptions of a call that is over: BYE ends that usage of its dialogs only (RFC 5057
        section 3.1). Its legs are closed."""
        self._usages = usages.handed_on(self._changed)
        self._caller, self._callee = (self._heir(leg) for leg in (caller, callee))
        self._changed()

    @guarded
    def leg_received(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """A NOTIFY or a refresh crosses."""
        peer = self.other_leg(leg)
        if peer is None or peer.dialog is None:
            leg.respond(transaction, request.response(481))
            return
        if peer.way.is_awaited and puts_off(leg, transaction, peer):
            return
        PlainRequest((leg, peer), transaction, self._usages).begin()
        self._services.keeper.note(self)

    def leg_hung_up(self, leg: Leg, bye: Request) -> None:
        """No leg of these takes BYE."""

    def leg_broke(self, leg: Leg, why: str) -> None:
        """One side knows nothing of it any more."""
        self.end(why)

    def other_leg(self, leg: Leg) -> Leg | None:
        """The leg on the other side, once there is one."""
        return self._callee if leg is self._caller else self._caller

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Forget it. A peer that still asks gets 481, which tells of the end (RFC 6665 section 4.1.2.2)."""
        log.debug("subscription {call_id} ended: {why}", call_id=self.id, why=why)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for leg in (self._caller, self._callee):
            if leg is not None:
                leg.close()
        self._services.keeper.ends(self)
        self._forget(self)

    def _heir(self, leg: Leg) -> Leg:
        """A leg that goes on with the dialog of one that is closed."""
        heir = UsageLeg(leg.spec, leg.flow, self._services, self)
        heir.dialog = leg.dialog
        if leg.dialog is not None:
            self._services.dialogs.began(heir, leg.dialog)
        return heir

    def _changed(self) -> None:
        """A subscription began, was prolonged, or ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        until = self._usages.until
        if until is None:
            self.end("refused")
        else:
            self._timer = self._services.clock.callLater(until - self._services.clock.seconds(), self._expired)
            self._services.keeper.note(self)

    def _expired(self) -> None:
        self._timer = None
        self.end("terminated, or not refreshed")


class AskedSubscription(Subscription):
    """A subscription that a SUBSCRIBE outside any dialog asks for."""

    def __init__(
        self,
        transaction: ServerTransaction,
        border: Border,
        identity: Identity,
        services: LegServices,
        forget: Callable[[Subscription], None],
    ) -> None:
        request, flow = transaction.request, transaction.back
        names = (str(request.from_.uri), str(request.to.uri))
        record = CallRecord(identity.call_id, CallDirection.INTERNAL, "", *names, services.wall())
        super().__init__(record, services, forget)
        self._transaction = transaction
        self._request = request
        self._identity = identity
        self._border = border
        self._notifier: NotifierLeg | None = None
        self._asked: Request | None = None
        self._caller = UsageLeg(_spec(LegName.CALLER, flow, request.to.uri.user, border), flow, services, self)
        self._caller.dialog = Dialog.from_request(request, services.new_tag())
        services.dialogs.began(self._caller, self._caller.dialog)
        self._usages.leaves(LegName.CALLER, request, request)

    def reach(self, request: Request, flow: Flow) -> None:
        """The SUBSCRIBE is about to leave by this flow, perhaps after another that failed."""
        user = self._request.from_.uri.user
        spec = _spec(LegName.CALLEE, flow, user, self._border)
        self._callee = self._notifier = NotifierLeg(spec, flow, self._services, self, self._identity)
        self._asked = request
        request.headers.set("Contact", self._notifier.contact)

    @guarded
    def receive_response(self, response: Response) -> None:
        """The answer to the first SUBSCRIBE."""
        if response.status < 200:
            return
        leg = self._caller
        tag = None if leg is None or leg.dialog is None else leg.dialog.local_tag
        back = self._request.response(response.status, response.reason, to_tag=tag)
        toward = self._transaction.flow.side
        back.body = Customs.at(self._border, toward).body_back(response)
        back.headers.add_all(crossing_back(response.headers, toward, back.body))
        back.headers.add_all(redirections(response, self._border, toward))
        if response.status < 300:
            self._accepted(response)
        self._answer(back)
        if response.status >= 300:
            self.end(f"answered {response.status}")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Nobody answered."""
        self._answer(self._request.response(504 if failure.transport is None else 503))
        self.end("no answer")

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Forget it, and answer its SUBSCRIBE if nobody did."""
        if not self._transaction.is_answered:
            self._answer(self._request.response(status))
        super().end(why)

    def _answer(self, response: Response) -> None:
        if self._caller is not None:
            self._caller.respond(self._transaction, response)

    def _accepted(self, response: Response) -> None:
        leg = self._notifier
        if leg is not None and leg.dialog is None and self._asked is not None:
            leg.begin(Dialog.from_response(self._asked, response))
        self._services.keeper.note(self)


class UsageLeg(Leg):
    """A leg of a dialog without a call."""

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog; None for a request of a call."""
        return None if usage_of(request.method) is Usage.CALL else self.dialog


class NotifierLeg(UsageLeg):
    """The leg that was sent a SUBSCRIBE, and expects the first NOTIFY to make its dialog, or the 2xx."""

    def __init__(self, spec: LegSpec, flow: Flow, services: LegServices, owner: LegOwner, identity: Identity) -> None:
        super().__init__(spec, flow, services, owner)
        self._identity = identity
        services.dialogs.expect(self, identity.call_id, identity.tag)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog, which a NOTIFY makes that came before the 2xx (RFC 6665 section 4.4.1)."""
        if self.dialog is None and request.method == "NOTIFY":
            dialog = Dialog.from_request(request, self._identity.tag)
            dialog.local_cseq = self._identity.cseq
            dialog.remote_cseq = None
            self.begin(dialog)
        return super().dialog_of(request)

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
