"""The demonstration's provider and phone, and one domain in clear: assess names it, and the promise is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.demo.devcerts import make_for
from gateway.demo.roles import PASSWORDS
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import Program, wait_until
from tests.support.faults.provider import Provider
from tests.support.faults.rig import Rig

ROOT = Path(__file__).parents[2]
CALLS = 2


@attrs.frozen
class Place:
    """A gateway whose provider takes calls over TLS with SRTP, and at another address over UDP in clear."""

    rig: Rig
    clear: Provider

    def assess(self) -> dict[str, Any]:
        """The report."""
        report: dict[str, Any] = json.loads(self.ctl("assess", "--format", "json"))
        return report

    def ctl(self, *arguments: str) -> str:
        """The output of gatewayctl."""
        command = [str(Path(sys.executable).with_name("gatewayctl")), *arguments]
        environment = {**os.environ, "GATEWAY_CONFIG": str(self.rig.configuration)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make_calls(self) -> None:
        """Some calls of a phone, until the gateway has kept and counted them: a report is of the calls in the file."""
        before, counted = len(self.ended()), self.counted()
        hosts = self.rig.hosts
        place = f"{hosts.phone}:{hosts.port(hosts.phone)}"
        gateway = f"{hosts.gateway}:{self.rig.phones}"
        module = [sys.executable, "-m", "tests.support.demo_calls"]
        done = subprocess.run(
            [*module, gateway, place, "example.com", str(CALLS)],
            capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
        )  # fmt: skip
        assert f"{CALLS} calls are over" in done.stdout, done.stdout + done.stderr + self.rig.text()
        wait_until("calls are kept", lambda: len(self.ended()) == before + CALLS, 10)
        wait_until("calls are counted", lambda: self.counted() == counted + CALLS, 10)

    def counted(self) -> int:
        """The answered calls that the figures know."""
        kinds = self.rig.json("/api/v1/statistics")["kinds"]
        return sum(one["calls"] for one in kinds if one["verdict"] not in ("", "UNANSWERED", "REFUSED"))

    def ended(self) -> list[dict[str, Any]]:
        """The calls that are in the file."""
        statistics = self.rig.json("/api/v1/calls?stage=ended&answered=true")
        found: list[dict[str, Any]] = statistics["calls"]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    hosts = Hosts.claim()
    rig = Rig(hosts, tmp_path)
    certificates = tmp_path / "certificates"
    make_for(certificates, hosts.provider, hosts.provider, datetime.now(UTC) - timedelta(days=1))
    port, trunk = hosts.port(hosts.provider), hosts.port(hosts.gateway)
    text = rig.configuration.read_text()
    uri = f"sip:{hosts.provider}:{rig.provider.port};transport=udp"
    more = f'uri = "sip:{hosts.provider}:{port};transport=tls"\nfallback_uri = "{uri}"\ntrust = "{certificates}/ca.pem"'
    listener = f'[[listener]]\nname = "tls"\nside = "provider"\ntransport = "tls"\naddress = "{hosts.gateway}"\n'
    listener += f'port = {trunk}\ncertificate = "{certificates}/phones-{hosts.provider}.pem"\n'
    listener += f'private_key = "{certificates}/phones-{hosts.provider}.key"\n\n[media]'
    rig.configuration.write_text(text.replace(f'uri = "{uri}"', more).replace("[media]", listener))
    command = [sys.executable, "-m", "gateway.demo.provider", "--listen", f"{hosts.provider}:{port}"]
    command += ["--certificate", f"{certificates}/phones-{hosts.provider}.pem", "--domain", "example.com"]
    command += ["--private-key", f"{certificates}/phones-{hosts.provider}.key"]
    for user, password in PASSWORDS.items():
        command += ["--user", f"{user}:{password}"]
    try:
        with Program(command, tmp_path / "provider.log", cwd=ROOT) as far:
            far.wait_for_line(r"Listening", 15)
            rig.start()
            yield Place(rig, rig.provider)
    finally:
        rig.close()
        hosts.release()


def test_the_promise_for_a_domain_in_clear_is_the_gain_that_is_measured(place: Place) -> None:
    place.make_calls()
    before = place.assess()
    findings = {row["id"]: row for row in before["findings"]}
    assert findings["ENC-2"]["result"] == "fail"
    assert f"example.com: {CALLS} in clear, CLEAR_POLICY_OFF" in findings["ENC-2"]["evidence"][0]["text"]
    step = before["steps"][0]
    assert step["id"] == "reason:CLEAR_POLICY_OFF"
    assert step["share"] == 1.0
    assert step["recommendation"].startswith("gatewayctl domain example.com --security ")
    place.ctl(*step["recommendation"].split()[1:])
    place.make_calls()
    after = place.assess()
    assert {row["verdict"] for row in place.ended()} == {"CLEAR", "ENCRYPTED_TO_PROVIDER"}
    changed = {
        row["id"]: (findings[row["id"]]["result"], row["result"])
        for row in after["findings"]
        if row["result"] != findings[row["id"]]["result"]
    }
    assert round(after["score"] - before["score"], 1) == step["points"], changed
    assert set(changed) == set(step["checks"])
