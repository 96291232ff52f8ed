"""Any order of messages, answers, failures and waiting: nothing raises, users hear one end, nothing is left over."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from gateway.sip.message import Request, Response
from gateway.transaction.client import ClientTransaction, TransactionFailure
from gateway.transaction.room import Ceiling
from gateway.transaction.server import ServerTransaction
from gateway.transaction.timers import GATHERED, T1
from gateway.transport.flow import FailureKind
from tests.support.flows import RecordingFlow, a_flow
from tests.support.transactions import Bench, make_request, outgoing

TRANSPORTS = ("udp", "tcp", "tls")
METHODS = st.sampled_from(("INVITE", "BYE", "REGISTER", "OPTIONS", "FOO"))
STATUSES = st.sampled_from((100, 180, 183, 200, 202, 302, 401, 408, 486, 487, 503, 603))
NUMBERS = st.integers(0, 3)
PICKS = st.integers(0, 1000)
CEILING = 6


class Sender:
    """A user that counts the ends it hears."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.transaction: ClientTransaction | None = None
        self.refusals = self.successes = self.failures = 0
        self.provisional_after_end = 0

    @property
    def ends(self) -> int:
        return self.refusals + self.successes + self.failures

    def receive_response(self, response: Response) -> None:
        assert self.transaction is not None, "heard of a response before send_request returned"
        if response.status < 200:
            self.provisional_after_end += self.ends
        elif response.status < 300:
            self.successes += 1
        else:
            self.refusals += 1

    def transaction_failed(self, failure: TransactionFailure) -> None:
        assert self.transaction is not None, "heard of a failure before send_request returned"
        self.failures += 1

    def check(self) -> None:
        assert self.provisional_after_end == 0
        assert self.refusals + self.failures + bool(self.successes) <= 1
        assert self.method == "INVITE" or self.successes <= 1


@implementer(ILogObserver)
class Failures(list[object]):
    """The failures that were logged: what a guard caught."""

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.append(event["log_failure"])


class Transactions(RuleBasedStateMachine):
    """The layer between a peer that sends anything and a core that answers anything."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(ceiling=Ceiling(server_transactions=CEILING))
        self.flows: dict[str, RecordingFlow] = {}
        self.senders: list[Sender] = []
        self.failed = Failures()
        globalLogPublisher.addObserver(self.failed)

    def teardown(self) -> None:
        globalLogPublisher.removeObserver(self.failed)
        for sender in self.senders:
            assert sender.transaction is not None
            sender.transaction.cancel()
        for transaction in self.bench.core.transactions:
            if not transaction.is_answered:
                transaction.refuse(480)
        self.bench.advance(64 * T1 + GATHERED)
        assert all(sender.ends for sender in self.senders), "64*T1 after the CANCEL all is over"
        self.bench.advance(64 * T1 + GATHERED)
        assert self.failed == []
        self.bench.assert_nothing_left()
        assert all(flow.watchers == set() for flow in self.flows.values())

    @initialize()
    def open(self) -> None:
        self.flows = {transport: a_flow(transport) for transport in TRANSPORTS}

    @rule(transport=st.sampled_from(TRANSPORTS), method=METHODS)
    def we_send(self, transport: str, method: str) -> None:
        sender = Sender(method)
        sender.transaction = self.bench.layer.send_request(outgoing(method), self.flows[transport], sender)
        self.senders.append(sender)

    @rule(transport=st.sampled_from(TRANSPORTS), pick=PICKS, status=STATUSES, tag=NUMBERS)
    def the_peer_answers(self, transport: str, pick: int, status: int, tag: int) -> None:
        requests = [message for message in self.flows[transport].sent if isinstance(message, Request)]
        if requests:
            response = requests[pick % len(requests)].response(status, to_tag=f"peer{tag}")
            self.bench.layer.receive(response, self.flows[transport])

    @rule(pick=PICKS)
    def we_cancel(self, pick: int) -> None:
        if self.senders:
            transaction = self.senders[pick % len(self.senders)].transaction
            assert transaction is not None
            transaction.cancel((("Reason", "SIP;cause=200"),))

    @rule(
        transport=st.sampled_from(TRANSPORTS),
        method=st.one_of(METHODS, st.sampled_from(("ACK", "CANCEL"))),
        branch=st.one_of(st.none(), NUMBERS),
        cseq=st.integers(1, 2),
        to_tag=st.sampled_from((None, "core0", "core1")),
    )
    def the_peer_sends(self, transport: str, method: str, branch: int | None, cseq: int, to_tag: str | None) -> None:
        known = None if branch is None else f"z9hG4bK{branch}"
        self.bench.layer.receive(make_request(method, known, cseq=cseq, to_tag=to_tag), self.flows[transport])

    @rule(transport=st.sampled_from(TRANSPORTS), header=st.sampled_from(("Via", "CSeq", "To", "From", "Call-ID")))
    def the_peer_sends_nonsense(self, transport: str, header: str) -> None:
        for message in (make_request("INVITE", "z9hG4bKbad"), make_request("ACK"), make_request("FOO").response(200)):
            message.headers.set(header, ";;;")
            self.bench.layer.receive(message, self.flows[transport])

    @rule(pick=PICKS, status=STATUSES, tag=st.integers(0, 1))
    def the_core_answers(self, pick: int, status: int, tag: int) -> None:
        transaction = self._pick_server(pick)
        if transaction is not None and not transaction.is_answered:
            transaction.respond(transaction.request.response(status, to_tag=f"core{tag}"))

    @rule(pick=PICKS, status=STATUSES)
    def the_core_answers_late(self, pick: int, status: int) -> None:
        transaction = self._pick_server(pick)
        if transaction is not None:
            method = "INVITE" if transaction.method == "INVITE" else "BYE"
            transaction.respond(make_request(method).response(status, to_tag="core0"))

    def _pick_server(self, pick: int) -> ServerTransaction | None:
        transactions = self.bench.core.transactions
        return transactions[pick % len(transactions)] if transactions else None

    @rule(transport=st.sampled_from(TRANSPORTS))
    def the_flow_fails(self, transport: str) -> None:
        self.flows[transport].fail(FailureKind.CLOSED)
        self.flows[transport] = a_flow(transport)

    @rule(seconds=st.sampled_from((0.0, 0.1, 0.5, 1.0, 4.0, 5.0, 32.0)))
    def time_passes(self, seconds: float) -> None:
        self.bench.advance(seconds)

    @rule(pick=PICKS)
    def the_user_goes(self, pick: int) -> None:
        """One that had its answer."""
        if self.senders:
            sender = self.senders[pick % len(self.senders)]
            if sender.ends and sender.transaction is not None:
                sender.transaction.release()

    @invariant()
    def users_hear_of_one_end(self) -> None:
        for sender in self.senders:
            sender.check()

    @invariant()
    def the_counts_are_right(self) -> None:
        counts = self.bench.layer.counts()
        assert all(count >= 0 for states in counts.values() for count in states.values())
        alive = sum(count for states in counts.values() for state, count in states.items() if state != "Terminated")
        assert alive == self.bench.layer.counts_alive()

    @invariant()
    def the_ceiling_holds(self) -> None:
        counts = self.bench.layer.counts()
        servers = [counts[name] for name in ("INVITE server", "Non-INVITE server")]
        alive = sum(count for states in servers for state, count in states.items() if state != "Terminated")
        cancels = CEILING + CEILING // 4  # one for each INVITE at most
        assert alive <= CEILING + CEILING // 4 + cancels


Transactions.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTransactions = Transactions.TestCase
