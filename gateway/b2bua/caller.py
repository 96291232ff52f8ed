"""The caller's leg of a call: the gateway is the UAS of the initial INVITE (RFC 3261 section 13.3).

The caller sees one dialog with one To tag, however many phones or branches ring on the other side.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.b2bua.leg import Fields, Leg, LegOwner, LegTerms
from gateway.b2bua.record import Passage
from gateway.b2bua.stack import Stack
from gateway.dialog.dialog import Dialog
from gateway.sip.message import Request
from gateway.transaction.server import ServerTransaction


class CallerLeg(Leg):
    """The leg whose INVITE asked for the call."""

    def __init__(self, terms: LegTerms, transaction: ServerTransaction, stack: Stack, owner: LegOwner) -> None:
        super().__init__(terms, transaction.flow, stack, owner)
        self.invite = transaction.request
        self.answered = False
        self.pending_invite = True
        self.transaction = transaction
        self._tag = stack.new_tag()
        self._note(Passage.RECEIVED, self.invite)

    def begin(self) -> None:
        """Say 100 and make the dialog, early until it is answered (RFC 3261 sections 8.2.6.1 and 12.1.1).

        Raises Refused 422 for a session interval that is too small, and MalformedMessage.
        """
        self.dialog = Dialog.from_request(self.invite, self._tag)
        self._owner.dialog_began(self, self.dialog)
        self.respond(self.transaction, self.invite.response(100))
        self.session.request_came(self.invite)

    def progress(self, status: int, reason: str, fields: Fields, body: bytes) -> None:
        """Pass on a provisional response."""
        if not self.answered and not self.ended:
            self._send(status, reason, fields, body)

    def accept(self, reason: str, fields: Fields, body: bytes, acknowledged: Callable[[Request], None]) -> None:
        """Answer the call with 200, until its ACK comes."""
        response = self.invite.response(200, reason, to_tag=self._tag)
        for name, value in fields:
            response.headers.add(name, value)
        response.body = body
        self.answered = True
        self.pending_invite = False
        if self.dialog is not None:
            self.dialog.confirm(response)
        self.answer(self.transaction, response, acknowledged)

    def refuse(self, status: int, reason: str | None = None, fields: Fields = ()) -> None:
        """Refuse the call; nothing happens when it was answered or refused before."""
        if self.answered or self.ended:
            return
        self.pending_invite = False
        self._send(status, reason, fields, b"")
        self.close()

    def leave(self, status: int, fields: Fields = ()) -> None:
        """End the leg, whatever state it is in: a final response before the answer, BYE after it."""
        if self.answered:
            self.hang_up(fields)
        else:
            self.refuse(status, None, fields)

    def _send(self, status: int, reason: str | None, fields: Fields, body: bytes) -> None:
        response = self.invite.response(status, reason, to_tag=self._tag)
        for name, value in fields:
            response.headers.add(name, value)
        response.body = body
        self.respond(self.transaction, response)
