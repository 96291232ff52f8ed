"""A running gateway tells real receivers of an event, each within two seconds, and none waits for one that hangs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_gateway import AdminGateway
from tests.support.alert_receivers import Certified, HttpsReceiver, MailServer, Rsyslog, SocatTls
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until

ROOT = Path(__file__).parents[3]
WITHIN = 2.0
"""Seconds from an event to each receiver."""
KEY = "0123456789abcdef0123456789abcdef"

TABLES = """
[[alert]]
name = "chat"
to = "webhook"
url = "https://localhost:{https}/hook?token=in-the-path"
secret_file = "hook.key"
trust = "receivers-ca.pem"
events = ["security.*"]
least = "notice"

[[alert]]
name = "stuck"
to = "webhook"
url = "https://localhost:{stuck}/"
secret_file = "hook.key"
trust = "receivers-ca.pem"
least = "notice"

[[alert]]
name = "stranger"
to = "webhook"
url = "https://localhost:{https}/"
secret_file = "hook.key"
events = ["provider.down"]

[[alert]]
name = "night"
to = "email"
smtp = "localhost:{smtp}"
sender = "gateway@example.com"
recipients = ["nobody@example.com", "ops@example.com"]
user = "alice"
password_file = "mail.password"
trust = "receivers-ca.pem"
events = ["security.*"]
least = "notice"

[[alert]]
name = "clear-mail"
to = "email"
smtp = "localhost:{clear}"
sender = "gateway@example.com"
recipients = ["ops@example.com"]
events = ["provider.down"]

[[alert]]
name = "siem"
to = "syslog"
syslog = "tls:localhost:{tls}"
format = "cef"
trust = "receivers-ca.pem"
least = "notice"

[[alert]]
name = "collector"
to = "syslog"
syslog = "udp:127.0.0.1:{udp}"
least = "notice"

[[alert]]
name = "closed"
to = "syslog"
syslog = "udp:127.0.0.1:{closed}"
events = ["security.*"]
least = "notice"

[[alert]]
name = "here"
to = "syslog"
syslog = "unix:{unix}"
events = ["security.*"]
least = "notice"

[[alert]]
name = "lines"
to = "log"
least = "notice"
"""


class Estate:
    """The gateway, and all of its receivers."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        certified = Certified(directory)
        self.https, self.stuck = HttpsReceiver(certified.context()), HttpsReceiver(certified.context())
        self.stuck.hangs.set()
        tls, udp, closed, smtp, clear = (hosts.port("127.0.0.1") for _ in range(5))
        self.mail, self.clear_mail = MailServer(certified.context(), smtp), MailServer(None, clear)
        self.socat = SocatTls(directory, "127.0.0.1", tls, certified.pem)
        self.rsyslog = Rsyslog(directory, "127.0.0.1", udp)
        self.local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.local.bind(str(directory / "log"))
        self.local.settimeout(WITHIN)
        for name, secret in (("hook.key", KEY), ("mail.password", "a mail password")):
            (directory / name).write_text(f"{secret}\n")
            (directory / name).chmod(0o600)
        ports = {"https": self.https.port, "stuck": self.stuck.port, "smtp": smtp, "tls": tls, "udp": udp}
        tables = TABLES.format(**ports, clear=clear, closed=closed, unix=directory / "log")
        self.gateway = AdminGateway(hosts, directory, tables)
        self.gateway.begin()
        self.gateway.add("alice")

    def fail_to_log_in(self) -> float:
        """Cause an event; gives its time."""
        origin = ("--header", f"Origin: {self.gateway.url}", "--data", "name=alice&password=wrong")
        began = time.time()
        assert self.gateway.curl("/login", *origin).status == 401
        return began

    def ask_stuck(self) -> None:
        """Begin the test of the receiver that hangs, which takes ten seconds: others are tested meanwhile."""
        program = str(Path(sys.executable).with_name("gatewayctl"))
        command = [program, "alerts", "test", "stuck", "--config", str(self.gateway.rig.configuration)]
        self.hung = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def close(self) -> None:
        self.gateway.close()
        for receiver in (self.https, self.stuck, self.mail, self.clear_mail):
            receiver.close()
        self.socat.program.stop()
        self.rsyslog.program.stop()
        self.local.close()


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    claimed = Hosts.claim()
    made = Estate(claimed, tmp_path_factory.mktemp("alerts"))
    yield made
    print(made.gateway.rig.text())
    made.close()
    claimed.release()


@pytest.fixture(scope="module")
def began(estate: Estate) -> float:
    """The time of the first refused log-in, when every receiver is told."""
    estate.gateway.ctl("alerts", "test", "siem")
    estate.gateway.ctl("alerts", "test", "collector")
    began = estate.fail_to_log_in()
    estate.ask_stuck()
    return began


def test_a_webhook_is_told_in_two_seconds_and_its_signature_verifies(estate: Estate, began: float) -> None:
    wait_until("the webhook is told", lambda: bool(estate.https.requests), WITHIN)
    at, fields, body = estate.https.requests[0]
    assert at - began < WITHIN
    (alert,) = json.loads(body)["alerts"]
    assert (alert["name"], alert["who"], alert["source"]) == ("security.log_in_refused", "alice", "127.0.0.1")
    script = ROOT / "deploy" / "alerts" / "verify-webhook.py"
    command = [sys.executable, str(script), str(estate.gateway.directory / "hook.key"), fields["Gateway-Signature"]]
    assert subprocess.run(command, input=body, check=True, capture_output=True).stdout == b"genuine\n"


def test_mail_comes_over_starttls_after_a_log_in_and_one_bad_recipient_keeps_no_other_waiting(
    estate: Estate, began: float
) -> None:
    wait_until("mail comes", lambda: bool(estate.mail.mails), WITHIN)
    at, recipients, mail = estate.mail.mails[0]
    assert at - began < WITHIN
    assert recipients == ["ops@example.com"]
    assert b"Subject: [gw1] security.log_in_refused" in mail
    assert estate.mail.passwords == [b"a mail password"]
    estate.fail_to_log_in()
    time.sleep(0.5)
    assert len(estate.mail.mails) == 1, "at most one in ten minutes"


def test_syslog_comes_over_tls_as_cef_over_udp_as_rsyslog_reads_it_and_to_a_socket(
    estate: Estate, began: float
) -> None:
    def cef() -> list[bytes]:
        return [frame for frame in estate.socat.frames() if b"log_in_refused" in frame]

    wait_until("CEF comes", lambda: bool(cef()), WITHIN)
    assert b" security.log_in_refused - CEF:0|gateway|gateway|" in cef()[0]
    assert b"|security.log_in_refused|security: log in refused|5|rt=" in cef()[0]
    assert b" src=127.0.0.1 suser=alice " in cef()[0]

    def read() -> list[list[str]]:
        return [parts for parts in estate.rsyslog.messages() if parts[3] == "security.log_in_refused"]

    wait_until("rsyslog wrote it", lambda: bool(read()), WITHIN)
    priority, host, program, name, data, text = read()[0]
    assert (priority, host, program) == ("authpriv.notice", "gw1", "gateway")
    assert 'source="127.0.0.1"' in data
    assert data.startswith("[gateway@32473 severity=")
    assert text.lstrip("\ufeff").startswith(f"{name} (notice) from 127.0.0.1 about alice: result=")
    assert time.time() - began < 10
    assert b" security.log_in_refused [gateway@32473 " in estate.local.recv(4096)
    assert "alert: security.log_in_refused (notice) from 127.0.0.1 about alice" in estate.gateway.rig.text()


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("chat", 0, "chat was told, and answered: 202 Accepted"),
        ("night", 0, "night was told, and answered: 250 2.0.0 taken as 4711; the server's answer to RCPT TO:<nobody@"),
        ("siem", 0, "bytes acknowledged over TLS"),
        ("collector", 0, "bytes sent; nothing tells whether they arrived"),
        ("here", 0, "bytes sent"),
        ("lines", 0, "lines was told, and answered: written"),
        ("stranger", 1, "the certificate of localhost is refused: "),
        ("clear-mail", 1, "the server offers no STARTTLS, and nothing is told in clear"),
        ("closed", 1, "Connection refused"),
        ("nonesuch", 1, "There is no alert nonesuch"),
    ],
)
def test_a_test_alert_says_the_answer_of_the_receiver(
    estate: Estate, began: float, name: str, status: int, told: str
) -> None:
    assert told in estate.gateway.ctl("alerts", "test", name, status=status)
    assert estate.clear_mail.mails == []


def test_a_receiver_that_fails_is_named_and_a_redirection_is_not_followed(estate: Estate, began: float) -> None:
    def tried() -> int:
        """Tests that arrived: alerts of the gateway's own may come between."""
        return sum('"alerts.test"' in str(request) for request in estate.https.requests)

    before = tried()
    estate.https.status = 302
    assert "the receiver answered 302 Found" in estate.gateway.ctl("alerts", "test", "chat", status=1)
    assert tried() == before + 1
    estate.https.status = 202
    wait_until("three tries are over", lambda: "closed" in estate.gateway.ctl("status"), 20)
    assert "Alerts are not delivered to closed (syslog): the receiver's host refused it" in estate.gateway.ctl("status")
    estate.gateway.log_in("alice")
    rows = {row["name"]: row for row in json.loads(estate.gateway.ctl("alerts", "--json"))}
    assert rows["closed"]["is_failing"]
    assert rows["chat"]["sent"] >= 2
    assert "in-the-path" not in json.dumps(rows) + estate.gateway.rig.text()
    metrics = estate.gateway.curl("/metrics", "--cookie", "jar").text
    assert 'gateway_alerts_total{result="failed",to="syslog"} ' in metrics
    assert "in-the-path" not in estate.gateway.curl("/settings", "--cookie", "jar").text
    assert "siem" in estate.gateway.ctl("alerts")


def test_a_receiver_that_hangs_kept_no_other_waiting(estate: Estate, began: float) -> None:
    assert "no answer in time" in estate.hung.communicate(timeout=20)[0]
    (stuck,) = [row for row in json.loads(estate.gateway.ctl("alerts", "--json")) if row["name"] == "stuck"]
    assert (stuck["sent"], stuck["place"]) == (0, f"https://localhost:{estate.stuck.port}/")
    assert stuck["waiting"] + stuck["failed"] > 0
