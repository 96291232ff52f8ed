"""For tests of transactions and dialogs: a core and a user that record, and messages."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.transaction.client import TransactionFailure
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.room import Ceiling, Claim
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow
from tests.support.flows import a_flow


class RecordingUser:
    """A transaction user that keeps what it hears."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.failures: list[TransactionFailure] = []

    def receive_response(self, response: Response) -> None:
        self.responses.append(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        self.failures.append(failure)

    @property
    def statuses(self) -> list[int]:
        """The status of each response that was received."""
        return [response.status for response in self.responses]


class RecordingCore:
    """A core that keeps what it hears and answers nothing."""

    def __init__(self) -> None:
        self.transactions: list[ServerTransaction] = []
        self.acks: list[Request] = []
        self.cancelled: list[tuple[ServerTransaction, Request]] = []
        self.strays: list[Response] = []
        self.claim = Claim.NONE

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        return Claim.URGENT if request.to.tag is not None else self.claim

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        assert transaction.request is request
        self.transactions.append(transaction)

    def receive_ack(self, request: Request, flow: Flow) -> None:
        self.acks.append(request)

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        self.cancelled.append((transaction, cancel))

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        self.strays.append(response)


class Bench:
    """A transaction layer with a clock, a core and a flow of the wanted transport."""

    def __init__(self, transport: str = "udp", ceiling: Ceiling | None = None) -> None:
        self.clock = Clock()
        self.core = RecordingCore()
        self.layer = TransactionLayer(self.clock, ceiling)
        self.layer.start(self.core)
        self.flow = a_flow(transport)
        self.user = RecordingUser()

    def advance(self, seconds: float) -> None:
        """Let the time pass in small steps, as a reactor would."""
        end = self.clock.seconds() + seconds
        while self.clock.getDelayedCalls():
            due = min(call.getTime() for call in self.clock.getDelayedCalls())
            if due > end:
                break
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def assert_nothing_left(self) -> None:
        """No transaction, no timer and no watcher is left over."""
        assert self.layer.counts_alive() == 0
        assert self.clock.getDelayedCalls() == []
        assert self.flow.watchers == set()


def make_request(
    method: str,
    branch: str | None = "z9hG4bKpeer1",
    *,
    cseq: int = 1,
    to_tag: str | None = None,
    from_tag: str = "caller",
    call_id: str = "call@phone",
    body: bytes = b"",
) -> Request:
    """A request of a phone; branch None leaves it out, as RFC 2543 did."""
    via = "SIP/2.0/UDP 127.0.0.11:5060" + (f";branch={branch}" if branch else "")
    headers = Headers(
        (
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", f"<sip:alice@example.com>;tag={from_tag}"),
            ("To", "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", "<sip:alice@127.0.0.11:5060>"),
        )
    )
    return Request(method, "sip:bob@example.com", headers, body)


def outgoing(method: str, cseq: int = 1) -> Request:
    """A request of ours, without Via."""
    request = make_request(method, cseq=cseq, call_id="ours@gateway")
    request.headers.remove("Via")
    request.headers.add("Route", "<sip:proxy.example.com;lr>")
    return request


def ack_of(invite: Request, response: Message, branch: str | None = None) -> Request:
    """The ACK for a response: with the INVITE's branch for a refusal, with one of its own for a 2xx."""
    ack = make_request("ACK", branch, cseq=invite.cseq.number, call_id=invite.call_id)
    if branch is None:
        ack.headers.set("Via", invite.headers.get("Via") or "")
    ack.headers.set("To", response.headers.get("To") or "")
    return ack
