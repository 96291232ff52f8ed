"""A real call during the drain: it goes on, new ones are refused, an emergency call goes through, and the process ends
with the last one or at the deadline."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.calls.test_switch import gatewayctl
from tests.support.calls.gateway import Gateway
from tests.support.calls.processes import wait_until
from tests.support.calls.stage import BOB, DOMAIN, Stage
from tests.support.calls.wire import SipMessage
from tests.support.faults.phone import Phone


def with_drain(stage: Stage, seconds: int) -> Gateway:
    """A gateway with that length of a drain."""
    gateway = stage.start_gateway()
    text = gateway.configuration.read_text()
    gateway.configuration.write_text(text.replace("drain_seconds = 0", f"drain_seconds = {seconds}"))
    gateway.restart()
    return gateway


def _proxy(gateway: Gateway) -> tuple[str, int]:
    host, _, port = gateway.phones_proxy.rpartition(":")
    return host, int(port)


def is_ready(gateway: Gateway) -> bool:
    return bool(json.loads(gateway.fetch("/readyz") or "{}").get("status") == "ready")


def test_a_call_goes_on_after_sigterm_and_the_process_ends_with_it(stage: Stage) -> None:
    gateway = with_drain(stage, 60)
    alice, bob = stage.phone("baresip"), stage.far_end("baresip")
    alice.register()
    bob.register()
    wait_until("it is ready", lambda: is_ready(gateway), 10)
    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    begun = time.monotonic()
    gateway.program.process.send_signal(signal.SIGTERM)
    wait_until("it drains", lambda: not is_ready(gateway), 10)
    assert json.loads(gateway.fetch("/healthz") or "{}") == {"status": "ok"}
    assert gateway.metric("gateway_draining_calls") == 1
    assert gateway.metric("gateway_ready") == 0

    other = Phone(stage.hosts.host(90), _proxy(gateway), "carol")
    refused = other.ask(other.invite("bob").replace(b"@example.com", f"@{DOMAIN}".encode()), 10)
    urgent = other.call("112")
    other.close()
    assert isinstance(refused, SipMessage)
    assert (refused.status, int(refused.header("retry-after")) >= 5) == (503, True)
    assert not isinstance(urgent, SipMessage) or urgent.status != 503, "an emergency call goes through"
    stage.talk()
    assert gateway.program.process.poll() is None
    alice.hangup()
    bob.wait_ended()
    assert gateway.program.process.wait(10) == -signal.SIGTERM
    assert time.monotonic() - begun < 40
    stage.assert_call_was_right()


def test_a_call_that_lasts_is_ended_at_the_deadline_on_both_sides(stage: Stage) -> None:
    gateway = with_drain(stage, 3)
    alice, bob = stage.phone("baresip"), stage.far_end("baresip")
    alice.reach(bob)
    begun = time.monotonic()
    gateway.program.process.send_signal(signal.SIGTERM)
    alice.wait_ended(15)
    bob.wait_ended(15)
    assert 2.5 < time.monotonic() - begun < 10
    assert gateway.program.process.wait(10) == -signal.SIGTERM


def test_a_drain_by_command_is_cancelled_and_a_call_hung_up(stage: Stage) -> None:
    gateway = stage.start_gateway()
    alice, bob = stage.phone("baresip"), stage.far_end("baresip")
    alice.register()
    bob.register()
    told = (
        'not draining: new calls are taken\nat SIGTERM: calls that are up are ended, since [gateway] has stop = "end"\n'
    )
    assert gatewayctl(gateway, "drain", "--show") == told
    assert gatewayctl(gateway, "drain", "--for", "30m").startswith(
        "draining: 0 calls are left; 0 new ones were refused"
    )
    alice.call(BOB)
    assert "503" in alice.wait_ended()
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"http://{gateway.terms.address}:{gateway.terms.admin_port}/readyz", timeout=5)
    assert answer.value.code == 503
    assert json.load(answer.value)["reasons"] == ["it drains: no new calls are taken"]
    assert json.loads(gateway.fetch("/api/v1/status") or "{}")["is_draining"] is True
    told = (
        'not draining: new calls are taken\nat SIGTERM: calls that are up are ended, since [gateway] has stop = "end"\n'
    )
    assert gatewayctl(gateway, "drain", "--cancel") == told
    assert "There is no drain to cancel" in gatewayctl(gateway, "drain", "--cancel")
    wait_until("it is ready", lambda: is_ready(gateway), 10)

    alice.call(BOB)
    bob.wait_ringing()
    bob.answer()
    alice.wait_answered()
    (up,) = [call for call in json.loads(gateway.fetch("/api/calls") or "[]") if call["ended_at"] is None]
    assert gatewayctl(gateway, "hangup", up["id"]) == f"call {up['id']} is ended\n"
    alice.wait_ended()
    bob.wait_ended()
    assert "There is no call" in gatewayctl(gateway, "hangup", up["id"])
    lines = (Path(gateway.configuration).parent / "state" / "audit.jsonl").read_text().splitlines()
    audit = [json.loads(line) for line in lines]
    assert [entry["what"] for entry in audit][-3:] == ["drain", "drain cancelled", "hangup"]
