"""A domain switched and a configuration read again while a real call is up: the call hears nothing of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.calls.gateway import Gateway
from tests.support.calls.stage import DOMAIN, Stage


def gatewayctl(gateway: Gateway, *arguments: str) -> str:
    program = Path(sys.executable).with_name("gatewayctl")
    url = f"http://{gateway.terms.address}:{gateway.terms.admin_port}"
    done = subprocess.run([program, *arguments, "--url", url], capture_output=True, text=True, timeout=10)
    return done.stdout + done.stderr


def test_a_call_goes_on_while_its_domain_is_switched_and_its_configuration_read(stage: Stage) -> None:
    gateway = stage.start_gateway()
    alice, bob = stage.phone("linphonec"), stage.far_end("baresip")
    alice.reach(bob)

    text = gateway.configuration.read_text()
    assert "security                  off" in gatewayctl(gateway, "domain", DOMAIN, "--security", "off")
    gateway.configuration.write_text(text.replace("challenge = []", 'downgrade = "refuse"'))
    assert gatewayctl(gateway, "reload") == f"domain {DOMAIN}: downgrade: alert -> refuse\n"
    gateway.configuration.write_text(text.replace("challenge = []", 'downgrade = "sometimes"'))
    assert "domain[0].downgrade" in gatewayctl(gateway, "reload")
    gateway.configuration.write_text(text)
    os.kill(gateway.program.process.pid, signal.SIGHUP)
    gateway.program.wait_for_line("read again", 5)

    stage.talk()
    alice.hangup()
    bob.wait_ended()
    stage.assert_call_was_right()
    told = json.loads(gatewayctl(gateway, "domain", DOMAIN, "--json"))
    assert told["security"] == "off"
    assert [change["what"] for change in told["changes"]] == ["switch", "reload", "reload"]
    assert all("uid" in change["who"] for change in told["changes"][:2])
    (call,) = json.loads(gateway.fetch("/api/calls") or "[]")
    assert call["verdict"] == "ENCRYPTED_TO_PROVIDER"
    gateway.restart()
    assert json.loads(gatewayctl(gateway, "domain", DOMAIN, "--json"))["security"] == "off"
