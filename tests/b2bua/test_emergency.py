"""Emergency calls take the other way to the provider where the first one fails, and no other call does."""

from __future__ import annotations

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request
from gateway.transport.flow import FailureKind
from tests.support.ladder import AVP, SAVP, Ladder, Party

UDP_FALLBACK = "sip:provider.example.com;transport=udp"
SOS = "sip:112@example.com"


def dial(ladder: Ladder, uri: str = SOS) -> None:
    ladder.phone.sends(ladder.phone.invite(uri))
    ladder.phone.receives(100)


def refused_by(party: Party, status: int) -> None:
    party.answers(party.receives_request("INVITE"), status)
    party.receives("ACK")


def answered_by(ladder: Ladder, party: Party, sdp: bytes) -> Request:
    onward = party.receives_request("INVITE")
    party.answers(onward, 200, sdp=sdp)
    party.receives("ACK")
    ladder.phone.receives(200)
    return onward


@pytest.mark.parametrize("status", [488, 500, 503])
def test_a_provider_that_refuses_the_call_in_clear_gets_it_over_tls(status: int) -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder)
    refused_by(ladder.clear, status)
    assert answered_by(ladder, ladder.provider, SAVP).body == SAVP
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("ENCRYPTED_TO_PROVIDER", "")


def test_a_provider_that_refuses_rtp_in_clear_and_srtp_over_tls_gets_rtp_over_tls() -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder)
    refused_by(ladder.clear, 488)
    refused_by(ladder.provider, 488)
    assert answered_by(ladder, ladder.provider, AVP).body == AVP
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")


def test_a_provider_that_makes_srtp_of_an_answer_to_rtp_is_asked_over_tls() -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder)
    onward = ladder.clear.receives_request("INVITE")
    ladder.clear.answers(onward, 200, sdp=SAVP)
    ladder.clear.receives("ACK")
    ladder.clear.receives("BYE")
    answered_by(ladder, ladder.provider, SAVP)
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("ENCRYPTED_TO_PROVIDER", "")


def test_tls_is_tried_last_and_no_more_than_once() -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder)
    refused_by(ladder.clear, 488)
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.receives_nothing()
    ladder.phone.receives(503)


def test_while_tls_counts_as_lacking_it_is_tried_after_a_refusal_in_clear() -> None:
    ladder = Ladder(Security.PREFERRED, UDP_FALLBACK)
    dial(ladder, "sip:bob@example.com")
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    refused_by(ladder.clear, 486)
    ladder.phone.receives(486)
    ladder.reconnect_provider()
    ladder.phone.sends(ladder.phone.invite(SOS, call_id="c2"))
    ladder.phone.receives(100)
    refused_by(ladder.clear, 488)
    answered_by(ladder, ladder.provider, SAVP)
    record = next(record for record in ladder.calls.records() if "112" in record.callee or record.status == 200)
    assert (record.verdict, record.reason) == ("ENCRYPTED_TO_PROVIDER", "")


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_a_server_that_fails_the_call_over_tls_gets_it_in_clear(security: Security) -> None:
    ladder = Ladder(security, UDP_FALLBACK)
    dial(ladder)
    refused_by(ladder.provider, 503)
    answered_by(ladder, ladder.clear, AVP)
    (record,) = ladder.calls.records()
    assert (record.verdict, record.reason) == ("CLEAR", "CLEAR_EMERGENCY")


@pytest.mark.parametrize("status", [486, 404, 603])
def test_what_is_said_of_the_callee_is_the_end(status: int) -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder)
    refused_by(ladder.clear, status)
    ladder.phone.receives(status)
    ladder.provider.receives_nothing()


def test_other_calls_take_no_other_way() -> None:
    ladder = Ladder(Security.OFF, UDP_FALLBACK)
    dial(ladder, "sip:bob@example.com")
    refused_by(ladder.clear, 488)
    ladder.phone.receives(488)
    ladder.provider.receives_nothing()


def test_urn_of_emergency_services_completes_though_tls_is_required_and_lacking() -> None:
    ladder = Ladder(Security.REQUIRED, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.invite("urn:service:sos"))
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    onward = ladder.clear.receives_request("INVITE")
    assert onward.uri == "urn:service:sos"
    assert b"a=crypto" not in onward.body


def test_sips_uri_of_an_emergency_number_completes_in_clear() -> None:
    ladder = Ladder(Security.REQUIRED, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.invite("sips:911@example.com"))
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.receives("INVITE")
