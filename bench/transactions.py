"""CPU time of the transaction machinery for one call, without parsing: `python bench/transactions.py [calls]`.

Two layers talk over a flow that keeps what is sent: INVITE, 180, 200, ACK, BYE, 200, as UDP. Timed is what the layers
do from a parsed message to bytes, at both ends: matching, tables, timers, the headers that they ask for, serialising.
Then the cost of a timer, started and cancelled while 25,000 run, in our queues and as a delayed call of the reactor
each; and the memory of a call whose transactions wait for late copies.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import sys
import tracemalloc
from collections.abc import Callable
from time import thread_time_ns
from typing import TypeVar

from twisted.internet.epollreactor import EPollReactor

from gateway.config.model import Listener, Side
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import read
from gateway.transaction.client import TransactionFailure
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.room import Ceiling, Claim
from gateway.transaction.server import ServerTransaction
from gateway.transaction.tables import Event
from gateway.transaction.timers import TimerQueues
from gateway.transport.flow import Address, Flow
from tests.support.flows import FakeFlow

TARGET = 250.0  # microseconds a call
CALLS = 5_000
RUNNING = 25_000  # what 800 calls a second have running of one 32 s timer
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.11\r\ns=-\r\nc=IN IP4 127.0.0.11\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n"
    + b"a=x\r\n" * 20
)
INVITE = """INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.11:5060;branch=z9hG4bK0
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag={number}
To: <sip:bob@example.com>
Call-ID: {number}@127.0.0.11
CSeq: 1 INVITE
Contact: <sip:alice@127.0.0.11:5060>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY, REFER
Supported: replaces, timer
User-Agent: bench
Content-Type: application/sdp

"""

Kind = TypeVar("Kind", bound=Message)
Result = TypeVar("Result")


class KeptFlow(FakeFlow):
    """Keeps the last datagram, and no record of watchers: that would be measured too."""

    __slots__ = ("data",)

    watch = Flow.watch

    def send(self, data: bytes) -> None:
        self.data = data


class Peer:
    """The core and the user of one layer."""

    def __init__(self, clock: EPollReactor) -> None:
        listener = Listener("phones", Side.PHONES, "udp", "127.0.0.20", 5060, None, None, None, None)
        self.flow = KeptFlow(listener, Address("127.0.0.11", 5060))
        self.layer = TransactionLayer(clock, Ceiling(10**9, held=10**12, held_per_source=10**12))
        self.layer.start(self)
        self.transaction: ServerTransaction | None = None
        self.responses = 0

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        return Claim.NONE

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        self.transaction = transaction

    def receive_ack(self, request: Request, flow: Flow) -> None:
        pass

    def receive_cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        pass

    def receive_stray_response(self, response: Response, flow: Flow) -> None:
        raise AssertionError(response)

    def receive_response(self, response: Response) -> None:
        self.responses += 1

    def transaction_failed(self, failure: TransactionFailure) -> None:
        raise AssertionError(failure)


class Calls:
    """Makes calls and adds up the time that the layers take."""

    def __init__(self) -> None:
        self.clock = EPollReactor()
        self.caller = Peer(self.clock)
        self.callee = Peer(self.clock)
        self.made = 0
        self.spent = 0  # nanoseconds
        self.profile: cProfile.Profile | None = None

    def timed(self, act: Callable[..., Result], *arguments: object) -> Result:
        if self.profile is not None:
            self.profile.enable()
        start = thread_time_ns()
        result = act(*arguments)
        self.spent += thread_time_ns() - start
        if self.profile is not None:
            self.profile.disable()
        return result

    def make(self, number: int) -> None:
        caller = self.caller
        invite = _message(INVITE.format(number=number).encode().replace(b"\n", b"\r\n") + SDP, Request)
        transaction = self.timed(caller.layer.send_request, invite, caller.flow, caller)
        received = self._to_callee()
        self._answer(received, 180)
        self._answer(received, 200)
        self.timed(caller.layer.send_ack, _in_dialog(received, "ACK", 1), caller.flow)
        self._to_callee()
        self.timed(caller.layer.send_request, _in_dialog(received, "BYE", 2), caller.flow, caller)
        self._answer(self._to_callee(), 200)
        self.timed(transaction.release)

    def _to_callee(self) -> Request:
        request = _message(self.caller.flow.data, Request)
        self.timed(self.callee.layer.receive, request, self.callee.flow)
        return request

    def _answer(self, request: Request, status: int) -> None:
        response = request.response(status, to_tag="callee")
        assert self.callee.transaction is not None
        self.timed(self.callee.transaction.respond, response)
        self.timed(self.caller.layer.receive, _message(self.callee.flow.data, Response), self.caller.flow)

    def run(self, count: int) -> float:
        """Microseconds a call."""
        self.spent = self.caller.responses = 0
        for _ in range(count):
            self.made += 1
            self.make(self.made)
            if self.made % 100 == 0:
                self.clock.runUntilCurrent()
        assert self.caller.responses == 3 * count
        return (self.spent - 13 * count * self._overhead()) / count / 1000

    def _overhead(self) -> float:
        """Nanoseconds that timing nothing takes."""
        spent = self.spent
        for _ in range(1000):
            self.timed(int)
        nothing, self.spent = self.spent - spent, spent
        return nothing / 1000


def _message(data: bytes, kind: type[Kind]) -> Kind:
    message = read(data)  # as the transport does
    assert isinstance(message, kind)
    return message


def _in_dialog(invite: Request, method: str, cseq: int) -> Request:
    request = Request(method, invite.uri, invite.headers.select(frozenset({"from", "to", "call-id", "max-forwards"})))
    request.headers.set("To", "<sip:bob@example.com>;tag=callee")
    request.headers.add("CSeq", f"{cseq} {method}")
    return request


class Owner:
    """Whose timers never expire."""

    def timer_expired(self, event: Event) -> None:
        raise AssertionError(event)


def timer_costs() -> tuple[float, float]:
    """Microseconds to start and cancel one of many timers: ours, and a delayed call of the reactor."""
    clock = EPollReactor()
    queues, owner = TimerQueues(clock), Owner()
    running = [queues.start(32.0, owner, Event.TIMER_B) for _ in range(RUNNING)]
    ours = _time(lambda: queues.start(32.0, owner, Event.TIMER_B).cancel())
    for timer in running:
        timer.cancel()
    calls = [clock.callLater(32.0, owner.timer_expired, Event.TIMER_B) for _ in range(RUNNING)]
    clock.runUntilCurrent()

    def start_and_cancel() -> None:
        clock.callLater(32.0, owner.timer_expired, Event.TIMER_B).cancel()

    theirs = _time(start_and_cancel, lambda: clock.runUntilCurrent())
    for call in calls:
        call.cancel()
    return ours, theirs


def memory_of_ended_calls() -> float:
    """KiB that the four transactions of a call hold until timers J, K, L and M."""
    calls = Calls()
    calls.run(100)
    gc.collect()
    tracemalloc.start()
    calls.run(1000)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 1000 / 1024


def _time(act: Callable[[], object], after: Callable[[], object] = lambda: None, count: int = 50_000) -> float:
    start = thread_time_ns()
    for number in range(count):
        act()
        if number % 10 == 0:
            after()
    after()
    return (thread_time_ns() - start) / count / 1000


def main() -> None:
    """Print the table."""
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    count = numbers[0] if numbers else CALLS
    calls = Calls()
    calls.run(200)
    best = min(calls.run(100) for _ in range(count // 100))
    print(f"one call, both ends, without parsing  {best:7.1f} us   target {TARGET:.0f}")
    ours, theirs = timer_costs()
    print(f"a timer started and cancelled         {ours:7.2f} us")
    print(f"the same as a reactor's delayed call  {theirs:7.2f} us")
    print(f"memory of an ended call, both ends    {memory_of_ended_calls():7.2f} KiB")
    if "--profile" in sys.argv:
        calls.profile = cProfile.Profile()
        calls.run(1000)
        pstats.Stats(calls.profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
