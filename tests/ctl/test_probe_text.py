"""The text and the exit code of gatewayctl probe, from answers of a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.ctl.commands import probe_commands
from gateway.ctl.main import main

PREDICTION = {
    "verdict": "ENCRYPTED_TO_PROVIDER",
    "reason": "",
    "status": 200,
    "is_seen": True,
    "text": "",
    "steps": [{"signalling": "tls", "encryption": "savp", "outcome": "answered with SRTP"}],
}
FACTS = {
    "name": "main",
    "dns": [{"kind": "SRV", "name": "_sips._tcp.x", "values": ["10 1 5061 a.x"], "seconds": 59.6}],
    "targets": [
        {
            "target": "tls 192.0.2.1:5061",
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "failure": "",
            "chain": [{"names": ["x"], "days_left": 9}],
            "versions": [{"version": "1.1", "is_done": True, "is_ours": False}],
            "ciphers": ["ECDHE-RSA-AES128-SHA"],
            "sip": {"status": 200, "reason": "OK"},
        }
    ],
    "clear": [],
    "memory": "did TLS",
    "rows": [{"policy": "required", "prediction": PREDICTION}],
    "domains": [{"domain": "example.com", "security": "required", "prediction": {**PREDICTION, "verdict": ""}}],
    "calls": [],
    "remarks": ["Its \x1b[31m certificate ends."],
}


@pytest.mark.parametrize(("result", "code"), [("as_wanted", 0), ("not", 1), ("failed", 1), ("unknown", 2), ("new", 1)])
def test_the_exit_code_is_that_of_the_result(result: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def ask(config: object, url: object, path: str, change: object = None) -> object:
        asked.append((path, change))
        told = {"id": "7", "sentence": "Calls to main will be.", "result": result}
        return {**told, "result": "running"} if len(asked) < 3 else {**told, "facts": FACTS}

    monkeypatch.setattr(probe_commands, "ask", ask)
    monkeypatch.setattr(probe_commands, "LOOK_SECONDS", 0.0)
    done = CliRunner().invoke(main, ["probe", "provider", "main", "--call", "600"])
    assert done.exit_code == code
    assert asked[0] == (
        "/api/v1/probes",
        {"kind": "provider", "target": "main", "call": "600", "user": "", "full": False, "learn": False},
    )
    for words in ("10 1 5061 a.x", "60", "1.1 (not used here)", "x, 9 days", "200 OK", "ECDHE-RSA", "nobody can tell"):
        assert words in done.output
    assert "\x1b" not in done.output


def test_a_file_with_a_private_key_is_sent_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_commands, "ask", lambda *_: pytest.fail("it was sent"))
    file = tmp_path / "both.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\n")
    done = CliRunner().invoke(main, ["probe", "uri", "sip:x.example", "--trust", str(file)])
    assert done.exit_code == 1
    assert "holds a private key" in done.output
    assert CliRunner().invoke(main, ["probe", "uri", "sip:x.example", "--trust", "/nowhere"]).exit_code == 1
