"""A gateway with one domain for each mistake that an operator makes, and the providers that they are made about.

    Mistake(domain, uri, security, ...) -> configuration -> gateway -> one call each, all at once -> records

Providers are scripts on loopback: TLS servers with certificates good and bad, a port that takes connections and says
nothing, a server that hangs. The names of domains are those of the mistakes.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.support import messages
from tests.support.calls.wire import SipMessage
from tests.support.faults.rig import Rig

Answers = Callable[[SipMessage], bytes | None]
"""A provider's answer to a request; None: it says nothing."""

HEAD = """\
[gateway]
name = "gw1"
state_directory = "state"
nameservers = ["{nameserver}"]

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{gateway}"
port = {phones}

[[listener]]
name = "provider"
side = "provider"
transport = "tls"
address = "{gateway}"
port = {trunk}
certificate = "{certificate}"
private_key = "{key}"

[[listener]]
name = "clear"
side = "provider"
transport = "udp"
address = "{gateway}"
port = {clear}

[media]
address = "{gateway}"
ports = "{first}-{last}"
workers = 1

[admin]
address = "{gateway}"
port = {admin}
"""

PEER = """
[[provider]]
name = "{name}"
uri = "{uri}"
trust = "{trust}"
ping_seconds = 0

[[domain]]
name = "{name}.test"
provider = "{name}"
security = "{security}"
challenge = []
emergency_numbers = ["112"]
"""


@attrs.frozen
class Mistake:
    """One of them: a provider as it is configured."""

    name: str
    uri: str
    security: str = "required"
    number: str = "bob"
    """The number that is called."""


def configure(rig: Rig, mistakes: list[Mistake], trust: Path, own: tuple[Path, Path], nameserver: str) -> None:
    """Write the gateway's configuration."""
    head = HEAD.format(
        gateway=rig.hosts.gateway,
        phones=rig.phones,
        trunk=rig.trunk,
        clear=rig.hosts.port(rig.hosts.gateway),
        admin=rig.admin,
        first=rig.first_media_port,
        last=rig.first_media_port + 399,
        certificate=own[0],
        key=own[1],
        nameserver=nameserver,
    )
    peers = "".join(PEER.format(name=one.name, uri=one.uri, security=one.security, trust=trust) for one in mistakes)
    rig.configuration.write_text(head + peers)


class Server:
    """A provider over TCP, in threads of its own: TLS where it has a context, and else it takes connections alone."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, answers: Answers) -> None:
        self._context = context
        self._answers = answers
        self._listening = socket.create_server((host, port))
        self._listening.settimeout(0.2)
        self._taken: list[socket.socket] = []
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        for one in (*self._taken, self._listening):
            one.close()

    def _serve(self) -> None:
        while self._is_open:
            try:
                taken, _ = self._listening.accept()
            except TimeoutError:
                continue
            self._taken.append(taken)
            if self._context is not None:
                threading.Thread(target=self._talk, args=(taken, self._context), daemon=True).start()

    def _talk(self, taken: socket.socket, context: ssl.SSLContext) -> None:
        taken.settimeout(60)
        try:
            with context.wrap_socket(taken, server_side=True) as channel:
                buffered = b""
                while data := channel.recv(65_536):
                    buffered += data
                    while b"\r\n\r\n" in buffered:
                        message, buffered = _cut(buffered)
                        said = self._answers(message) if message.method not in ("", "ACK") else None
                        if said is not None:
                            channel.sendall(said)
        except (OSError, ssl.SSLError, ValueError):
            pass  # the gateway hung up, which is the subject of some of these


def _cut(data: bytes) -> tuple[SipMessage, bytes]:
    """The first message of a stream, and the rest."""
    end = data.index(b"\r\n\r\n") + 4
    size = int(SipMessage.parse("", 0, data[:end]).header("content-length") or 0)
    return SipMessage.parse("", 0, data[: end + size]), data[end + size :]


def says(status: int, *more: str) -> Answers:
    """A provider that answers every request so."""
    return lambda message: messages.response(message, status, "<sip:p@provider>", "p", b"", *more)


def nothing(_message: SipMessage) -> bytes | None:
    """A provider that hangs."""
    return None


class Caller:
    """A phone that makes one call, and again with a password where it is asked for one."""

    def __init__(self, rig: Rig, mistake: Mistake) -> None:
        self._proxy = rig.proxy
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((rig.hosts.phone, 0))
        self._host, self._port = self._socket.getsockname()
        self._domain = f"{mistake.name}.test"
        self._number = mistake.number
        self._cseq = 0
        self.statuses: list[int] = []
        """The final answers so far."""

    def call(self, *more: str) -> None:
        """Send the INVITE."""
        self._cseq += 1
        peers = f"<sip:alice@{self._domain}>;tag=a", f"<sip:{self._number}@{self._domain}>"
        self._invite = messages.request(
            f"INVITE sip:{self._number}@{self._domain}",
            f"UDP {self._host}:{self._port}",
            peers,
            f"call-of-{self._domain}",
            f"{self._cseq} INVITE",
            f"<sip:alice@{self._host}:{self._port}>",
            messages.session(self._host, 4000, "RTP/AVP"),
        )
        head, body = self._invite.split(b"\r\n\r\n", 1)
        self._invite = head + "".join(f"\r\n{line}" for line in more).encode() + b"\r\n\r\n" + body
        self._socket.sendto(self._invite, self._proxy)

    def hears(self, seconds: float) -> SipMessage | None:
        """The final answer, acknowledged; None when none came in time."""
        self._socket.settimeout(seconds)
        while True:
            try:
                message = SipMessage.parse(*self._proxy, self._socket.recv(65_535))
            except TimeoutError:
                return None
            if message.status >= 200 and message.cseq == f"{self._cseq} INVITE":
                self._socket.sendto(messages.refusal_ack(self._invite, message), self._proxy)
                self.statuses.append(message.status)
                return message

    def close(self) -> None:
        self._socket.close()
