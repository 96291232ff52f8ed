"""A 2xx to an INVITE of ours that nobody waits for: an ACK each time that it comes, and one BYE for its fork.

    another fork has the call, or the call was given up    legs/callee, which has the journal keep it
    the call is over                                       LateAnswers, for legs/callee
    the process before had invited                         LateAnswers, for survival/given_up
    the transaction is forgotten                           legs/forgotten_invites

Without the ACK the callee sends its 2xx again and again, and without the BYE it stays up alone (RFC 3261 section
13.2.2.4). It may answer by as many forks as it likes, and send each answer as often: MOST_FORKS get their BYE.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.dialog.ack import ack_and_bye
from gateway.sip.message import Request, Response
from gateway.transaction.client import Unheeded
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow

MOST_FORKS: Final = 8


@attrs.define(eq=False)
class Strays:
    """The forks of one INVITE that nobody waits for. In place of the INVITE its ACK will do."""

    invite: Request
    hung_up: frozenset[str] = attrs.field(default=frozenset(), init=False)
    """The tags of those that got their BYE."""

    def requests(self, response: Response) -> tuple[Request, Request | None]:
        """The ACK of a 2xx, and the BYE for its fork; None where that is not to be sent. Raises MalformedMessage."""
        ack, bye = ack_and_bye(self.invite, response)
        tag = response.to.tag or ""
        if tag in self.hung_up or len(self.hung_up) >= MOST_FORKS:
            return ack, None
        self.hung_up |= {tag}
        return ack, bye

    def turn_away(self, response: Response, flow: Flow, transactions: TransactionLayer) -> None:
        """Send both. Raises MalformedMessage."""
        ack, bye = self.requests(response)
        transactions.send_ack(ack, flow)
        if bye is not None:
            transactions.send_request(bye, flow, Unheeded())


@attrs.define(eq=False)
class LateAnswers(Strays, Unheeded):
    """The user of an INVITE after the end of its call."""

    flow: Flow
    transactions: TransactionLayer
    winner: str | None = None
    """The tag of the fork that had the call; the ACK that stands for the INVITE is its: copies of its 2xx get that."""

    def receive_response(self, response: Response) -> None:
        """Acknowledge a 2xx, and hang up its fork; nothing follows from any other response."""
        if not 200 <= response.status < 300:
            return
        if self.winner is not None and response.to.tag == self.winner:
            self.transactions.send_ack(self.invite, self.flow)
        else:
            self.turn_away(response, self.flow, self.transactions)
