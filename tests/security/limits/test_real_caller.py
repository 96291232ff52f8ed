"""Eight calls of sipp, a real caller, to satellites through a whole gateway at three o'clock at night: the sixth is
refused, a webhook is told within two seconds, 112 goes through, and a transfer is no way round."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from tests.support.alert_receivers import Certified, HttpsReceiver
from tests.support.calls.gateway import Gateway
from tests.support.calls.hosts import Hosts, is_bound
from tests.support.calls.processes import Program, find_program
from tests.support.calls.sipp import SCENARIOS
from tests.support.faults.rig import CLOCK

CONFIGURATION = """\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0
stop = "end"
[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{gateway}"
port = {phones}
[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "{gateway}"
port = {trunk}
[media]
address = "{gateway}"
ports = "{first}-{last}"
workers = 1
[[provider]]
name = "main"
uri = "sip:{provider}:{far};transport=udp"
ping_seconds = 0
[[domain]]
name = "voip.test"
provider = "main"
security = "off"
region = "DE"
[[limit]]
name = "abroad"
to = ["premium"]
hours = ["22:00-06:00"]
timezone = "Europe/Berlin"
calls = 5
per_hour = 5
then = "refuse"
[[alert]]
name = "hook"
to = "webhook"
url = "https://localhost:{hook}/"
secret_file = "hook.key"
trust = "receivers-ca.pem"
events = ["fraud.*"]
[admin]
address = "{gateway}"
port = {admin}
"""


@attrs.frozen
class Terms:
    """The terms of a gateway that the class which runs it asks for."""

    address: str
    admin_port: int
    log_level: str = "info"


class LimitedGateway(Gateway):
    """A gateway with one limit."""

    def __init__(self, hosts: Hosts, directory: Path, webhook: int) -> None:
        admin, phones, trunk, far = (hosts.port(hosts.gateway) for _ in range(4))
        first = hosts.port(hosts.gateway, 100)
        self.terms: Any = Terms(hosts.gateway, admin)
        self.proxy, self.far = f"{hosts.gateway}:{phones}", far
        self.directory = directory
        self.configuration = directory / "gateway.toml"
        places = {"gateway": hosts.gateway, "provider": hosts.host(21), "far": far, "trunk": trunk}
        ports = {"phones": phones, "admin": admin, "first": first, "last": first + 99, "hook": webhook}
        (directory / "hook.key").write_text("0123456789abcdef\n")
        (directory / "hook.key").chmod(0o600)
        self.configuration.write_text(CONFIGURATION.format(**places, **ports))
        self._log = directory / "gateway.log"
        self.start()

    def ask(self, path: str) -> Any:
        return json.loads(self.fetch(path) or "null")


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> float:
    """Seconds that a clock is ahead which says three o'clock of tonight in Berlin; the gateway has it."""
    now = datetime.now(ZoneInfo("Europe/Berlin"))
    ahead = (now.replace(hour=3, minute=0, second=0) + timedelta(days=1) - now).total_seconds()
    (tmp_path / "clock").write_text(str(ahead))
    monkeypatch.setenv("CLOCK_OFFSET", str(tmp_path / "clock"))
    monkeypatch.setenv("PYTHONPATH", str(CLOCK))
    return ahead


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[HttpsReceiver]:
    (tmp_path / "gateway").mkdir()
    receiver = HttpsReceiver(Certified(tmp_path / "gateway").context())
    yield receiver
    receiver.close()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts.claim()
    yield hosts
    hosts.release()


def scenario(directory: Path, number: str) -> Path:
    """Calls to a number that last three seconds; a refusal by a limit ends one as well as an answer does."""
    text = (SCENARIOS / "load_caller.xml").read_text().replace("@TARGET@", f"sip:{number}@voip.test")
    text = text.replace("1000", "3000")
    text = text.replace(
        '<recv response="200" rrs', '<recv response="403" optional="true" next="1"/><recv response="200" rrs'
    )
    ack = text[text.index("<send><![CDATA[\nACK") : text.index("<pause")].replace(
        "[next_url]", f"sip:{number}@voip.test"
    )
    end = f'<recv response="200" next="2"/><label id="1"/>{ack}<label id="2"/></scenario>'
    head, _, _ = text.rpartition('<recv response="200"/>')
    file = directory / f"call-{number}.xml"
    file.write_text(head + end)
    return file


def transfer(directory: Path) -> Path:
    """A call in the town that is transferred to a satellite: the gateway refuses that."""
    text = (SCENARIOS / "load_caller.xml").read_text().replace("@TARGET@", "sip:0301234567@voip.test")
    bye = text[text.index('<send retrans="500"><![CDATA[\nBYE') : text.rindex('<recv response="200"/>')]
    target = "Refer-To: <sip:00881612345679@voip.test>\nContact: <sip:alice@[local_ip]:[local_port]>\nContent-Length"
    refer = bye.replace("BYE", "REFER").replace("Content-Length", target) + '<recv response="403"/>'
    text = text.replace('<pause milliseconds="1000"/>', refer).replace("CSeq: 2 BYE", "CSeq: 3 BYE")
    file = directory / "transfer.xml"
    file.write_text(text)
    return file


def test_of_eight_calls_the_sixth_is_refused_and_112_goes_through(
    hosts: Hosts, tmp_path: Path, night: float, webhook: HttpsReceiver
) -> None:
    gateway = LimitedGateway(hosts, tmp_path / "gateway", webhook.port)
    sipp, provider = find_program("sipp", "sip-tester"), hosts.host(21)
    answerer = [sipp, "-sn", "uas", "-i", provider, "-p", str(gateway.far), "-nostdin"]
    caller = [sipp, "-i", hosts.phone, "-nostdin", "-timeout", "40", gateway.proxy]
    satellites = [*caller, "-sf", str(scenario(tmp_path, "00881612345678")), "-r", "8", "-m", "8"]
    emergency = [*caller, "-sf", str(scenario(tmp_path, "112")), "-m", "1"]
    referred = [*caller, "-sf", str(transfer(tmp_path)), "-m", "1"]
    ports = [str(hosts.port(hosts.phone)) for _ in range(3)]
    try:
        with Program(answerer, tmp_path / "uas.log", cwd=tmp_path) as far:
            far.wait_until("the provider listens", lambda: is_bound(provider, gateway.far))
            with Program([*satellites, "-p", ports[0]], tmp_path / "satellites.log", cwd=tmp_path) as calls:
                gateway.program.wait_until("three are refused", lambda: refused(gateway) == 3, 10)
                known = time.monotonic()
                (user,) = gateway.ask("/api/v1/limits")["users"]
                with Program([*emergency, "-p", ports[1]], tmp_path / "112.log", cwd=tmp_path) as help_call:
                    with Program([*referred, "-p", ports[2]], tmp_path / "refer.log", cwd=tmp_path) as refer:
                        assert refer.wait_ended(15) == 0, refer.tail()
                    assert help_call.wait_ended(15) == 0
                assert calls.wait_ended(20) == 0
        told = tmp_path / "gateway/state/security.jsonl"
        gateway.program.wait_until("it is written", lambda: told.exists() and "limit_reached" in told.read_text(), 5)
        gateway.program.wait_until("the webhook is told", lambda: bool(alerts(webhook)), 5)
        assert time.monotonic() - known < 30
    finally:
        gateway.stop()

    assert (user["user"], user["counts"]) == (
        hosts.phone,
        [{"measure": "calls", "count": 5, "most": 5}, {"measure": "per_hour", "count": 5, "most": 5}],
    )
    events = [json.loads(line) for line in told.read_text().splitlines()]
    (reached,) = [event for event in events if is_calls_at_once(event)]
    assert reached["fields"]["number"] == "+881612345678"
    records = [json.loads(line) for line in (tmp_path / "gateway/state/cdr.jsonl").read_text().splitlines()]
    statuses = sorted((one["callee_number"], one["status"]) for one in records)
    statuses.remove(("+49301234567", 200))
    assert statuses == [("+881612345678", 200)] * 5 + [("+881612345678", 403)] * 3 + [("112", 200)]
    first = min(one["ended_at"] for one in records if one["status"] == 403)
    assert datetime.fromtimestamp(first, ZoneInfo("Europe/Berlin")).hour == 3
    ((came, alert),) = alerts(webhook)
    assert alert["fields"]["number"] == "+881612345678"
    assert came + night - first < 2
    assert {one["reason"] for one in records if one["status"] == 403} == {"CALL_LIMIT_REACHED"}


def alerts(webhook: HttpsReceiver) -> list[tuple[float, dict[str, Any]]]:
    """The alerts of a limit that was reached, and when each came."""
    told = [(came, alert) for came, _, body in webhook.requests for alert in json.loads(body)["alerts"]]
    return [(came, alert) for came, alert in told if is_calls_at_once(alert)]


def is_calls_at_once(event: dict[str, Any]) -> bool:
    """Whether an event tells that so many calls are up; of those in an hour another one may."""
    return bool(event["name"] == "fraud.limit_reached" and event["fields"]["measure"] == "calls")


def refused(gateway: LimitedGateway) -> float:
    return gateway.metric("gateway_limit_refusals_total", limit="abroad")
