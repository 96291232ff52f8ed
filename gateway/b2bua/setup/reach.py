"""Reaching the callee: attempt by attempt (the plan says which), target by target, one INVITE each.

    attempt -> ways -> offer through the relay -> INVITE -> 18x ... -> 2xx          answered
       ^         ^                                  |-- transport failure: next way
       |         `----------------------------------|
       `--------- plan.after(failure) --------------'-- refused: next attempt, or refused

An attempt with the same media terms as the one before uses the same rewritten offer. Everything here ends when the
callee has answered, when the plan has nothing left, or when the call gives up (`abandon`).

Over UDP nobody says that a server is gone. Where there is another, a target that sends nothing at all within
HEARD_WITHIN is given up for it; what may still come from it is cancelled, or acknowledged and hung up.
"""

from __future__ import annotations

from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.across.transfer import translate
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.in_dialog import hang_up
from gateway.b2bua.legs.leg import Fields, LegOwner, LegServices, LegSpec
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.setup.first_request import Identity, initial_request
from gateway.b2bua.setup.plan import Plan
from gateway.dialog.session_timer import Preferences
from gateway.media.relay import Encryption, SdpWish
from gateway.routing.attempts import Attempts, Way
from gateway.routing.locate import NotFound
from gateway.routing.router import Route
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import fits, media_encrypted
from gateway.security.answering import Field
from gateway.security.policy.terms import MEDIA_REFUSALS, Attempt, MediaFailure, Refusal
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.state.call_record import LegName
from gateway.transaction.client import TransactionFailure
from gateway.transport.flow import FailureKind

CHALLENGES: Final = (401, 407)
"""Statuses that ask for credentials: not the end of what the caller wanted."""

HEARD_WITHIN: Final = 4.0
"""Seconds: three copies of the INVITE were sent by then (timer A), and a server answers 100 within 0.2 s."""


_UNFIT: Final = (("Reason", 'SIP;cause=488;text="The answer does not fit the offer"'),)


class ApproachOwner(LegOwner, Protocol):
    """The call that wants its callee."""

    media_path: MediaPath

    def callee_progressed(self, leg: CalleeLeg, response: Response) -> None:
        """A provisional response other than 100."""

    def callee_answered(self, leg: CalleeLeg, response: Response) -> None:
        """A 2xx that may stand; its ACK is still to be sent."""

    def callee_unreachable(self, refusal: Refusal, response: Response | None) -> None:
        """Nothing is left to try; `response` is the callee's own when there was one."""

    def guard(self, failure: Failure) -> None:
        """Something broke in a callback."""


class Approach:
    """One call's way to its callee."""

    def __init__(
        self, owner: ApproachOwner, services: LegServices, plan: Plan, invite: Request, route: Route, identity: Identity
    ) -> None:
        self.leg: CalleeLeg | None = None
        """The leg of the attempt under way, and in the end the one that answered."""
        self._owner = owner
        self._services = services
        self._plan = plan
        self._invite = invite
        self._route = route
        self._identity = identity
        self._attempt: Attempt | None = None
        self._ways = Attempts()
        self._locating: Deferred[None] | None = None
        self._rewritten: tuple[SdpWish, bytes] | None = None
        self._preferences = Preferences()
        self._sent: tuple[Way, SdpWish, bytes] | None = None
        self._silence: IDelayedCall | None = None
        self._credentials: Field | None = None
        self._progressed: CalleeLeg | None = None
        self._media_refusal: int | None = identity.media_refusal
        self._over = False

    def begin(self) -> None:
        """Try what the plan says first, or next where this caller has come as far as a challenge before: its answer may
        be good for one request only."""
        decision, refusal = self._plan.first(), self._identity.media_refusal
        if refusal is not None and isinstance(decision, Attempt) and decision.encryption is not Encryption.NONE:
            decision = self._plan.after(refusal)
        self._try(decision, None)

    def abandon(self, fields: Fields = ()) -> None:
        """Give up, or hang up: whatever the leg under way needs."""
        self._over = True
        self._listen(None)
        if self._locating is not None:
            self._locating.cancel()
        if self.leg is not None:
            self.leg.abandon(fields)

    def let_go(self) -> None:
        """The call is over, and its leg refers to this."""
        self.leg = self._progressed = None

    def callee_progressed(self, leg: CalleeLeg, response: Response) -> None:
        """Tell the call; of an early answer that is none to our offer, only that it rings: the 2xx is still to come."""
        self._progressed = leg
        self._owner.callee_progressed(leg, response if self._is_fit_so_far(response) else _without_body(response))

    def callee_answered(self, leg: CalleeLeg, response: Response) -> None:
        """Tell the call, when the answer's media may stand; else hang up and try what comes next."""
        try:
            encrypted = self._is_encrypted(leg, response) if has_sdp(response) else None
            is_fit = self._fits(response)
        except MalformedDescription as error:
            self._owner.leg_broke(leg, f"its SDP cannot be read: {error.reason}")
            return
        if not is_fit:
            self._turn_away(leg, response, _UNFIT)
            self._try(self._plan.after(MediaFailure.UNFIT), None)
            return
        decision = self._plan.answered(encrypted)
        if not isinstance(decision, Refusal):
            self._over = True
            self._owner.callee_answered(leg, response)
            return
        self._turn_away(leg, response, decision.headers(self._services.name))
        self._try(self._plan.after(MediaFailure.ANSWERED_CLEAR), None)

    def callee_refused(self, leg: CalleeLeg, response: Response) -> None:
        """Ask the plan what comes after this status. A session interval below the peer's is raised, once."""
        if response.status == 422 and self._sent is not None and self._preferences == Preferences():
            self._preferences = self._preferences.raised_by(response)
            self._send(*self._sent)
            return
        if self._sent is not None and leg.request is not None:
            self._credentials = self._plan.answer(leg.request, response, leg.flow, self._progressed is not leg)
            if self._credentials is not None:
                self._send(*self._sent)
                return
        if response.status == 503 and self._ways.has_next:
            self._offer(self._ways.take())  # RFC 3263 section 4.3: this server, not the service
            return
        decision = self._plan.after(response.status)
        if response.status in MEDIA_REFUSALS and isinstance(decision, Attempt):
            self._media_refusal = response.status
        elif response.status in CHALLENGES:
            self._identity.media_refusal = self._media_refusal
        self._try(decision, response)

    def callee_failed(self, leg: CalleeLeg, failure: TransactionFailure) -> None:
        """Try the same target once more, the next one, or the plan's next attempt."""
        kind = failure.transport.kind if failure.transport is not None else FailureKind.TIMEOUT
        if failure.transport is None and not leg.has_heard:
            self._plan.unheard(leg.flow)
        way = self._ways.after(kind, is_heard=leg.has_heard)
        if way is not None and self._sent is not None and way is self._sent[0]:
            self._send(*self._sent)
        elif way is not None:
            self._offer(way)
        elif failure.transport is None:
            self._try(self._plan.after(408, "no answer"), None)
        else:
            self._try(self._plan.after(kind, failure.transport.reason), None)

    def _try(self, decision: Attempt | Refusal, response: Response | None) -> None:
        if self._over:
            return
        if isinstance(decision, Refusal):
            self._over = True
            self._owner.callee_unreachable(decision, response)
            return
        self._attempt = decision
        self._credentials = None
        self._locating = self._plan.ways(decision).addCallbacks(self._located, self._nowhere)
        self._locating.addErrback(self._owner.guard)

    def _located(self, ways: list[Way]) -> None:
        self._locating = None
        self._ways = Attempts(ways)
        if self._over:
            return
        if ways:
            self._offer(self._ways.take())
        else:
            self._try(self._plan.after(FailureKind.DNS), None)

    def _nowhere(self, failure: Failure) -> None:
        self._locating = None
        if self._over:
            return
        failure.trap(NotFound)
        self._try(self._plan.after(FailureKind.DNS), None)

    def _offer(self, way: Way) -> None:
        """Send the INVITE this way, once the relay has rewritten its offer for this attempt."""
        attempt = self._attempt
        if attempt is None:
            raise AssertionError("a way without an attempt")
        terms = self._plan.media(attempt)
        path = self._owner.media_path
        if not has_sdp(self._invite):
            path.follow(lambda: self._send(way, terms, b""))
        elif self._rewritten is not None and self._rewritten[0] == terms:
            sdp = self._rewritten[1]
            path.follow(lambda: self._send(way, terms, sdp))
        else:
            path.offer(
                (str(LegName.CALLER), None), self._invite.body, terms, lambda sdp: self._offered(way, terms, sdp)
            )

    def _is_encrypted(self, leg: CalleeLeg, response: Response) -> bool | None:
        """Whether the media of a 2xx is encrypted, which answers our offer or makes one (a late offer)."""
        return leg.media.is_encrypted_by(response.body) if has_sdp(self._invite) else media_encrypted(response.body)

    def _fits(self, response: Response) -> bool:
        """Whether the SDP of a 2xx is an answer to ours; a late offer is none."""
        if self._sent is None or not has_sdp(self._invite) or not has_sdp(response):
            return True
        return fits(self._sent[2], response.body)

    def _is_fit_so_far(self, response: Response) -> bool:
        try:
            return self._fits(response)
        except MalformedDescription:
            return False

    def _turn_away(self, leg: CalleeLeg, response: Response, fields: Fields) -> None:
        leg.acknowledge(response.cseq.number)
        hang_up(leg, fields)
        self.leg = None

    def _offered(self, way: Way, terms: SdpWish, sdp: bytes) -> None:
        self._rewritten = (terms, sdp)
        self._send(way, terms, sdp)

    def _send(self, way: Way, terms: SdpWish, sdp: bytes) -> None:
        if self._over:
            return
        user = self._invite.from_.uri.user or ""
        leg_terms = LegSpec(LegName.CALLEE, terms.side, terms, user, way)
        flow = self._ways.open(way)
        self.leg = CalleeLeg(leg_terms, flow, self._services, self._owner, self)
        self.leg.session.preferences = self._preferences
        self._sent = (way, terms, sdp)
        request = initial_request(self._invite, self._route, self._identity, sdp)
        try:
            translate(request.headers, self.leg)
        except (Refused, MalformedMessage) as refused:
            self._over = True
            self._owner.callee_unreachable(Refusal(refused.status, None, refused.reason), None)
            return
        if self._credentials is not None:
            request.headers.set(*self._credentials)
        self._listen(self.leg)
        self.leg.invite(request)

    def _listen(self, leg: CalleeLeg | None) -> None:
        """Wait for the first sign of life on this leg, where another target could be asked instead."""
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._silence = None
        if leg is not None and self._ways.has_next and not leg.flow.is_reliable:
            self._silence = self._services.clock.callLater(HEARD_WITHIN, self._unheard, leg)

    def _unheard(self, leg: CalleeLeg) -> None:
        if self._over or leg is not self.leg or leg.has_heard:
            return
        self._plan.unheard(leg.flow)
        leg.abandon()
        self._offer(self._ways.take())


def _without_body(response: Response) -> Response:
    headers = response.headers.copy()
    headers.remove("Content-Type")
    return attrs.evolve(response, headers=headers, body=b"")
