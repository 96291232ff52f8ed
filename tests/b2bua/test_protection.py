"""Protection is held for the whole of a call: media and signalling that must be encrypted never go on in clear."""

from __future__ import annotations

import pytest

from gateway.config.model import Downgrade, Security
from gateway.transport.flow import FailureKind
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import came, ring, talk

NO_AUDIO = AVP.replace(b"audio 4000", b"audio 0")
NO_SECURE_AUDIO = SAVP.replace(b"audio 6000", b"audio 0")
FAX = SAVP.partition(b"m=")[0] + b"m=image 6000 udptl t38\r\n"


@pytest.mark.parametrize("downgrade", list(Downgrade))
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_media_that_are_switched_off_for_a_while_are_no_downgrade(security: Security, downgrade: Downgrade) -> None:
    ladder = Ladder(security, downgrade=downgrade)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=NO_AUDIO))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=NO_SECURE_AUDIO)
    record = next(ladder.calls.records())
    assert (record.state, record.verdict, record.reason) == ("established", "ENCRYPTED_TO_PROVIDER", "")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_srtp_dropped_by_the_provider_is_refused_before_the_relay_hears_of_it(method: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    onward, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.provider.sends(ladder.provider.within_answered(onward, method, sdp=AVP))
    assert came(ladder.provider)[-1] == f"488 {method}"
    assert came(ladder.phone) == []
    assert len(ladder.relay.asked) == asked
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "ENCRYPTED_TO_PROVIDER")
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_fax_of_the_phone_is_refused_where_all_must_be_encrypted_and_the_call_goes_on(method: str) -> None:
    ladder = Ladder(Security.REQUIRED)
    _, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=FAX))
    assert came(ladder.phone)[-1] == f"488 {method}"
    assert came(ladder.provider) == []
    assert len(ladder.relay.asked) == asked
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER"


@pytest.mark.parametrize("security", [Security.PREFERRED, Security.OFF])
def test_fax_goes_on_in_clear_where_it_may(security: Security) -> None:
    ladder = Ladder(security)
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=onward.body)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=FAX))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=FAX)
    assert came(ladder.phone) == ["100 INVITE", "200 INVITE"]
    record = next(ladder.calls.records())
    assert (record.state, record.verdict) == ("established", "SIGNALLING_ONLY")


def test_fax_in_clear_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=FAX)
    assert came(ladder.phone) == ["100 INVITE", "487 INVITE", "BYE"]
    assert next(ladder.calls.records()).verdict == "REFUSED"


def test_early_media_in_clear_are_not_heard_of_where_all_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=AVP)
    assert ladder.phone.receives_response(183).body == b""
    ladder.provider.answers(onward, 200, sdp=AVP)
    assert came(ladder.provider) == ["ACK", "BYE"]
    ladder.phone.receives(488)
    assert [what for what, _, _ in ladder.relay.asked] == ["offer"]


def test_late_offer_that_is_answered_in_clear_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=b"")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(invite, answer, sdp=AVP)
    assert (came(ladder.provider), came(ladder.phone)) == (["BYE"], ["ACK", "BYE"])
    assert next(ladder.calls.records()).verdict == "REFUSED"


def test_fork_that_answers_nothing_is_not_called_encrypted_for_what_another_said() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, tag="t1")
    ladder.provider.answers(onward, 200, tag="t2")
    assert next(ladder.calls.records()).verdict == "SIGNALLING_ONLY"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "BYE", "PRACK", "NOTIFY", "REFER", "OPTIONS"])
def test_dialog_on_tls_is_not_continued_in_clear(method: str) -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.clear.sends(ladder.clear.within_answered(onward, method, sdp=SAVP))
    ladder.clear.receives(403)
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_sips_uri_never_leaves_in_clear(method: str) -> None:
    ladder = Ladder(Security.PREFERRED, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.request(method, "sips:bob@example.com"))
    ladder.provider.receives(method)
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.receives_nothing()
    assert came(ladder.phone)[-1] == f"503 {method}"


def test_sips_uri_leaves_over_tls_where_protection_is_off() -> None:
    ladder = Ladder(Security.OFF, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.invite("sips:bob@example.com"))
    assert ladder.provider.receives_request("INVITE").uri == "sips:bob@example.com"
    ladder.clear.receives_nothing()
