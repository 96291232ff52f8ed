"""Client transactions: one request of ours, sent again until answered (RFC 3261 section 17.1).

The machines are INVITE_CLIENT and NON_INVITE_CLIENT in tables.py; their actions live here. A response comes from the
layer, which matched it; a failure from the flow; the time from timers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from attrs import frozen
from twisted.logger import Logger

from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Message, Request, Response
from gateway.transaction.machine import Transaction, TransactionServices, compile_machine
from gateway.transaction.matching import Key, via_value
from gateway.transaction.room import OVERHEAD, Room
from gateway.transaction.tables import INVITE_CLIENT, NON_INVITE_CLIENT, Action, Event, State
from gateway.transport.flow import FailureKind, Flow, TransportFailure

log = Logger()

_OF_A_HOP = frozenset({"route", "from", "to", "call-id"})
_UNANSWERED = frozenset({State.CALLING, State.TRYING})


FLOW_CLOSED = TransportFailure(FailureKind.CLOSED, "the flow was closed before the request")


@frozen
class TransactionFailure:
    """How a client transaction ended without a final response (RFC 3261 section 8.1.3.1)."""

    transport: TransportFailure | None = None
    """The failure of the flow, for which a 503 stands; None when no response came in time, for which a 408 does."""

    @property
    def timed_out(self) -> bool:
        """Whether the peer could be reached and has not answered."""
        return self.transport is None


class TransactionUser(Protocol):
    """The sender of a request. Gets every provisional response, and one end: a final response or a failure.

    The one exception is an INVITE: after a 2xx, its copies and those of other forks come too, for 64*T1 (RFC 6026).
    """

    def receive_response(self, response: Response) -> None:
        """A response that is not a mere retransmission, except 2xx to INVITE."""

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no final response. Never called from within send_request."""


class Unheeded:
    """The user of a request with responses that change nothing: a CANCEL, a PRACK, the BYE to a fork that lost."""

    __slots__ = ()

    def receive_response(self, response: Response) -> None:
        """Nothing follows from it."""

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """Nothing follows from it."""


class Clients(Protocol):
    """The layer, as its client transactions see it."""

    room: Room

    def start_cancel(self, cancel: Request, flow: Flow, branch: str) -> None:
        """Send a CANCEL, complete with its Via, in a transaction of its own."""

    def pass_stray_response(self, response: Response, flow: Flow) -> None:
        """Give the core a response that has no user."""

    def forget_client(self, transaction: ClientTransaction) -> None:
        """The transaction has ended."""


class ClientTransaction(Transaction):
    """A request that was sent. The user hears of its responses, or of its failure.

    A transaction outlives its final response by up to 32 s. As soon as the user has that response it lets go of the
    flow's failures and, except for the 2xx of an INVITE, of the request and the user.
    """

    __slots__ = (
        "_ack",
        "_cancel_headers",
        "_cancel_leaves",
        "_data",
        "_failure",
        "_narrow",
        "_request",
        "_successor",
        "_unwatch",
        "_user",
        "acknowledgement",
        "branch",
        "flow",
        "held",
        "key",
    )

    _services: TransactionServices[Clients]
    payer = ""
    """Requests of ours count to nobody in particular."""

    def __init__(
        self, services: TransactionServices[Clients], request: Request, flow: Flow, user: TransactionUser, branch: str
    ) -> None:
        super().__init__(services)
        self.flow = flow
        self.branch = branch
        self.key: Key = (branch, request.method)
        self.held = 0
        self._request: Request | None = request
        self._user: TransactionUser | None = user
        self._data = request.to_bytes()
        self._ack = b""
        self.acknowledgement: Request | None = None  # of the 2xx of an INVITE, for its user: kept while copies may come
        self._cancel_headers: tuple[tuple[str, str], ...] | None = None
        self._cancel_leaves: Callable[[Request], None] | None = None
        self._failure = FLOW_CLOSED
        self._successor: ClientTransaction | None = None
        self._narrow: tuple[TransactionServices[Clients], Flow] | None = None
        self._unwatch: Callable[[], None] | None = None

    @property
    def request(self) -> Request:
        """The request that was sent. RuntimeError once the transaction needs it no more."""
        if self._request is None:
            raise RuntimeError("the request of a transaction that is over")
        return self._request

    @property
    def size(self) -> int:
        """Bytes of the request."""
        return len(self._data)

    def widen(self, services: TransactionServices[Clients], flow: Flow) -> None:
        """Before start(): use a flow for long requests, and the present one only if it fails (RFC 3261 section
        18.1.1)."""
        self._narrow = (self._services, self.flow)
        self._move(services, flow)

    def start(self) -> None:
        """Send the request. The user is not called before this returns."""
        self.happen(Event.START)
        if self.flow.is_open:
            self._unwatch = self.flow.watch(self._flow_lost)
        else:
            self.limit_to(0.0, Event.TRANSPORT_FAILURE)

    def release(self, heir: TransactionUser | None = None) -> None:
        """The user is gone: responses go to the heir, or without one to the core as stray ones.

        For a user that had the 2xx of its INVITE, when the call ends before the 64*T1 in which copies and forks may
        come.
        """
        self._user = heir
        if self._state is State.ACCEPTED:
            self._request = None

    def followed_by(self, successor: ClientTransaction) -> None:
        """The request was refused, and another took its place, with an answer to a challenge: cancel() is for that."""
        self._successor = successor

    @property
    def is_cancelled(self) -> bool:
        """Whether cancel() was called."""
        return self._cancel_headers is not None

    def cancel(self, headers: Iterable[tuple[str, str]] = (), leaves: Callable[[Request], None] | None = None) -> None:
        """Cancel an INVITE that has no final response: with a CANCEL as soon as there is a provisional one (9.1).

        The user hears the end as ever: usually 487, perhaps a 2xx that was faster, or a time-out 64*T1 after the
        CANCEL. headers are added to the CANCEL, and leaves is called with it when it is sent, if it ever is. Nothing
        happens to other requests, or the second time.
        """
        if self._successor is not None:
            self._successor.cancel(headers, leaves)
        elif self._cancel_headers is None:
            self._cancel_headers, self._cancel_leaves = tuple(headers), leaves
            self.happen(Event.CANCEL)

    def receive(self, response: Response) -> None:
        """A response that belongs to this transaction."""
        if response.status < 200:
            self.happen(Event.RECEIVE_1XX, response)
            return
        self.happen(Event.RECEIVE_2XX if response.status < 300 else Event.RECEIVE_3XX_6XX, response)
        self._stop_watching()
        self._data = b""
        if self._state is not State.TERMINATED:
            self._services.directory.room.hold(self, OVERHEAD)
        if self._state is State.COMPLETED:
            self._user = self._request = self._cancel_leaves = None

    def _stop_watching(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _move(self, services: TransactionServices[Clients], flow: Flow) -> None:
        """Begin again over another flow, in the same transaction: the peer that has seen the request knows it again."""
        self.happen(State.INITIAL)
        self.interval = 0.0
        self._steps, self._services, self.flow = services.program.steps, services, flow
        self.request.headers.set("Via", via_value(flow, self.branch))
        self._data = self.request.to_bytes()

    def _flow_lost(self, failure: TransportFailure) -> None:
        if self._narrow is not None and self._state in _UNANSWERED:
            narrow, self._narrow = self._narrow, None
            self._stop_watching()
            self._move(*narrow)
            self.start()
            return
        self._failure = failure
        self.happen(Event.TRANSPORT_FAILURE)

    def _send_request(self, _message: Message | None) -> None:
        self.flow.send(self._data)

    def _send_ack(self, response: Message | None) -> None:
        assert isinstance(response, Response)
        self._ack = self._ack or make_ack(self.request, response).to_bytes()
        self.flow.send(self._ack)

    def _remember_cancel(self, _message: Message | None) -> None:
        """cancel() has noted the headers: nothing else to remember."""

    def _send_remembered_cancel(self, _message: Message | None) -> None:
        if self._cancel_headers is not None:
            self.happen(Event.CANCEL)

    def _send_cancel(self, _message: Message | None) -> None:
        cancel = make_cancel(self.request, self._cancel_headers or ())
        if self._cancel_leaves is not None:
            self._cancel_leaves(cancel)
        self._services.directory.start_cancel(cancel, self.flow, self.branch)

    def _pass_response(self, response: Message | None) -> None:
        assert response is not None
        assert not response.is_request
        if self._user is None:
            self._services.directory.pass_stray_response(response, self.flow)
            return
        try:
            self._user.receive_response(response)
        except MalformedMessage as error:
            said = {"method": self.key[1], "status": response.status, "reason": error.reason}
            log.info("a {status} to a {method} cannot be used: {reason}", **said)
            self._give_up(response)
        except Exception:
            log.failure("the user of a {method} failed on {status}", method=self.key[1], status=response.status)
            self._give_up(response)
            if self._state is State.PROCEEDING:
                self.cancel()  # do not let the peer ring for a user that is broken

    def _give_up(self, response: Response) -> None:
        """A final response that its user cannot use is no response: nobody may wait for another."""
        if response.status >= 200:
            self._report(TransactionFailure())

    def _report_timeout(self, _message: Message | None) -> None:
        self._report(TransactionFailure())

    def _report_transport_failure(self, _message: Message | None) -> None:
        self._report(TransactionFailure(self._failure))

    def _report(self, failure: TransactionFailure) -> None:
        if self._user is None:
            return
        try:
            self._user.transaction_failed(failure)
        except Exception:
            kind = "time-out" if failure.timed_out else "transport failure"
            log.failure("the user of a {method} failed on its {kind}", method=self.key[1], kind=kind)

    def _end(self) -> None:
        self._services.directory.forget_client(self)
        if self._unwatch is not None:
            self._stop_watching()
        self._user = self._request = self._cancel_leaves = self.acknowledgement = None
        self._data = self._ack = b""


_ACTS: dict[Action, Callable[[ClientTransaction, Message | None], None]] = {
    Action.SEND_REQUEST: ClientTransaction._send_request,
    Action.SEND_ACK: ClientTransaction._send_ack,
    Action.REMEMBER_CANCEL: ClientTransaction._remember_cancel,
    Action.SEND_REMEMBERED_CANCEL: ClientTransaction._send_remembered_cancel,
    Action.SEND_CANCEL: ClientTransaction._send_cancel,
    Action.PASS_RESPONSE: ClientTransaction._pass_response,
    Action.REPORT_TIMEOUT: ClientTransaction._report_timeout,
    Action.REPORT_TRANSPORT_FAILURE: ClientTransaction._report_transport_failure,
}

INVITE_PROGRAMS = compile_machine(INVITE_CLIENT, _ACTS)
NON_INVITE_PROGRAMS = compile_machine(NON_INVITE_CLIENT, _ACTS)


def make_ack(invite: Request, response: Response) -> Request:
    """The ACK of a final response of 300 or more (RFC 3261 section 17.1.1.3)."""
    ack = _same_hop(invite, "ACK")
    ack.headers.set("To", response.headers.get("To") or "")
    return ack


def make_cancel(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of an INVITE (RFC 3261 section 9.1), with more headers at the end, such as Reason (RFC 3326)."""
    cancel = _same_hop(invite, "CANCEL")
    cancel.headers.add_all(headers)
    return cancel


def _same_hop(invite: Request, method: str) -> Request:
    """A request with the Request-URI, top Via, Route, From, To, Call-ID and CSeq number of the INVITE."""
    headers = invite.headers.select(_OF_A_HOP)
    headers.prepend("Via", str(invite.top_via))
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    headers.add("Max-Forwards", "70")
    return Request(method, invite.uri, headers)
