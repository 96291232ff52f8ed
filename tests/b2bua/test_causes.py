"""A call that comes to nothing has a code and a cause, in its record, its metric, and the response to its caller."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.defer import Deferred, fail

from gateway.config.model import Provider, Security
from gateway.media.relay import RelayExhausted, RelayFailure, RelayRefusal
from gateway.routing.locate import NotFound
from gateway.security.policy.peer_memory import Peer, Sightings
from gateway.sip.uri import Uri
from gateway.state.call_record import CallRecord
from gateway.transport.flow import FailureKind, Target, Transport
from tests.support.ladder import SAVP, Ladder
from tests.support.stories import ring

UDP_FALLBACK = "sip:provider.example.com;transport=udp"
CHALLENGE = (("WWW-Authenticate", 'Digest realm="example.com", nonce="n1"'),)


def record_of(ladder: Ladder) -> CallRecord:
    (record,) = ladder.calls.records()
    return record


def told(record: CallRecord) -> tuple[str, str, int | None]:
    return record.verdict, record.reason, record.status


def counted(ladder: Ladder, reason: str, verdict: str = "UNANSWERED", direction: str = "outbound") -> float | None:
    labels = {"domain": "example.com", "direction": direction, "verdict": verdict, "reason": reason}
    return ladder.metrics.value("gateway_calls_total", labels)


def sightings(ladder: Ladder) -> Sightings:
    return dict(ladder.memory.all()).get(Peer.of(ladder.configuration.providers[0]), Sightings())


def fails(ladder: Ladder, kind: FailureKind, cause: str, found: str = "") -> None:
    ladder.provider_flow.fail(kind, cause, found)


@pytest.mark.parametrize(
    ("kind", "reason", "cause"),
    [
        (FailureKind.REFUSED, "PROVIDER_UNREACHABLE", "198.51.100.21:5061 refuses connections"),
        (FailureKind.TIMEOUT, "PROVIDER_UNREACHABLE", "198.51.100.21:5061 does not answer"),
        (FailureKind.CLOSED, "PROVIDER_UNREACHABLE", "closed by the peer"),
        (FailureKind.SILENT, "PROVIDER_SILENT", "it is connected, and does not answer in TLS"),
    ],
)
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_a_provider_that_is_down_is_no_act_of_the_policy_and_lacks_nothing(
    security: Security, kind: FailureKind, reason: str, cause: str
) -> None:
    ladder = Ladder(security)
    ring(ladder)
    fails(ladder, kind, cause)
    refused = ladder.phone.receives_response(503)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", reason, 503)
    assert record.cause == cause
    assert f"({reason})" in (refused.headers.get("Reason") or "")
    assert "198.51.100.21" not in refused.to_bytes().decode(), "addresses are not the phone's to read"
    assert [link.code for link in record.chain if link.code] == [reason]
    assert counted(ladder, reason) == 1
    assert sightings(ladder) == Sightings()


def test_a_provider_that_is_down_on_both_ways_lacks_nothing() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    fails(ladder, FailureKind.REFUSED, "198.51.100.21:5061 refuses connections")
    ladder.clear.receives("INVITE")
    ladder.clear_flow.fail(FailureKind.TIMEOUT, "198.51.100.21:5060 does not answer")
    ladder.phone.receives(503)
    assert told(record_of(ladder)) == ("UNANSWERED", "PROVIDER_UNREACHABLE", 503)
    assert sightings(ladder) == Sightings()


@pytest.mark.parametrize("status", [180, 486])
def test_one_that_answers_in_clear_lacks_tls_once_it_is_heard(status: int) -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    fails(ladder, FailureKind.REFUSED, "198.51.100.21:5061 refuses connections")
    onward = ladder.clear.receives_request("INVITE")
    assert sightings(ladder) == Sightings()
    ladder.clear.answers(onward, status)
    assert sightings(ladder).lacked_tls_at is not None


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_a_name_that_dns_does_not_know(security: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    def locate(uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        return fail(NotFound(f"{uri.host} has no address"))

    ladder = Ladder(security)
    monkeypatch.setattr(ladder, "locate", locate)
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    ladder.phone.receives(503)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PROVIDER_NOT_FOUND", 503)
    assert record.cause == "provider.example.com has no address"
    assert counted(ladder, "PROVIDER_NOT_FOUND") == 1
    assert sightings(ladder) == Sightings()


def test_the_cause_of_a_refused_certificate_is_kept_with_its_names() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    fails(
        ladder,
        FailureKind.CERTIFICATE,
        "certificate is not for provider.example.com",
        "it is for sip.elsewhere.test\x1b[2J",
    )
    refused = ladder.phone.receives_response(503)
    record = record_of(ladder)
    assert told(record) == ("REFUSED", "REFUSED_CERTIFICATE", 503)
    said = r"certificate is not for provider.example.com; it is for sip.elsewhere.test\x1b[2J"
    assert record.cause == said
    assert f"failed: {said} (certificate)" in [link.what for link in record.chain]
    assert "elsewhere" not in refused.to_bytes().decode()


@pytest.mark.parametrize("hears_trying", [False, True])
def test_a_provider_that_hangs(hears_trying: bool) -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    if hears_trying:
        ladder.provider.answers(onward, 100)
    ladder.clock.pump([1.0] * 200)
    ladder.phone.receives(408)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PROVIDER_SILENT", 408)
    assert "198.51.100.21:5061" in record.cause


def test_a_callee_that_rings_for_ever_is_not_the_providers_silence() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.clock.pump([1.0] * 200)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "", 408)
    assert record.result == "callee"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "PROVIDER_FORBIDS"), (500, "PROVIDER_ERROR"), (503, "PROVIDER_ERROR"), (486, ""), (404, ""), (603, "")],
)
def test_an_answer_of_the_provider_that_speaks_of_a_fault(status: int, reason: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, status)
    passed = ladder.phone.receives_response(status)
    assert "Warning" not in passed.headers, "the answer passes as it is"
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", reason, status)
    assert record.cause == (f"the provider answered {status} {passed.reason}" if reason else "")


def test_srtp_that_is_refused_where_it_is_required_keeps_the_answer_as_its_cause() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.phone.receives(488)
    record = record_of(ladder)
    assert told(record) == ("REFUSED", "REFUSED_POLICY", 488)
    assert record.cause == "the provider answered 488 Not Acceptable Here to an offer of SRTP"


def test_a_provider_that_takes_neither_srtp_nor_rtp() -> None:
    ladder = Ladder(Security.PREFERRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488)
    ladder.phone.receives(488)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PROVIDER_REFUSED_MEDIA", 488)
    assert record.cause == "the provider answered 488 Not Acceptable Here to the last offer"


def test_a_first_challenge_is_a_step_and_leaves_no_record_and_the_second_is_a_wrong_password() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 401, fields=CHALLENGE)
    ladder.provider.receives("ACK")
    ladder.phone.receives(401)
    assert [*ladder.calls.records()] == []
    again = ladder.phone.invite(cseq=2)
    again.headers.add("Authorization", 'Digest username="alice", realm="example.com", nonce="n1", response="0"')
    ladder.phone.sends(again)
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 401, fields=CHALLENGE)
    ladder.phone.receives(401)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PROVIDER_REFUSED_CREDENTIALS", 401)
    assert record.cause.endswith("to user name and password of the phone")
    assert record.result == "failed"
    assert counted(ladder, "PROVIDER_REFUSED_CREDENTIALS") == 1


def test_a_nonce_that_is_stale_is_a_step_as_well() -> None:
    ladder = Ladder(Security.REQUIRED)
    invite = ladder.phone.invite()
    invite.headers.add("Authorization", 'Digest username="alice", realm="example.com", nonce="old", response="0"')
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    stale = (("WWW-Authenticate", 'Digest realm="example.com", nonce="n2", stale=true'),)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 401, fields=stale)
    ladder.phone.receives(401)
    assert [*ladder.calls.records()] == []


@pytest.mark.parametrize(
    ("failure", "reason", "status"),
    [
        (RelayExhausted("offer: Ran out of ports"), "NO_PORTS", 503),
        (RelayFailure("no media relay answers"), "NO_MEDIA_RELAY", 503),
        (RelayRefusal("offer: No m-line of the offer can be relayed"), "MEDIA_UNUSABLE", 488),
    ],
)
def test_a_refusal_of_media_is_in_chain_reason_field_and_metric(
    failure: RelayFailure, reason: str, status: int
) -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.relay.refuses, ladder.relay.failure = True, failure
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    refused = ladder.phone.receives_response(status)
    assert refused.headers.get("Reason") == f'SIP;cause={status};text="{_text(reason)} ({reason})"'
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", reason, status)
    assert record.cause == f"media relay: {failure}"
    assert [(link.what, link.code) for link in record.chain][-1] == (record.cause, reason)
    assert counted(ladder, reason) == 1


def _text(reason: str) -> str:
    return {
        "NO_PORTS": "No media port is free",
        "NO_MEDIA_RELAY": "No media relay answers",
        "MEDIA_UNUSABLE": "These media cannot be relayed",
    }[reason]


def test_a_change_that_finds_no_port_is_refused_with_the_reason_and_the_call_goes_on() -> None:
    ladder = Ladder(Security.REQUIRED)
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.relay.refuses, ladder.relay.failure = True, RelayExhausted("offer: Ran out of ports")
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=invite.body + b"m=video 4002 RTP/AVP 31\r\n"))
    ladder.phone.receives(100)
    assert "(NO_PORTS)" in (ladder.phone.receives_response(503).headers.get("Reason") or "")
    assert len(ladder.calls.active) == 1


def test_a_phone_that_is_registered_and_gone() -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")
    ladder.phone_flow.fail(FailureKind.TIMEOUT, "192.0.2.11:5070 does not answer")
    ladder.provider.receives(480)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PHONE_UNREACHABLE", 480)
    assert record.cause == "the way to it has ended (timeout)"
    assert "192.0.2.11" not in str([link.what for link in record.chain]), "a phone's address is nobody's to read"
    assert counted(ladder, "PHONE_UNREACHABLE", direction="inbound") == 1


def test_a_phone_that_is_registered_and_silent() -> None:
    ladder = Ladder(Security.REQUIRED)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")
    ladder.clock.pump([1.0] * 40)
    record = record_of(ladder)
    assert told(record) == ("UNANSWERED", "PHONE_UNREACHABLE", 408)
    assert record.cause == "it does not answer the INVITE"


def test_a_uri_without_tls_where_tls_is_required() -> None:
    ladder = Ladder(Security.REQUIRED, provider=Provider("main", UDP_FALLBACK))
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    ladder.phone.receives(503)
    record = record_of(ladder)
    assert told(record) == ("REFUSED", "REFUSED_POLICY", 503)
    assert "uri names a transport without TLS" in record.cause


def test_a_call_that_was_answered_keeps_the_reason_of_its_verdict() -> None:
    ladder = Ladder(Security.PREFERRED)
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200))
    (call,) = ladder.calls.active
    call.lost("the media relay was lost")
    assert (record_of(ladder).verdict, record_of(ladder).reason) == ("ENCRYPTED_TO_PROVIDER", "")
    assert attrs.asdict(sightings(ladder))["lacked_tls_at"] is None
