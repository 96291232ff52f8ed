"""The outcome of an INVITE for its caller: the callee's 18x, its 2xx, or a refusal, on their way back.

SDP goes through the relay on the way, and responses stay in their order. Whether a 2xx may stand is decided before.
"""

from __future__ import annotations

from twisted.logger import Logger

from gateway.b2bua.across.headers import crossing_with_capabilities
from gateway.b2bua.across.offer_answer import OfferAnswer
from gateway.b2bua.across.transfer import redirections
from gateway.b2bua.call import Call, CallState
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.media import has_sdp
from gateway.security.policy.terms import Refusal
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response

log = Logger()
# Each line names its module. One with "response" in its name would have redaction search all lines from here.


@guarded
def progress(call: Call, leg: CalleeLeg, response: Response) -> None:
    """Pass a provisional response other than 100 back."""
    _exchange_with(call, leg).carry_response(
        response,
        lambda sdp: call.caller.progress(response.status, response.reason, _back(call, response, sdp), sdp),
    )


@guarded
def accept(call: Call, leg: CalleeLeg, response: Response) -> None:
    """Pass a 2xx back that may stand; its ACK is still to be sent."""
    call.enter(CallState.ANSWERING)
    exchange = _exchange_with(call, leg)
    exchange.acknowledge(response)
    exchange.carry_response(response, lambda sdp: _settle(call, response, sdp))


@guarded
def refuse(call: Call, refusal: Refusal, response: Response | None) -> None:
    """End the call with the callee's own `response`, or as policy or transport ended it: nothing is left to try."""
    if response is None or refusal.reason is not None:
        call.end_refused(refusal)
        return
    fields = _back(call, response, b"")
    fields.add_all(redirections(response, call.caller.spec.border, call.caller.spec.side))
    call.caller.refuse(response.status, response.reason, fields)
    call.end(f"callee answered {response.status}", response.status)


def _settle(call: Call, response: Response, sdp: bytes) -> None:
    call.establish()
    fields = _back(call, response, sdp)
    call.caller.accept(response.reason, fields, sdp, lambda ack: _acknowledged(call, response, ack))
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
def _acknowledged(call: Call, response: Response, ack: Request) -> None:
    if call.exchange is not None:
        call.exchange.acknowledged(response, ack)


def _exchange_with(call: Call, leg: CalleeLeg) -> OfferAnswer:
    if call.exchange is None or call.exchange.asked is not leg:
        call.exchange = OfferAnswer(call.media_path, call.caller, leg, has_sdp(call.caller.invite))
    return call.exchange


def _back(call: Call, response: Response, body: bytes) -> Headers:
    return crossing_with_capabilities(response.headers, call.caller.spec.side, body)
