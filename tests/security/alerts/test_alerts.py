"""The choice of receivers, the news of one that fails, and the order of a conversation with a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as Timers
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher

from gateway.base.clock import Clock
from gateway.config.load import load
from gateway.config.model import ConfigurationError
from gateway.config.tables.alert_table import Server
from gateway.observe.events import EventName, Events
from gateway.security.alerts.alerts import Alerts
from gateway.security.alerts.mail_way import Mailbox, MailReceiver, SmtpClient
from gateway.security.alerts.notice import NotDelivered
from tests.support.docs.files import make_named_files
from tests.support.docs.machine import first_configuration

TABLES = """
[[alert]]
name = "all"
to = "log"
events = ["*"]
least = "info"

[[alert]]
name = "grave"
to = "log"
events = ["security.*", "provider.d???"]
least = "critical"

[[alert]]
name = "gone"
to = "syslog"
syslog = "unix:/nonexistent/socket"
least = "notice"
"""


class Stage:
    def __init__(self, directory: Path, tables: str) -> None:
        text = first_configuration().replace("/etc/gateway", str(directory)) + tables
        (directory / "gateway.toml").write_text(text)
        make_named_files(text, directory)
        self.timers = Timers()
        self.events = Events(lambda: 1764511200.0)
        clock = Clock(self.timers, lambda: 1764511200.0, lambda: 0.0)
        configuration = load(directory / "gateway.toml")
        self.alerts = Alerts(configuration, self.events, clock, lambda: "token", self.timers)

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds * 10 + 1):
            self.timers.advance(0.1)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Alerts in the log."""
    found: list[str] = []

    def observe(event: Any) -> None:
        if "alert" in event:
            found.append(f"{event['log_level'].name} {event['alert']}")

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def test_each_receiver_gets_the_events_that_it_wants_in_their_severity(tmp_path: Path, lines: list[str]) -> None:
    stage = Stage(tmp_path, TABLES)
    stage.events.note(EventName.CALL_STARTED, call="c1")
    stage.events.note(EventName.PROVIDER_DOWN, who="main", target="x")
    stage.events.note(EventName.PROVIDER_UP, who="main", target="x")
    assert lines == []
    stage.pass_seconds(0)
    both, *_ = [line for line in lines if "provider.down" in line]
    assert both == "error provider.down (critical) about main: target=x"
    assert [line.split()[1] for line in lines] == ["call.started", "provider.down", "provider.up", "provider.down"]
    stage.alerts.stop()


def test_a_receiver_that_fails_is_told_to_the_others_once_and_never_to_itself(tmp_path: Path, lines: list[str]) -> None:
    stage = Stage(tmp_path, TABLES)
    for _ in range(3):
        stage.events.note(EventName.PROVIDER_DOWN, who="main")
        stage.pass_seconds(20)
    told = [line for line in lines if "alerts.undelivered" in line]
    assert told == ["warn alerts.undelivered (warning) about gone: to=syslog, reason=No such file or directory"]
    by_name = {one.terms.name: one.standing for one in stage.alerts.standing()}
    assert (by_name["gone"].counts.failed, by_name["gone"].waiting) == (3, 0), "it was not told of itself"
    counted = {labels: figure for _, labels, figure in stage.alerts.figures()}
    assert counted[("syslog", "failed")] == 3
    assert counted[("log", "sent")] == 7
    stage.alerts.stop()


def test_a_key_that_is_too_short_ends_the_start_with_the_command_that_makes_one(tmp_path: Path) -> None:
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("short\n")
    table = '\n[[alert]]\nname = "chat"\nto = "webhook"\nurl = "https://hooks.example.com/"\nsecret_file = "key"\n'
    with pytest.raises(ConfigurationError, match=r"alert chat: .*fewer than 16 characters: openssl rand -hex 32"):
        Stage(tmp_path, table)


class Wire(StringTransport):
    """A connection to a mail server, played by the test."""

    tls: object = None

    def startTLS(self, context: object) -> None:
        self.tls = context


def conversation(mailbox: Mailbox, *said: bytes) -> tuple[Any, list[str]]:
    """Play a server that says these; gives the wire, and the reason of a failure or none."""
    wire: Any = Wire()  # type: ignore[no-untyped-call]
    client: Any = SmtpClient()
    client.makeConnection(wire)
    receiver = MailReceiver(mailbox, MemoryReactorClock(), lambda: 0.0)
    failed: list[str] = []
    proved = Deferred.fromCoroutine(receiver._proved(client))
    proved.addErrback(lambda failure: failed.append(failure.getErrorMessage()) if failure.check(NotDelivered) else None)
    for data in said:
        client.dataReceived(data)
    return wire, failed


def test_nothing_but_ehlo_and_starttls_goes_before_tls_and_bytes_behind_the_220_end_it() -> None:
    tls: Any = object()
    box = Mailbox(
        server=Server("127.0.0.1", 25),
        sender="a@example.com",
        recipients=("b@example.com",),
        tls=tls,
        user="u",
        password="p",
    )
    offer = b"250-mail.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"
    wire, failed = conversation(box, offer, b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
    assert failed == ["the server said more in clear than it was asked"]
    assert wire.tls is None
    assert wire.value() == b"EHLO [10.0.0.1]\r\nSTARTTLS\r\n"
    wire, failed = conversation(box, b"250-mail.example.com\r\n250 AUTH PLAIN\r\n")
    assert failed == ["the server offers no STARTTLS, and nothing is told in clear"]
    wire, failed = conversation(box, offer, b"220 go\r\n", b"250 AUTH PLAIN LOGIN\r\n", b"235 yes\r\n")
    assert failed == []
    assert wire.tls is tls
    assert wire.value().endswith(b"STARTTLS\r\nEHLO [10.0.0.1]\r\nAUTH PLAIN AHUAcA==\r\n")
    wire, failed = conversation(box, offer, b"220 go\r\n", b"250 AUTH PLAIN\r\n", b"535 no p\x00\r\n")
    assert failed == ["the server's answer to AUTH PLAIN: 535 no p\\x00"]


@pytest.mark.parametrize("ways", ["PLAIN", "LOGIN"])
def test_a_reply_that_repeats_the_password_is_told_without_it(ways: str) -> None:
    server = Server("127.0.0.1", 25)
    box = Mailbox(server, "a@example.com", ("b@example.com",), tls=None, user="u", password="hunter2" * 30)
    offer, asked = f"250-mail.example.com\r\n250 AUTH {ways}\r\n".encode(), [b"334 \r\n"] * 2 if ways == "LOGIN" else []
    wire, _ = conversation(box, offer, *asked)
    (secret,) = wire.value().splitlines()[-1:]
    _, failed = conversation(box, offer, *asked, b"500 unrecognized command: " + secret + b"\r\n")
    assert [" 500 unrecognized command: " in one and "[redacted]" in one for one in failed] == [True]
    assert secret.rpartition(b" ")[2][:20].decode() not in failed[0]
