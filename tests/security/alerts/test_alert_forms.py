"""The forms of an alert: syslog and CEF with every escape, mail, the signed JSON of a webhook."""

from __future__ import annotations

import email
import email.policy
import hmac
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.events import EventName, Events, GatewayEvent, Severity
from gateway.security.alerts.mail_message import IN_FULL
from gateway.security.alerts.mail_message import message_of as mail_of
from gateway.security.alerts.notice import Notice, sentence
from gateway.security.alerts.syslog_message import message_of
from gateway.security.alerts.webhook import body_of, signature

ROOT = Path(__file__).parents[3]
HOSTILE = 'a"b\\c]d|e=f\r\nInjected: yes\x00\u202e'
EVENT = GatewayEvent(
    1764511200.5,
    EventName.SECURITY_GUESSES_STOPPED,
    Severity.WARNING,
    "192.0.2.7:5071",
    "example.com",
    "alice",
    "c0ffee",
    {"by": "pair", "seconds": 300, "user_agent": HOSTILE},
)


def notice(*events: GatewayEvent) -> Notice:
    return Notice("1234abcd", "gw one", "1.2", events or (EVENT,))


def syslog(event: GatewayEvent, *, is_cef: bool = False) -> str:
    return message_of(event, notice(event), 10, is_cef=is_cef).decode()


def structured(text: str) -> dict[str, str]:
    """RFC 5424 section 6, read strictly."""
    head, _, rest = text.partition(" [")
    assert re.fullmatch(r"<\d{1,3}>1 \S+Z [!-~]{1,255} gateway \d+ [!-~]{1,32}", head), head
    found = re.fullmatch(r'gateway@32473((?: [A-Za-z0-9_.-]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff(.*)', rest)
    assert found, rest
    pairs = re.findall(r' ([^ =]+)="((?:[^"\\\]]|\\["\\\]])*)"', found[1])
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs} | {"MSG": found[2]}


def cef(text: str) -> tuple[list[str], dict[str, str]]:
    """The head and the extension of a CEF message; every key of it is one that the gateway uses."""
    *head, extension = re.split(r"(?<!\\)(?:\\\\)*\|", text.split(" - CEF:0|", 1)[1], maxsplit=6)
    keys = ("rt", "dvchost", "src", "c6a2", "c6a2Label", "spt", "suser", "cs1", "cs1Label", "cs2", "cs2Label", "act")
    found = re.split(r"(?:^|(?<= ))(\w+)(?<!\\)=", extension)
    names, values = found[1::2], [value.removesuffix(" ") for value in found[2::2]]
    assert set(names) <= {*keys, "msg"}, names
    return head, {key: re.sub(r"\\(.)", r"\1", value) for key, value in zip(names, values, strict=True)}


def test_a_syslog_message_has_every_field_where_rfc_5424_wants_it() -> None:
    text = syslog(EVENT)
    assert text.startswith("<84>1 2025-11-30T14:00:00.500Z gw_one gateway ")
    assert " security.guesses_stopped [gateway@32473 severity=" in text
    read = structured(text)
    found = [read[name] for name in ("source", "who", "domain", "call", "by")]
    assert found == ["192.0.2.7:5071", "alice", "example.com", "c0ffee", "pair"]
    assert read["user_agent"] == 'a"b\\c]d|e=f\\x0d\\x0aInjected: yes\\x00\\u202e'
    assert read["MSG"].startswith("security.guesses_stopped (warning) from 192.0.2.7:5071 about alice in example.com")


def test_a_cef_message_escapes_its_head_and_its_extension() -> None:
    text = syslog(EVENT, is_cef=True)
    head, extension = cef(text)
    assert head == ["gateway", "gateway", "1.2", "security.guesses_stopped", "security: guesses stopped", "7"]
    assert (extension["src"], extension["spt"], extension["suser"]) == ("192.0.2.7", "5071", "alice")
    assert (extension["cs1Label"], extension["cs1"], extension["cs2"]) == ("domain", "example.com", "c0ffee")
    assert extension["msg"] == sentence(EVENT)
    assert r'user_agent\=a"b\\c]d|e\=f\\x0d\\x0aInjected' in text


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("[2001:db8::1]:5060", {"c6a2": "2001:db8::1", "c6a2Label": "Source IPv6 Address", "spt": "5060"}),
        ("192.0.2.1", {"src": "192.0.2.1"}),
        ("2001:db8::1", {"c6a2": "2001:db8::1", "c6a2Label": "Source IPv6 Address"}),
        ("nonsense src=1", {}),
        ("", {}),
    ],
)
def test_the_source_of_a_cef_message_is_an_address_or_is_left_out(source: str, wanted: dict[str, str]) -> None:
    event = GatewayEvent(1.0, EventName.SECURITY_DOWNGRADE, Severity.CRITICAL, source, who="x")
    head, extension = cef(syslog(event, is_cef=True))
    assert head[-1] == "10"
    assert {key: extension[key] for key in ("src", "spt", "c6a2", "c6a2Label") if key in extension} == wanted


@given(st.text(), st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_no_text_of_a_peer_breaks_out_of_a_message(who: str, agent: str, fields: dict[str, str]) -> None:
    event = GatewayEvent(1.0, EventName.SECURITY_DOWNGRADE, who=who, fields={**fields, "user_agent": agent})
    structured(syslog(event))
    head, extension = cef(syslog(event, is_cef=True))
    assert head[3] == "security.downgrade"
    assert extension["msg"] == sentence(event).removesuffix(" ")
    for text in (syslog(event), syslog(event, is_cef=True), sentence(event)):
        assert not re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text)
    assert mail_of(notice(event), "gw@example.com", ("ops@example.com",), 1.0)


def test_a_mail_counts_all_and_writes_out_the_first() -> None:
    events = [GatewayEvent(float(n), EventName.SECURITY_WRONG_PASSWORD, who=f"user{n}") for n in range(IN_FULL + 7)]
    data = mail_of(notice(EVENT, *events), "gw@example.com", ("ops@example.com", "night@example.com"), 1764511200.0)
    assert b"\n" not in data.replace(b"\r\n", b"")
    read = email.message_from_bytes(data, policy=email.policy.default)
    assert read["Subject"] == f"[gw one] {IN_FULL + 7} security.wrong_password, security.guesses_stopped"
    assert (read["From"], read["To"]) == ("gw@example.com", "ops@example.com, night@example.com")
    assert (read["Message-ID"], read["Auto-Submitted"]) == ("<1234abcd@example.com>", "auto-generated")
    body = read.get_content()
    assert body.startswith(f"Gateway gw one tells of {IN_FULL + 8} events:")
    assert "2025-11-30T14:00:00.500Z  security.guesses_stopped (warning) from 192.0.2.7:5071" in body
    assert "And 8 more: security.wrong_password 8" in body
    assert "\nInjected" not in body


def test_a_webhook_is_signed_with_its_time_and_the_shipped_receiver_verifies_it(tmp_path: Path) -> None:
    key, body = b"0123456789abcdef", body_of(notice())
    sent = json.loads(body)
    assert (sent["id"], sent["gateway"], sent["version"]) == ("1234abcd", "gw one", "1.2")
    (alert,) = sent["alerts"]
    assert (alert["name"], alert["severity"], alert["who"]) == ("security.guesses_stopped", "warning", "alice")
    assert alert["text"] == sentence(EVENT)
    signed = signature(key, 1764511200, body)
    assert signed == f"t=1764511200,v1={hmac.new(key, b'1764511200.' + body, 'sha256').hexdigest()}"
    (tmp_path / "key").write_bytes(key + b"\n")

    def verified(signature: str, now: int, data: bytes = body) -> int:
        script = ROOT / "deploy" / "alerts" / "verify-webhook.py"
        command = [sys.executable, str(script), str(tmp_path / "key"), signature, str(now)]
        return subprocess.run(command, input=data, check=False, capture_output=True).returncode

    assert verified(signed, 1764511290) == 0
    assert verified(signed, 1764511200 + 301) == 1, "too old"
    assert verified(signed.replace("t=1764511200", "t=1764511250"), 1764511250) == 1, "the time is signed"
    assert verified(signed, 1764511290, body.replace(b"alice", b"alicf")) == 1
    assert verified("nonsense", 1764511290) == 1


def test_secrets_are_gone_before_an_alert_is_made() -> None:
    heard: list[GatewayEvent] = []
    events = Events(lambda: 1.0)
    events.subscribe(lambda number, event: heard.append(event))
    events.note(EventName.SECURITY_DOWNGRADE, who="sip:alice:hunter2@example.com", header="password=hunter2")
    for data in (body_of(notice(heard[0])), syslog(heard[0]).encode(), syslog(heard[0], is_cef=True).encode()):
        assert b"hunter2" not in data
