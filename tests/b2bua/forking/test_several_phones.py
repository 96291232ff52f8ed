"""A call to a user with several phones, as ladders (RFC 3261 sections 13.2.2.4 and 16.7, RFC 3326)."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.b2bua.forking.forked_calls import MOST_RINGING
from gateway.b2bua.survival.frozen_leg import _frozen_wish, _thawed_wish
from gateway.config.model import Forking, Side
from gateway.media.relay import Encryption, SdpWish
from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, KEY, SAVP, drain
from tests.support.many_phones import ELSEWHERE, TOKEN, ManyPhones
from tests.support.stories import came, nothing_is_left


def reason_of(request: Request) -> str | None:
    return request.headers.get("Reason")


def talks(ladder: ManyPhones, invite: Request, winner: int) -> Response:
    """The call is up, with this phone; the others have been told."""
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(invite, answer)
    ladder.phones[winner].receives("ACK")
    return answer


def hangs_up(ladder: ManyPhones, answer: Response, winner: int) -> None:
    ladder.provider.sends(ladder.provider.within(answer, "BYE"))
    ladder.provider.receives(200)
    ladder.phones[winner].answers(ladder.phones[winner].receives_request("BYE"), 200)


@pytest.mark.parametrize("uri", [TOKEN, "sip:alice@example.com"])
@pytest.mark.parametrize("winner", [0, 1, 2])
def test_all_phones_ring_and_the_first_that_answers_has_the_call(uri: str, winner: int) -> None:
    ladder = ManyPhones()
    invite = ladder.rings(uri)
    invites = ladder.invites()
    assert [one.uri for one in invites] == [binding.contact for binding in ladder.bindings]
    assert [one.body for one in invites] == [AVP] * 3
    assert len({one.call_id for one in invites}) == 3

    for phone, one in zip(ladder.phones, invites, strict=True):
        phone.answers(one, 180)
    ladder.provider.receives(180)
    ladder.provider.receives_nothing()
    ladder.phones[winner].answers(invites[winner], 200, sdp=AVP)

    for number, phone in enumerate(ladder.phones):
        if number != winner:
            cancel = phone.receives_request("CANCEL")
            assert reason_of(cancel) == ELSEWHERE
            phone.answers(cancel, 200)
            phone.answers(invites[number], 487)
            phone.receives("ACK")
    answer = talks(ladder, invite, winner)
    assert answer.body == SAVP
    record = next(ladder.calls.records())
    assert (record.verdict, record.result) == ("ENCRYPTED_TO_PROVIDER", "answered")
    hangs_up(ladder, answer, winner)
    nothing_is_left(ladder)


def test_the_record_has_each_phone_in_its_ladder_and_in_words() -> None:
    ladder = ManyPhones()
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].answers(invites[0], 486)
    ladder.phones[2].answers(invites[2], 200, sdp=AVP)
    kept: Any = next(ladder.calls.records()).as_json()
    steps = [(step.get("fork"), step["what"]) for step in kept["ladder"] if step["leg"] == "callee"]
    assert steps[:6] == [
        (1, "INVITE"),
        (2, "INVITE"),
        (3, "INVITE"),
        (3, "486 Busy Here"),
        (1, "200 OK"),
        (1, "ACK"),
    ]
    assert all("fork" not in step for step in kept["ladder"] if step["leg"] == "caller")
    said = [link["what"] for link in kept["chain"] if "phone " in link["what"]]
    assert said == [
        "the call, as phone 1 of 3 (Phone/3)",
        "the call, as phone 2 of 3 (Phone/2)",
        "the call, as phone 3 of 3 (Phone/1)",
        "486 Busy Here (phone 3)",
        "200 OK (phone 1)",
    ]


def test_two_answers_in_one_moment_the_second_is_acknowledged_and_hung_up() -> None:
    ladder = ManyPhones()
    invite = ladder.rings()
    invites = ladder.invites()
    for number in (1, 2):
        ladder.phones[number].answers(invites[number], 200, sdp=AVP, tag=f"t{number}")
    answer = talks(ladder, invite, 1)
    assert came(ladder.phones[2]) == ["ACK", "BYE"]
    ladder.phones[2].answers(invites[2], 200, sdp=AVP, tag="t2")
    assert came(ladder.phones[2])[0] == "ACK", "a copy of its 2xx is acknowledged, too"
    hangs_up(ladder, answer, 1)
    ladder.phones[0].answers(invites[0], 487)
    nothing_is_left(ladder)


def test_the_caller_gives_up_and_no_phone_rings_on() -> None:
    ladder = ManyPhones()
    invite = ladder.rings()
    invites = ladder.invites()
    for phone, one in zip(ladder.phones, invites, strict=True):
        phone.answers(one, 180)
    ladder.provider.receives(180)
    cancel = Request("CANCEL", invite.uri, invite.headers.copy(), b"")
    cancel.headers.set("CSeq", f"{invite.cseq.number} CANCEL")
    cancel.headers.add("Reason", 'SIP;cause=487;text="gone"')
    ladder.provider.sends(cancel)
    assert came(ladder.provider) == ["200 CANCEL", "487 INVITE"]
    for phone, one in zip(ladder.phones, invites, strict=True):
        assert reason_of(phone.receives_request("CANCEL")) == 'SIP;cause=487;text="gone"'
        phone.answers(one, 487)
        phone.receives("ACK")
    assert next(ladder.calls.records()).result == "cancelled"
    nothing_is_left(ladder)


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ((486, 486, 486), 486),
        ((486, 302, 480), 302),
        ((500, 486, 503), 486),
        ((503, 503, 503), 500),
        ((486, 415, 480), 415),
        ((404, 486, 415), 415),
        ((486, 404, 486), 486),
    ],
)
def test_the_best_of_the_final_answers_goes_back(statuses: tuple[int, int, int], wanted: int) -> None:
    """RFC 3261 section 16.7 step 6."""
    ladder = ManyPhones()
    invite = ladder.rings()
    invites = ladder.invites()
    for number, status in enumerate(statuses):
        ladder.provider.receives_nothing()
        ladder.phones[number].answers(invites[number], status)
        ladder.phones[number].receives("ACK")
    ladder.provider.acknowledges(invite, ladder.provider.receives_response(wanted))
    assert next(ladder.calls.records()).status == wanted
    nothing_is_left(ladder)


def test_one_that_declines_ends_it_for_all() -> None:
    """RFC 3261 section 16.7 step 5."""
    ladder = ManyPhones()
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[2].answers(invites[2], 180)
    ladder.phones[1].answers(invites[1], 603)
    assert came(ladder.provider) == ["180 INVITE", "603 INVITE"]
    assert reason_of(ladder.phones[2].receives_request("CANCEL")) == "SIP;cause=603"
    for number in (0, 2):
        ladder.phones[number].answers(invites[number], 487)
    nothing_is_left(ladder)


def test_a_phone_whose_connection_died_keeps_no_other_from_ringing() -> None:
    ladder = ManyPhones(3, over_tls=(0, 1, 2))
    ladder.disconnect(0)  # the one that the provider names
    ladder.disconnect(2)  # the best
    invite = ladder.rings()
    onward = ladder.phones[1].receives_request("INVITE")
    assert ladder.is_ringing == [False, False, False]
    ladder.phones[1].answers(onward, 200, sdp=SAVP)
    answer = talks(ladder, invite, 1)
    hangs_up(ladder, answer, 1)
    nothing_is_left(ladder)


def test_a_connection_that_dies_while_it_rings_leaves_the_others_ringing() -> None:
    ladder = ManyPhones(2, over_tls=(0, 1))
    invite = ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].flow.fail()
    ladder.provider.receives_nothing()
    ladder.phones[1].answers(invites[1], 200, sdp=SAVP)
    answer = talks(ladder, invite, 1)
    hangs_up(ladder, answer, 1)
    nothing_is_left(ladder)


def test_silent_phones_are_gone_and_one_that_is_busy_says_so() -> None:
    ladder = ManyPhones()
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[1].answers(invites[1], 486)
    ladder.provider.receives_nothing()
    ladder.clock.pump([1.0] * 40)
    assert came(ladder.provider)[0] == "486 INVITE"


def test_no_phone_answers_at_all() -> None:
    ladder = ManyPhones()
    ladder.rings()
    ladder.clock.pump([1.0] * 40)
    assert came(ladder.provider)[0] == "408 INVITE"
    assert next(ladder.calls.records()).reason == "PHONE_UNREACHABLE"


def test_phones_of_a_lower_rank_ring_after_those_of_a_higher() -> None:
    ladder = ManyPhones(3, qs=(0.5, 1.0, 1.0), fork_seconds=15)
    ladder.rings()
    assert ladder.is_ringing == [False, True, True]
    first = [ladder.phones[number].receives_request("INVITE") for number in (1, 2)]
    for number, one in zip((1, 2), first, strict=True):
        ladder.phones[number].answers(one, 180)
    ladder.clock.advance(15)
    for number, one in zip((1, 2), first, strict=True):
        assert reason_of(ladder.phones[number].receives_request("CANCEL")) is None, "it shows a missed call"
        ladder.phones[number].answers(one, 487)
    onward = ladder.phones[0].receives_request("INVITE")
    ladder.phones[0].answers(onward, 180)
    ladder.clock.advance(100)
    assert ladder.calls.active, "the last phones ring until the caller gives up"
    ladder.phones[0].answers(onward, 200, sdp=AVP)
    assert came(ladder.provider) == ["180 INVITE", "200 INVITE"]


def test_one_after_the_other_rings_one_at_a_time() -> None:
    ladder = ManyPhones(3, fork=Forking.SEQUENTIAL)
    ladder.rings()
    assert ladder.is_ringing == [False, False, True]
    ladder.phones[2].answers(ladder.phones[2].receives_request("INVITE"), 486)
    assert came(ladder.phones[2]) == ["ACK"]
    onward = ladder.phones[1].receives_request("INVITE")
    ladder.phones[1].answers(onward, 180)
    ladder.clock.advance(20)
    assert came(ladder.phones[1]) == ["CANCEL"]
    ladder.phones[1].answers(onward, 200, sdp=AVP)
    assert came(ladder.phones[1]) == ["ACK", "BYE"], "its answer crossed the CANCEL"
    ladder.phones[0].answers(ladder.phones[0].receives_request("INVITE"), 200, sdp=AVP)
    assert came(ladder.provider) == ["180 INVITE", "200 INVITE"]


def test_first_rings_the_one_that_the_provider_named() -> None:
    ladder = ManyPhones(3, fork=Forking.FIRST)
    ladder.rings()
    assert ladder.is_ringing == [True, False, False]
    kept: Any = next(ladder.calls.records()).as_json()
    assert not any("fork" in step for step in kept["ladder"])


def test_early_media_of_one_phone_are_heard() -> None:
    ladder = ManyPhones(3)
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].answers(invites[0], 180)
    ladder.phones[1].answers(invites[1], 183, sdp=AVP)
    ladder.phones[2].answers(invites[2], 183, sdp=AVP.replace(b"4000", b"4002"))
    ladder.phones[2].answers(invites[2], 180, sdp=AVP.replace(b"4000", b"4002"))
    ladder.provider.receives(180)
    assert ladder.provider.receives_response(183).body == SAVP
    ladder.provider.receives_nothing()
    assert [what for what, *_ in ladder.relay.asked] == ["offer", "answer"]

    ladder.phones[1].answers(invites[1], 486)
    ladder.phones[2].answers(invites[2], 183, sdp=AVP.replace(b"4000", b"4002"))
    assert ladder.provider.receives_response(183).body == SAVP, "the phone that was heard is out"
    ladder.phones[2].answers(invites[2], 200, sdp=AVP.replace(b"4000", b"4002"))
    assert ladder.provider.receives_response(200).body == SAVP
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs.count(b"4002") == 1


def test_another_phone_than_the_one_that_is_heard_answers() -> None:
    ladder = ManyPhones(2)
    invite = ladder.rings()
    invites = ladder.invites()
    ladder.phones[1].answers(invites[1], 183, sdp=AVP)
    ladder.provider.receives(183)
    ladder.phones[0].answers(invites[0], 200, sdp=AVP.replace(b"4000", b"4002"))
    answer = talks(ladder, invite, 0)
    assert [what for what, *_ in ladder.relay.asked] == ["offer", "answer", "answer"]
    assert ladder.callee.media.in_force is not None
    assert b"4002" in ladder.callee.media.in_force.theirs
    hangs_up(ladder, answer, 0)
    ladder.phones[1].answers(invites[1], 487)
    nothing_is_left(ladder)


def test_early_media_in_clear_count_in_the_verdict_of_a_call_that_another_phone_answers() -> None:
    plain, encrypted = AVP, SAVP
    ladder = ManyPhones(2, over_tls=(0,))
    invite = ladder.rings()
    invites = ladder.invites()
    ladder.phones[1].answers(invites[1], 183, sdp=plain)
    ladder.phones[0].answers(invites[0], 200, sdp=encrypted)
    ladder.provider.receives(183)
    talks(ladder, invite, 0)
    assert next(ladder.calls.records()).verdict == "ENCRYPTED_TO_PROVIDER", "a phone in clear was heard"


def test_a_phone_in_clear_that_nobody_heard_counts_for_nothing() -> None:
    ladder = ManyPhones(2, over_tls=(0,))
    invite = ladder.rings()
    invites = ladder.invites()
    ladder.phones[1].answers(invites[1], 180)
    ladder.provider.receives(180)
    ladder.phones[0].answers(invites[0], 200, sdp=SAVP)
    talks(ladder, invite, 0)
    assert next(ladder.calls.records()).verdict == "ENCRYPTED"


def test_no_key_goes_to_a_phone_over_a_connection_in_clear() -> None:
    ladder = ManyPhones(3, over_tls=(0, 2))
    ladder.rings()
    clear, *secure = sorted(ladder.invites(), key=lambda one: b"crypto" in one.body)
    assert clear.body == AVP
    assert [one.body for one in secure] == [SAVP, SAVP]
    assert KEY.encode() not in ladder.phones[1].flow.bytes[0]
    wanted = [(wish.encryption, wish.fork) for wish in ladder.relay.wishes]
    assert wanted == [("savp", 1), ("none", 0), ("savp", 3)], "each has keys of its own"


def test_a_phone_that_takes_no_srtp_is_asked_again_while_the_others_ring() -> None:
    ladder = ManyPhones(2, over_tls=(0, 1))
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].answers(invites[0], 488)
    assert came(ladder.phones[0])[:1] == ["ACK"]
    assert ladder.is_ringing == [False, False]
    ladder.phones[1].answers(invites[1], 180)
    assert came(ladder.provider) == ["180 INVITE"]


def test_a_request_within_an_early_dialog_has_to_wait() -> None:
    ladder = ManyPhones(2)
    invite = ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].answers(invites[0], 183, sdp=AVP)
    early = ladder.provider.receives_response(183)
    ladder.phones[0].sends(ladder.phones[0].within_answered(invites[0], "UPDATE", sdp=AVP))
    assert ladder.phones[0].receives_response(500).headers.get("Retry-After") is not None
    ladder.provider.sends(ladder.provider.within(early, "UPDATE", sdp=SAVP))
    assert ladder.provider.receives_response(500).headers.get("Retry-After") is not None
    ladder.phones[0].answers(invites[0], 200, sdp=AVP)
    talks(ladder, invite, 0)


def test_a_phone_that_says_bye_before_its_answer_is_out() -> None:
    ladder = ManyPhones(2)
    ladder.rings()
    invites = ladder.invites()
    ladder.phones[0].answers(invites[0], 180)
    ladder.phones[0].sends(ladder.phones[0].within_answered(invites[0], "BYE"))
    assert came(ladder.phones[0]) == ["200 BYE", "CANCEL"]
    ladder.phones[0].answers(invites[0], 200, sdp=AVP)
    assert came(ladder.phones[0]) == ["ACK", "BYE"]
    ladder.phones[1].answers(invites[1], 200, sdp=AVP)
    assert came(ladder.provider) == ["180 INVITE", "200 INVITE"]


def test_a_late_offer_is_the_answering_phones() -> None:
    ladder = ManyPhones(2)
    invite = ladder.rings(sdp=b"")
    invites = ladder.invites()
    ladder.phones[1].answers(invites[1], 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    assert answer.body == SAVP
    ladder.provider.acknowledges(invite, answer, sdp=SAVP)
    assert ladder.phones[1].receives_request("ACK").body == AVP
    assert came(ladder.phones[0]) == [], "it has not said a word: a CANCEL waits for its 1xx (RFC 3261 section 9.1)"


def test_the_relay_that_takes_its_time_keeps_the_order_and_one_that_fails_ends_the_call() -> None:
    ladder = ManyPhones(2, over_tls=(0,))
    ladder.relay.held = True
    ladder.rings()
    assert ladder.is_ringing == [False, False]
    ladder.relay.release()
    ladder.relay.release()
    assert ladder.is_ringing == [True, True]
    ladder = ManyPhones(2)
    ladder.relay.refuses = True
    ladder.rings()
    ladder.provider.receives(488)
    assert ladder.is_ringing == [False, False]
    nothing_is_left(ladder)


def test_one_phone_with_several_ways_rings_once() -> None:
    """RFC 5626 section 5.3."""
    ladder = ManyPhones(2)
    for binding in ladder.bindings:
        ladder.store.remove(binding.aor, binding.contact)
        ladder.store.save(attrs.evolve(binding, instance="<urn:uuid:same>"))
    ladder.rings("sip:alice@example.com")
    assert sum(ladder.is_ringing) == 1


def test_a_provider_that_calls_each_phone_by_itself_rings_them_once() -> None:
    ladder = ManyPhones(3)
    ladder.rings()
    ladder.invites()
    for number in (2, 3):
        twin = ladder.provider.invite(f"sip:alice-{number}@gw.example.com", SAVP, call_id=f"c{number}")
        ladder.provider.sends(twin)
        ladder.provider.receives(482)
    assert ladder.is_ringing == [False, False, False]
    ladder.clock.advance(2)
    ladder.rings("sip:alice-2@gw.example.com", call_id="later")
    assert sum(ladder.is_ringing) == 3


def test_another_caller_rings_the_same_phones() -> None:
    ladder = ManyPhones(2)
    ladder.rings()
    ladder.invites()
    other = ladder.provider.invite("sip:alice-2@gw.example.com", SAVP, call_id="c2")
    other.headers.set("From", "<sip:carol@example.com>;tag=f2")
    ladder.provider.sends(other)
    ladder.provider.receives(100)
    assert ladder.is_ringing == [True, True]


def test_a_thousand_calls_to_ten_phones_each_take_a_bounded_room() -> None:
    ladder = ManyPhones(10)
    for number in range(1000):
        ladder.provider.sends(ladder.provider.invite("sip:alice@example.com", SAVP, call_id=f"c{number}"))
        ladder.clock.advance(0.001)
    rung = [sum(isinstance(one, Request) for one in drain(phone)) for phone in ladder.phones]
    # Retransmissions of a clock that has gone on for a second are among them.
    assert len(ladder.calls.active) == 1000, "each call rings one phone at least"
    assert ladder.transactions.counts_alive() <= 1000 + 1000 + MOST_RINGING
    assert sum(rung) >= 1000 + MOST_RINGING
    ladder.calls.end_all("test")
    nothing_is_left(ladder)


def test_a_forked_call_is_freed_with_its_last_message() -> None:
    gc.collect()
    gc.disable()
    try:
        ladder = ManyPhones(3)
        invite = ladder.rings()
        invites = ladder.invites()
        ladder.phones[0].answers(invites[0], 180)
        ladder.phones[1].answers(invites[1], 486)
        (call,) = ladder.calls.active
        parts: list[weakref.ref[object]] = [weakref.ref(part) for part in (call, call.caller, call.media_path)]
        parts += [weakref.ref(part) for part in (call.search,) if part is not None]
        ladder.phones[2].answers(invites[2], 200, sdp=AVP)
        assert call.callee is not None
        parts.append(weakref.ref(call.callee))
        answer = [one for one in drain(ladder.provider) if isinstance(one, Response)][-1]
        ladder.provider.acknowledges(invite, answer)
        del call
        list(drain(ladder.phones[2]))
        hangs_up_at = ladder.provider.within(answer, "BYE")
        ladder.provider.sends(hangs_up_at)
        ladder.phones[2].answers(ladder.phones[2].receives_request("BYE"), 200)
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()


def test_a_message_goes_to_all_phones_and_one_answer_back() -> None:
    ladder = ManyPhones(3)
    message = ladder.provider.request("MESSAGE", TOKEN)
    message.headers.add("Content-Type", "text/plain")
    message.body = b"hello"
    ladder.provider.sends(message)
    onward = [phone.receives_request("MESSAGE") for phone in ladder.phones]
    assert [one.body for one in onward] == [b"hello"] * 3
    ladder.phones[0].answers(onward[0], 405)
    ladder.provider.receives_nothing()
    ladder.phones[1].answers(onward[1], 200)
    ladder.provider.receives(200)
    ladder.phones[2].answers(onward[2], 200)
    ladder.provider.receives_nothing()


def test_a_message_that_no_phone_takes_gets_the_best_of_their_answers() -> None:
    ladder = ManyPhones(3)
    message = ladder.provider.request("MESSAGE", "sip:alice@example.com")
    message.body = b"hello"
    message.headers.add("Content-Type", "text/plain")
    ladder.provider.sends(message)
    onward = [phone.receives_request("MESSAGE") for phone in ladder.phones]
    ladder.phones[0].answers(onward[0], 500)
    ladder.phones[1].answers(onward[1], 405)
    ladder.clock.pump([1.0] * 21)
    assert came(ladder.provider) == ["100 MESSAGE", "405 MESSAGE"], "while its sender still waits"
    nothing_is_left(ladder)


def test_an_options_or_subscription_is_for_one_phone() -> None:
    ladder = ManyPhones(3)
    ladder.provider.sends(ladder.provider.request("OPTIONS", "sip:alice@example.com"))
    assert sum(ladder.is_ringing) == 1


def test_a_call_that_replaces_another_is_for_the_phone_that_the_provider_named() -> None:
    """RFC 3891 section 3: the others know nothing of that dialog, and would ring."""
    ladder = ManyPhones(3)
    invite = ladder.provider.invite("sip:alice-2@gw.example.com", SAVP)
    invite.headers.add("Replaces", "some@where;to-tag=a;from-tag=b")
    ladder.provider.sends(invite)
    assert ladder.is_ringing == [False, True, False]


def test_the_provider_may_name_each_phone_of_a_user() -> None:
    """Its token leads to all of them: most providers keep the latest contact alone, and mean the user."""
    for number in (1, 2, 3):
        ladder = ManyPhones(3)
        ladder.rings(f"sip:alice-{number}@gw.example.com")
        assert ladder.is_ringing == [True, True, True]


def test_a_phone_may_answer_again_and_again_that_it_rings_and_the_caller_hears_it_once() -> None:
    ladder = ManyPhones(2)
    ladder.rings()
    invites = ladder.invites()
    for _ in range(50):
        for phone, one in zip(ladder.phones, invites, strict=True):
            phone.answers(one, 180)
            phone.answers(one, 182)
    assert came(ladder.provider) == ["180 INVITE", "182 INVITE"]


def test_a_call_that_one_of_several_phones_has_goes_on_after_a_kill(tmp_path: Path) -> None:
    ladder = ManyPhones(3, journal=tmp_path)
    invite = ladder.rings()
    ladder.phones[0].answers(ladder.invites()[0], 200, sdp=AVP)
    answer = talks(ladder, invite, 0)

    after = ladder.killed()
    after.provider.sends(after.provider.within(answer, "BYE"))
    after.provider.receives(200)
    bye = ladder.phones[0].receives_request("BYE")
    assert bye.uri == f"sip:me@{ladder.phones[0].flow.remote}"
    steps = [(step.fork, step.what) for step in next(after.calls.records()).ladder if step.leg == "callee"]
    assert (3, "200 OK") in steps
    assert steps[-1] == (3, "BYE")


def test_keys_of_a_phone_are_its_own_after_a_kill() -> None:
    wish = SdpWish(Side.PHONES, Encryption.SAVP, ("AEAD_AES_128_GCM",), takes_clear=True, fork=3)
    assert _thawed_wish(json.loads(json.dumps(_frozen_wish(wish)))) == wish
