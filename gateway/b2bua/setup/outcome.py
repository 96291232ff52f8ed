"""The outcome of an INVITE for its caller: the callee's 18x, its 2xx, or a refusal, on their way back.

SDP goes through the relay on the way, and responses stay in their order. Whether a 2xx may stand is decided before.
"""

from __future__ import annotations

import attrs

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.exchange import MediaExchange
from gateway.b2bua.across.headers import crossing_back
from gateway.b2bua.across.limited_calls import begin_redirections
from gateway.b2bua.across.offer_answer import OfferAnswer
from gateway.b2bua.across.reoffer import Telling
from gateway.b2bua.across.transfer import number_identities, redirections
from gateway.b2bua.call import Call, CallState
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.media import has_sdp
from gateway.dialog.prack import is_required
from gateway.observe.log import LineLogger
from gateway.registrar.upstream import is_rejection
from gateway.security.answering import FIELDS, has_credentials
from gateway.security.limits.call_limits import OverLimit
from gateway.security.policy.terms import Reason, Refusal
from gateway.security.policy.verdict import fault_of
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response

log = LineLogger()
# Each line names its module. One with "response" in its name would have redaction search all lines from here.


@guarded
def progress(call: Call, leg: CalleeLeg, response: Response) -> None:
    """Pass a provisional response other than 100 back."""
    call.milestones.heard(response.status, call.services.clock.seconds())
    bodies = _bodies_with(call, leg)
    # An answer that the caller got reliably lets the callee's UPDATE cross (RFC 3311 section 5.1); ringing needs none.
    is_reliable = bool(response.body) and has_sdp(response) and is_required(response)

    def carried(sdp: bytes) -> None:
        fields = _back(call, response, sdp)
        call.caller.progress(response.status, response.reason, fields, sdp, is_reliable=is_reliable)

    def offered(sdp: bytes) -> None:
        call.caller.offer_early(response.status, _back(call, response, sdp), sdp, pracked)

    def pracked(prack: Request) -> None:
        bodies.carry_late_answer(prack, lambda sdp: leg.acknowledge_provisional(response, sdp))

    if leg.is_late(response):
        bodies.carry_offer(response.body, offered)
    else:
        bodies.carry_response(response, carried)


@guarded
def ring(call: Call, response: Response) -> None:
    """Pass a provisional response back without its body: of several phones that ring, another one is heard."""
    call.milestones.heard(response.status, call.services.clock.seconds())
    fields = _back(call, attrs.evolve(response, beside=()), b"")
    call.media_path.follow(lambda: call.caller.progress(response.status, response.reason, fields, b""))


@guarded
def accept(call: Call, leg: CalleeLeg, response: Response) -> None:
    """Pass a 2xx back that may stand; its ACK is still to be sent."""
    call.enter(CallState.ANSWERING)
    call.media_path.confirm()
    bodies = _bodies_with(call, leg)
    bodies.acknowledge(response)
    bodies.carry_response(response, lambda sdp: _settle(call, response, sdp))


@guarded
def refuse(call: Call, refusal: Refusal, response: Response | None) -> None:
    """End the call with the callee's own `response`, or as policy or transport ended it: nothing is left to try."""
    if response is not None and refusal.is_by_policy:
        # Refused for lack of SRTP, or as a downgrade: the answer that showed it is the cause.
        by = "the phone" if call.caller.spec.border.is_between_phones else "the provider"
        refusal = attrs.evolve(refusal, cause=f"{_said(response, by)} to an offer of SRTP")
    if response is None or refusal.reason is not None:
        call.end_refused(refusal)
        return
    fault = _fault_of(call, response)
    if fault is not None:
        call.protection.blame(fault)
    if call.callee is not None:
        try:
            begin_redirections(call.callee, response)
        except OverLimit as over:
            call.end_refused(Refusal(over.status, over.code, over.reason, cause=over.cause))
            return
    fields = _back(call, response, b"")
    fields.add_all(redirections(response, call.caller.spec.border, call.caller.spec.side))
    call.caller.refuse(response.status, response.reason, fields)
    call.end(f"callee answered {response.status}", response.status)


def _fault_of(call: Call, response: Response) -> Refusal | None:
    """The fault that a provider's final answer speaks of, if it is about neither the callee nor a step of the way.

    A challenge is a step the first time: the phone answers it, or the gateway in its user's name. Once more, with
    credentials in the request and no new nonce asked for, it means that they are wrong (RFC 3261 section 22.1).
    """
    leg, status = call.callee, response.status
    if leg is None or leg.request is None or not leg.is_toward_provider:
        return None
    said, reason = _said(response), fault_of(status)
    if status in FIELDS and is_rejection(leg.request, response):
        whose = "the phone" if has_credentials(call.caller.invite) else "the gateway, from the domain's credentials"
        said = f"{said} to user name and password of {whose}"
        return Refusal(status, Reason.PROVIDER_REFUSED_CREDENTIALS, response.reason, cause=said)
    if reason is Reason.PROVIDER_REFUSED_MEDIA:
        said = f"{said} to the last offer"
    return None if reason is None else Refusal(status, reason, response.reason, cause=said)


def _said(response: Response, by: str = "the provider") -> str:
    return f"{by} answered {response.status} {response.reason}"


def _settle(call: Call, response: Response, sdp: bytes) -> None:
    is_untold = False
    if call.caller.has_answer:
        sdp = b""  # a second one means nothing (RFC 6337 section 3.1)
        is_untold = _has_another_answer(call)
    if call.callee is not None:
        call.callee.media.forks_over()
    call.establish()
    fields = _back(call, response, sdp)
    call.caller.accept(response.reason, fields, sdp, lambda ack: _acknowledged(call, response, ack, is_untold))
    call.conclude()
    record = call.record
    log.info(
        "call {call_id} answered after {seconds:.1f}s: {verdict} {reason}",
        call_id=record.id,
        seconds=(record.answered_at or record.started_at) - record.started_at,
        verdict=record.verdict,
        reason=record.reason,
    )


@guarded
def _acknowledged(call: Call, response: Response, ack: Request, is_untold: bool) -> None:
    if call.exchange is not None:
        call.exchange.acknowledged(response, ack)
    call.settle()
    if is_untold and call.callee is not None:
        Telling(call.media_path, (call.caller, call.callee)).begin()


def _has_another_answer(call: Call) -> bool:
    """Whether a fork that did not win has given an answer that the caller hears the difference of. The caller has one
    dialog and got that answer reliably: only a re-INVITE can bring the winner's."""
    if call.callee is None or call.callee.media.in_force is None:
        return False
    in_force = call.callee.media.in_force
    return any(not given.here.sounds_like(in_force) for given in call.callee.media.forks.values())


def _bodies_with(call: Call, leg: CalleeLeg) -> OfferAnswer:
    """The bodies of this attempt; those of the one before it have come to nothing."""
    if call.exchange is None or call.exchange.asked is not leg:
        if call.exchange is not None:
            call.exchange.fail()
        call.exchange = OfferAnswer(call.media_path, (call.caller, leg), _offer_of(call, leg))
    return call.exchange


def _offer_of(call: Call, leg: CalleeLeg) -> MediaExchange | None:
    invite = call.caller.invite
    if not invite.body or not has_sdp(invite) or leg.request is None:
        return None
    return MediaExchange(call.media_path, call.caller, leg, invite.body, leg.request.body)


def _back(call: Call, response: Response, body: bytes) -> Headers:
    caller = call.caller.spec
    call.caller.beside = Customs.at(caller.border, caller.side).beside(response) if response.beside else ()
    fields = crossing_back(response.headers, caller.side, body)
    if caller.border.route.numbers is not None:
        number_identities(fields, caller.border, caller.side)
    return fields
