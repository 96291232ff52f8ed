"""What an established TLS connection costs, in memory and per message: `python -m bench.tls_idle [connections]`.

A server process holds the connections; this process opens them, each with one REGISTER answered 200, and then sends
messages over them. Memory is what the server's resident size grew by, divided by the connections. Beside the gateway's
transport layer the same is done to a bare Twisted protocol over Twisted's own TLS, which reads no message and only
answers. Registrar and bindings are not in it.
"""

import json
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time, sleep
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.config.model import Listener, Side
from gateway.demo import devcerts
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request
from gateway.transport.flow import Flow, FlowKey
from gateway.transport.layer import TransportLayer

CONNECTIONS = 1000
MESSAGES = 20_000
REGISTER = (
    "REGISTER sip:example.com SIP/2.0\r\n"
    "Via: SIP/2.0/TLS 127.0.0.1:49152;branch=z9hG4bK-{number};rport;alias\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Phone {number}" <sip:{number}@example.com>;tag=a1b2c3\r\n'
    "To: <sip:{number}@example.com>\r\n"
    "Call-ID: {number}-0123456789abcdef@127.0.0.1\r\n"
    "CSeq: 1 REGISTER\r\n"
    "Contact: <sip:{number}@127.0.0.1:49152;transport=tls>;expires=3600\r\n"
    "User-Agent: Phone/1.0\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER, UPDATE\r\n"
    "Content-Length: 0\r\n\r\n"
)


def usage() -> dict[str, float]:
    """Resident KiB and CPU seconds of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"kib": pages * resource.getpagesize() / 1024, "seconds": process_time()}


class _Answering:
    """Answers each request with 200."""

    def receive(self, message: Message, flow: Flow) -> None:
        assert isinstance(message, Request)
        flow.send(message.response(200).to_bytes())

    def may_answer(self, flow: Flow) -> bool:
        return True

    def connection_ended(self, key: FlowKey) -> None:
        pass


def gateway(reactor: Any, directory: Path) -> Callable[[], int]:
    """The gateway's transport layer; returns what tells its port."""
    files = (directory / "gateway.pem", directory / "gateway.key")
    listener = Listener("tls", Side.PHONES, "tls", "127.0.0.1", 0, None, *files)
    layer = TransportLayer(reactor, [listener], Metrics(CollectorRegistry()))
    layer.start(_Answering())
    return lambda: layer.address_of("tls").port


def bare(reactor: Any, directory: Path) -> Callable[[], int]:
    """A Twisted protocol that answers every chunk, over Twisted's TLS."""
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.ssl import DefaultOpenSSLContextFactory

    class Answers(Protocol):
        def dataReceived(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.write(b"SIP/2.0 200 OK\r\n" + data.split(b"\r\n", 1)[1])

    context = DefaultOpenSSLContextFactory(str(directory / "gateway.key"), str(directory / "gateway.pem"))
    port = reactor.listenSSL(0, Factory.forProtocol(Answers), context, interface="127.0.0.1")
    return lambda: int(port.getHost().port)


def serve(kind: str, directory: Path) -> None:
    """The server process: prints its port, then its usage for each line that it reads."""
    from twisted.internet import reactor as installed
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineReceiver

    reactor: Any = installed

    class Commands(LineReceiver):
        delimiter = b"\n"

        def connectionMade(self) -> None:
            self.lineReceived(b"")

        def lineReceived(self, line: bytes) -> None:
            assert self.transport is not None
            self.transport.write(json.dumps({"port": port(), **usage()}).encode() + b"\n")

        def connectionLost(self, reason: object = None) -> None:
            reactor.stop()

    port = {"gateway": gateway, "bare": bare}[kind](reactor, directory)
    StandardIO(Commands(), reactor=reactor)
    reactor.run()


def measure(kind: str, directory: Path, count: int) -> None:
    """One line of the table."""
    command = [sys.executable, "-m", "bench.tls_idle", "--serve", kind, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def ask(line: str = "\n") -> dict[str, float]:
            assert server.stdin is not None
            assert server.stdout is not None
            if line:
                server.stdin.write(line)
                server.stdin.flush()
            answer = json.loads(server.stdout.readline())
            assert isinstance(answer, dict)
            return answer

        port = int(ask("")["port"])
        _open(directory, port, 50)  # what is made once, and handshakes that are over, count for nobody
        sleep(0.5)
        before = ask()
        clients = _open(directory, port, count)
        opened = ask()
        sleep(1.5)
        idle = ask()
        for number in range(MESSAGES):
            _exchange(clients[number % count], number)
        busy = ask()
        for client in clients:
            client.close()
    print(
        f"{kind:10}{(idle['kib'] - before['kib']) / count:10.1f}"
        f"{(opened['seconds'] - before['seconds']) / count * 1e6:14.0f}"
        f"{(busy['seconds'] - idle['seconds']) / MESSAGES * 1e6:14.0f}"
    )


def _open(directory: Path, port: int, count: int) -> list[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    clients = []
    for number in range(count):
        stream = socket.create_connection(("127.0.0.1", port))
        clients.append(context.wrap_socket(stream, server_hostname="gateway.example.com"))
        _exchange(clients[-1], number)
    return clients


def _exchange(client: ssl.SSLSocket, number: int) -> None:
    client.sendall(REGISTER.format(number=number).encode())
    assert client.recv(65536).startswith(b"SIP/2.0 200 OK")


def main(arguments: list[str]) -> None:
    """The table, or one server of it."""
    if arguments[:1] == ["--serve"]:
        serve(arguments[1], Path(arguments[2]))
        return
    count = int(arguments[0]) if arguments else CONNECTIONS
    with tempfile.TemporaryDirectory() as name:
        devcerts.make(Path(name), datetime.now(tz=UTC))
        print(f"{count} TLS 1.3 connections, each with one REGISTER answered; {MESSAGES} messages answered")
        print(f"{'server':10}{'KiB idle':>10}{'us handshake':>14}{'us a message':>14}")
        for kind in ("gateway", "bare"):
            measure(kind, Path(name), count)


if __name__ == "__main__":
    main(sys.argv[1:])
