"""Receivers of alerts, each made from its table of the configuration; their secrets are read here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, LogLevel

from gateway.base.clock import Clock
from gateway.config.model import Alert
from gateway.observe.events import Severity
from gateway.security.alerts.mail_way import Mailbox, MailReceiver
from gateway.security.alerts.notice import AlertReceiver, Notice, sentence
from gateway.security.alerts.syslog_message import message_of
from gateway.security.alerts.syslog_way import SyslogDatagrams, SyslogStream
from gateway.security.alerts.tls_way import VerifiedServer
from gateway.security.alerts.webhook import Webhook

log = Logger()

LEAST_KEY: Final = 16
"""Characters of a webhook's key."""
_LEVELS: Final = {Severity.WARNING: LogLevel.warn, Severity.CRITICAL: LogLevel.error}


class LogReceiver:
    """Alerts as lines of the gateway's own log, in the level of each event."""

    at_once = 100
    pause = 0.0
    patience = 10.0

    def send(self, notice: Notice) -> Deferred[str]:
        """Write them."""
        for event in notice.events:
            log.emit(_LEVELS.get(event.severity, LogLevel.info), "alert: {alert}", alert=sentence(event))
        return succeed("written")

    def stop(self) -> Deferred[None]:
        """Nothing is kept open."""
        return succeed(None)


def receiver_of(terms: Alert, clock: Clock, reactor: Any) -> AlertReceiver:
    """The receiver that a table describes. Raises OSError, ValueError, CertificateError."""
    match terms.to:
        case "webhook":
            return _webhook(terms, clock, reactor)
        case "email":
            return MailReceiver(_mailbox(terms), reactor, clock.wall)
        case "syslog":
            return _syslog(terms, reactor)
        case _:
            return LogReceiver()


def _webhook(terms: Alert, clock: Clock, reactor: Any) -> Webhook:
    assert terms.url is not None
    assert terms.secret_file is not None
    key = _secret(terms.secret_file).encode()
    if len(key) < LEAST_KEY:
        few = f"{terms.secret_file} holds fewer than {LEAST_KEY} characters"
        raise ValueError(f"{few}: openssl rand -hex 32 makes a good key")
    tls = VerifiedServer(terms.url.server.host, terms.trust) if terms.url.is_tls else None
    return Webhook(terms.url, key, tls, reactor, clock.wall)


def _mailbox(terms: Alert) -> Mailbox:
    assert terms.smtp is not None
    assert terms.sender is not None
    return Mailbox(
        terms.smtp,
        terms.sender,
        terms.recipients,
        None if terms.smtp_security == "none" else VerifiedServer(terms.smtp.host, terms.trust),
        terms.smtp_security == "tls",
        terms.user or "",
        "" if terms.password_file is None else _secret(terms.password_file),
    )


def _syslog(terms: Alert, reactor: Any) -> AlertReceiver:
    assert terms.syslog is not None
    form = partial(message_of, facility=terms.facility, is_cef=terms.format == "cef")
    server = terms.syslog.server
    if terms.syslog.transport != "tls" or server is None:
        return SyslogDatagrams(terms.syslog, form, reactor)
    return SyslogStream(server, VerifiedServer(server.host, terms.trust), form, reactor)


def _secret(file: Path) -> str:
    return file.read_text("utf-8").strip()
