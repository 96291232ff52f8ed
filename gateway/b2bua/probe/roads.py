"""The ways over which a probe asks: a TLS connection on trial, or a flow of the transport layer in clear.

    ask(request) -> Via of ours -> final response | the end of the connection | silence        -> AskedEnd
    acknowledge(request)           for the 2xx of an INVITE (RFC 3261 section 13.2.2.4)
    tell(request)                  for the BYE: nobody waits for its answer

An INVITE that nobody answers in time is cancelled (section 9.1); a 2xx that was faster still comes back.

Over TLS nothing is sent again (section 17.1.1.2), so a request is bytes and a response is matched by branch and method;
over UDP the transaction layer does as for calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.via import MAGIC_COOKIE
from gateway.transaction.client import TransactionFailure, Unheeded
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow, TransportFailure
from gateway.transport.stream.trial import Trial

ANSWER_WITHIN: Final = 4.0
"""Seconds for the final answer to a request that makes no call."""
CANCELLED_WITHIN: Final = 2.0
"""Seconds that an INVITE has for its end after the CANCEL."""


@attrs.frozen
class AskedEnd:
    """How a request ended."""

    response: Response | None = None
    """The final one."""
    failure: TransportFailure | None = None
    """How the connection ended before it; None with no response: silence."""
    seconds: float = 0.0
    is_alive: bool = False
    """Whether any provisional response came."""
    has_rung: bool = False
    """Whether one other than 100 came: what follows may be the callee's word, and not the provider's."""


class Road(Protocol):
    """One way to a peer."""

    words: str
    """The way for people: "TLS 198.51.100.21:5061"."""
    contact: str
    """Our host, port and transport, as a Contact names them."""
    is_verified: bool
    """Whether the peer has proved by its certificate to be the provider."""

    async def ask(self, request: Request, within: float = ANSWER_WITHIN) -> AskedEnd:
        """Send a request with our Via, and wait for its end."""

    def acknowledge(self, ack: Request) -> None:
        """Send the ACK of a 2xx."""

    def tell(self, request: Request) -> None:
        """Send a request that needs no answer."""


class _Waiting:
    """One request that waits for its end."""

    def __init__(self, clock: IReactorTime, within: float) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self._is_alive = self._has_rung = False
        self.wait(within)

    def wait(self, within: float) -> None:
        """Wait for so long from now on."""
        self.ended: Deferred[AskedEnd] = Deferred(lambda _: self._stop())
        self._timer = self._clock.callLater(within, self._settle)

    def receive_response(self, response: Response) -> None:
        """A response; a final one ends it."""
        if response.status < 200:
            self._is_alive = True
            self._has_rung = self._has_rung or response.status > 100
        else:
            self._settle(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no response."""
        self._settle(None, failure.transport)

    def lost(self, failure: TransportFailure) -> None:
        """The connection has ended."""
        self._settle(None, failure)

    def _settle(self, response: Response | None = None, failure: TransportFailure | None = None) -> None:
        self._stop()
        if not self.ended.called:
            seconds = self._clock.seconds() - self._began
            self.ended.callback(AskedEnd(response, failure, seconds, self._is_alive, self._has_rung))

    def _stop(self) -> None:
        if self._timer.active():
            self._timer.cancel()


class TrialRoad:
    """Over a TLS connection on trial to a verified peer."""

    def __init__(self, trial: Trial, place: str, clock: IReactorTime, new_token: Callable[[], str]) -> None:
        self.words = f"TLS {place}"
        self.contact = f"{trial.advertised};transport=tls"
        self.is_verified = True
        self._trial = trial
        self._clock = clock
        self._new_token = new_token
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        trial.listen(self._heard, self._lost)

    async def ask(self, request: Request, within: float = ANSWER_WITHIN) -> AskedEnd:
        """Send a request with our Via, and wait for its end."""
        if self._trial.failure is not None:
            return AskedEnd(None, self._trial.failure)
        branch = self._add_via(request)
        waiting = self._waiting[branch, request.method] = _Waiting(self._clock, within)
        self._trial.send(request.to_bytes())
        try:
            heard = await _end_of(request, waiting, lambda: self._cancel(request))
        finally:
            del self._waiting[branch, request.method]
        if request.method == "INVITE" and heard.response is not None and heard.response.status >= 300:
            self._trial.send(_ack_of(request, heard.response).to_bytes())
        return heard

    def acknowledge(self, ack: Request) -> None:
        """Send the ACK of a 2xx."""
        self._add_via(ack)
        self._trial.send(ack.to_bytes())

    def tell(self, request: Request) -> None:
        """Send a request that needs no answer."""
        self.acknowledge(request)

    def _cancel(self, invite: Request) -> None:
        self._trial.send(_within_transaction(invite, "CANCEL", invite.headers.get("To") or "").to_bytes())

    def _add_via(self, request: Request) -> str:
        branch = MAGIC_COOKIE + self._new_token()
        request.headers.lead("via", f"Via: SIP/2.0/TLS {self._trial.advertised};branch={branch};rport")
        return branch

    def _heard(self, response: Response) -> None:
        try:
            key = response.top_via.branch or "", response.cseq.method
        except MalformedMessage:
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.receive_response(response)

    def _lost(self, failure: TransportFailure) -> None:
        for waiting in tuple(self._waiting.values()):
            waiting.lost(failure)


class FlowRoad:
    """Over a flow of the transport layer: to a provider in clear, or to a phone."""

    def __init__(self, flow: Flow, transactions: TransactionLayer, clock: IReactorTime) -> None:
        self.words = f"{flow.transport.upper()} {flow.remote}"
        self.contact = flow.contact
        self.is_verified = False
        self._flow = flow
        self._transactions = transactions
        self._clock = clock

    async def ask(self, request: Request, within: float = ANSWER_WITHIN) -> AskedEnd:
        """Send a request with our Via, and wait for its end."""
        waiting = _Waiting(self._clock, within)
        transaction = self._transactions.send_request(request, self._flow, waiting)
        return await _end_of(request, waiting, transaction.cancel)

    def acknowledge(self, ack: Request) -> None:
        """Send the ACK of a 2xx."""
        self._transactions.send_ack(ack, self._flow)

    def tell(self, request: Request) -> None:
        """Send a request that needs no answer."""
        self._transactions.send_request(request, self._flow, Unheeded())


async def _end_of(request: Request, waiting: _Waiting, cancel: Callable[[], None]) -> AskedEnd:
    """The end of a request; an INVITE that has none in time, or that nobody waits for any more, is cancelled."""
    try:
        heard = await waiting.ended
    except CancelledError:
        if request.method == "INVITE":
            cancel()
        raise
    if request.method != "INVITE" or heard.response is not None or heard.failure is not None:
        return heard
    cancel()
    waiting.wait(CANCELLED_WITHIN)
    late = await waiting.ended
    return late if late.response is not None and late.response.status < 300 else heard


def _ack_of(invite: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx (RFC 3261 section 17.1.1.3)."""
    return _within_transaction(invite, "ACK", response.headers.get("To") or "")


def _within_transaction(invite: Request, method: str, to: str) -> Request:
    names = ("Via", "From", "Call-ID")
    fields = [(name, invite.headers.get(name) or "") for name in names]
    fields += [("To", to), ("Max-Forwards", "70"), ("CSeq", f"{invite.cseq.number} {method}")]
    fields += [("Route", value) for value in invite.headers.get_all("Route")]
    return Request(method, invite.uri, Headers(fields))
