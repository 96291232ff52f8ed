"""Receivers of alerts that nobody here wrote: an HTTPS server, a mail server, and two for syslog, socat and rsyslog."""

from __future__ import annotations

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.calls.processes import Program, find_program

NAME = "localhost"


class Certified:
    """An authority, and a server's certificate of it."""

    def __init__(self, directory: Path, *names: str) -> None:
        authority = trustme.CA()
        self.made = authority.issue_cert(*(names or (NAME,)))
        self.authority = directory / "receivers-ca.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.pem = directory / "receiver.pem"
        self.made.private_key_and_cert_chain_pem.write_to_path(str(self.pem))

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.made.configure_cert(context)
        return context


class HttpsReceiver:
    """Keeps each request with the time that it came; answers ``status``, or nothing while it hangs."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.requests: list[tuple[float, dict[str, str], bytes]] = []
        self.status = 202
        self.hangs = threading.Event()
        self.released = threading.Event()
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((time.time(), dict(self.headers), body))
                if receiver.hangs.is_set():
                    receiver.released.wait(60)
                    return
                self.send_response(receiver.status)
                self.send_header("Location", f"https://{NAME}:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MailServer:
    """aiosmtpd; with a certificate it wants STARTTLS, and the log-in of alice."""

    def __init__(self, context: ssl.SSLContext | None, port: int) -> None:
        self.mails: list[tuple[float, list[str], bytes]] = []
        self.passwords: list[bytes] = []
        options: dict[str, Any] = {}
        if context is not None:
            options = {"tls_context": context, "require_starttls": True, "auth_required": True}
            options |= {"authenticator": self._proved, "auth_require_tls": True}
        self._controller = Controller(self, hostname="127.0.0.1", port=port, **options)
        self._controller.start()

    def _proved(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.passwords.append(bytes(data.password))
        return AuthResult(success=(data.login, data.password) == (b"alice", b"a mail password"))

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((time.time(), list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 2.0.0 taken as 4711"

    def close(self) -> None:
        self._controller.stop()


class SocatTls:
    """socat, which writes all that comes over TLS into a file."""

    def __init__(self, directory: Path, address: str, port: int, pem: Path) -> None:
        self.file = directory / "socat.out"
        self.file.touch()
        listen = f"OPENSSL-LISTEN:{port},bind={address},reuseaddr,fork,cert={pem},verify=0"
        argv = [find_program("socat", "socat"), "-u", listen, f"OPEN:{self.file},append"]
        self.program = Program(argv, directory / "socat.log")

    def frames(self) -> list[bytes]:
        """The messages by octet counting (RFC 5425 section 4.3)."""
        data, found = self.file.read_bytes(), []
        while data:
            length, blank, rest = data.partition(b" ")
            assert blank, data
            assert len(rest) >= int(length), data
            found.append(rest[: int(length)])
            data = rest[int(length) :]
        return found


class Rsyslog:
    """rsyslog over UDP, which writes the parts of each message as it understood them."""

    def __init__(self, directory: Path, address: str, port: int) -> None:
        self.file = directory / "rsyslog.out"
        parts = "%pri-text%\t%hostname%\t%app-name%\t%msgid%\t%structured-data%\t%msg%\n"
        configuration = directory / "rsyslog.conf"
        configuration.write_text(
            f'global(workDirectory="{directory}")\n'
            'module(load="imudp")\n'
            f'input(type="imudp" address="{address}" port="{port}")\n'
            f'template(name="parts" type="string" string="{parts}")\n'.replace("\t", "\\t").replace('\n"', '\\n"')
            + f'action(type="omfile" file="{self.file}" template="parts")\n'
        )
        argv = [
            find_program("rsyslogd", "rsyslog"),
            "-n",
            "-f",
            str(configuration),
            "-i",
            str(directory / "rsyslog.pid"),
        ]
        self.program = Program(argv, directory / "rsyslog.log")

    def messages(self) -> list[list[str]]:
        text = self.file.read_text() if self.file.exists() else ""
        return [line.split("\t") for line in text.splitlines()]
