"""Placing a call (RFC 3261 section 13.2): INVITE, credentials when asked for, ACK.

What lives here: from the first INVITE to the session. What does not: what follows (`session`), the audio (`stream`).
A response that forks is not followed: the first 2xx is the call.
"""

from __future__ import annotations

from secrets import token_hex

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from gateway.demo.agent.accounts import Account
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import UserAgent, contact
from gateway.demo.exchange import ask
from gateway.demo.stream import AudioStream
from gateway.dialog.dialog import Dialog
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.transport.flow import Flow


@frozen
class NotAnswered(Exception):
    """The call was refused with this final response."""

    status: int
    reason: str

    def __str__(self) -> str:
        return f"the call was refused: {self.status} {self.reason}"


@frozen
class Destination:
    """Whom a call is for."""

    request_uri: str
    to: str
    """The URI of the To header, which need not be the Request-URI."""
    flow: Flow


async def place_call(
    agent: UserAgent, clock: IReactorTime, account: Account, destination: Destination, stream: AudioStream
) -> Session:
    """Call somebody. Raises NotAnswered or Unanswered; the stream is closed then."""
    invite = new_request(account, "INVITE", destination, agent.allowed)
    invite.body = stream.offer()
    invite.headers.set("Content-Type", "application/sdp")
    try:
        answered = await ask(agent.transactions, destination.flow, invite, account)
        if answered.response.status >= 300:
            raise NotAnswered(answered.response.status, answered.response.reason)
        dialog = Dialog.from_response(answered.request, answered.response)
    except BaseException:
        stream.close()
        raise
    stream.take_answer(answered.response.body)
    session = Session(agent, clock, dialog, destination.flow, account, stream)
    answered.exchange.receive_again = session.acknowledge(answered.request.cseq.number)
    return session


def new_request(account: Account, method: str, destination: Destination, allowed: str) -> Request:
    """A request outside any dialog (RFC 3261 section 8.1.1), without Via."""
    headers = Headers(
        [
            ("Max-Forwards", "70"),
            ("From", f"<{account.aor}>;tag={token_hex(6)}"),
            ("To", f"<{destination.to}>"),
            ("Call-ID", token_hex(12)),
            ("CSeq", f"1 {method}"),
            ("Contact", contact(account.user, destination.flow)),
            ("Allow", allowed),
            ("User-Agent", "demonstration"),
        ]
    )
    return Request(method, destination.request_uri, headers, b"")
