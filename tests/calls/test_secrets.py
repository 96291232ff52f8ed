"""Real calls at debug level: no key, password, nonce or digest response in anything the gateway wrote or tells."""

from __future__ import annotations

import json
import re

from tests.support.calls.stage import ALICE, BOB, Stage

DIGEST = re.compile(r'\b(?:nonce|cnonce|response|nextnonce)="([^"]{8,})"')


def test_nothing_that_is_written_or_told_holds_a_secret(stage: Stage) -> None:
    gateway = stage.start_gateway(log_level="debug")
    alice, bob = stage.phone("linphonec"), stage.far_end("baresip")
    alice.register()
    bob.register()
    for caller, callee, called in ((alice, bob, BOB), (bob, alice, ALICE)):
        caller.call(called)
        callee.wait_ringing()
        callee.answer()
        caller.wait_answered()
        stage.talk(0.5)
        caller.hangup()
        callee.wait_ended()
        gateway.wait_idle()

    fields = ("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate")
    headers = [message.header(name) for message in stage.provider.messages() for name in fields]
    digests = {found.encode() for header in headers for found in DIGEST.findall(header)}
    assert len(digests) >= 4, "the provider challenged, and was answered"
    secrets = stage.secrets() | digests

    ids = [call["id"] for call in json.loads(gateway.fetch("/api/calls") or "[]")]
    assert len(ids) == 2
    paths = ["/", "/metrics", "/api/calls", "/api/cdr", "/api/phones", "/api/domains", f"/api/domains/{'voip.test'}"]
    paths += ["/api/peers", *(f"/{where}/{call_id}" for where in ("calls", "api/calls") for call_id in ids)]
    paths += [
        f"/api/v1/{name}" for name in ("calls", "statistics", "registrations", "phones", "audit", f"calls/{ids[0]}")
    ]
    for path in paths:
        page = gateway.fetch(path)
        assert page, path
        assert not [secret for secret in secrets if secret in page.encode()], path
    gateway.stop()
    for file in (gateway.directory / "state").glob("*.*"):
        if file.is_file() and not file.name.startswith("users."):
            kept = file.read_bytes()
            assert not [secret for secret in secrets if secret in kept], file
    assert (gateway.directory / "state" / "cdr.jsonl").read_text().count("ENCRYPTED_TO_PROVIDER") == 2
    assert "debug" in gateway.program.text()
    gateway.assert_log_is_clean(secrets)
    gateway.start()
    assert ids[0] in (gateway.fetch("/api/calls") or ""), "calls are known after a restart"
    (peer,) = json.loads(gateway.fetch("/api/peers") or "[]")
    assert peer["did_tls_at"], "what the provider did is remembered"
    assert peer["did_srtp_at"]
    assert "ladder" in json.loads(gateway.fetch(f"/api/calls/{ids[0]}") or "{}")
