"""gatewayctl probe against real programs: Kamailio with a phone that answers, and stunnel with faults of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from tests.support.calls.gateway import ROOT
from tests.support.calls.processes import Program, find_program
from tests.support.calls.stage import DOMAIN, Stage
from tests.support.tls_authority import Authority

STUNNEL = """\
foreground = yes
pid =
[sip]
accept = {address}:{port}
connect = {address}:{nowhere}
cert = {chain}
key = {key}
{more}
"""
PROVIDER = """
[[provider]]
name = "{name}"
uri = "sip:{address}:{port};transport=tls"
trust = "{trust}"
ping_seconds = 0
"""
OLD = "sslVersionMax = TLSv1.1\nsslVersionMin = TLSv1.1\nciphers = ALL:@SECLEVEL=0\nsecurityLevel = 0"


@attrs.frozen
class Asked:
    """An answer of gatewayctl."""

    status: int
    text: str

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)["facts"]
        return found


def probe(stage: Stage, *words: str) -> Asked:
    assert stage.gateway is not None
    ctl = str(Path(sys.executable).with_name("gatewayctl"))
    environment = {**os.environ, "GATEWAY_CONFIG": str(stage.gateway.configuration)}
    argv = [ctl, "probe", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, cwd=ROOT, env=environment, check=False)
    return Asked(done.returncode, done.stdout + done.stderr)


def put_up(stage: Stage, authority: Authority, name: str, chain: Path, key: Path, more: str = "") -> None:
    """A stunnel as a provider of that name."""
    address = stage.hosts.provider
    port, nowhere = stage.hosts.port(address), stage.hosts.port(address)
    file = stage.directory / f"{name}.conf"
    file.write_text(STUNNEL.format(address=address, port=port, nowhere=nowhere, chain=chain, key=key, more=more))
    program = Program([find_program("stunnel4", "stunnel4"), str(file)], stage.directory / f"{name}.log")
    stage.keep(program)
    program.wait_for_line("Configuration successful", 5)
    stage.more += PROVIDER.format(name=name, address=address, port=port, trust=authority.file)


def test_a_provider_is_probed_before_and_with_a_call(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(asks_callers=False)
    here, there = stage.hosts.provider, stage.hosts.gateway
    authority, stranger = Authority(stage.directory), Authority(stage.directory, "Unknown CA")
    long_ago = datetime.now(tz=UTC) - timedelta(days=10)
    put_up(stage, authority, "old", *authority.issue("old", here), OLD)
    put_up(stage, authority, "expired", *authority.issue("expired", here, begins=long_ago, days=9))
    put_up(stage, authority, "another", *authority.issue("another", there))
    put_up(stage, authority, "unknown", *stranger.issue("unknown", here))
    stage.start_gateway()
    bob = stage.far_end()

    quiet = probe(stage, "provider", "main", "--json")
    assert quiet.status == 2, quiet.text
    (target,) = quiet.facts["targets"]
    assert [one["version"] for one in target["versions"] if one["is_done"]] == ["1.3", "1.2"]
    assert target["verified_for"] == here
    assert target["sip"]["status"] == 404, "this Kamailio knows no user by the name of its host"
    assert "INVITE" not in {message.method for message in stage.messages()}

    faults = {
        "old": ("handshake", "1.1 (not used here)"),
        "expired": ("certificate", "expired on"),
        "another": ("certificate", "certificate is not for"),
        "unknown": ("certificate", "unknown authority"),
    }
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda name: probe(stage, "provider", name), faults)
    for (kind, words), told in zip(faults.values(), answers, strict=True):
        assert told.status == 1, told.text
        assert f"{kind}: " in told.text
        assert words in told.text
    bob.register()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(probe_again, stage, "provider", "main", "--call", "bob", "--json")
        bob.wait_ringing(20)
        bob.answer()
        called = asked.result(30)
    assert called.status == 0, called.text
    (call,) = called.facts["calls"]
    assert (call["status"], call["is_encrypted"], call["profile"]) == (200, True, "RTP/SAVP")
    assert call["received"] > 50, "the far end plays a tone"
    bob.wait_ended()
    assert stage.gateway is not None
    assert stage.gateway.metric("gateway_probes_total", kind="provider", result="as_wanted") == 1
    assert not stage.gateway.calls(), "a probe is no call of the gateway"
    audit = (stage.gateway.directory / "state" / "audit.jsonl").read_text()
    assert '"called": "bob"' in audit
    domain = probe(stage, "domain", DOMAIN)
    assert "No phone is registered" in domain.text
    stage.gateway.assert_log_is_clean([])


def probe_again(stage: Stage, *words: str) -> Asked:
    """The same target once more, when its ten seconds are over."""
    for _ in range(15):
        asked = probe(stage, *words)
        if "again in" not in asked.text:
            return asked
        stage.talk(1)
    return asked
