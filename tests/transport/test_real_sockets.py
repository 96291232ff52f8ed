"""The transport on real loopback sockets, in a process of its own, against the standard library's sockets and TLS."""

import json
import re
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import devcerts
from gateway.transport.sockets import SIGNALLING_DSCP, tune_connection
from tests.support.transport_gateways import options

ROOT = Path(__file__).parents[2]


class Running:
    """The process and its ports."""

    def __init__(self, directory: Path, ports: dict[str, int] | None = None) -> None:
        command = [sys.executable, "-m", "tests.support.transport_process", str(directory), json.dumps(ports or {})]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.read()

    def port(self, name: str) -> int:
        """Of a listener."""
        return int(self.first[name])

    def connect(self, transport: str, name: str, host: str, port: int) -> dict[str, Any]:
        """What comes of a request that the process sends."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"connect {transport} {name} {host} {port}\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self._process.stdout is not None
        value = json.loads(self._process.stdout.readline())
        assert isinstance(value, dict)
        return value

    def memory_kib(self) -> int:
        """What the process has for itself alone."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"RssAnon:\s+([0-9]+)", status)[0])

    def end(self) -> int:
        """Its exit status; a process that does not end is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(15)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certs")
    devcerts.make(path, datetime.now(tz=UTC))
    return path


@pytest.fixture(scope="module")
def running(directory: Path) -> Iterator[Running]:
    process = Running(directory)
    yield process
    assert process.end() == 0


def client_context(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(directory / "ca.pem"))


def ask(stream: socket.socket) -> bytes:
    stream.settimeout(10)
    stream.sendall(options())
    return stream.recv(65536)


@pytest.mark.parametrize(("name", "host"), [("udp", "127.0.0.1"), ("udp6", "::1")])
def test_udp_answers_and_marks_its_packets(running: Running, name: str, host: str) -> None:
    is_ipv6 = ":" in host
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
        client.setsockopt(level, socket.IPV6_RECVTCLASS if is_ipv6 else socket.IP_RECVTOS, 1)
        client.sendto(options(via=f"[{host}];rport" if is_ipv6 else f"{host};rport"), (host, running.port(name)))
        data, ancillary, _, source = client.recvmsg(65536, 64)
        assert data.startswith(b"SIP/2.0 200 OK\r\n")
        assert f"rport={client.getsockname()[1]}".encode() in data
        assert source[1] == running.port(name)
        marks = [value[0] for _, _, value in ancillary]
        assert marks == [SIGNALLING_DSCP << 2]


@pytest.mark.parametrize(("name", "host"), [("tcp", "127.0.0.1"), ("tcp6", "::1")])
def test_tcp_answers(running: Running, name: str, host: str) -> None:
    with socket.create_connection((host, running.port(name))) as client:
        assert ask(client).startswith(b"SIP/2.0 200 OK\r\n")
        assert ask(client).startswith(b"SIP/2.0 200 OK\r\n")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_answers_and_resumes(running: Running, directory: Path, version: ssl.TLSVersion) -> None:
    context = client_context(directory)
    context.minimum_version = context.maximum_version = version
    session = None
    reused = []
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", running.port("tls"))) as stream,
            context.wrap_socket(stream, server_hostname="gateway.example.com", session=session) as client,
        ):
            assert ask(client).startswith(b"SIP/2.0 200 OK\r\n")
            session = client.session
            reused.append(client.session_reused)
    assert reused == [False, True]


def test_connections_that_say_nothing_cost_little(running: Running, directory: Path) -> None:
    """OpenSSL would give each buffers of 40 KiB if it was asked to begin before the peer does."""
    place = ("127.0.0.1", running.port("tls"))
    count = 200
    with (
        ExitStack() as silent,
        client_context(directory).wrap_socket(
            socket.create_connection(place), server_hostname="gateway.example.com"
        ) as client,
    ):
        ask(client)
        before = running.memory_kib()
        for _ in range(count):
            silent.enter_context(socket.create_connection(place))
        ask(client)  # it was answered after the others were accepted, or most of them
        assert ask(client).startswith(b"SIP/2.0 200 OK\r\n")
        assert (running.memory_kib() - before) / count < 30


def test_tls_resumes_with_a_client_certificate(running: Running, directory: Path) -> None:
    context = client_context(directory)
    context.load_cert_chain(directory / "provider.pem", directory / "provider.key")
    session = None
    for _ in range(3):
        with (
            socket.create_connection(("127.0.0.1", running.port("tls"))) as stream,
            context.wrap_socket(stream, server_hostname="gateway.example.com", session=session) as client,
        ):
            assert ask(client).startswith(b"SIP/2.0 200 OK\r\n")
            session = client.session
    assert session is not None


def test_a_slow_reader_gets_every_answer_in_order(running: Running) -> None:
    """It sends until the gateway reads no more, then reads: nothing is lost, nothing changes places."""
    count = 3_000
    long_via = "client.example.com;filler=" + "x" * 5000  # comes back with every answer
    request = b"".join(options(f"slow-{number}", via=long_via) for number in range(count))
    received = b""
    call_ids: list[bytes] = []
    with socket.create_connection(("127.0.0.1", running.port("tcp"))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.setblocking(False)
        sent = 0
        while select.select([], [client], [], 1.0)[1] and sent < len(request):
            sent += client.send(request[sent : sent + 65536])
        assert sent < len(request)  # it was not read from any more
        while len(call_ids) < count - 1:  # the last has no successor
            readable, writable, _ = select.select([client], [client] if sent < len(request) else [], [], 10)
            assert readable or writable
            if readable:
                *answers, received = (received + client.recv(1 << 20)).split(b"SIP/2.0 200 OK\r\n")
                call_ids += re.findall(rb"Call-ID: slow-(\d+)\r\n", b"".join(answers))
            if writable:
                sent += client.send(request[sent : sent + 65536])
    assert [int(call_id) for call_id in call_ids] == list(range(count - 1))


def test_we_connect_over_tcp_and_tls(running: Running) -> None:
    assert running.connect("tcp", "127.0.0.1", "127.0.0.1", running.port("tcp")) == {"status": 200}
    assert running.connect("tls", "gateway.example.com", "127.0.0.1", running.port("tls")) == {"status": 200}
    assert running.connect("tls", "127.0.0.1", "127.0.0.1", running.port("tls")) == {"status": 200}
    assert running.connect("tcp", "::1", "::1", running.port("tcp6")) == {"status": 200}


def test_why_we_cannot_connect(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert running.connect("tls", "gateway.example.com", "127.0.0.1", port)["kind"] == "refused"
    assert running.connect("tls", "other.example.com", "127.0.0.1", running.port("tls"))["kind"] == "certificate"
    assert running.connect("tls", "gateway.example.com", "127.0.0.1", running.port("tcp"))["kind"] == "tls"


def test_a_taken_port_is_one_clear_line(running: Running, directory: Path) -> None:
    for name in ("udp", "tcp"):
        second = Running(directory, {name: running.port(name)})
        port = running.port(name)
        told = f"listener {name}: port: {name} port {port} of 127.0.0.1 is taken by another program"
        assert str(second.first["error"]).startswith(told)
        assert second.end() == 0


def test_connections_are_tuned() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    tune_connection(left)  # refuses nothing, even where nothing fits
    left.close()
    right.close()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        tune_connection(client, 26)
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert client.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 26 << 2
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
