"""Calls from a phone to the provider, as ladders."""

from __future__ import annotations

import attrs
import pytest

from gateway.config.model import Provider, Security
from gateway.routing.answer_times import HEARD_WITHIN
from gateway.sip.message import Request
from gateway.transport.flow import Address, FailureKind, Flow
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, BINDING, PHONES, SAVP, Ladder, drain
from tests.support.stories import ring, talk

PHONE_ADDRESS = Address("192.0.2.11", 5070)
UDP_FALLBACK = "sip:provider.example.com;transport=udp"


def test_answered_call_is_encrypted_to_the_provider() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    assert onward.body == SAVP
    assert answer.body == AVP
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason, record.state) == ("ENCRYPTED_TO_PROVIDER", "", "established")
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    assert ladder.relay.deleted == [record.id]
    ladder.ends_clean()


def test_nothing_of_the_phone_but_its_user_reaches_the_provider() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("User-Agent", "Yealink SIP-T46G 28.83")
    invite.headers.add("P-Asserted-Identity", "<sip:boss@example.com>")
    invite.headers.add("X-Secret", "1")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    text = onward.to_bytes()
    assert b"192.0.2.11" not in text
    assert b"Yealink" not in text
    assert b"boss" not in text
    assert b"X-Secret" not in text
    assert onward.call_id != invite.call_id
    assert onward.from_.tag != invite.from_.tag
    assert onward.uri == invite.uri


def test_ringing_and_early_media_pass_in_order() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.relay.held = True
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.provider.answers(onward, 180)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.receives_nothing()
    ladder.relay.release()
    assert ladder.phone.receives_response(183).body == AVP
    ladder.phone.receives(180)
    ladder.relay.release()
    assert ladder.phone.receives_response(200).body == AVP


def test_cancel_while_ringing() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    cancel = ladder.phone.request("CANCEL", invite.uri)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    ladder.phone.sends(cancel)
    ladder.phone.receives(200)
    ladder.phone.receives(487)
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(onward, 487)
    ladder.provider.receives("ACK")
    record = next(ladder.calls.records())
    assert (record.state, record.status, record.verdict) == ("ended", 487, "UNANSWERED")
    cancels = [(str(step.leg), str(step.passage)) for step in record.ladder if step.what == "CANCEL"]
    assert cancels == [("caller", "received"), ("callee", "sent")]
    ladder.ends_clean()


def test_cancel_while_the_relay_is_asked() -> None:
    ladder = Ladder()
    ladder.relay.held = True
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    cancel = ladder.phone.request("CANCEL", invite.uri)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    ladder.phone.sends(cancel)
    ladder.phone.receives(200)
    ladder.phone.receives(487)
    ladder.provider.receives_nothing()
    assert len(ladder.relay.deleted) == 1
    ladder.ends_clean()


def test_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    cancel = ladder.phone.request("CANCEL", invite.uri)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    ladder.phone.sends(cancel)
    ladder.provider.receives_nothing()  # RFC 3261 9.1: no CANCEL before a provisional response
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.ends_clean()


def test_challenge_passes_to_the_phone_and_its_answer_keeps_the_identity() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    challenge = ("Proxy-Authenticate", 'Digest realm="example.com", nonce="n", algorithm=MD5, qop="auth"')
    ladder.provider.answers(onward, 407, fields=(challenge,))
    ladder.provider.receives("ACK")
    refused = ladder.phone.receives_response(407)
    assert not list(ladder.calls.records())
    assert refused.headers.get("Proxy-Authenticate") == challenge[1]
    again = ladder.phone.invite(cseq=2)
    again.headers.add("Proxy-Authorization", 'Digest username="alice", response="0"')
    ladder.phone.sends(again)
    second = ladder.provider.receives_request("INVITE")
    assert second.headers.get("Proxy-Authorization") == 'Digest username="alice", response="0"'
    assert (second.call_id, second.from_.tag) == (onward.call_id, onward.from_.tag)
    assert second.cseq.number == onward.cseq.number + 1
    assert second.uri == invite.uri


def test_488_to_savp_is_tried_once_more_as_avp_when_preferred() -> None:
    ladder = Ladder(Security.PREFERRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    second = ladder.provider.receives_request("INVITE")
    assert second.body == AVP
    ladder.provider.answers(second, 200, sdp=AVP)
    ladder.provider.receives("ACK")
    ladder.phone.receives(200)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")


def test_the_chain_tells_how_each_attempt_was_answered() -> None:
    ladder = Ladder(Security.PREFERRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 488, tag="t2")
    ladder.phone.receives(488)
    (record,) = ladder.calls.records()
    told = [(str(link.step), link.what) for link in record.chain]
    assert told == [
        ("offered", "tls, RTP/SAVP with SDES keys"),
        ("answered", "failed: 488"),
        ("offered", "tls, RTP/AVP"),
        ("answered", "failed: 488"),
        ("outcome", "the provider answered 488 Not Acceptable Here to the last offer"),
    ]


def test_a_key_in_the_answer_to_an_offer_of_rtp_encrypts_nothing() -> None:
    ladder = Ladder(Security.PREFERRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    second = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(second, 200, sdp=SAVP.replace(b"RTP/SAVP", b"RTP/AVP"))
    ladder.provider.receives("ACK")
    ladder.phone.receives(200)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")


def test_488_to_savp_refuses_the_call_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    refused = ladder.phone.receives_response(488)
    assert "REFUSED_POLICY" in (refused.headers.get("Warning") or "")
    ladder.provider.receives_nothing()
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("REFUSED", "REFUSED_POLICY")
    ladder.ends_clean()


def test_answer_without_srtp_is_hung_up_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=AVP)
    ladder.provider.receives("ACK")
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.phone.receives(488)
    ladder.ends_clean()


def test_refused_tls_port_falls_back_to_udp_when_preferred() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    ladder.provider_flow.fail(FailureKind.REFUSED)
    onward = ladder.clear.receives_request("INVITE")
    assert onward.body == AVP
    ladder.clear.answers(onward, 200, sdp=AVP)
    ladder.clear.receives("ACK")
    ladder.phone.receives(200)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("CLEAR", "CLEAR_PEER_NO_TLS")


def test_a_failed_handshake_falls_back_and_the_chain_says_why() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    ladder.provider_flow.fail(FailureKind.HANDSHAKE)
    answer_in_clear(ladder)
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("CLEAR", "CLEAR_TLS_HANDSHAKE")
    assert "it speaks TLS, but the handshake failed: made by the test" in [link.what for link in record.chain]
    ladder.calls.end_all("the first call")
    ladder.clear.receives("BYE")
    ladder.phone.receives("BYE")

    ladder.reconnect_provider()
    ladder.phone.sends(ladder.phone.invite(call_id="c2"))
    ladder.phone.receives(100)
    answer_in_clear(ladder)
    ladder.provider.receives_nothing()
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("CLEAR", "CLEAR_TLS_HANDSHAKE")
    assert "TLS is not tried: its handshake failed minutes ago" in [link.what for link in record.chain]


def answer_in_clear(ladder: Ladder) -> None:
    onward = ladder.clear.receives_request("INVITE")
    assert onward.body == AVP
    ladder.clear.answers(onward, 200, sdp=AVP)
    ladder.clear.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(answer, answer)


def test_a_failed_handshake_under_required_is_refused_with_its_cause() -> None:
    ladder = Ladder(Security.REQUIRED, UDP_FALLBACK)
    ring(ladder)
    ladder.provider_flow.fail(FailureKind.HANDSHAKE)
    ladder.clear.receives_nothing()
    warning = ladder.phone.receives_response(503).headers.get("Warning") or ""
    assert "No TLS handshake with the provider: made by the test (REFUSED_TLS_HANDSHAKE)" in warning
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("REFUSED", "REFUSED_TLS_HANDSHAKE")


def test_bad_certificate_never_falls_back() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    ring(ladder)
    ladder.provider_flow.fail(FailureKind.CERTIFICATE)
    ladder.clear.receives_nothing()
    ladder.phone.receives(503)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("REFUSED", "REFUSED_CERTIFICATE")
    ladder.ends_clean()


def test_busy_passes_back() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 486)
    ladder.provider.receives("ACK")
    ladder.phone.receives(486)
    ladder.ends_clean()


def test_provider_that_says_nothing() -> None:
    ladder = Ladder()
    ring(ladder)
    ladder.clock.pump([1.0] * 40)
    ladder.phone.receives(408)
    ladder.ends_clean()


def test_second_fork_that_answers_is_hung_up() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="one")
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="two")
    ladder.provider.receives("ACK")
    assert ladder.provider.receives_request("ACK").to.tag == "two"
    bye = ladder.provider.receives_request("BYE")
    assert bye.to.tag == "two"
    ladder.provider.answers(bye, 200)
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200))
    assert next(ladder.calls.records()).state == "established"


def test_answer_repeated_by_the_provider_is_acknowledged_again() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.receives_nothing()


def test_phone_that_never_acknowledges_ends_the_call() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.clock.pump([0.5] * 70)
    assert [message.method for message in drain(ladder.provider) if isinstance(message, Request)][:1] == ["BYE"]
    ladder.ends_clean()


def test_late_offer() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite(sdp=b"")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.body == b""
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives_nothing()
    answer = ladder.phone.receives_response(200)
    assert answer.body == AVP
    ladder.phone.acknowledges(invite, answer, sdp=AVP)
    assert ladder.provider.receives_request("ACK").body == SAVP
    record = next(ladder.calls.records())
    assert record.verdict == "ENCRYPTED_TO_PROVIDER"


def test_a_provider_that_does_not_answer_is_said_to_have_given_none() -> None:
    ladder = Ladder()
    ring(ladder)
    ladder.clock.pump([1] * 40)
    ladder.phone.receives(408)
    record = next(ladder.calls.records())
    assert (record.status, record.ending) == (408, "The provider does not answer")
    assert (record.verdict, record.reason) == ("UNANSWERED", "PROVIDER_SILENT")
    assert [link.what for link in record.chain][-2:] == ["failed: no answer (408)", record.cause]


def test_relay_that_refuses_ends_the_call() -> None:
    ladder = Ladder()
    ladder.relay.refuses = True
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    ladder.phone.receives(488)
    ladder.provider.receives_nothing()
    ladder.ends_clean()


def test_unknown_extension_is_refused_by_name() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Require", "teleport")
    ladder.phone.sends(invite)
    assert ladder.phone.receives_response(420).headers.get("Unsupported") == "teleport"


def test_caller_whose_connection_is_gone_before_the_answer() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone_flow.fail(FailureKind.CLOSED)
    cancel = ladder.provider.receives_request("CANCEL")
    ladder.provider.answers(cancel, 200)
    ladder.provider.answers(onward, 487)
    ladder.provider.receives("ACK")
    ladder.ends_clean()


def test_ringing_without_end_is_cancelled() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    ladder.clock.pump([10.0] * 17)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    ladder.clock.pump([10.0] * 17)
    ladder.provider.receives_nothing()
    ladder.clock.pump([10.0] * 2)
    ladder.provider.receives("CANCEL")
    ladder.phone.receives(408)
    ladder.provider.answers(onward, 487)
    ladder.ends_clean()


def test_copy_and_late_fork_of_the_answer_after_the_end_of_the_call() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    assert ladder.provider.receives_request("ACK").to.tag == "t1"
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="late")
    assert ladder.provider.receives_request("ACK").to.tag == "late"
    bye = ladder.provider.receives_request("BYE")
    assert bye.to.tag == "late"
    ladder.provider.answers(bye, 200)
    ladder.ends_clean()


def test_phone_that_was_given_the_gateways_address_as_its_domain() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("sip:bob@192.0.2.1:5060")
    invite.headers.set("From", '"Alice" <sip:alice@192.0.2.1>;tag=f1')
    invite.headers.set("To", "<sip:bob@192.0.2.1:5060>")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.uri == "sip:bob@example.com"
    assert str(onward.to) == "<sip:bob@example.com>"
    assert str(onward.from_.uri) == "sip:alice@example.com"
    assert b"192.0.2" not in onward.to_bytes()


def rings_over_a_connection_that_is_up(ladder: Ladder) -> tuple[RecordingFlow, Request]:
    """The connection, replaced already by a new one, and the INVITE that went over it."""
    connection = ladder.provider_flow
    connection.connected = True
    _, onward = ring(ladder)
    ladder.reconnect_provider()
    return connection, onward


def test_dead_connection_is_replaced_once_before_anything_else_is_tried() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    dead, lost = rings_over_a_connection_that_is_up(ladder)
    dead.fail(FailureKind.CLOSED)
    ladder.clear.receives_nothing()
    onward = ladder.provider.receives_request("INVITE")
    assert onward.cseq.number > lost.cseq.number
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.receives(200)
    record = next(ladder.calls.records())
    assert record.verdict == "ENCRYPTED_TO_PROVIDER"
    assert [asked for asked in ladder.relay.asked if asked[0] == "offer"] == [("offer", "caller", None)]


def test_second_dead_connection_ends_the_call() -> None:
    ladder = Ladder(Security.REQUIRED)
    dead, _ = rings_over_a_connection_that_is_up(ladder)
    ladder.provider_flow.connected = True
    dead.fail(FailureKind.CLOSED)
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.phone.receives(503)
    ladder.ends_clean()


@pytest.mark.parametrize("kind", [FailureKind.CERTIFICATE, FailureKind.REFUSED])
def test_connection_that_fails_otherwise_is_not_replaced(kind: FailureKind) -> None:
    ladder = Ladder(Security.REQUIRED)
    dead, _ = rings_over_a_connection_that_is_up(ladder)
    dead.fail(kind)
    ladder.provider.receives_nothing()
    ladder.phone.receives(503)
    ladder.ends_clean()


def test_connection_that_dies_after_a_response_or_while_new_is_not_replaced() -> None:
    for was_up in (True, False):
        ladder = Ladder(Security.REQUIRED)
        connection = ladder.provider_flow
        connection.connected = was_up
        _, onward = ring(ladder)
        if was_up:
            ladder.provider.answers(onward, 100)
        ladder.reconnect_provider()
        connection.fail(FailureKind.CLOSED)
        ladder.provider.receives_nothing()
        ladder.phone.receives(503)
        ladder.ends_clean()


def test_emergency_call_of_an_unknown_domain_completes() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("sip:112@elsewhere.example")
    invite.headers.set("From", "<sip:guest@elsewhere.example>;tag=f1")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")


def rings_in_vain(servers: int) -> tuple[Ladder, list[Flow], Request]:
    """A call over UDP of which the provider's first server shows nothing: whom that was told of, and its INVITE."""
    ladder = Ladder(Security.OFF, provider=Provider("main", UDP_FALLBACK))
    ladder.servers = servers
    unheard: list[Flow] = []
    ladder.trunk.unheard = lambda flow, seconds=0: unheard.append(flow)  # type: ignore[method-assign]
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    return ladder, unheard, ladder.clear.receives_request("INVITE")


def test_silent_server_is_given_up_for_the_next_one() -> None:
    ladder, unheard, lost = rings_in_vain(2)
    ladder.clock.advance(HEARD_WITHIN)
    assert unheard == [ladder.clear_flow]
    onward = [message for message in drain(ladder.clear) if isinstance(message, Request)][-1]
    assert onward.cseq.number > lost.cseq.number
    ladder.clear.answers(onward, 200, sdp=AVP, tag="t2")
    ladder.clear.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.clear.answers(lost, 200, sdp=AVP)
    ladder.clear.receives("ACK")
    ladder.clear.answers(ladder.clear.receives_request("BYE"), 200)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.clear.answers(ladder.clear.receives_request("BYE"), 200, tag="t2")
    ladder.ends_clean()


def test_server_that_was_heard_of_or_is_the_last_one_has_all_its_time() -> None:
    for servers in (1, 2):
        ladder, unheard, lost = rings_in_vain(servers)
        if servers > 1:
            ladder.clear.answers(lost, 100)
        ladder.clock.advance(HEARD_WITHIN)
        assert not unheard
        assert {message.cseq for message in drain(ladder.clear)} <= {lost.cseq}
        ladder.clear.answers(lost, 486)
        ladder.clear.receives("ACK")
        ladder.phone.receives(486)
        ladder.ends_clean()


def test_server_that_is_silent_over_a_connection_costs_four_seconds_and_not_thirty_two() -> None:
    ladder = Ladder()
    ladder.provider_flow.connected = True
    unheard: list[Flow] = []
    ladder.trunk.unheard = lambda flow, seconds=0: unheard.append(flow)  # type: ignore[method-assign]
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    lost = ladder.provider.receives_request("INVITE")
    ladder.clock.advance(HEARD_WITHIN)
    assert unheard == [ladder.provider_flow]
    ladder.phone.receives(408)
    ladder.provider.answers(lost, 200, sdp=SAVP)  # it was only slow: nobody may stay on the line
    ladder.provider.receives("ACK")
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.ends_clean()


@pytest.mark.parametrize("security", [Security.OFF, Security.PREFERRED])
def test_answer_that_comes_when_its_invite_is_long_forgotten_is_acknowledged_and_hung_up(security: Security) -> None:
    """RFC 3261 section 13.2.2.4: the host was silent for more than 64*T1, and is back."""
    is_off = security is Security.OFF
    ladder = Ladder(security, provider=Provider("main", UDP_FALLBACK) if is_off else None)
    party = ladder.clear if is_off else ladder.provider
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    lost = party.receives_request("INVITE")
    ladder.clock.pump([1.0] * 40)
    ladder.phone.receives(408)
    assert {one.method for one in drain(party) if isinstance(one, Request)} <= {"INVITE"}
    party.answers(lost, 200, sdp=AVP)
    assert party.receives_request("ACK").cseq.number == lost.cseq.number
    bye = party.receives_request("BYE")
    party.answers(lost, 200, sdp=AVP)  # sent before the ACK came
    party.receives("ACK")
    party.receives_nothing()
    party.answers(bye, 200)
    party.answers(lost, 200, sdp=AVP, tag="t2")  # another fork
    party.receives("ACK")
    party.answers(party.receives_request("BYE"), 200)
    ladder.clock.pump([60.0] * 12)
    party.answers(lost, 200, sdp=AVP)
    party.receives_nothing()


def test_server_that_is_heard_over_a_connection_has_all_its_time() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    invite = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(invite, 100)
    ladder.clock.advance(10 * HEARD_WITHIN)
    ladder.provider.answers(invite, 486)
    ladder.provider.receives("ACK")
    ladder.phone.receives(486)
    ladder.ends_clean()


def test_phone_that_is_silent_over_a_connection_has_all_its_time() -> None:
    ladder = Ladder()
    ladder.phone_flow = ladder.phone.flow = RecordingFlow(attrs.evolve(PHONES, transport="tls"), PHONE_ADDRESS)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com;transport=tls", SAVP))
    ladder.provider.receives(100)
    invite = ladder.phone.receives_request("INVITE")
    ladder.clock.advance(2 * HEARD_WITHIN)
    ladder.phone.answers(invite, 486)
    ladder.phone.receives("ACK")
    ladder.provider.receives(486)
    ladder.ends_clean()


def test_caller_that_gives_up_leaves_no_wait_for_a_silent_server() -> None:
    ladder, unheard, lost = rings_in_vain(2)
    ladder.calls.end_all("made by the test")
    ladder.clock.advance(HEARD_WITHIN)
    assert not unheard
    assert {message.cseq for message in drain(ladder.clear)} <= {lost.cseq}
    ladder.ends_clean()


def test_phone_calls_only_in_its_own_name_where_the_domain_says_so() -> None:
    ladder = Ladder(registered_callers_only=True)
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    stranger = ladder.stranger()
    stranger.sends(stranger.invite(call_id="c2"))
    stranger.receives(403)
    other = ladder.phone.invite(call_id="c3")
    other.headers.set("From", "<sip:boss@example.com>;tag=f3")
    ladder.phone.sends(other)
    ladder.phone.receives(403)
    ladder.provider.receives_nothing()
    stranger.sends(stranger.invite("sip:112@example.com", call_id="c4"))
    stranger.receives(100)
    ladder.provider.receives("INVITE")


def test_provider_that_gave_a_service_route_gets_it() -> None:
    ladder = Ladder()
    routes = ["<sip:orig@scscf.example.com;lr>", "<sip:edge.example.com;lr>"]
    ladder.store.save(attrs.evolve(BINDING, service_route=", ".join(routes)))
    _, onward = ring(ladder)
    assert onward.headers.values("Route") == routes
    assert onward.uri == "sip:bob@example.com"


HIDDEN = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=f1'


def test_rfc3323_registered_phone_that_hides_its_name_is_known_by_its_flow() -> None:
    ladder = Ladder(registered_callers_only=True)
    ladder.store.save(attrs.evolve(BINDING, service_route="<sip:edge.example.com;lr>"))
    invite = ladder.phone.invite()
    invite.headers.set("From", HIDDEN)
    invite.headers.add("Privacy", "id")
    invite.headers.add("P-Preferred-Identity", "<sip:alice@example.com>")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert str(onward.from_.without_tag()) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert onward.headers.get("P-Preferred-Identity") == "<sip:alice@example.com>"
    assert onward.headers.get("Route") == "<sip:edge.example.com;lr>"
    stranger = ladder.stranger()
    hidden = stranger.invite(call_id="c2")
    hidden.headers.set("From", HIDDEN)
    hidden.headers.add("P-Preferred-Identity", "<sip:alice@example.com>")
    stranger.sends(hidden)
    stranger.receives(403)
    ladder.provider.receives_nothing()


@pytest.mark.parametrize("name", ["sip:boss@anonymous.invalid", "sip:boss@x.INVALID", "sips:boss@invalid.invalid"])
def test_rfc3323_a_hidden_name_is_no_name_of_anybody(name: str) -> None:
    ladder = Ladder(registered_callers_only=True)
    invite = ladder.phone.invite()
    invite.headers.set("From", f"<{name}>;tag=f1")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    assert str(onward.from_.uri) == "sip:anonymous@anonymous.invalid"


def test_connection_that_does_not_come_up_is_waited_for_and_falls_back() -> None:
    ladder = Ladder(Security.PREFERRED, fallback="sip:198.51.100.21;transport=udp")
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    ladder.provider.receives_request("INVITE")
    ladder.clock.pump([1.0] * 9)
    ladder.phone.receives_nothing()
    ladder.provider_flow.fail(FailureKind.SILENT)
    ladder.clear.answers(ladder.clear.receives_request("INVITE"), 486)
    ladder.clear.receives("ACK")
    ladder.phone.receives(486)
    ladder.ends_clean()
