"""Server transactions: one request of a peer, passed to the core once, and its response, sent as often as needed
(17.2).

The machines are INVITE_SERVER and NON_INVITE_SERVER in tables.py; their actions live here. The request and its copies
come from the layer, responses from the core by respond(), the time from timers.py. A transport failure does not end a
server transaction (RFC 6026 section 7.1): its timers do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from twisted.logger import Logger

from gateway.config.model import Side
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Message, Request, Response, tag_for
from gateway.transaction.machine import Transaction, TransactionServices, compile_machine
from gateway.transaction.matching import Key
from gateway.transaction.room import OVERHEAD, Claim, Room, size_of
from gateway.transaction.tables import INVITE_SERVER, NON_INVITE_SERVER, Action, Event, State
from gateway.transport.allowance import ANSWER
from gateway.transport.arrival import way_back
from gateway.transport.flow import Flow

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_ACCEPTED: Final = State.ACCEPTED
_TERMINATED: Final = State.TERMINATED
_SEND_1XX: Final = Event.SEND_1XX
_SEND_2XX: Final = Event.SEND_2XX

log = Logger()

_UNANSWERED = (State.INITIAL, State.TRYING, State.PROCEEDING)


class Servers(Protocol):
    """The layer, as its server transactions see it."""

    room: Room

    def pass_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Give the core a new request. Raises as the core does."""

    def pass_ack(self, ack: Request, flow: Flow) -> None:
        """Give the core an ACK."""

    def forget_server(self, transaction: ServerTransaction) -> None:
        """The transaction has ended."""


class ResponseWatcher(Protocol):
    """Hears the responses to one request."""

    def responded(self, response: Response) -> None:
        """A response of the core that is sent, provisional ones included. It must not raise."""


class ServerTransaction(Transaction):
    """A request that was received. The core answers it by respond().

    It outlives its final response by up to 32 s, but not with the request: that is let go of.
    """

    __slots__ = (
        "_data",
        "_request",
        "_to",
        "_watcher",
        "back",
        "flow",
        "held",
        "is_cancelled",
        "key",
        "merge_key",
        "method",
        "payer",
    )

    _services: TransactionServices[Servers]

    def __init__(self, services: TransactionServices[Servers], request: Request, flow: Flow, key: Key) -> None:
        super().__init__(services)
        self._request: Request | None = request
        self.flow = flow  # the source: what the sender proves
        self.back = way_back(request, flow)
        """Where responses go, and requests to the same peer: over UDP perhaps to a port that only its Via names."""
        self.key = key
        self.held = 0
        self.payer = flow.source if flow.side is Side.PHONES else ""
        self.merge_key: Key | None = None
        self.method = request.method
        self.is_cancelled = False
        self._data = b""  # the last response
        self._to: str | None = None  # To of the last response with a tag
        self._watcher: ResponseWatcher | None = None

    @property
    def request(self) -> Request:
        """The request that was received. RuntimeError after the final response."""
        if self._request is None:
            raise RuntimeError("the request of a transaction that is answered")
        return self._request

    @property
    def is_answered(self) -> bool:
        """Whether the core has given a final response (or cannot any more)."""
        return self._state not in _UNANSWERED

    def watch(self, watcher: ResponseWatcher) -> None:
        """Have the responses from now on heard, up to the first final one."""
        self._watcher = watcher

    def respond(self, response: Response) -> None:
        """Send a response of the core. Raises ValueError for one that cannot be serialised; then nothing has happened.

        Responses that come too late or may not be sent are absorbed: a second final one, any after the end, and for
        other requests than INVITE a provisional one and a 408 (RFC 4320). The core may repeat the 2xx of an INVITE.
        """
        status = response.status
        event = _SEND_1XX if status < 200 else _SEND_2XX if status < 300 else self._refusal(status)
        if event in self._steps[self._state]:
            self._data = response.to_bytes()
            if status > 100 and (status < 200 or self.method == "INVITE"):  # no other needs it after its final one
                self._to = response.headers.get("To")
            if self._watcher is not None:
                self._watcher.responded(response)
        self.happen(event, response)
        state = self._state
        if state is _ACCEPTED:
            self._data = b""  # the core has it
        if state not in _UNANSWERED:
            self._request = self._watcher = None
            if state is not _TERMINATED:
                self._services.directory.room.hold(self, OVERHEAD + len(self._data))

    def refuse(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send a final response with the To tag of earlier ones, or a new one; nothing when there was a final
        response."""
        if self.is_answered:
            return
        response = self.with_same_tag(self.request.response(status, reason or None))
        response.headers.add_all(headers)
        self.respond(response)

    def with_same_tag(self, response: Response) -> Response:
        """That response with the To tag of earlier ones (9.2), or a new one."""
        if self._to is None:
            response.add_to_tag(tag_for(self.key, self.flow.remote.host))  # nobody learns another host's tag by asking
        else:
            response.headers.set("To", self._to)
        return response

    def is_acknowledged_by(self, ack: Request) -> bool:
        """Whether an ACK has the To tag of our response: one without magic cookie belongs to it then (17.2.3), and
        its sender has seen it."""
        return self._to is not None and NameAddress.parse(self._to).tag == ack.to.tag

    def _refusal(self, status: int) -> Event:
        return Event.SEND_408 if status == 408 and self.method != "INVITE" else Event.SEND_3XX_6XX

    def _pass_request(self, request: Message | None) -> None:
        assert request is not None
        assert request.is_request
        try:
            self._services.directory.pass_request(self, request)
        except Refused as refused:
            self.refuse(refused.status, refused.reason, refused.headers)
        except MalformedMessage as error:
            self.refuse(error.status)
        except Exception:
            log.failure("the core failed on a {method}", method=request.method)
            self.core_failed()

    def core_failed(self) -> None:
        """The core has a bug: answer 500 for it, unless it did answer."""
        self.refuse(500)

    def _pass_ack(self, ack: Message | None) -> None:
        assert isinstance(ack, Request)
        self._services.directory.pass_ack(ack, self.flow)

    def _send_trying(self, _message: Message | None) -> None:
        trying = self.request.response(100)
        if (timestamp := self.request.headers.get("Timestamp")) is not None:
            trying.headers.add("Timestamp", timestamp)  # 8.2.6.1
        self._data = trying.to_bytes()
        self._send_response(trying)

    def _send_response(self, response: Message | None) -> None:
        # A client repeats its INVITE until a provisional response, and each copy earns bytes of an answer. So one that
        # is not proved gets a 100 with its first copy, T1 after the INVITE: its timer B is stopped all the same.
        # Once it is told that it rings it sends no more copies, so a call that rings for long must not use up the bytes
        # of its answer: provisional responses go as far as there is room for that one as well.
        assert response is not None
        assert not response.is_request
        allowance, status = self.back.allowance, response.status
        may_wait = status < 200 and not allowance.is_proved
        if not may_wait or (status > 100 and allowance.has_room(len(self._data) + self._kept_bytes())):
            self.back.send(self._data)

    def _kept_bytes(self) -> int:
        """The bytes that are kept for the answer: a short INVITE has a short one, and its first ringing is heard."""
        return min(ANSWER, size_of(self.request) * 3 // 2)

    def _resend_response(self, _message: Message | None) -> None:
        if self._data:
            self.back.send(self._data)

    def _end(self) -> None:
        self._services.directory.forget_server(self)
        self._request = self._watcher = None
        self._data = b""


_ACTS: dict[Action, Callable[[ServerTransaction, Message | None], None]] = {
    Action.PASS_REQUEST: ServerTransaction._pass_request,
    Action.PASS_ACK: ServerTransaction._pass_ack,
    Action.SEND_TRYING: ServerTransaction._send_trying,
    Action.SEND_RESPONSE: ServerTransaction._send_response,
    Action.RESEND_RESPONSE: ServerTransaction._resend_response,
}

INVITE_PROGRAMS = compile_machine(INVITE_SERVER, _ACTS)
NON_INVITE_PROGRAMS = compile_machine(NON_INVITE_SERVER, _ACTS)


class Core(Protocol):
    """The UAS core, which answers requests (RFC 3261 section 8.2)."""

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        """The claim of a new request to the last room. Raises nothing but MalformedMessage."""

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A new request, to be answered by transaction.respond, now or later. May raise Refused or MalformedMessage."""

    def receive_ack(self, request: Request, flow: Flow) -> None:
        """An ACK that belongs to no transaction in Completed: of a 2xx, or of a response that was sent statelessly."""

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The INVITE of this transaction, still without final response, is cancelled. The CANCEL has been answered."""

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        """A response that belongs to no transaction: late, or never asked for."""
