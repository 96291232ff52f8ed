"""Reaching the callee: attempt by attempt of the plan, target by target, one INVITE each.

    attempt -> ways -> offer through the relay -> INVITE -> 18x ... -> 2xx          answered
       ^         ^                                  |-- transport failure: next way
       |         `----------------------------------|
       `--------- plan.after(failure) --------------'-- refused: next attempt, or refused

An attempt with the same wish for its media as the one before uses the same rewritten offer. Everything here ends when
the callee has answered, when the plan has nothing left, or when the call gives up (`abandon`).

Nobody says that a server has fallen silent. One that sends nothing at all is given up: for the next target where there
is one, as soon as it was never that late before (routing/answer_times.py), and over a connection also where there is
none, within HEARD_WITHIN, since nothing is lost there that a copy could bring. Its INVITE is cancelled, and a late 2xx
is acknowledged and hung up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.b2bua.across.exchange import first_offer
from gateway.b2bua.across.offer_answer import FinalAnswer, presentable
from gateway.b2bua.call import Call
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.leg import Fields
from gateway.b2bua.legs.media import has_sdp
from gateway.b2bua.setup import outcome
from gateway.b2bua.setup.first_request import Identity
from gateway.b2bua.setup.invite import Invitation, invite_for, leg_for
from gateway.b2bua.setup.plan import PhonePlan, Plan
from gateway.dialog.session_timer import preferences_for
from gateway.media.relay import Encryption, SdpWish
from gateway.routing.attempts import Attempts, Way
from gateway.routing.locate import NotFound
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.security.policy.terms import MEDIA_REFUSALS, Attempt, MediaFailure, PeerFailure, Refusal
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transport.flow import FailureKind, Flow, TransportFailure

CHALLENGES: Final = (401, 407)
"""Statuses that ask for credentials: the caller comes again."""

_UNFIT: Final = (("Reason", 'SIP;cause=488;text="The answer does not fit the offer"'),)


class CalleeSearch:
    """The search for the callee of one call; `phone_flow` reaches a phone, None is for the provider."""

    _invite_for = staticmethod(invite_for)

    def __init__(self, call: Call, trunk: Trunk, route: Route, identity: Identity, phone_flow: Flow | None) -> None:
        self._call = call
        self._trunk = trunk
        self._route = route
        self._identity = identity
        self._phone_flow = phone_flow
        self._plan: Plan = call.protection if phone_flow is None else PhonePlan(call.protection, phone_flow)
        self._invite = call.caller.invite
        user = "" if route.caller is None else route.caller.user
        self._answers = (
            trunk.answering.for_call(route.domain, route.provider, user, call.caller.way.flow)
            if phone_flow is None
            else None  # a phone asks for nobody's password but its caller's
        )
        self._attempt: Attempt | None = None
        self._is_agreed = False
        """Whether the INVITE was sent once more, under the agreement on media that the provider named in its 494."""
        self._ways = Attempts()
        self._locating: Deferred[None] | None = None
        self._rewritten: tuple[SdpWish, bytes] | None = None
        self._preferences = preferences_for(call.services.session_interval)
        self._sent: Invitation | None = None
        self._stop_waiting: Callable[[], None] | None = None
        """Ends the wait for the first answer to the INVITE that was sent last."""
        self._credentials: tuple[str, str] | None = None
        self._progressed: CalleeLeg | None = None
        self._media_refusal: int | None = identity.media_refusal
        self._over = False
        self._gives_up = phone_flow is None
        """Whether a peer that sends nothing at all is given up. A phone has all its time: it may have to wake up."""

    def begin(self) -> None:
        """Make the plan's first attempt, or its next where this caller has come as far as a challenge before: the
        caller's answer may be good for one request only."""
        decision, refusal = self._plan.first(), self._identity.media_refusal
        if refusal is not None and isinstance(decision, Attempt) and decision.encryption is not Encryption.NONE:
            decision = self._plan.after(refusal)
        self._try(decision, None)

    def abandon(self, fields: Fields = ()) -> None:
        """Give up, or hang up, as the leg under way needs."""
        self._over = True
        self._wait_no_more()
        if self._locating is not None:
            self._locating.cancel()
        self._progressed = None  # it refers to this
        if self._call.callee is not None:
            self._call.callee.abandon(fields)

    def callee_progressed(self, leg: CalleeLeg, response: Response) -> None:
        """Pass it back, as far as it can be."""
        self._progressed = leg
        self._plan.heard()
        outcome.progress(self._call, leg, presentable(leg, self._offered_sdp, response))

    def callee_answered(self, leg: CalleeLeg, response: Response) -> None:
        """Pass the answer back when its media may stand; else hang up and make the next attempt."""
        answered = FinalAnswer.read(leg, self._offered_sdp, response)
        if answered.fault:
            self._call.leg_broke(leg, f"its SDP cannot be read: {answered.fault}")
            return
        if not answered.is_fit:
            self._turn_away(leg, response, _UNFIT)
            self._try(self._plan.after(MediaFailure.UNFIT), None)
            return
        decision = self._plan.answered(answered.encrypted)
        if not isinstance(decision, Refusal):
            self._over = True
            self._wait_no_more()
            outcome.accept(self._call, leg, response)
            return
        self._turn_away(leg, response, decision.headers(self._call.services.name))
        self._try(self._plan.after(MediaFailure.ANSWERED_CLEAR), None)

    def callee_refused(self, leg: CalleeLeg, response: Response) -> None:
        """Ask the plan for the attempt after this status. A session interval below the peer's is raised, once."""
        is_ours = self._preferences == preferences_for(self._call.services.session_interval)
        if response.status == 422 and self._sent is not None and is_ours:
            self._preferences = self._preferences.raised_by(response)
            self._send(self._sent)
            return
        if self._sent is not None and leg.request is not None:
            self._credentials = self._credentials_for(leg, leg.request, response)
            if self._credentials is not None:
                self._send(self._sent)
                return
        if self._sent is not None and self._agrees_anew(leg, response):
            self._send(self._sent)
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
            self._trunk.answer_times.unheard(leg.flow)
            self._note_silence(leg, self._trunk.answer_times.LONGEST)
        way = self._ways.after(kind, is_heard=leg.has_heard)
        if way is not None and self._sent is not None and way is self._sent.way:
            self._send(self._sent)
        elif way is not None:
            self._offer(way)
        elif failure.transport is not None:
            self._try(self._plan.after(kind, _words_of(failure.transport)), None)
        elif self._progressed is leg:
            self._try(self._plan.after(408, "it rang for too long"), None)
        else:
            cause = f"no answer of {leg.flow.remote} to the INVITE, but for {'100' if leg.has_heard else 'nothing'}"
            self._try(self._plan.after(PeerFailure.NO_ANSWER, cause), None)

    def _try(self, decision: Attempt | Refusal, response: Response | None) -> None:
        if self._over:
            return
        if isinstance(decision, Refusal):
            self._over = True
            self._wait_no_more()
            outcome.refuse(self._call, decision, response)
            return
        self._attempt = decision
        self._credentials = None
        way = self._way_at_once(decision)
        if way is not None:
            try:
                self._located([way])
            except Exception:
                self._call.guard(Failure())
            return
        self._locating = self._ways_of(decision).addCallbacks(self._located, self._nowhere)
        self._locating.addErrback(self._call.guard)

    def _way_at_once(self, attempt: Attempt) -> Way | None:
        """The one way of an attempt that needs no look-up; None where `_ways_of` is to be asked."""
        flow = self._phone_flow
        if flow is not None:
            return lambda: flow
        is_emergency = self._call.protection.terms.is_emergency
        return self._trunk.way_at_once(self._route.provider, attempt.signalling, is_emergency)

    def _ways_of(self, attempt: Attempt) -> Deferred[list[Way]]:
        """The flows of an attempt, best first; fails with NotFound."""
        is_emergency = self._call.protection.terms.is_emergency
        return self._trunk.ways(self._route.provider, attempt.signalling, is_emergency)

    def _located(self, ways: list[Way]) -> None:
        self._locating = None
        self._ways = Attempts(ways)
        if self._over:
            return
        if ways:
            self._offer(self._ways.take())
        else:
            self._try(self._plan.after(FailureKind.DNS, "DNS names no way there over this transport"), None)

    def _nowhere(self, failure: Failure) -> None:
        self._locating = None
        if self._over:
            return
        failure.trap(NotFound)
        self._try(self._plan.after(FailureKind.DNS, failure.getErrorMessage()), None)

    def _offer(self, way: Way) -> None:
        """Send the INVITE this way, once the relay has rewritten its offer for this attempt."""
        attempt = self._attempt
        if attempt is None:
            raise AssertionError("a way without an attempt")
        wish = self._plan.media(attempt.encryption)
        path = self._call.media_path
        if not self._invite.body or not has_sdp(self._invite):
            path.follow(lambda: self._send(Invitation(way, wish, b"")))
        elif self._rewritten is not None and self._rewritten[0] == wish:
            sdp = self._rewritten[1]
            path.follow(lambda: self._send(Invitation(way, wish, sdp)))
        else:
            body = self._invite.body
            first_offer(path, self._call.caller, wish, body, lambda sdp: self._offered(way, wish, sdp))

    @property
    def _offered_sdp(self) -> bytes:
        """The offer of the INVITE that was sent last; empty for a late offer."""
        return b"" if self._sent is None else self._sent.sdp

    def _turn_away(self, leg: CalleeLeg, response: Response, fields: Fields) -> None:
        leg.turn_down(response, fields)
        self._call.callee = None

    def _offered(self, way: Way, wish: SdpWish, sdp: bytes) -> None:
        self._rewritten = (wish, sdp)
        self._send(Invitation(way, wish, sdp))

    def _send(self, invitation: Invitation) -> None:
        if self._over:
            return
        leg = leg_for(self._call, self, invitation, self._ways.open(invitation.way))
        leg.session.preferences = self._preferences
        leg.takes_early_offers = self._call.caller.is_reliable
        self._call.callee = leg
        self._sent = invitation
        request = self._invite_for(leg, self._invite, self._identity, invitation.sdp)
        if isinstance(request, Refusal):
            self._over = True
            outcome.refuse(self._call, request, None)
            return
        leg.credentials.answers = self._answers
        if self._credentials is not None:
            request.headers.set(*self._credentials)
        self._wait_for(leg)
        leg.invite(request)

    def _wait_for(self, leg: CalleeLeg) -> None:
        """Wait for the first sign of life on this leg, where another target could be asked instead, or where no copy of
        the INVITE will follow."""
        if self._stop_waiting is not None:
            self._stop_waiting()
        has_next = self._ways.has_next
        if self._gives_up and (has_next or leg.flow.is_reliable):
            waiting = self._trunk.first_answer(leg, partial(self._unheard, leg), has_next=has_next)
            self._stop_waiting = waiting.stop

    def _wait_no_more(self) -> None:
        if self._stop_waiting is not None:
            self._stop_waiting()
            self._stop_waiting = None

    def _note_silence(self, leg: CalleeLeg, seconds: float) -> None:
        """Nothing came back over this leg's flow in so many seconds; there is no other way to a phone."""
        if self._phone_flow is None:
            self._trunk.unheard(leg.flow, seconds)

    def _credentials_for(self, leg: CalleeLeg, invite: Request, response: Response) -> tuple[str, str] | None:
        """The field that answers a challenge of the provider; None: the caller is to answer it."""
        if self._answers is None:
            return None
        return self._answers.answer(invite, response, leg.flow, self._progressed is not leg)

    def _agrees_anew(self, leg: CalleeLeg, response: Response) -> bool:
        """Whether the provider wants the INVITE once more, under the agreement on media that it names."""
        if self._is_agreed or leg.mediasec is None or leg.request is None:
            return False
        self._is_agreed = leg.mediasec.asks_again(leg.request, response, leg.flow)
        return self._is_agreed

    def _unheard(self, leg: CalleeLeg, seconds: float) -> None:
        if self._over or leg is not self._call.callee:
            return
        self._note_silence(leg, seconds)
        leg.abandon()
        if self._ways.has_next:
            self._offer(self._ways.take())
        else:
            self._try(self._plan.after(PeerFailure.NO_ANSWER, f"no answer of {leg.flow.remote} to the INVITE"), None)


def _words_of(failure: TransportFailure) -> str:
    """All of it in one line, for a record, which makes a peer's words clean."""
    return f"{failure.reason}; {failure.found}" if failure.found else failure.reason
