"""Calls and messages from one phone to another of the domain, without the provider (`local_calls`), as ladders."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import succeed

from gateway.b2bua.survival.frozen_leg import _frozen_wish, _thawed_wish
from gateway.config.model import Downgrade, NumberRule, Security
from gateway.config.tables.numbers.number_pattern import number_pattern
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from gateway.media.relay import JSON, SdpWish
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.sip.message import Request
from tests.support.ladder import AVP, SAVP, Party, drain
from tests.support.many_phones import ELSEWHERE
from tests.support.stories import came, nothing_is_left
from tests.support.two_users import TwoUsers


def record_of(ladder: TwoUsers) -> Any:
    return next(ladder.calls.records())


def test_a_call_to_a_registered_user_goes_to_its_phone_and_no_provider_hears_of_it() -> None:
    ladder = TwoUsers()
    onward, answer = ladder.talk()
    assert onward.uri == "sip:bob@192.0.2.21:5070"
    assert str(onward.from_.uri) == "sip:alice@example.com"
    assert str(onward.to.uri) == "sip:bob@example.com"
    assert onward.headers.get("Route") is None
    ladder.alice.sends(ladder.alice.within(answer, "BYE"))
    ladder.alice.receives(200)
    ladder.bob.answers(ladder.bob.receives_request("BYE"), 200)
    ladder.provider.receives_nothing()
    record = record_of(ladder)
    assert (record.direction, record.provider, record.callee) == ("internal", "", "sip:bob@example.com")
    assert (record.verdict, record.reason, record.result) == ("CLEAR", "CLEAR_PEER_NO_TLS", "answered")
    nothing_is_left(ladder)


def test_without_the_key_it_is_the_providers() -> None:
    ladder = TwoUsers(local_calls=False)
    ladder.calls_bob()
    ladder.provider.receives("INVITE")
    ladder.bob.receives_nothing()


@pytest.mark.parametrize(
    "uri",
    [
        "sip:carol@example.com",
        "sip:112@example.com",
        "sip:alice@example.com",
        "sips:bob@example.com",
        "sip:bob@elsewhere.example",
        "tel:+4930123456",
    ],
)
def test_all_else_is_the_providers(uri: str) -> None:
    """An unknown user, a number for help that a phone has, one's own user, TLS on each hop, another domain."""
    ladder = TwoUsers()
    for user in ("112", "+4930123456"):
        ladder.store.save(attrs.evolve(ladder.bindings["bob-21"], aor=f"sip:{user}@example.com", token=user))
    ladder.calls_bob(uri=uri)
    assert ladder.provider_flow.sent or ladder.clear_flow.sent
    ladder.bob.receives_nothing()


def test_a_stranger_is_the_providers_whatever_its_from_says() -> None:
    ladder = TwoUsers()
    stranger = ladder.stranger()
    stranger.sends(stranger.invite("sip:bob@example.com"))
    ladder.provider.receives("INVITE")
    ladder.bob.receives_nothing()


def test_a_phone_on_a_connection_that_is_gone_is_the_providers() -> None:
    ladder = TwoUsers(tls=("bob",))
    ladder.store.remove_flow(ladder.bindings["bob-21"].flow)
    ladder.calls_bob()
    ladder.provider.receives("INVITE")


def test_the_relay_is_told_of_two_parties_on_the_phones_side() -> None:
    ladder = TwoUsers()
    ladder.talk()
    assert {(wish.side, wish.is_between_phones) for wish in ladder.relay.wishes} == {("phones", True)}


@pytest.mark.parametrize(
    ("tls", "offer", "answer", "verdict", "reason"),
    [
        (("alice", "bob"), SAVP, SAVP, "ENCRYPTED", ""),
        (("alice", "bob"), AVP, SAVP, "SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP"),
        (("alice",), SAVP, AVP, "CLEAR", "CLEAR_PEER_NO_TLS"),
        (("bob",), AVP, SAVP, "CLEAR", "CLEAR_PEER_NO_TLS"),
        ((), AVP, AVP, "CLEAR", "CLEAR_PEER_NO_TLS"),
    ],
)
def test_the_verdict_is_of_both_phones(
    tls: tuple[str, ...], offer: bytes, answer: bytes, verdict: str, reason: str
) -> None:
    ladder = TwoUsers(tls=tls)
    ladder.talk(offer, answer)
    record = record_of(ladder)
    assert (record.verdict, record.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("tag", "verdict"), [("caller", "SIGNALLING_ONLY"), ("callee", "SIGNALLING_ONLY"), ("stranger", "ENCRYPTED")]
)
def test_rtcp_in_clear_of_either_phone_is_in_the_verdict_and_told_once(
    tag: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = TwoUsers(tls=("alice", "bob"))
    ladder.talk(SAVP, SAVP)
    (call,) = ladder.calls.active
    assert record_of(ladder).verdict == "ENCRYPTED"
    streams: list[JSON] = [{"in clear": 2}]
    report: dict[str, JSON] = {"tags": {tag: {"side": "phones", "medias": [{"streams": streams}]}}}
    monkeypatch.setattr(ladder.relay, "query", lambda _: succeed(report))
    for _ in range(2):
        ladder.calls.media_in_clear((call.id,))
    assert (record_of(ladder).verdict, record_of(ladder).reason) == (verdict, "CLEAR_RTCP" * (verdict != "ENCRYPTED"))
    told = [link.leg for link in call.record.chain if link.what == "RTCP in clear beside SRTP"]
    assert told == ([tag] if verdict != "ENCRYPTED" else [])


@pytest.mark.parametrize(
    ("tls", "offer", "status"), [(("bob",), AVP, 503), (("alice", "bob"), AVP, 488), (("alice",), SAVP, 503)]
)
def test_required_refuses_a_leg_that_cannot_be_encrypted(tls: tuple[str, ...], offer: bytes, status: int) -> None:
    ladder = TwoUsers(tls=tls, security=Security.REQUIRED)
    ladder.calls_bob(offer)
    ladder.alice.receives(status)
    ladder.bob.receives_nothing()
    ladder.provider.receives_nothing()
    record = record_of(ladder)
    assert (record.verdict, record.reason, record.status) == ("REFUSED", "REFUSED_POLICY", status)


@pytest.mark.parametrize("refused", [False, True])
def test_required_refuses_a_phone_that_takes_no_srtp(refused: bool) -> None:
    ladder = TwoUsers(tls=("alice", "bob"), security=Security.REQUIRED)
    ladder.calls_bob(SAVP)
    onward = ladder.bob.receives_request("INVITE")
    assert onward.body == SAVP
    ladder.bob.answers(onward, 488) if refused else ladder.bob.answers(onward, 200, sdp=AVP)
    assert came(ladder.bob) == (["ACK"] if refused else ["ACK", "BYE"])
    ladder.alice.receives(488)
    assert (record_of(ladder).verdict, record_of(ladder).reason) == ("REFUSED", "REFUSED_POLICY")


def test_preferred_offers_rtp_to_a_phone_that_takes_no_srtp() -> None:
    ladder = TwoUsers(tls=("alice", "bob"))
    invite = ladder.calls_bob(SAVP)
    ladder.bob.answers(ladder.bob.receives_request("INVITE"), 488)
    ladder.bob.receives("ACK")
    again = ladder.bob.receives_request("INVITE")
    assert again.body == AVP
    ladder.bob.answers(again, 200, sdp=AVP)
    ladder.alice.acknowledges(invite, ladder.alice.receives_response(200))
    assert (record_of(ladder).verdict, record_of(ladder).reason) == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")


@pytest.mark.parametrize("user", ["alice", "bob"])
@pytest.mark.parametrize("downgrade", [Downgrade.REFUSE, Downgrade.ALERT])
def test_a_phone_that_was_on_tls_is_a_probable_downgrade(user: str, downgrade: Downgrade) -> None:
    ladder = TwoUsers(downgrade=downgrade)
    ladder.memory.saw(Peer(f"sip:{user}@example.com"), Feature.TLS, did=True)
    ladder.calls_bob()
    told = [sample for metric in ladder.metrics.downgrades.collect() for sample in metric.samples]
    assert [sample.value for sample in told if sample.name.endswith("_total")] == [1.0]
    if downgrade is Downgrade.ALERT:
        ladder.bob.receives("INVITE")
        return
    ladder.alice.receives(503)
    ladder.bob.receives_nothing()
    assert (record_of(ladder).verdict, record_of(ladder).reason) == ("REFUSED", "REFUSED_DOWNGRADE")


def test_required_refuses_a_change_to_media_in_clear_of_either_phone() -> None:
    """RFC 3261 section 14.1: the call goes on as it was."""
    ladder = TwoUsers(tls=("alice", "bob"), security=Security.REQUIRED)
    onward, answer = ladder.talk(SAVP, SAVP)
    for party, change in (
        (ladder.alice, ladder.alice.within(answer, "INVITE", sdp=AVP)),
        (ladder.bob, ladder.bob.within_answered(onward, "INVITE", sdp=AVP)),
    ):
        party.sends(change)
        party.receives(100)
        party.receives(488)
    assert record_of(ladder).verdict == "ENCRYPTED"


def test_hold_and_resume_cross_in_both_directions() -> None:
    ladder = TwoUsers()
    onward, answer = ladder.talk()
    for party, other, change in (
        (ladder.alice, ladder.bob, ladder.alice.within(answer, "INVITE", sdp=AVP + b"a=sendonly\r\n")),
        (ladder.bob, ladder.alice, ladder.bob.within_answered(onward, "INVITE", sdp=AVP)),
    ):
        party.sends(change)
        party.receives(100)
        crossed = other.receives_request("INVITE")
        other.answers(crossed, 200, sdp=AVP)
        answered = party.receives_response(200)
        party.acknowledges(change, answered)
        other.receives("ACK")


def test_all_phones_of_the_called_user_ring_and_one_answers() -> None:
    """RFC 3261 section 16.7, as for a call of the provider's."""
    ladder = TwoUsers(bobs=2)
    invite = ladder.calls_bob()
    invites = [phone.receives_request("INVITE") for phone in ladder.bobs]
    ladder.bobs[0].answers(invites[0], 180)
    ladder.alice.receives(180)
    ladder.bobs[1].answers(invites[1], 200, sdp=AVP)
    cancel = ladder.bobs[0].receives_request("CANCEL")
    assert cancel.headers.get("Reason") == ELSEWHERE
    ladder.bobs[0].answers(invites[0], 487)
    ladder.alice.acknowledges(invite, ladder.alice.receives_response(200))
    assert record_of(ladder).result == "answered"


def test_required_rings_the_phones_on_tls_alone() -> None:
    ladder = TwoUsers(bobs=2, tls=("alice", "bob"), security=Security.REQUIRED)
    clear = ladder._add("bob", 31, is_secure=False)
    ladder.calls_bob(SAVP)
    for phone in ladder.bobs:
        phone.receives("INVITE")
    clear.receives_nothing()


@pytest.mark.parametrize("status", [401, 407])
def test_a_phones_challenge_goes_to_nobody(status: int) -> None:
    ladder = TwoUsers()
    ladder.calls_bob()
    field = ("WWW-Authenticate" if status == 401 else "Proxy-Authenticate", 'Digest realm="example.com", nonce="n"')
    ladder.bob.answers(ladder.bob.receives_request("INVITE"), status, fields=(field,))
    refusal = ladder.alice.receives_response(480)
    assert field[0] not in refusal.headers
    assert record_of(ladder).reason == "PHONE_UNREACHABLE"


PROVIDERS = {
    "Alert-Info": "<http://192.0.2.66/ring.wav>",
    "Error-Info": "<http://192.0.2.66/error>",
    "P-Asserted-Identity": "<sip:alice@example.com>",
    "Reply-To": "<sip:alice@192.0.2.11>",
    "Warning": '399 192.0.2.11 "words"',
    "WWW-Authenticate": 'Digest realm="example.com", nonce="n"',
}
"""Fields that a provider may give, and no phone another one."""


def test_no_field_of_a_phone_passes_for_the_providers() -> None:
    """RFC 3325 section 9.2: neither in requests nor in responses, within the dialog or not."""
    ladder = TwoUsers()
    invite = ladder.alice.invite()
    fields = tuple(PROVIDERS.items())
    invite.headers.add_all(fields)
    ladder.alice.sends(invite)
    ladder.alice.receives(100)
    onward = ladder.bob.receives_request("INVITE")
    ladder.bob.answers(onward, 180, fields=fields)
    ringing = ladder.alice.receives_response(180)
    ladder.bob.answers(onward, 200, sdp=AVP, fields=fields)
    ladder.bob.receives("ACK")
    answer = ladder.alice.receives_response(200)
    ladder.alice.acknowledges(invite, answer)
    info = ladder.alice.within(answer, "INFO")
    info.headers.add_all(fields)
    ladder.alice.sends(info)
    crossed = ladder.bob.receives_request("INFO")
    ladder.bob.answers(crossed, 401, fields=fields)
    refused = ladder.alice.receives_response(401)
    message = ladder.alice.request("MESSAGE", "sip:bob@example.com", call_id="c9")
    message.headers.add_all(fields)
    ladder.alice.sends(message)
    text = ladder.bob.receives_request("MESSAGE")
    ladder.bob.answers(text, 200, fields=fields)
    for one in (onward, ringing, answer, crossed, refused, text, ladder.alice.receives_response(200)):
        assert not [name for name in PROVIDERS if name in one.headers], one.to_bytes()


def test_rfc3261_section_16_3_a_request_of_ours_that_comes_back_is_a_loop() -> None:
    ladder = TwoUsers()
    invite = ladder.bob.invite("sip:alice@example.com")
    invite.headers.set("From", "<sip:bob@example.com>;tag=f1")
    invite.headers.add("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours")
    ladder.bob.sends(invite)
    assert came(ladder.bob)[-1] == "482 INVITE"
    ladder.alice.receives_nothing()


def test_a_blind_transfer_leads_the_other_phone_here() -> None:
    """RFC 3515: bob calls carol, who is the provider's."""
    ladder = TwoUsers()
    onward, answer = ladder.talk()
    refer = ladder.alice.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:carol@192.0.2.1:5060>")
    ladder.alice.sends(refer)
    crossed = ladder.bob.receives_request("REFER")
    assert crossed.headers.get("Refer-To") == "<sip:carol@example.com>"
    ladder.bob.answers(crossed, 202)
    ladder.alice.receives(202)
    notify = ladder.bob.within_answered(onward, "NOTIFY")
    for name, value in (("Event", "refer"), ("Subscription-State", "active"), ("Content-Type", "message/sipfrag")):
        notify.headers.add(name, value)
    notify.body = b"SIP/2.0 100 Trying\r\n"
    ladder.bob.sends(notify)
    assert ladder.alice.receives_request("NOTIFY").body == b"SIP/2.0 100 Trying\r\n"


def replaced(ladder: TwoUsers, local: bool) -> tuple[Party, Request, str]:
    """Alice talks with bob, then with carol, and refers bob to carol: carol, or the provider for her, the INVITE that
    she got first, and the Refer-To that bob got."""
    carol = ladder._add("carol", 41, is_secure=False) if local else ladder.provider
    _, answer = ladder.talk()
    second = ladder.alice.invite("sip:carol@example.com", AVP, call_id="c2", tags=("f2", ""))
    ladder.alice.sends(second)
    asked = carol.receives_request("INVITE")
    carol.answers(asked, 200, sdp=AVP if local else SAVP, tag="t2")
    carol.receives("ACK")
    ladder.alice.receives(100)
    other = ladder.alice.receives_response(200)
    ladder.alice.acknowledges(second, other)
    refer = ladder.alice.within(answer, "REFER")
    named = f"c2%3Bto-tag%3D{other.to.tag}%3Bfrom-tag%3Df2"
    refer.headers.add("Refer-To", f"<sip:carol@example.com?Replaces={named}>")
    ladder.alice.sends(refer)
    return carol, asked, ladder.bob.receives_request("REFER").headers.get("Refer-To") or ""


@pytest.mark.parametrize("local", [True, False])
def test_rfc3891_an_attended_transfer_takes_the_place_of_the_dialog_that_the_third_one_knows(local: bool) -> None:
    ladder = TwoUsers()
    carol, asked, referred = replaced(ladder, local)
    _, _, named = referred.rstrip(">").partition("Replaces=")
    invite = ladder.bob.invite("sip:carol@example.com", AVP, call_id="c3", tags=("f3", ""))
    invite.headers.set("From", "<sip:bob@example.com>;tag=f3")
    invite.headers.add("Replaces", named.replace("%3B", ";").replace("%3D", "="))
    ladder.bob.sends(invite)
    takes = carol.receives_request("INVITE").headers.get("Replaces")
    assert takes == f"{asked.call_id};to-tag=t2;from-tag={asked.from_.tag}"


def test_a_message_goes_to_the_phones_of_its_user() -> None:
    """RFC 3428."""
    ladder = TwoUsers(bobs=2)
    message = ladder.alice.request("MESSAGE", "sip:bob@example.com")
    message.headers.add("Content-Type", "text/plain")
    message.body = b"hello"
    ladder.alice.sends(message)
    for phone in ladder.bobs:
        came_here = phone.receives_request("MESSAGE")
        assert (came_here.body, str(came_here.from_.uri)) == (b"hello", "sip:alice@example.com")
        phone.answers(came_here, 200)
    ladder.alice.receives(200)
    ladder.provider.receives_nothing()


@pytest.mark.parametrize(("tls", "status"), [(("bob",), 503), (("alice",), 503), (("alice", "bob"), 200)])
def test_required_holds_for_a_message(tls: tuple[str, ...], status: int) -> None:
    ladder = TwoUsers(tls=tls, security=Security.REQUIRED)
    ladder.alice.sends(ladder.alice.request("MESSAGE", "sip:bob@example.com"))
    if status == 200:
        ladder.bob.answers(ladder.bob.receives_request("MESSAGE"), 200)
    ladder.alice.receives(status)
    ladder.bob.receives_nothing()


def test_a_provider_whose_relay_is_lost_has_no_part_in_the_move() -> None:
    """The media move to another relay by a re-INVITE to each phone."""
    ladder = TwoUsers()
    ladder.talk()
    (call,) = ladder.calls.active
    ladder.relay.lost((call.id,))
    for party in (ladder.bob, ladder.alice):
        moved = party.receives_request("INVITE")
        party.answers(moved, 200, sdp=AVP)
        party.receives("ACK")
    assert len(ladder.calls) == 1


@pytest.mark.parametrize("by", ["alice", "bob"])
def test_it_goes_on_after_the_gateway_was_killed(tmp_path: Path, by: str) -> None:
    ladder = TwoUsers(journal=tmp_path)
    onward, answer = ladder.talk()
    after = ladder.killed()
    assert isinstance(after, TwoUsers)
    (call,) = after.calls.active
    assert (call.record.direction, call.record.provider) == ("internal", "")
    one, other = (after.alice, after.bob) if by == "alice" else (after.bob, after.alice)
    bye = one.within(answer, "BYE") if by == "alice" else one.within_answered(onward, "BYE")
    one.sends(bye)
    one.receives(200)
    other.answers(other.receives_request("BYE"), 200)
    after.provider.receives_nothing()
    assert record_of(after).verdict == "CLEAR"


def test_a_call_that_rings_when_the_gateway_is_killed_is_ended_on_both_sides(tmp_path: Path) -> None:
    ladder = TwoUsers(journal=tmp_path)
    ladder.calls_bob()
    ladder.bob.answers(ladder.bob.receives_request("INVITE"), 180)
    ladder.alice.receives(180)
    after = ladder.killed()
    assert isinstance(after, TwoUsers)
    assert "CANCEL" in came(after.bob)
    assert came(after.alice)[-1] == "500 INVITE"


def test_the_form_of_sdp_is_known_after_a_kill() -> None:
    ladder = TwoUsers()
    ladder.talk()
    (call,) = ladder.calls.active
    wish: SdpWish = call.caller.spec.wish
    assert _thawed_wish(_frozen_wish(wish)) == wish


def test_a_call_that_ended_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        ladder = TwoUsers()
        _, answer = ladder.talk()
        (call,) = ladder.calls.active
        ref = weakref.ref(call)
        del call
        ladder.alice.sends(ladder.alice.within(answer, "BYE"))
        ladder.bob.answers(ladder.bob.receives_request("BYE"), 200)
        list(drain(ladder.alice))
        ladder.clock.pump([1.0] * 64)
        assert ref() is None
    finally:
        gc.enable()


def test_numbers_between_phones_are_those_that_were_dialled() -> None:
    """Rules are for the provider: a phone is called by its own name."""
    fields = (NumberField.REQUEST_URI, NumberField.TO, NumberField.FROM)
    rules = [NumberRule(str(way), number_pattern(".*"), "0301234567", fields, way) for way in NumberDirection]
    ladder = TwoUsers(numbers=tuple(rules))
    ladder.calls_bob()
    invite = ladder.bob.receives_request("INVITE")
    assert (invite.to.uri.user, invite.from_.uri.user) == ("bob", "alice")
