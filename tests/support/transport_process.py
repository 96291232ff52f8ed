"""A transport layer on real loopback sockets in a process of its own.

    python -m tests.support.transport_process DIRECTORY '{"udp": PORT}'

It answers every request with 200. Prints its ports as one JSON line, then obeys lines on its standard input: "connect
TRANSPORT NAME HOST PORT" sends an OPTIONS and prints the outcome as a JSON line. It ends with its standard input.
"""

import json
import sys
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet import reactor as installed_reactor  # noqa: TID251
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request, Response
from gateway.transport.flow import Address, Flow, FlowKey, Target, TlsTerms, Transport, TransportFailure
from gateway.transport.layer import TransportLayer
from tests.support.transport_gateways import options

reactor: Any = installed_reactor


class Commands(LineReceiver):
    """Standard input and output."""

    delimiter = b"\n"

    def __init__(self, directory: Path, ports: dict[str, int]) -> None:
        self._trust = directory / "ca.pem"
        tls = (directory / "gateway.pem", directory / "gateway.key")
        listeners = [
            Listener("udp", Side.PHONES, "udp", "127.0.0.1", ports.get("udp", 0)),
            Listener("udp6", Side.PHONES, "udp", "::1", 0),
            Listener("tcp", Side.PROVIDER, "tcp", "127.0.0.1", ports.get("tcp", 0)),
            Listener("tcp6", Side.PROVIDER, "tcp", "::1", 0),
            Listener("tls", Side.PROVIDER, "tls", "127.0.0.1", 0, None, *tls, self._trust),
        ]
        self.layer = TransportLayer(reactor, listeners, Metrics(CollectorRegistry()))

    def connectionMade(self) -> None:
        self.layer.start(self).addCallbacks(self._started, self._not_started)

    def lineReceived(self, line: bytes) -> None:
        _, transport, name, host, port = line.decode().split()
        target = Target(Transport(transport), Address(host, int(port)), name)
        flow = self.layer.flow_to(target, Side.PROVIDER, TlsTerms(self._trust))
        flow.watch(self._failed)
        flow.send(options())

    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            self.layer.stop().addBoth(lambda _: reactor.stop())

    def _started(self, _: None) -> None:
        names = ("udp", "udp6", "tcp", "tcp6", "tls")
        self._print({name: self.layer.address_of(name).port for name in names})

    def _not_started(self, failure: Any) -> None:
        self._print({"error": str(failure.value)})

    def _failed(self, failure: TransportFailure) -> None:
        self._print({"kind": failure.kind.value, "reason": failure.reason})

    def receive(self, message: Message, flow: Flow) -> None:
        if isinstance(message, Request):
            flow.send(message.response(200).to_bytes())
        elif isinstance(message, Response):
            self._print({"status": message.status})

    def may_answer(self, flow: Flow) -> bool:
        return True

    def connection_ended(self, key: FlowKey) -> None:
        pass

    def _print(self, value: object) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    StandardIO(Commands(Path(sys.argv[1]), json.loads(sys.argv[2])), reactor=reactor)
    reactor.run()
