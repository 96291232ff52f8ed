"""The provider's calls and message waiting are challenged, by real software: right, wrong, missing and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.calls.stage import ALICE, DOMAIN, PASSWORDS, Stage
from tests.support.calls.wire import SipMessage


def challenge(stage: Stage, password: str, algorithms: str = '["SHA-256", "MD5"]', user: str = "bob") -> None:
    """Start a gateway that challenges, and knows one user of the provider's by that password."""
    gateway = stage.start_gateway()
    gateway.stop()
    credentials = gateway.directory / "credentials.toml"
    credentials.write_text(f'{user} = "{password}"\n')
    credentials.chmod(0o600)
    keys = f'challenge = ["INVITE", "NOTIFY"]\nchallenge_algorithms = {algorithms}\ncredentials = "{credentials}"'
    gateway.configuration.write_text(gateway.configuration.read_text().replace("challenge = []", keys))
    gateway.start()


def challenges(stage: Stage, method: str) -> list[str]:
    """The first challenge of each 401 that the provider got from the gateway."""
    answers = (message for message in stage.provider.messages() if message.status == 401)
    return [message.header("www-authenticate") for message in answers if message.cseq.endswith(method)]


def answers_two(far_end: str) -> bool:
    """Whether it answers the challenges of its provider and of the gateway in one request, when their realm is one."""
    return far_end == "pjsua2"


@pytest.mark.parametrize(
    ("phone", "far_end", "algorithms"),
    [
        ("pjsua2", "pjsua2", '["SHA-256", "MD5"]'),
        ("pjsua2", "pjsua2", '["MD5"]'),
        ("pjsua2", "pjsua2", '["SHA-256"]'),
        ("linphonec", "baresip", '["MD5"]'),
        ("linphonec", "linphonec", '["SHA-256"]'),
    ],
)
def test_the_right_password_brings_a_call_through(
    make_stage: Callable[..., Stage], phone: str, far_end: str, algorithms: str
) -> None:
    stage = make_stage(asks_callers=answers_two(far_end))
    challenge(stage, PASSWORDS["bob"], algorithms)
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()
    bob.call(ALICE)
    alice.wait_ringing()
    alice.answer()
    bob.wait_answered()
    stage.talk()
    bob.hangup()
    alice.wait_ended()
    (asked,) = challenges(stage, "INVITE")
    assert ("SHA-256" in asked) == ("SHA-256" in algorithms)
    assert stage.gateway is not None
    (stage.gateway.directory / "credentials.toml").unlink()  # it may hold the password
    stage.assert_call_was_right()


@pytest.mark.parametrize(
    ("phone", "far_end", "algorithms"),
    [("pjsua2", "pjsua2", '["SHA-256", "MD5"]'), ("baresip", "baresip", '["MD5"]')],
)
def test_the_wrong_password_does_not(
    make_stage: Callable[..., Stage], phone: str, far_end: str, algorithms: str
) -> None:
    stage = make_stage(asks_callers=answers_two(far_end))
    challenge(stage, "another password", algorithms)
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()
    bob.call(ALICE)
    assert bob.wait_ended().startswith("401")
    assert len(challenges(stage, "INVITE")) >= 2
    assert not stage.gateway or stage.gateway.metric("gateway_calls_total") == 0


@pytest.mark.parametrize("phone", ["pjsua2", "linphonec"])
def test_message_waiting_needs_the_password_and_needs_it_anew(make_stage: Callable[..., Stage], phone: str) -> None:
    stage = make_stage(clear=True)
    challenge(stage, PASSWORDS["bob"], '["MD5"]')
    alice, mailbox = stage.phone(phone), stage.scripted_far_end()
    alice.register()
    mailbox.follow("challenged_notify", ALICE)
    for word in ("missing refused", "wrong refused", "right taken", "next count taken"):
        mailbox.wait_for(word)
    mailbox.wait_followed()

    answer = replay(stage, [message for message in stage.provider.messages() if message.method == "NOTIFY"][-1])
    assert answer.startswith("SIP/2.0 401")
    assert "stale=true" in answer
    asked = challenges(stage, "NOTIFY")
    assert ["stale=true" in text for text in asked] == [False, False, True]


@pytest.mark.parametrize(
    ("phone", "far_end", "algorithm"),
    [("pjsua2", "pjsua2", "MD5"), ("pjsua2", "pjsua2", "SHA-256"), ("linphonec", "linphonec", "SHA-256")],
)
def test_the_providers_challenge_is_answered_for_a_registered_phone(
    make_stage: Callable[..., Stage], phone: str, far_end: str, algorithm: str
) -> None:
    stage = make_stage(algorithm)
    challenge(stage, PASSWORDS["alice"], user="alice")
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.reach(bob)
    stage.talk()
    alice.hangup()
    bob.wait_ended()
    assert stage.gateway is not None
    (stage.gateway.directory / "credentials.toml").unlink()  # it may hold the password
    stage.assert_call_was_right()
    (summary,) = json.loads(stage.gateway.fetch("/api/calls") or "[]")
    ladder = json.loads(stage.gateway.fetch(f"/api/calls/{summary['id']}") or "{}")["ladder"]
    toward = {leg: [step["what"] for step in ladder if step["leg"] == leg] for leg in ("caller", "callee")}
    assert toward["callee"].count("INVITE") == 2
    assert not [what for what in toward["caller"] if what.startswith("4")], "the phone was asked for nothing"


def replay(stage: Stage, notify: SipMessage) -> str:
    """What somebody at the provider is told who sends the credentials of another's request again."""
    with stage.stranger() as stranger:
        stranger.settimeout(3)
        host, port = stranger.getsockname()
        lines = (
            f"NOTIFY {ALICE} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKreplay;rport",
            "Max-Forwards: 70",
            f"From: <sip:bob@{DOMAIN}>;tag=replay",
            f"To: <{ALICE}>",
            "Call-ID: replay",
            "CSeq: 9 NOTIFY",
            f"Contact: <sip:bob@{host}:{port}>",
            f"Authorization: {notify.header('authorization')}",
            "Event: message-summary",
            "Content-Length: 0",
        )
        proxy = stage.provider.terms
        stranger.sendto("\r\n".join((*lines, "", "")).encode(), (proxy.address, proxy.port))
        return stranger.recv(65536).decode()
