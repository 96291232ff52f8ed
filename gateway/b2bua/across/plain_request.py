"""One request inside a dialog that sets up no media, on its way across, and its response back.

    origin leg                            peer leg
    INFO, REFER, NOTIFY, MESSAGE ...  ->  same method, own CSeq
    response                          <-  response

It waits for no offer or answer, so the end of a call takes nothing of it away: its response comes back all the same.
A refusal or a time-out ends the usage that the request was of, and nothing else (RFC 5057 section 5.1).

INVITE and UPDATE are in ``request``.
"""

from __future__ import annotations

from gateway.b2bua.across.bodies import Customs
from gateway.b2bua.across.headers import check_commands, crossing_back, crossing_with_capabilities
from gateway.b2bua.across.limited_calls import NO_TRANSFER, begin_transfer, transfer_answered
from gateway.b2bua.across.transfer import translate
from gateway.b2bua.legs.leg import Leg
from gateway.dialog.usages import Usage, Usages, is_ended_by, usage_of
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.server import ServerTransaction


class PlainRequest:
    """A request on its way across, one transaction on each leg."""

    def __init__(self, legs: tuple[Leg, Leg], transaction: ServerTransaction, usages: Usages) -> None:
        self._origin, self._peer = legs
        self._transaction = transaction
        self._request = transaction.request
        self._usages = usages
        self._transfer = NO_TRANSFER
        """The calls that limits count by it."""

    def begin(self) -> None:
        """Send the request to the peer, or refuse it."""
        try:
            request = self._made()
            self._transfer = begin_transfer(self._origin, self._request)
        except (Refused, MalformedMessage) as refused:
            self._refuse(refused)
            return
        self._peer.send(request, self)

    def receive_response(self, response: Response) -> None:
        """Take the peer's final response back to the origin."""
        self._peer.note_received(response)
        self._note_transfer(response.status)
        if response.status < 200 or self._transaction.is_answered:
            return
        back = self._request.response(response.status, response.reason)
        origin = self._origin.spec
        back.body = Customs.at(origin.border, origin.side).body_back(response)
        back.headers.add_all(crossing_back(response.headers, origin.side, back.body))
        self._origin.respond(self._transaction, back)
        self._end_usage(response.status, response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No response: 408 to the origin."""
        self._note_transfer(408)
        if not self._transaction.is_answered:
            self._origin.respond(self._transaction, self._request.response(408))
        self._end_usage(408, None)

    def _made(self) -> Request:
        """The request for the peer. Raises Refused and MalformedMessage."""
        asked, peer = self._request, self._peer.spec
        check_commands(asked, peer.side, peer.border.domain)
        body = Customs.at(peer.border, peer.side).body_of(asked)
        fields = crossing_with_capabilities(asked.headers, peer.side, body)
        request = self._peer.make_request(asked.method, fields, body)
        translate(request.headers, peer.border, peer.side, self._peer.services.dialogs)
        self._usages.leaves(self._origin.spec.name, asked, request)
        return request

    def _refuse(self, refused: Refused | MalformedMessage) -> None:
        response = self._request.response(refused.status, refused.reason or None)
        if isinstance(refused, Refused):
            response.headers.add_all(refused.headers)
        self._origin.respond(self._transaction, response)

    def _note_transfer(self, status: int) -> None:
        """The provider calls the target of a REFER, or does not, be the origin there or not."""
        if self._request.method == "REFER" and status >= 200:
            transfer_answered(self._origin, self._transfer, status)

    def _end_usage(self, status: int, response: Response | None) -> None:
        method = self._request.method
        self._usages.answered(self._origin.spec.name, self._request, status, response)
        if usage_of(method) is Usage.CALL and is_ended_by(method, status):
            self._peer.break_off(f"{status} to {method}")
