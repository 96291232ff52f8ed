"""Transport layers in a memory network, and the messages that they received: the scenery of tests/transport."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request
from gateway.transport.arrival import way_back
from gateway.transport.flow import Address, Flow, FlowKey, Target, TlsTerms, Transport, TransportFailure
from gateway.transport.layer import TransportLayer
from tests.support.memory_network import MemoryNetwork

HOST = "127.0.0.1"
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "wss": 8443}


def options(call_id: str = "1", via: str = "client.example.com", body: bytes = b"") -> bytes:
    """An OPTIONS request as a peer sends it."""
    head = (
        "OPTIONS sip:gateway.example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP {via};branch=z9hG4bK{call_id}\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:client@example.com>;tag=1\r\n"
        "To: <sip:gateway.example.com>\r\n"
        f"Call-ID: {call_id}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Ignoring:
    """A transport user that makes nothing of what arrives."""

    def receive(self, message: Message, flow: Flow) -> None:
        """Drop it."""

    def may_answer(self, flow: Flow) -> bool:
        """Anybody is answered."""
        return True

    def connection_ended(self, key: FlowKey) -> None:
        """It was nobody's."""


class Site:
    """One transport layer with one listener, on the network of the test."""

    def __init__(self, network: MemoryNetwork, transport: str = "tcp", host: str = HOST, **more: Any) -> None:
        self.network = network
        self.metrics = Metrics(CollectorRegistry())
        fields = {key: more.pop(key) for key in list(more) if key in Listener.__annotations__}
        self.transport = transport
        self.side = fields.pop("side", Side.PROVIDER)
        listener = Listener("main", self.side, transport, host, fields.pop("port", PORTS[transport]), **fields)
        self.layer = TransportLayer(network, [listener], self.metrics, **more)
        self.receiver: Callable[[Message, Flow], None] = self._receive
        self.ended: Callable[[FlowKey], None] = lambda key: None
        self.messages: list[Message] = []
        self.flows: list[Flow] = []
        self.answers = False
        self.layer.start(self)

    def receive(self, message: Message, flow: Flow) -> None:
        """A message has arrived."""
        self.receiver(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """Anybody is answered."""
        return True

    def connection_ended(self, key: FlowKey) -> None:
        """A peer's connection is gone."""
        self.ended(key)

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        address = self.layer.address_of("main")
        return address.host, address.port

    @property
    def call_ids(self) -> list[str]:
        """Of what was received, in order."""
        return [message.call_id for message in self.messages]

    def to(self, other: "Site | tuple[str, int]", name: str = "", terms: TlsTerms | None = None) -> "Watched":
        """A flow to another site or place over the transport of this one, watched."""
        place = other if isinstance(other, tuple) else other.place
        target = Target(Transport(self.transport), Address(*place), name or place[0])
        return Watched(self.layer.flow_to(target, self.side, terms))

    def count(self, metric: str, **labels: str) -> float:
        """The value of one of our counters, 0 if it was never touched."""
        return self.metrics.value(f"gateway_{metric}_total", labels) or 0.0

    def _receive(self, message: Message, flow: Flow) -> None:
        self.messages.append(message)
        self.flows.append(flow)
        if self.answers and isinstance(message, Request):
            way_back(message, flow).send(message.response(200).to_bytes())


class Watched:
    """A flow and what its watcher was told."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.failures: list[TransportFailure] = []
        flow.watch(self.failures.append)

    @property
    def failure(self) -> TransportFailure:
        """The one failure there was."""
        assert len(self.failures) == 1, self.failures
        return self.failures[0]


@implementer(ILogObserver)
class LogLines:
    """Collects what is logged at a level or above while it is used as a context."""

    def __init__(self, *levels: str) -> None:
        self._levels = levels or ("warn", "error", "critical")
        self.events: list[LogEvent] = []

    def __enter__(self) -> "LogLines":
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"].name in self._levels and event.get("log_namespace", "").startswith("gateway.transport"):
            self.events.append(event)


def trusting(file: Path, **more: Any) -> TlsTerms:
    """Terms with that authority."""
    return TlsTerms(trust=file, **more)
