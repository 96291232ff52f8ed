"""The tables [[alert]]: receivers of events, and the events that each is told of.

One class for every kind of receiver: `to` says which of its keys count. Keys of another kind are mistakes
(`alert_checks`), so that nobody believes that they do something. Secrets stand in files of their own.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import attrs

from gateway.config import fields
from gateway.config.structuring import Unacceptable, number, one_of

KINDS: Final = ("webhook", "email", "syslog", "log")
SEVERITIES: Final = ("info", "notice", "warning", "critical")
EVENTS: Final = (
    "security.*",
    "fraud.*",
    "deviation.*",
    "provider.*",
    "pbx.*",
    "media.*",
    "certificate.*",
    "domain.*",
    "budget.*",
    "posture.*",
    "configuration.*",
    "gateway.*",
    "network.*",
    "rollout.*",
    "provisioning.*",
    "alerts.*",
)
"""All but those of single calls and registrations."""

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_GLOB = re.compile(r"[a-z_*?]+(\.[a-z_*?]+)?")
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
_SYSLOG = re.compile(r"(?P<transport>tls|udp):(?P<server>.+)|unix:(?P<path>/.{1,100})")


@attrs.frozen
class Server:
    """A host, by name or number (IPv6 without brackets), and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@attrs.frozen
class SyslogPlace:
    """Where a syslog receiver is: a server over TLS or UDP, or a UNIX socket."""

    transport: str
    """tls, udp or unix."""
    server: Server | None = None
    path: str = ""

    def __str__(self) -> str:
        return f"{self.transport}:{self.server or self.path}"


@attrs.frozen
class WebhookUrl:
    """Where a webhook leads. Its path may be a secret, so that people see its host alone."""

    text: str = attrs.field(repr=False)
    """All of it."""
    is_tls: bool
    server: Server

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.server}/"


def event_glob(value: object) -> str:
    """Names of events: one, or many with * and ?. Raises Unacceptable."""
    if not isinstance(value, str) or not _GLOB.fullmatch(value):
        raise Unacceptable(value, "the name of an event, such as provider.down, or several: security.*")
    return value


def smtp_server(value: object) -> Server:
    """HOST:PORT of a mail server. Raises Unacceptable."""
    found = _server(value) if isinstance(value, str) else None
    if found is None:
        raise Unacceptable(value, "HOST:PORT, such as mail.example.com:587")
    return found


def mail_address(value: object) -> str:
    """An address of electronic mail as SMTP takes it without extensions: in ASCII. Raises Unacceptable."""
    if not isinstance(value, str) or not _MAIL.fullmatch(value):
        raise Unacceptable(value, "an address such as ops@example.com, in ASCII")
    return value


def smtp_user(value: object) -> str:
    """The name of a log-in at a mail server. Raises Unacceptable."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,254}", value):
        raise Unacceptable(value, "a name of the mail server, without blanks")
    return value


def syslog_place(value: object) -> SyslogPlace:
    """tls:HOST:PORT, udp:ADDRESS:PORT or unix:PATH. Raises Unacceptable."""
    found = _SYSLOG.fullmatch(value) if isinstance(value, str) else None
    if found is not None and found["path"]:
        return SyslogPlace("unix", path=found["path"])
    server = None if found is None else _server(found["server"])
    if found is None or server is None or (found["transport"] == "udp" and not fields.is_address(server.host)):
        raise Unacceptable(value, "tls:HOST:PORT, udp:ADDRESS:PORT or unix:PATH, such as tls:logs.example.com:6514")
    return SyslogPlace(found["transport"], server)


def webhook_url(value: object) -> WebhookUrl:
    """An https URL without a user; http leads to this machine alone. Raises Unacceptable."""
    allowed = "a URL that begins with https:// (http:// for this machine alone), without user or fragment"
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,2000}", value):
        raise Unacceptable(value, allowed)
    try:
        parts = urlsplit(value)
        is_tls = parts.scheme == "https"
        server = Server(parts.hostname or "", parts.port or (443 if is_tls else 80))
    except ValueError:
        raise Unacceptable(value, allowed) from None
    is_safe = is_tls or (parts.scheme == "http" and server.is_here)
    if not is_safe or not server.host or "@" in parts.netloc or parts.fragment:
        raise Unacceptable(value, allowed)
    return WebhookUrl(value, is_tls, server)


@attrs.frozen
class Alert:
    """[[alert]]: one receiver of events."""

    name: Annotated[str, fields.name]
    to: Annotated[str, one_of(*KINDS)]
    events: tuple[Annotated[str, event_glob], ...] = EVENTS
    """Names, or globs, of the events that it is told of."""
    least: Annotated[str, one_of(*SEVERITIES)] = "warning"
    """Their least severity."""
    url: Annotated[WebhookUrl, webhook_url] | None = None
    secret_file: Path | None = None
    """Its content is the key of a webhook's signatures."""
    smtp: Annotated[Server, smtp_server] | None = None
    smtp_security: Annotated[str, one_of("starttls", "tls", "none")] = "starttls"
    """TLS after STARTTLS or from the first byte; with `none` mail goes in clear."""
    sender: Annotated[str, mail_address] | None = None
    recipients: tuple[Annotated[str, mail_address], ...] = ()
    user: Annotated[str, smtp_user] | None = None
    """With `password_file`: the log-in at the mail server."""
    password_file: Path | None = None
    syslog: Annotated[SyslogPlace, syslog_place] | None = None
    format: Annotated[str, one_of("rfc5424", "cef")] = "rfc5424"
    """Of a syslog message."""
    facility: Annotated[int, number(0, 23)] = 10
    """Of a syslog message (RFC 5424 section 6.2.1); 10 is that of security and authorization."""
    trust: Literal["system"] | Path = "system"
    """The authorities that the receiver's certificate must come from."""


def _server(text: str) -> Server | None:
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        return None
    return Server(found["host"].strip("[]"), int(found["port"]))
