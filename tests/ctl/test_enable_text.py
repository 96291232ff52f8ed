"""The text and the exit code of a dry run of gatewayctl enable, from the answer of a gateway."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from gateway.ctl.commands import enablement_commands
from gateway.ctl.main import main

PHONE = {
    "address_of_record": "sip:101@example.com",
    "make": "yealink",
    "model": "SIP-T46S",
    "wave": 1,
    "order": "check-sync;reboot=false",
    "words": "It will be asked.",
    "verdict": "ENCRYPTED_TO_PROVIDER",
    "reason": "",
    "status": 200,
    "best": "ENCRYPTED",
    "why": "it registered over UDP",
}


@pytest.mark.parametrize(("result", "code"), [("as_wanted", 0), ("not", 1), ("failed", 1), ("unknown", 2), ("new", 1)])
def test_a_dry_run_ends_with_the_code_of_its_result(result: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = {**PHONE, "verdict": "CLEAR", "reason": "CLEAR_PEER_NO_TLS", "best": "CLEAR", "order": ""}
    outlook = {"result": result, "sentence": "Calls of its 2 phones: 1 CLEAR.", "reasons": {"CLEAR_PEER_NO_TLS": 1}}
    answer = {"domain": "example.com", "security": "required", "plan": [PHONE, clear], "outlook": outlook}
    asked: list[Any] = []

    def ask(config: object, url: object, path: str, change: object, *, patience: int) -> object:
        asked.append((path, change))
        return answer

    monkeypatch.setattr(enablement_commands, "ask", ask)
    done = CliRunner().invoke(main, ["enable", "example.com", "--security", "required", "--dry-run"])

    assert asked == [("/api/v1/rollouts", {"domain": "example.com", "dry_run": True, "security": "required"})]
    assert done.exit_code == code
    assert "security will be required; 1 of 2 phones will be asked. Nothing was changed." in done.output
    assert "ENCRYPTED_TO_PROVIDER    " in done.output
    assert "CLEAR CLEAR_PEER_NO_TLS  -" in done.output
    assert "CLEAR_PEER_NO_TLS  1" in done.output


def test_a_roll_out_that_begins_ends_with_nothing_but_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = {"number": 3, "domain": "example.com", "stage": "running", "phones": 2, "waves": 1}
    monkeypatch.setattr(enablement_commands, "ask", lambda *_, **__: {"rollout": begun})
    done = CliRunner().invoke(main, ["enable", "example.com"])
    assert (done.exit_code, "roll-out 3 of example.com has begun" in done.output) == (0, True)


ONE = {
    "name": "101",
    "registrations": [
        {
            "address_of_record": "sip:101@example.com", "make": "Yealink", "model": "SIP-T46S", "firmware": "66.85",
            "transport": "udp", "source": "192.0.2.7:5060", "is_reachable": False, "expires_in": 60, "leg": "clear",
            "why": "it registered over UDP", "order": "check-sync;reboot=false", "order_make": "yealink",
            "reboot_order": "", "in_call": False, "is_led": True,
        }
    ],
    "rollouts": [
        {
            "rollout": 3, "domain": "example.com", "stage": "paused",
            "phone": {"state": "failed", "reason": "NO_RETURN", "words": "It is away.", "remedy": "Look at it."},
        }
    ],
    "files": [{"device": "mac:805ec0112233", "state": "behind", "generation": 4, "fetched": 3, "proof": "token"}],
}  # fmt: skip


def test_one_phone_is_laid_out_and_ordered_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def ask(config: object, url: object, path: str, change: object = None, *, patience: int) -> object:
        asked.append((path, change))
        row = {"address_of_record": "sip:101@example.com", "make": "yealink", "words": "It takes the order."}
        return {"phones": [row]} if path.endswith("resync") else ONE

    monkeypatch.setattr(enablement_commands, "ask", ask)
    done = CliRunner().invoke(main, ["phone", "101", "--resync"])
    assert done.exit_code == 0, done.output
    assert asked == [("/api/v1/resync", {"phone": "101", "reboot": False}), ("/api/v1/phones/101", None)]
    for told in (
        "It takes the order.",
        "Yealink SIP-T46S 66.85",
        "udp 192.0.2.7:5060, out of reach, for 60 s",
        "clear: it registered over UDP",
        "with a reboot: none",
        "3 of example.com, paused",
        "NO_RETURN: It is away. Look at it.",
        "generation 3 (behind) token",
    ):
        assert told in done.output
    assert CliRunner().invoke(main, ["phone", "101", "--reboot"]).exit_code == 2
