"""A small user agent core (RFC 3261 section 8), common to the provider and the phone.

Lives here: one listener's transport and transactions joined, the way of a request to its conversation (a dialog) or
its service (a method), and a request of ours with its final response as a Deferred. Not here: the services INVITE and
REGISTER, and calls.

    bytes -> transport -> transactions -> UserAgent -+-> conversation (its dialog is known)
                                                     `-> service (no To tag)
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Protocol, TypeAlias

from attrs import frozen
from prometheus_client import CollectorRegistry
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorProcess, IReactorTime, IReactorUDP
from twisted.internet.posixbase import PosixReactorBase
from twisted.logger import Logger

from gateway.config.model import Listener
from gateway.demo.agent.accounts import Account, authorized
from gateway.dialog.dialog import Dialog, DialogKey, key_of
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.room import Claim
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow, FlowKey
from gateway.transport.layer import TransportLayer
from gateway.transport.sockets import TransportReactor

log = Logger()

Service: TypeAlias = Callable[[ServerTransaction, Request], None]


@frozen
class Reactor:
    """One reactor, seen through each interface that the demonstration uses: the same object, six times.

    Only the entry points have the reactor itself, from `twisted.internet.task.react`.
    """

    transport: TransportReactor
    udp: IReactorUDP
    clock: IReactorTime
    processes: IReactorProcess
    core: IReactorCore
    web: ReactorBase  # what twisted.web.client.Agent asks for

    @classmethod
    def of(cls, reactor: PosixReactorBase) -> Reactor:
        """The views of a reactor."""
        return cls(reactor, reactor, reactor, reactor, reactor, reactor)


class Conversation(Protocol):
    """The owner of a dialog."""

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A request inside the dialog."""

    def receive_ack(self, ack: Request) -> None:
        """The ACK of a 2xx."""


class UserAgent:
    """The core over one transport layer."""

    def __init__(self, transport: TransportLayer, transactions: TransactionLayer) -> None:
        self.transport = transport
        self.transactions = transactions
        self.services: dict[str, Service] = {"OPTIONS": self._receive_options}
        self._conversations: dict[DialogKey, Conversation] = {}
        self._cancellations: dict[ServerTransaction, Callable[[], None]] = {}

    @classmethod
    def over(cls, reactor: Reactor, listener: Listener) -> UserAgent:
        """A user agent with one listener."""
        transport = TransportLayer(reactor.transport, (listener,), Metrics(CollectorRegistry()))
        return cls(transport, TransactionLayer(reactor.clock))

    def start(self) -> Deferred[None]:
        """Listen. Fails with the one line that says which port is taken."""
        self.transactions.start(self)
        return self.transport.start(self)

    def stop(self) -> Deferred[None]:
        """Stop listening and drop every transaction."""
        self.transactions.stop()
        return self.transport.stop()

    def receive(self, message: Message, flow: Flow) -> None:
        """A message of the transport."""
        self.transactions.receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """Malformed requests are answered to anybody."""
        return True

    def connection_ended(self, key: FlowKey) -> None:
        """Nothing here depends on a connection."""

    def add(self, dialog: Dialog, conversation: Conversation) -> None:
        """Send the requests of this dialog to the conversation."""
        self._conversations[dialog.key] = conversation

    def remove(self, dialog: Dialog) -> None:
        """The dialog is over."""
        self._conversations.pop(dialog.key, None)

    def until_answered(self, transaction: ServerTransaction, cancelled: Callable[[], None]) -> Callable[[], None]:
        """Call `cancelled` when this INVITE is cancelled, until the function that this returns is called."""
        self._cancellations[transaction] = cancelled
        return lambda: self._cancellations.pop(transaction, None) and None

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A new request: for a dialog when its To has a tag (RFC 3261 section 12.2.2), else for a service."""
        if request.to.tag is None:
            self._serve(transaction, request)
            return
        conversation = self._conversations.get(key_of(request))
        if conversation is None:
            transaction.respond(request.response(481))
        else:
            conversation.receive_request(transaction, request)

    def receive_ack(self, request: Request, flow: Flow) -> None:
        """The ACK of a 2xx; one that belongs nowhere is dropped."""
        conversation = self._conversations.get(key_of(request))
        if conversation is None:
            log.debug("ACK for no dialog from {source}", source=flow.remote)
        else:
            conversation.receive_ack(request)

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        """None with as few transactions as these."""
        return Claim.NONE

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The transaction layer has answered the CANCEL; the INVITE ends with 487 unless it has its answer already."""
        cancelled = self._cancellations.pop(transaction, None)
        if cancelled is None:
            log.debug("CANCEL of an answered INVITE, call {call_id}", call_id=cancel.call_id)
        else:
            cancelled()

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        """A response without a transaction is dropped (RFC 3261 section 17.1)."""
        log.debug("stray {status} from {source}", status=response.status, source=flow.remote)

    def _serve(self, transaction: ServerTransaction, request: Request) -> None:
        service = self.services.get(request.method)
        if service is not None:
            service(transaction, request)
            return
        response = request.response(405, to_tag=token_hex(6))
        response.headers.set("Allow", self.allowed)
        transaction.respond(response)

    def _receive_options(self, transaction: ServerTransaction, request: Request) -> None:
        response = request.response(200, to_tag=token_hex(6))
        response.headers.set("Allow", self.allowed)
        response.headers.set("Accept", "application/sdp")
        transaction.respond(response)

    @property
    def allowed(self) -> str:
        """The value of Allow."""
        return ", ".join(sorted({"ACK", "BYE", "CANCEL", *self.services}))


def contact(user: str, flow: Flow) -> str:
    """A Contact that leads back to the listener of this flow."""
    transport = f";transport={flow.transport}" if flow.is_reliable else ""
    return f"<sip:{user}@{flow.advertised}{transport}>"


@frozen
class Unanswered(Exception):
    """No final response came."""

    method: str
    failure: TransactionFailure

    def __str__(self) -> str:
        return f"{self.method} was not answered: {self.failure}"


class Exchange:
    """The transaction user of one request: waits for the final response.

    Copies of a 2xx to INVITE, after the first, go to `receive_copy`.
    """

    def __init__(self, method: str, receive_copy: Callable[[Response], None]) -> None:
        self.final: Deferred[Response] = Deferred()
        self._method = method
        self._receive_copy = receive_copy

    def receive_response(self, response: Response) -> None:
        """A provisional response is passed over."""
        if response.status < 200:
            return
        if self.final.called:
            self._receive_copy(response)
        else:
            self.final.callback(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Neither an answer nor a way to get one."""
        if not self.final.called:
            self.final.errback(Unanswered(self._method, failure))


@frozen
class Answered:
    """A final response, and the request that it belongs to: with credentials if they were asked for."""

    request: Request
    response: Response


async def ask(
    transactions: TransactionLayer,
    flow: Flow,
    request: Request,
    account: Account,
    receive_copy: Callable[[Response], None] = lambda _: None,
) -> Answered:
    """Send a request, once more with credentials when it is challenged. Raises Unanswered.

    Copies of a 2xx to INVITE, after the first, go to `receive_copy`.
    """

    async def once(asked: Request) -> Answered:
        exchange = Exchange(asked.method, receive_copy)
        transactions.send_request(asked, flow, exchange)
        return Answered(asked, await exchange.final)

    answered = await once(request)
    if answered.response.status in (401, 407):
        repeated = authorized(request, answered.response, account)
        if repeated is not None:
            return await once(repeated)
    return answered
