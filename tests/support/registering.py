"""A registrar between a phone's transactions and a provider that a test plays."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.config.model import Domain, Downgrade
from gateway.observe.metrics import Metrics
from gateway.registrar.acceptance import RegistrarTerms, Rules
from gateway.registrar.memory_store import MemoryStore
from gateway.registrar.news import RegistrationNews
from gateway.registrar.registrar import Forwarded, Registrar
from gateway.security.policy.peer_memory import PeerMemory
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transaction.layer import TransactionLayer
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow, TransportFailure
from tests.support.flows import a_flow
from tests.support.transactions import RecordingCore

NOW = 1_700_000_000.0
WALL = 1_289_520_000.0
"""The time of people's clocks, which is another: Fri, 12 Nov 2010 00:00:00 GMT."""
CONTACT = "<sip:alice@192.0.2.7:5060>"


def register(
    *contacts: str,
    cseq: int = 1,
    expires: str | None = None,
    call_id: str = "abc@192.0.2.7",
    user: str = "alice",
    domain: str = "example.com",
    authorization: str | None = None,
) -> Request:
    """A phone's REGISTER."""
    headers = Headers(
        (
            ("Via", f"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{user}{cseq}{call_id.partition('@')[0]}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{user}@{domain}>;tag={user}"),
            ("To", f"<sip:{user}@{domain}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} REGISTER"),
            *(("Contact", contact) for contact in contacts),
        )
    )
    if expires is not None:
        headers.add("Expires", expires)
    if authorization is not None:
        headers.add("Authorization", authorization)
    return Request("REGISTER", f"sip:{domain}", headers)


class _Core(RecordingCore):
    """Gives REGISTERs to the registrar and answers what it refuses, as the real core does."""

    registrar: Registrar

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        try:
            self.registrar.receive_request(transaction, request)
        except Refused as refused:
            response = request.response(refused.status, refused.reason or None, "core")
            for name, value in refused.headers:
                response.headers.add(name, value)
            transaction.respond(response)
        except MalformedMessage as error:
            transaction.respond(request.response(error.status, None, "core"))


class Registering:
    """The registrar under test. ``asked`` is what the provider got and has not answered yet."""

    def __init__(
        self, terms: RegistrarTerms | None = None, capacity: int = 100, downgrade: Downgrade = Downgrade.ALERT
    ) -> None:
        self.clock = Clock()
        self.flow = a_flow(host="192.0.2.7")
        self.trunk = a_flow(port=5061)  # what REGISTERs leave by
        self.store = MemoryStore(self.now, capacity)
        self.metrics = Metrics(CollectorRegistry())
        self.asked: list[tuple[Request, TransactionUser]] = []
        self.changed_at = 0.0
        self.wall = lambda: WALL
        core = _Core()
        self.memory = PeerMemory(self.now, self.metrics)
        domains = {name: Domain(name, "main", downgrade=downgrade) for name in ("example.com", "example.org")}
        domains["gw.example.net"] = domains["example.com"]  # the gateway's own name
        self.rules = Rules(self.store, self.memory, self, b"s" * 32, lambda domain: self.changed_at, terms)
        news = RegistrationNews(self.metrics, self.now)
        core.registrar = self.registrar = Registrar(
            lambda host: domains.get(host.lower()), self._forward, self.store, self.rules, lambda: "tag", news
        )
        self._layer = TransactionLayer(self.clock)
        self._layer.start(core)

    def _forward(self, request: Request, domain: Domain, user: Forwarded) -> None:
        user.leaving(request, self.trunk)
        self.asked.append((request, user))

    def now(self) -> float:
        """Seconds since the epoch."""
        return NOW + self.clock.seconds()

    def send(self, request: Request, flow: Flow | None = None) -> None:
        """The phone sends it."""
        self._layer.receive(request, flow or self.flow)

    def answer(self, status: int = 200, *fields: tuple[str, str], seconds: int | None = 3600) -> Request:
        """The provider answers the oldest REGISTER it has; a 2xx repeats the Contacts, each with that grant."""
        request, user = self.asked.pop(0)
        response = request.response(status, None, "provider")
        if status < 300 and seconds is not None:
            for contact in request.contacts:
                given = "0" if contact.parameter("expires") == "0" else str(seconds)
                response.headers.add("Contact", str(contact.with_parameter("expires", given)))
        for name, value in fields:
            response.headers.add(name, value)
        user.receive_response(response)
        return request

    def fail(self, transport: TransportFailure | None = None) -> None:
        """No answer will come to the oldest REGISTER."""
        self.asked.pop(0)[1].transaction_failed(TransactionFailure(transport))

    def registered(self, request: Request | None = None, seconds: int = 3600) -> Response:
        """A phone registers and the provider agrees; what the phone is told."""
        self.send(request or register(CONTACT, expires="60"))
        self.answer(seconds=seconds)
        return self.told()

    def told(self) -> Response:
        """The one response that the phone has been sent since the last look."""
        (response,) = self.flow.take()
        assert isinstance(response, Response)
        return response
