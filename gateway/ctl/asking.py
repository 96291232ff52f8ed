"""Asking a running gateway: over its UNIX socket where the configuration leads to one, else over HTTP or HTTPS.

    --url URL     -> HTTP(S) to that URL
    --config FILE -> the socket in its state directory -> unless nobody answers there: HTTP(S) at its address and port

Here: the connection, the answer as JSON. Not here: the options of every command that asks (`common_options`), commands
(`main`, `account_commands`, `trace_commands`), the text of answers (`text`). Over the socket the kernel names the user
that asks. Over HTTP a token proves it, where one is given: it is sent over HTTPS, or on this machine, and nowhere else.
The HTTPS of the gateway that a configuration describes is known by the certificate that it names, under any address.
"""

from __future__ import annotations

import json
import socket
import ssl
import urllib.parse
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path

import attrs
import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.config.load import load
from gateway.config.model import Admin, Configuration, ConfigurationError
from gateway.ctl import text
from gateway.ctl.common_options import AUTHORITIES, DEFAULT_URL, TOKEN_FILE

SECONDS_TO_ANSWER = 5


def show(answer: object, as_json: bool, layout: Callable[[object], str]) -> None:
    """Print an answer: for machines, or laid out for people."""
    click.echo(text.as_json(answer, indent=2) if as_json else text.shown(answer, layout))


def loaded(file: Path) -> Configuration:
    """The configuration in a file. Raises ClickException with all its mistakes."""
    try:
        return load(file)
    except ConfigurationError as error:
        raise click.ClickException("\n".join(error.errors)) from None


def quoted(name: str) -> str:
    """A segment of a path; bytes of a command line that are no UTF-8 stay those bytes."""
    return urllib.parse.quote(name, safe="", errors="surrogateescape")


def ask(
    config: Path | None, url: str | None, path: str, change: object = None, *, patience: int = SECONDS_TO_ANSWER
) -> object:
    """The gateway's answer to GET `path`, or to POST with a change, within so many seconds. Raises ClickException."""
    way = _way(config, url)
    way.wait_for(patience)
    return way.ask(path, change)


def fetch(config: Path | None, url: str | None, path: str) -> bytes:
    """The gateway's answer to GET `path` where that is no JSON. Raises ClickException."""
    return _way(config, url).fetch(path)


def _way(config: Path | None, url: str | None) -> _Way:
    if url is not None or config is None:
        base = (url or DEFAULT_URL).rstrip("/")
        return _Way(_connection(base), base, prefix=urllib.parse.urlsplit(base).path)
    configuration = loaded(config)
    admin = configuration.admin
    over_socket = _SocketConnection(admin.socket_in(configuration.gateway.state_directory))
    if over_socket.is_open():
        return _Way(over_socket, str(over_socket.path), is_proved=True)
    base = _url_of(admin)
    return _Way(_connection(base, admin), base)


@attrs.frozen
class _Way:
    """A way to a gateway."""

    connection: HTTPConnection
    place: str
    """For people."""
    prefix: str = ""
    """Of every path."""
    is_proved: bool = False
    """Whether the gateway knows the user without a token."""

    def wait_for(self, seconds: int) -> None:
        """Give the gateway so long for its answer."""
        self.connection.timeout = seconds
        if self.connection.sock is not None:
            self.connection.sock.settimeout(seconds)

    def ask(self, path: str, change: object) -> object:
        """See the function."""
        answer = self.fetch(path, change)
        try:
            value: object = json.loads(answer)
        except ValueError as error:
            raise self._no_gateway(error) from None
        return value

    def fetch(self, path: str, change: object = None) -> bytes:
        """The bytes of the answer. Raises ClickException."""
        headers = {} if change is None else {"Content-Type": "application/json"}
        headers |= {} if self.is_proved else _authorization(self.place)
        body = None if change is None else json.dumps(change).encode()
        try:
            self.connection.request("GET" if change is None else "POST", self.prefix + path, body, headers)
            response = self.connection.getresponse()
            status, answer = response.status, response.read()
        except (HTTPException, ValueError) as error:
            raise self._no_gateway(error) from None
        except OSError as error:
            raise click.ClickException(text.clean_lines(f"no gateway answers at {self.place}: {error}")) from None
        finally:
            self.connection.close()
        if status >= 300:
            raise click.ClickException(text.clean_lines(_error_text(status, response.reason, answer)))
        return answer

    def _no_gateway(self, error: Exception) -> click.ClickException:
        return click.ClickException(text.clean_lines(f"the server at {self.place} is no gateway: {error}"))


class _SocketConnection(HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS_TO_ANSWER)
        self.path = path

    def connect(self) -> None:
        """See HTTPConnection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))

    def is_open(self) -> bool:
        """Whether somebody listens there, and this user gets there."""
        try:
            self.connect()
        except OSError:
            self.close()
            return False
        return True


class _PinnedConnection(HTTPSConnection):
    """HTTPS to a server with one certificate: that of the file, whatever its names."""

    def __init__(self, host: str, port: int, certificate: Path) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__(host, port, timeout=SECONDS_TO_ANSWER, context=context)
        self._certificate = certificate

    def connect(self) -> None:
        """See HTTPSConnection. Raises ssl.SSLError for another certificate, before a byte of a request is sent."""
        super().connect()
        own = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0].public_bytes(Encoding.DER)
        shown: object = self.sock.getpeercert(binary_form=True)
        if shown != own:
            self.close()
            raise ssl.SSLError(f"its certificate is not the one in {self._certificate}")


def _url_of(admin: Admin) -> str:
    host = f"[{admin.address}]" if ":" in admin.address else admin.address
    return f"{'https' if admin.certificate else 'http'}://{host}:{admin.port}"


def _connection(base: str, admin: Admin | None = None) -> HTTPConnection:
    parts = urllib.parse.urlsplit(base)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise click.ClickException(f"{base} is no URL such as {DEFAULT_URL}")
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, port, timeout=SECONDS_TO_ANSWER)
    if admin is not None and admin.certificate is not None:
        return _PinnedConnection(parts.hostname, port or 443, admin.certificate)
    authorities = click.get_current_context().meta.get(AUTHORITIES)
    try:
        context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(f"{authorities}: no authorities can be read from it: {error}") from None
    return HTTPSConnection(parts.hostname, port, timeout=SECONDS_TO_ANSWER, context=context)


def _is_private(base: str) -> bool:
    """Whether a token may be sent there."""
    parts = urllib.parse.urlsplit(base)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _authorization(place: str) -> dict[str, str]:
    """The field with the token, where there is one. Raises ClickException for a file or place that is not private."""
    file: Path | None = click.get_current_context().meta.get(TOKEN_FILE)
    if file is None:
        return {}
    if not _is_private(place):
        raise click.ClickException(f"a token is not sent to {place} in clear: use https")
    try:
        mode, token = file.stat().st_mode & 0o777, file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{file}: no token can be read from it: {error}") from None
    if mode & 0o077:
        raise click.ClickException(f"{file} has mode {mode:04o}, allowed: nothing for group or others (0600)")
    if not token.isalnum() and not token.replace("_", "").isalnum():
        raise click.ClickException(f"{file} holds no token")
    return {"Authorization": f"Bearer {token}"}


def _error_text(status: int, reason: str, answer: bytes) -> str:
    try:
        told = json.loads(answer)
        words = str(told["detail"] if "detail" in told else told["error"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {status} {reason}"
    if status == 401:
        return f"{words}\nThe gateway has users: ask over its socket (--config, as root), or with --token-file."
    return words
