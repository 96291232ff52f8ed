"""Transactions that another process has left: taken up where they were, since their peers know nothing of its end.

    our INVITE, without a final response  -> resumed_client: cancel() it, and hear of its end     (RFC 3261 section 9.1)
    a peer's INVITE, without one          -> resumed_server: respond(), until the ACK comes       (section 17.2.1)

Copies of the INVITE, its CANCEL and responses find these as if nothing had happened. Part of the layer, whose tables
they are put into; a file of its own, since only a start needs it.
"""

from __future__ import annotations

from gateway.sip.message import Request
from gateway.transaction.client import ClientTransaction, TransactionUser
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.matching import server_key
from gateway.transaction.room import COPIES, overhead_of, size_of
from gateway.transaction.server import ServerTransaction
from gateway.transaction.tables import State
from gateway.transport.flow import Flow


def resumed_client(layer: TransactionLayer, invite: Request, flow: Flow, user: TransactionUser) -> ClientTransaction:
    """The transaction of an INVITE, with its Via, that another process sent: to be cancelled, and its end to be heard.
    Raises MalformedMessage."""
    kinds = layer._invite_client
    transaction = ClientTransaction(kinds[flow.is_reliable], invite, flow, user, invite.top_via.branch or "")
    layer._clients[transaction.key] = transaction
    layer.room.hold(transaction, overhead_of(invite) + transaction.size)
    transaction.resume(State.PROCEEDING)
    return transaction


def resumed_server(layer: TransactionLayer, invite: Request, flow: Flow) -> ServerTransaction:
    """The transaction of an INVITE that another process took and has not answered. Raises MalformedMessage."""
    key = server_key(invite, flow.side)
    transaction = ServerTransaction(layer._invite_server[flow.is_reliable], invite, flow, key)
    layer._servers[key] = transaction
    layer.room.hold(transaction, overhead_of(invite) + COPIES * size_of(invite))
    transaction.resume(State.PROCEEDING)
    return transaction
