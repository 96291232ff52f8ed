"""One request and its final response, as a Deferred.

What lives here: the transaction user that a small user agent needs. What does not: what to do with the response.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.defer import Deferred

from gateway.demo.agent.accounts import Account, authorized
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow


@frozen
class Unanswered(Exception):
    """No final response came."""

    method: str
    failure: TransactionFailure

    def __str__(self) -> str:
        return f"{self.method} was not answered: {self.failure}"


class Exchange:
    """Waits for the final response of one request."""

    def __init__(self, method: str) -> None:
        self.final: Deferred[Response] = Deferred()
        self.receive_again: Callable[[Response], None] = lambda _: None
        self._method = method

    def receive_response(self, response: Response) -> None:
        """A provisional response is passed over; copies of a 2xx to INVITE go to `receive_again`."""
        if response.status < 200:
            return
        if self.final.called:
            self.receive_again(response)
        else:
            self.final.callback(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Neither an answer nor a way to get one."""
        if not self.final.called:
            self.final.errback(Unanswered(self._method, failure))


@frozen
class Answered:
    """A final response, the request that it belongs to, with credentials if they were asked for, and the exchange."""

    request: Request
    response: Response
    exchange: Exchange


async def ask(transactions: TransactionLayer, flow: Flow, request: Request, account: Account) -> Answered:
    """Send a request, once more with credentials when it is challenged. Raises Unanswered."""
    answered = await _once(transactions, flow, request)
    if answered.response.status in (401, 407):
        repeated = authorized(request, answered.response, account)
        if repeated is not None:
            return await _once(transactions, flow, repeated)
    return answered


async def _once(transactions: TransactionLayer, flow: Flow, request: Request) -> Answered:
    exchange = Exchange(request.method)
    transactions.send_request(request, flow, exchange)
    return Answered(request, await exchange.final, exchange)
