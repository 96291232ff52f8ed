"""What a stranger's eye found in calls, each as the user would meet it."""

from __future__ import annotations

import pytest

from gateway.config.model import Downgrade, Security
from gateway.sip.message import Request, Response
from gateway.transport.flow import Address, FailureKind
from tests.support.ladder import AVP, PHONES, SAVP, Ladder, Party, TestFlow, drain

NO_AUDIO = AVP.replace(b"audio 4000", b"audio 0")
NO_SECURE_AUDIO = SAVP.replace(b"audio 6000", b"audio 0")
FAX = SAVP.partition(b"m=")[0] + b"m=image 6000 udptl t38\r\n"


def ring(ladder: Ladder, sdp: bytes = AVP) -> tuple[Request, Request]:
    """INVITE through the gateway: (the phone's, the provider's)."""
    invite = ladder.phone.invite(sdp=sdp)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return invite, ladder.provider.receives_request("INVITE")


def talk(ladder: Ladder) -> tuple[Request, Response]:
    """A call that is up: (INVITE as the provider got it, 200 as the phone got it)."""
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def came(party: Party) -> list[str]:
    """What was sent to a party: methods, and statuses with the method that they answer."""
    return [
        message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
        for message in drain(party)
    ]


def nothing_is_left(ladder: Ladder) -> None:
    """No call, no dialog, no timer, and no transaction of either side."""
    ladder.ends_clean()
    assert ladder.transactions.counts_alive() == 0


def test_bye_before_the_answer_ends_the_invite_too() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ringing = ladder.phone.receives_response(180)
    ladder.phone.sends(ladder.phone.within(ringing, "BYE"))
    assert came(ladder.phone) == ["200 BYE", "487 INVITE"]
    ladder.phone.acknowledges(invite, ringing)
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(onward, 487)
    nothing_is_left(ladder)


def test_requests_that_are_under_way_when_the_call_ends_are_answered() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=3))
    ladder.phone.receives(100)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["487 INFO", "487 INVITE", "BYE"]
    nothing_is_left(ladder)


def test_callee_that_hangs_up_while_its_answer_waits_for_a_prack() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Require", "100rel")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 180)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["100 INVITE", "180 INVITE", "487 INVITE"]
    nothing_is_left(ladder)


@pytest.mark.parametrize("downgrade", list(Downgrade))
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_media_that_are_switched_off_for_a_while_are_no_downgrade(security: Security, downgrade: Downgrade) -> None:
    ladder = Ladder(security, downgrade=downgrade)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=NO_AUDIO))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=NO_SECURE_AUDIO)
    record = next(ladder.calls.records())
    assert (record.state, record.verdict, record.reason) == ("established", "ENCRYPTED_TO_PROVIDER", "")


def test_srtp_dropped_by_the_providers_reinvite_is_never_answered_with_200_when_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    onward, _ = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=AVP))
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    assert came(ladder.provider) == ["100 INVITE", "487 INVITE", "BYE"]
    assert next(ladder.calls.records()).verdict == "REFUSED"


def test_fax_in_clear_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=FAX)
    assert came(ladder.phone) == ["100 INVITE", "487 INVITE", "BYE"]
    assert next(ladder.calls.records()).verdict == "REFUSED"


def test_early_media_in_clear_ends_a_call_that_must_be_encrypted() -> None:
    ladder = Ladder(Security.REQUIRED)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=AVP)
    ladder.phone.receives(488)
    ladder.provider.receives("CANCEL")


def test_description_in_a_phones_answer_to_options_stays_here() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.request("OPTIONS", "sip:alice-1@gw.example.com"))
    ladder.phone.answers(ladder.phone.receives_request("OPTIONS"), 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    assert (answer.body, answer.content_type) == (b"", None)
    nothing_is_left(ladder)


def test_description_in_the_answer_to_subscribe_stays_here() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request("SUBSCRIBE", "sip:alice@example.com"))
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 200, sdp=SAVP)
    assert ladder.phone.receives_response(200).body == b""


def test_phone_that_warns_does_not_tell_where_it_is() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    fields = (("Warning", '304 192.0.2.11:5070 "Media type not available"'), ("Error-Info", "<http://192.0.2.11/e>"))
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 488, fields=fields)
    assert b"192.0.2.11" not in ladder.provider.receives_response(488).to_bytes()


def test_phone_that_names_itself_by_address_does_not_tell_where_it_is() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Reply-To", "<sip:alice@192.0.2.11>")
    invite.headers.add("In-Reply-To", "8f3a@192.0.2.11")
    invite.headers.add("Alert-Info", "<http://192.0.2.11/ring.wav>")
    invite.headers.add("Referred-By", "<sip:alice@192.0.2.11>")
    ladder.phone.sends(invite)
    assert b"192.0.2.11" not in ladder.provider.receives_request("INVITE").to_bytes()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_dialog_on_tls_is_not_continued_in_clear(method: str) -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.clear.sends(ladder.clear.within_answered(onward, method, sdp=SAVP))
    ladder.clear.receives(403)
    ladder.phone.receives_nothing()


def test_call_on_tls_may_be_ended_in_clear() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.clear.sends(ladder.clear.within_answered(onward, "BYE"))
    ladder.clear.receives(200)
    ladder.phone.receives("BYE")


def test_extension_that_nobody_knows_is_refused_within_a_call_too() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    again.headers.add("Require", "precondition")
    ladder.phone.sends(again)
    assert ladder.phone.receives_response(420).headers.get("Unsupported") == "precondition"
    ladder.provider.receives_nothing()


def test_urn_of_emergency_services_completes_though_tls_is_required_and_lacking() -> None:
    ladder = Ladder(Security.REQUIRED, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.invite("urn:service:sos"))
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    onward = ladder.clear.receives_request("INVITE")
    assert onward.uri == "urn:service:sos"
    assert b"a=crypto" not in onward.body


def test_phone_is_not_led_to_sign_a_body_that_is_rewritten() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    challenge = 'Digest realm="example.com", nonce="n", qop="{}"'
    ladder.provider.answers(onward, 407, fields=(("Proxy-Authenticate", challenge.format("auth,auth-int")),))
    assert ladder.phone.receives_response(407).headers.get("Proxy-Authenticate") == challenge.format("auth")


@pytest.mark.parametrize(("privacy", "shown"), [("id", False), ("header; id;critical", False), ("none", True)])
def test_identity_that_is_private_is_not_shown_to_a_phone(privacy: str, shown: bool) -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.add("Privacy", privacy)
    invite.headers.add("P-Asserted-Identity", "<sip:+49301234@example.com>")
    ladder.provider.sends(invite)
    assert ("P-Asserted-Identity" in ladder.phone.receives_request("INVITE").headers) is shown


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-sdp"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_reinvite_with_a_body_that_is_not_called_sdp_does_not_cross(method: str, content_type: str | None) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, method)
    again.body = AVP
    if content_type is not None:
        again.headers.add("Content-Type", content_type)
    ladder.phone.sends(again)
    ladder.phone.receives(415)
    ladder.provider.receives_nothing()


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "NOTIFY", "REFER"])
def test_sdp_in_methods_that_set_up_no_media_does_not_touch_them(method: str) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=AVP))
    ladder.phone.receives(415)
    assert len(ladder.relay.asked) == asked


@pytest.mark.parametrize("content_type", ["application/sdp", "multipart/mixed;boundary=b"])
def test_sdp_in_the_answer_to_info_stays_behind(content_type: str) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    response = ladder.provider.receives_request("INFO").response(200)
    response.headers.add("Content-Type", content_type)
    response.body = SAVP
    ladder.provider.sends(response)
    assert ladder.phone.receives_response(200).body == b""
    assert len(ladder.relay.asked) == asked


@pytest.mark.parametrize("first", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("second", ["INVITE", "UPDATE"])
def test_changes_of_the_media_that_cross_get_491(first: str, second: str) -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, first, sdp=AVP))
    change = ladder.provider.receives_request(first)
    ladder.provider.sends(ladder.provider.within_answered(onward, second, sdp=SAVP))
    assert came(ladder.provider) == [f"491 {second}"]
    ladder.provider.answers(change, 200, sdp=SAVP)
    came(ladder.provider)
    ladder.provider.sends(ladder.provider.within_answered(onward, second, sdp=SAVP, cseq=2))
    assert second in came(ladder.phone)


def test_answer_that_a_reliable_183_gave_is_in_the_200_too() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, fields=(("Require", "100rel"), ("RSeq", "1")))
    ladder.provider.answers(ladder.provider.receives_request("PRACK"), 200)
    assert ladder.phone.receives_response(183).body == AVP
    ladder.provider.answers(onward, 200)
    answer = ladder.phone.receives_response(200)
    assert (answer.body, answer.content_type) == (AVP, "application/sdp")
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER"


def test_each_fork_answers_with_its_own_description() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    first, second = SAVP, SAVP.replace(b"6000", b"6002")
    for tag, sdp, number in (("t1", first, "1"), ("t2", second, "7")):
        ladder.provider.answers(onward, 183, sdp=sdp, tag=tag, fields=(("Require", "100rel"), ("RSeq", number)))
    ladder.provider.answers(onward, 200, tag="t1")
    assert [what for what, _, _ in ladder.relay.asked] == ["offer", "answer", "answer", "answer"]
    assert came(ladder.phone) == ["183 INVITE", "183 INVITE", "200 INVITE"]


def test_ack_bears_the_credentials_of_its_invite() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    credentials = ("Proxy-Authorization", 'Digest username="alice", response="0"')
    invite.headers.add(*credentials)
    ladder.phone.sends(invite)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    assert ladder.provider.receives_request("ACK").headers.get(credentials[0]) == credentials[1]


@pytest.mark.parametrize("field", ["garbage", "<sip:>", "<http://proxy.example>"])
def test_route_that_leads_nowhere_ends_the_call_at_once(field: str) -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=(("Record-Route", field),))
    assert came(ladder.phone) == ["408 INVITE"]
    ladder.phone.acknowledges(onward, onward.response(408))
    nothing_is_left(ladder)


def test_caller_whose_route_leads_nowhere_is_refused() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Record-Route", "garbage")
    ladder.phone.sends(invite)
    assert came(ladder.phone) == ["400 INVITE"]
    nothing_is_left(ladder)


def test_contact_that_cannot_be_read_in_a_reinvite_leaves_the_call_as_it_was() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    again.headers.set("Contact", "<sip:")
    ladder.phone.sends(again)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    assert came(ladder.phone) == ["100 INVITE", "200 INVITE"]
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(ladder.phone) == ["BYE"]


@pytest.mark.parametrize(("method", "status"), [("REGISTER", 405), ("FROBNICATE", 501)])
def test_method_that_belongs_to_no_call_does_not_cross_one(method: str, status: int) -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, method))
    ladder.provider.receives(status)
    ladder.phone.receives_nothing()


def test_ack_from_the_other_side_does_not_stop_the_answer() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.provider.acknowledges(invite, answer)
    ladder.clock.advance(0.5)
    ladder.phone.receives(200)


def test_phone_whose_nat_gave_it_another_port_is_followed_there() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    moved = Party(ladder, TestFlow(PHONES, Address("192.0.2.11", 40000)), "192.0.2.11:5070")
    moved.sends(ladder.phone.within(answer, "INFO"))
    ladder.provider.answers(ladder.provider.receives_request("INFO"), 200)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert came(moved) == ["200 INFO", "BYE"]
    ladder.phone.receives_nothing()


def test_phone_is_not_followed_to_another_host() -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    other = Party(ladder, TestFlow(PHONES, Address("192.0.2.66", 5070)), "192.0.2.66:5070")
    other.sends(ladder.phone.within(answer, "INFO"))
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    assert "BYE" in came(ladder.phone)


def test_refresh_by_update_does_not_reach_a_phone_that_knows_no_update() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    update = ladder.provider.within_answered(onward, "UPDATE")
    update.headers.add("Session-Expires", "1800;refresher=uac")
    update.headers.add("Supported", "timer")
    ladder.provider.sends(update)
    ladder.phone.receives_nothing()
    assert ladder.provider.receives_response(200).headers.get("Session-Expires") == "1800;refresher=uac"


def test_forks_count_their_requests_each_for_itself() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    for tag in ("t1", "t2"):
        ladder.provider.answers(onward, 180, tag=tag)
    assert came(ladder.phone) == ["180 INVITE", "180 INVITE"]
    for tag, number in (("t2", 50), ("t1", 2)):
        ladder.provider.sends(ladder.provider.within_answered(onward, "INFO", cseq=number, tag=tag))
        ladder.phone.answers(ladder.phone.receives_request("INFO"), 200)
        ladder.provider.receives(200)


def test_fork_that_answers_nothing_is_not_called_encrypted_for_what_another_said() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, tag="t1")
    ladder.provider.answers(onward, 200, tag="t2")
    assert next(ladder.calls.records()).verdict == "SIGNALLING_ONLY"


def test_identity_that_a_phone_prefers_names_the_domain() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("P-Preferred-Identity", '"Alice" <sip:alice@192.0.2.11:5070>, <tel:+49301234>')
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.headers.get("P-Preferred-Identity") == '"Alice" <sip:alice@example.com>, <tel:+49301234>'


def test_call_with_many_reinvites_does_not_grow() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    leg = next(iter(ladder.calls._active.values())).callee
    assert leg is not None
    for number in range(2, 40):
        again = ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=number)
        ladder.phone.sends(again)
        ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
        ladder.phone.acknowledges(again, answer)
        ladder.provider.receives("ACK")
    assert leg.acknowledgements.count <= 8
    assert len(leg.open_requests) <= 1


def test_answer_of_a_reinvite_that_crosses_the_end_of_the_call_is_acknowledged() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    again = ladder.provider.receives_request("INVITE")
    ladder.phone.sends(ladder.phone.within(answer, "BYE", cseq=3))
    ladder.provider.answers(again, 200, sdp=SAVP)
    assert came(ladder.provider) == ["BYE", "ACK"]
    assert came(ladder.phone) == ["100 INVITE", "200 BYE", "487 INVITE"]


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


def test_call_that_the_provider_sends_back_here_counts_its_forwards() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.sends(Request("INVITE", "sip:alice-1@gw.example.com", onward.headers.copy(), onward.body))
    ladder.provider.receives(100)
    assert ladder.phone.receives_request("INVITE").max_forwards == (onward.max_forwards or 0) - 1


def test_strict_router_of_the_provider_is_gone_through() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    route = ("Record-Route", "<sip:p2.example.com;lr>, <sip:p1.example.com>")
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=(route,))
    ack = ladder.provider.receives_request("ACK")
    assert ack.uri == "sip:p1.example.com"
    assert ack.headers.values("Route") == ["<sip:p2.example.com;lr>", "<sip:me@198.51.100.21:5061>"]


def test_addresses_without_brackets_and_telephone_uris() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("tel:+1-201-555-0123;phone-context=example.com")
    invite.headers.set("From", "sip:alice@example.com;tag=f1")
    invite.headers.set("To", "tel:+1-201-555-0123")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.uri, onward.from_.uri.user, str(onward.to.uri)) == (invite.uri, "alice", "tel:+1-201-555-0123")


def test_odd_contact_of_a_phone_is_where_its_bye_goes() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    contact = "sips:[2001:db8::1]:5061;transport=tcp;x=%40"
    invite.headers.set("Contact", f'<{contact}>;+sip.instance="<urn:uuid:1>"')
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    came(ladder.phone)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    byes = [message for message in drain(ladder.phone) if isinstance(message, Request)]
    assert [bye.uri for bye in byes] == [contact]


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


def test_sips_uri_of_an_emergency_number_completes_in_clear() -> None:
    ladder = Ladder(Security.REQUIRED, "sip:provider.example.com;transport=udp")
    ladder.phone.sends(ladder.phone.invite("sips:911@example.com"))
    ladder.provider.receives("INVITE")
    ladder.provider_flow.fail(FailureKind.REFUSED)
    ladder.clear.receives("INVITE")


def test_answer_to_a_challenge_goes_where_the_challenge_came_from() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    second = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(second, 407, fields=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    ladder.provider.receives("ACK")
    ladder.phone.receives(407)
    again = ladder.phone.invite(cseq=2)
    again.headers.add("Proxy-Authorization", 'Digest username="alice", response="0"')
    ladder.phone.sends(again)
    third = ladder.provider.receives_request("INVITE")
    assert third.body == AVP
    ladder.provider.answers(third, 200, sdp=AVP)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")


def test_challenge_to_the_encrypted_offer_is_answered_with_one() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 407, fields=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    ladder.provider.receives("ACK")
    ladder.phone.sends(ladder.phone.invite(cseq=2))
    assert ladder.provider.receives_request("INVITE").body == SAVP


def cancel_of(ladder: Ladder, invite: Request, answer: Response) -> Request:
    """The CANCEL of a phone's re-INVITE."""
    cancel = ladder.phone.within(answer, "CANCEL", cseq=invite.cseq.number)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    return cancel


def test_reinvite_that_is_cancelled_is_cancelled_on_the_other_side_too() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(again)
    change = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(change, 180)
    ladder.phone.sends(cancel_of(ladder, again, answer))
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(change, 487)
    assert came(ladder.phone) == ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]
    assert next(ladder.calls.records()).state == "established"


def test_reinvite_that_is_cancelled_while_the_relay_is_asked_does_not_leave() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.relay.held = True
    again = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(again)
    ladder.phone.sends(cancel_of(ladder, again, answer))
    ladder.relay.release()
    assert came(ladder.phone) == ["100 INVITE", "200 CANCEL", "487 INVITE"]
    ladder.provider.receives_nothing()
    ladder.relay.held = False
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP, cseq=3))
    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "PUBLISH", "SUBSCRIBE"])
def test_body_that_says_not_what_it_is_does_not_cross(method: str) -> None:
    ladder = Ladder()
    request = ladder.phone.request(method, "sip:bob@example.com")
    request.body = AVP
    ladder.phone.sends(request)
    ladder.phone.receives(415)
    ladder.provider.receives_nothing()
