"""The transaction layer: gives each message to its transaction, or starts one (RFC 3261 section 17).

    transport --message--> receive -+-> known transaction -> (tables.py) -> core or user
                                    +-> new server transaction -> core
                                    +-> ACK of a 2xx, stray response -> core
    user, core --request--> send_request -> new client transaction -> flow

Five requests are answered here without keeping state: one that there is no room for (503) or that is too large (513,
both room.py), a merged one (482, section 8.2.2.2), a CANCEL of nothing (481), one that cannot be read (400). No
exception of the core or of a user leaves this layer: it is logged and ends one transaction.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Mapping
from random import randint

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gateway.config.model import Side
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import has_several
from gateway.sip.message import Message, Request, Response, stateless_tag
from gateway.sip.via import MAGIC_COOKIE
from gateway.transaction import client, server
from gateway.transaction.client import ClientTransaction, TransactionUser, Unheeded
from gateway.transaction.machine import Program, TransactionServices
from gateway.transaction.matching import (
    Key,
    client_key,
    is_rfc2543,
    merge_key,
    server_key,
    via_value,
)
from gateway.transaction.room import (
    COPIES,
    NOTHING_WAITS,
    Ceiling,
    Claim,
    Room,
    Waiting,
    overhead_of,
    payer_of,
    size_of,
)
from gateway.transaction.server import Core, ServerTransaction
from gateway.transaction.tables import MACHINES, Event, State
from gateway.transaction.timers import TimerQueues
from gateway.transport.arrival import send_answer, way_back
from gateway.transport.flow import Flow
from gateway.transport.unread import RETRY_AFTER, TOO_LATE
from gateway.transport.way import may_answer, may_ask

log = Logger()

BRANCH_DIGITS = 24
"""Hexadecimal digits of a branch of ours, 96 bits: nobody off the path can guess it."""


class TransactionLayer:
    """All transactions."""

    _core: Core  # from start() on, before the first message

    def __init__(
        self,
        clock: IReactorTime,
        ceiling: Ceiling | None = None,
        random: Callable[[int], str] = lambda digits: os.urandom(digits // 2).hex(),
        waiting: Waiting = NOTHING_WAITS,
    ) -> None:
        self._waiting = waiting
        self.room = Room(Ceiling() if ceiling is None else ceiling)
        self._random = random
        self._timers = TimerQueues(clock)
        self._clients: dict[Key, ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self.taken: Container[Key] = self._servers
        """The keys of requests that have a transaction."""
        self._merged: dict[Key, ServerTransaction] = {}
        self._census = {machine.name: dict.fromkeys(State, 0) for machine in MACHINES}
        self.absorbed: Counter[tuple[str, State, Event]] = Counter()
        self.refused: Counter[int] = Counter()  # by status: answers without a transaction
        self.shed = 0  # new calls that came too late to their turn
        self.dropped = 0  # messages that could not be read, or are somebody else's
        self._invite_client = self._services(client.INVITE_PROGRAMS)
        self._other_client = self._services(client.NON_INVITE_PROGRAMS)
        self._invite_server = self._services(server.INVITE_PROGRAMS)
        self._other_server = self._services(server.NON_INVITE_PROGRAMS)

    def _services(
        self, programs: tuple[Program, Program]
    ) -> tuple[TransactionServices[TransactionLayer], TransactionServices[TransactionLayer]]:
        unreliable, reliable = (
            TransactionServices(program, self._timers, self._census[program.machine.name], self.absorbed, self)
            for program in programs
        )
        return unreliable, reliable

    def start(self, core: Core) -> None:
        """Give the core all new requests, ACKs of 2xx and stray responses."""
        self._core = core

    def counts(self) -> Mapping[str, Mapping[State, int]]:
        """How many transactions of each machine are in each state; Terminated counts those that have ended."""
        return self._census

    def alive(self) -> dict[str, dict[str, int]]:
        """How many transactions that have not ended are in each state, by machine; a state without any is left out."""
        return {
            machine: {str(state): count for state, count in states.items() if count and state is not State.TERMINATED}
            for machine, states in self._census.items()
        }

    def counts_alive(self) -> int:
        """How many transactions there are."""
        return len(self._clients) + len(self._servers)

    def receive(self, message: Message, flow: Flow) -> None:
        """A message from the transport. Never raises."""
        try:
            if message.is_request:
                self._receive_request(message, flow)
            else:
                self._receive_response(message, flow)
        except MalformedMessage as error:
            if isinstance(message, Request) and message.method != "ACK":
                self._refuse(message, flow, error.status)
            else:
                self.dropped += 1
        except Exception:
            log.failure("a message from {source} failed", source=flow.remote)

    def send_request(self, request: Request, flow: Flow, user: TransactionUser) -> ClientTransaction:
        """Send a request, with our Via as its only one, over the flow. Not for ACK and CANCEL.

        Raises ValueError for a request that cannot be serialised.
        """
        branch = self._add_via(request, flow)
        return self._start(request, flow, user, branch)

    def send_ack(self, request: Request, flow: Flow) -> None:
        """Send the ACK of a 2xx, with our Via as its only one. There is no transaction (13.2.2.4)."""
        branch = self._add_via(request, flow)
        data = request.to_bytes()
        wider = flow.wider(len(data))
        if wider is not None:  # if it fails, the next copy of the 2xx has its ACK go over UDP
            request.headers.set("Via", via_value(wider, branch))
            flow, data = wider, request.to_bytes()
        flow.send(data)

    def stop(self) -> None:
        """End everything at once, without a word to the peers, the core or the users."""
        for transaction in (*self._clients.values(), *self._servers.values()):
            transaction.stop()
        self._timers.stop()

    def start_cancel(self, cancel: Request, flow: Flow, branch: str) -> None:
        """Send a CANCEL, complete with its Via, in a transaction of its own."""
        self._start(cancel, flow, Unheeded(), branch)

    def pass_request(self, transaction: ServerTransaction, request: Request) -> None:
        """Give the core a new request; a CANCEL is ours to answer."""
        if request.method == "CANCEL":
            self._cancel(transaction, request)
        else:
            self._core.receive_request(transaction, request)

    def pass_ack(self, ack: Request, flow: Flow) -> None:
        """Give the core an ACK of a 2xx."""
        try:
            self._core.receive_ack(ack, flow)
        except Exception:
            log.failure("the core failed on an ACK")

    def pass_stray_response(self, response: Response, flow: Flow) -> None:
        """Give the core a response that has no user."""
        try:
            self._core.receive_stray_response(response, flow)
        except Exception:
            log.failure("the core failed on a stray {status}", status=response.status)

    def forget_client(self, transaction: ClientTransaction) -> None:
        """The transaction has ended."""
        self._clients.pop(transaction.key, None)
        self.room.hold(transaction, 0)

    def forget_server(self, transaction: ServerTransaction) -> None:
        """The transaction has ended."""
        self._servers.pop(transaction.key, None)
        self.room.hold(transaction, 0)
        if transaction.merge_key is not None:
            self._merged.pop(transaction.merge_key, None)

    def _add_via(self, request: Request, flow: Flow) -> str:
        branch = f"{MAGIC_COOKIE}{self._random(BRANCH_DIGITS)}"
        request.headers.lead("via", f"Via: {via_value(flow, branch)}")
        return branch

    def _start(self, request: Request, flow: Flow, user: TransactionUser, branch: str) -> ClientTransaction:
        kinds = self._invite_client if request.method == "INVITE" else self._other_client
        transaction = ClientTransaction(kinds[flow.is_reliable], request, flow, user, branch)
        size = transaction.size
        wider = flow.wider(size)
        if wider is not None:
            transaction.widen(kinds[wider.is_reliable], wider)
            size = transaction.size
        self._clients[transaction.key] = transaction
        self.room.hold(transaction, overhead_of(request) + size)
        transaction.start()
        return transaction

    def _receive_response(self, response: Response, flow: Flow) -> None:
        if has_several(response.headers, "via"):
            self.dropped += 1  # it is somebody else's, be it on one line or on two (8.1.3.3)
            return
        transaction = self._clients.get(client_key(response))
        if transaction is None or not may_answer(transaction.flow, flow):
            self.pass_stray_response(response, flow)
        else:
            if not flow.allowance.is_proved:
                flow.allowance.prove()  # the branch went to that host alone
            transaction.receive(response)

    def _receive_request(self, request: Request, flow: Flow) -> None:
        key = server_key(request, flow.side)
        transaction = self._servers.get(key)
        if transaction is not None and not may_ask(transaction.flow, flow):
            self.dropped += 1  # its branch is another's: neither a copy nor an ACK of that one's request
        elif request.method == "ACK":
            self._receive_ack(request, flow, transaction)
        elif transaction is not None:
            transaction.happen(Event.RECEIVE_REQUEST, request)
        elif self.room.is_oversized(request, flow, size := size_of(request)):
            self._refuse(request, flow, 513)
        elif request.method == "CANCEL":
            self._receive_cancel(request, flow, key)
        else:
            self._receive_new_request(request, flow, key, size)

    def _receive_ack(self, ack: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        if transaction is None or (is_rfc2543(transaction.key) and not transaction.is_acknowledged_by(ack)):
            self.pass_ack(ack, flow)
        else:
            # The To tag of a refusal is ours where the request had none, and went to that host alone.
            if (
                not flow.allowance.is_proved
                and transaction.merge_key is not None
                and transaction.is_acknowledged_by(ack)
            ):
                flow.allowance.prove()
            transaction.happen(Event.RECEIVE_ACK, ack)

    def _receive_cancel(self, cancel: Request, flow: Flow, key: Key) -> None:
        """A transaction for a CANCEL that finds its INVITE, else 481 (9.2). One that comes another way finds none: it
        cannot be challenged (22.1), so its way is all that speaks for it.

        There are no more of them than INVITEs, so they need no ceiling; those that find nothing leave nothing behind.
        """
        if self._cancelled_by(cancel, flow) is None:
            self._refuse(cancel, flow, 481)
            return
        transaction = ServerTransaction(self._other_server[flow.is_reliable], cancel, flow, key)
        self._servers[key] = transaction
        transaction.happen(Event.RECEIVE_REQUEST, cancel)

    def _cancelled_by(self, cancel: Request, flow: Flow) -> ServerTransaction | None:
        invite = self._servers.get(server_key(cancel, flow.side, "INVITE"))
        return None if invite is None or not may_ask(invite.flow, flow) else invite

    def _cancel(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Answer the CANCEL; an INVITE that has its final response stays as it is (9.2)."""
        invite = self._cancelled_by(cancel, transaction.flow)
        assert invite is not None
        transaction.respond(invite.with_same_tag(cancel.response(200)))
        if invite.is_answered or invite.is_cancelled:
            return
        invite.is_cancelled = True
        try:
            self._core.receive_cancel(invite, cancel)
        except Exception:
            log.failure("the core failed on a CANCEL")
            invite.core_failed()

    def _receive_new_request(self, request: Request, flow: Flow, key: Key, size: int) -> None:
        merged = merge_key(request, flow.side)
        core, payer = self._core, payer_of(flow)
        if self._waiting.waited > TOO_LATE and _is_shed(request, flow, core):
            self.shed += 1
            self._refuse(request, flow, 503, (("Retry-After", str(randint(*RETRY_AFTER))),))
        elif not self.room.has_room(size, payer, len(self._servers), lambda: core.claim_of(request, flow)):
            self._refuse(request, flow, 503, (("Retry-After", str(self.room.ceiling.retry_after)),))
        elif merged in self._merged:
            self._refuse(request, flow, 482)
        else:
            kinds = self._invite_server if request.method == "INVITE" else self._other_server
            transaction = ServerTransaction(kinds[flow.is_reliable], request, flow, key)
            self._servers[key] = transaction
            self.room.hold(transaction, overhead_of(request) + COPIES * size)
            if merged is not None:
                self._merged[merged] = transaction
                transaction.merge_key = merged
            transaction.happen(Event.RECEIVE_REQUEST, request)

    def _refuse(self, request: Request, flow: Flow, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer without a transaction: copies of the request get the same answer each."""
        response = request.response(status, to_tag=stateless_tag(request))
        response.headers.add_all(headers)
        self.refused[status] += 1
        send_answer(response, way_back(request, flow))


def _is_shed(request: Request, flow: Flow, core: Core) -> bool:
    """Whether a request that waited too long is a new call, and none for help. A 503 early is better than an answer too
    late (RFC 6357), and one without a transaction costs the least."""
    if request.method != "INVITE" or request.to.tag is not None:
        return False
    return flow.side is Side.PROVIDER or core.claim_of(request, flow) is not Claim.URGENT
