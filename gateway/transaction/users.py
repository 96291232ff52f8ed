"""Who is above the transactions: the user of a client transaction and the core behind the server transactions.

Only the seam lives here (RFC 3261 section 17 calls both the TU). Whatever one of them raises is caught by the layer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from gateway.sip.message import Request, Response
from gateway.transport.flow import Flow, TransportFailure

if TYPE_CHECKING:
    from gateway.transaction.server import ServerTransaction


class FailureKind(StrEnum):
    """Why there will be no final response: none came in time (RFC 3261 has a 408 stand for it), or no way to the peer
    (503)."""

    TIMEOUT = "timeout"
    TRANSPORT = "transport"


@frozen
class TransactionFailure:
    """How a client transaction ended without a final response; transport says what happened to the flow."""

    kind: FailureKind
    transport: TransportFailure | None = None


class TransactionUser(Protocol):
    """Who sent a request. Hears of every provisional response and of one end: a final response, or a failure.

    The one exception is an INVITE: after a 2xx, its copies and those of other forks come too, for 64*T1 (RFC 6026).
    """

    def receive_response(self, response: Response) -> None:
        """A response that is not a mere retransmission, except 2xx to INVITE."""

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no final response. Never called from within send_request."""


class Core(Protocol):
    """Who answers requests (RFC 3261 section 8.2)."""

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A new request, to be answered by transaction.respond, now or later. May raise Refused or MalformedMessage."""

    def receive_ack(self, request: Request, flow: Flow) -> None:
        """An ACK that belongs to no transaction in Completed: of a 2xx, or of a response that was sent statelessly."""

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The INVITE of this transaction, still without final response, is cancelled. The CANCEL has been answered."""

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        """A response that belongs to no transaction: late, or never asked for."""
