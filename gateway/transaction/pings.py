"""Pings under way: requests to providers and phones whose answer is waited for briefly.

    ask(request) -> any final answer -> answered          none in ANSWER_WITHIN, or none to come -> unanswered

Each ping has one end. An answer that comes later says nothing any more. Not here: the wording of a ping, and
the meaning of its answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transport.flow import Flow

ANSWER_WITHIN: Final = 4.0
"""Seconds that an answer is waited for: four copies of the ping were sent by then over UDP (timer E). Timer F
(RFC 3261 section 17.1.2.2) would let a host that went silent be trusted for half a minute more, and twice."""


class Sent(Protocol):
    """A request under way."""

    def stop(self) -> None:
        """Wait for its answer no more, without a word to anybody."""


Send = Callable[[Request, Flow, TransactionUser], Sent]


class Pings:
    """The pings of one asker that are under way."""

    def __init__(self, clock: IReactorTime, send: Send) -> None:
        self._clock = clock
        self._send = send
        self._under_way: set[_Ping] = set()

    def ask(
        self,
        request: Request,
        flow: Flow,
        answered: Callable[[Response], None],
        unanswered: Callable[[TransactionFailure], None],
    ) -> None:
        """Send a request; one of the two is called, later: with the final response, or with the reason for none."""
        ping = _Ping(self._under_way, answered, unanswered)
        self._under_way.add(ping)
        ping.timer = self._clock.callLater(ANSWER_WITHIN, ping.late)
        ping.sent = self._send(request, flow, ping)

    def stop(self) -> None:
        """Wait for no answer any more; nobody is called."""
        for ping in tuple(self._under_way):
            ping.give_up()


@attrs.define(eq=False)
class _Ping:
    """Waits for the answer to one request."""

    _under_way: set[_Ping]
    _answered: Callable[[Response], None]
    _unanswered: Callable[[TransactionFailure], None]
    sent: Sent | None = None
    timer: IDelayedCall | None = None

    def receive_response(self, response: Response) -> None:
        """Any final answer shows life, be it that the method is not known there."""
        if response.status >= 200 and self._ends():
            self._answered(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No answer, and none to come."""
        if self._ends():
            self._unanswered(failure)

    def late(self) -> None:
        """No answer in time."""
        if self.give_up():
            self._unanswered(TransactionFailure())

    def give_up(self) -> bool:
        """Wait no more; False where that was so already."""
        is_waiting = self._ends()
        if is_waiting and self.sent is not None:
            self.sent.stop()
        return is_waiting

    def _ends(self) -> bool:
        if self not in self._under_way:
            return False
        self._under_way.discard(self)
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        return True
