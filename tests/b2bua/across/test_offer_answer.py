"""Offers and answers across a call: glare, answers in reliable responses, forks (RFC 3261 section 14, RFC 6337)."""

from __future__ import annotations

import re

import pytest
from twisted.internet.defer import Deferred, succeed

from gateway.b2bua.across.reoffer import wish_in_force
from gateway.media.relay import UNKNOWN_SOURCE, Encryption, SdpSource, SdpWish
from gateway.sdp.settlement import Settlement
from gateway.sip.message import Response
from tests.support.ladder import AVP, SAVP, Ladder, TestRelay, drain
from tests.support.stories import came, ring, talk


@pytest.mark.parametrize("first", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("second", ["INVITE", "UPDATE"])
def test_changes_of_the_media_that_cross_get_491(first: str, second: str) -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    asked = ladder.phone.within(answer, first, sdp=AVP)
    ladder.phone.sends(asked)
    change = ladder.provider.receives_request(first)
    ladder.provider.sends(ladder.provider.within_answered(onward, second, sdp=SAVP))
    assert came(ladder.provider) == [f"491 {second}"]
    ladder.provider.answers(change, 200, sdp=SAVP)
    came(ladder.provider)
    if first == "INVITE":
        changed = [one for one in drain(ladder.phone) if isinstance(one, Response) and one.status == 200]
        ladder.phone.acknowledges(asked, changed[0])
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


def test_fork_that_answers_after_an_update_of_another_fork_answers_the_invite() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP, tag="t1")
    ladder.provider.answers(onward, 183, sdp=SAVP.replace(b"6000", b"6002"), tag="t2")
    came(ladder.phone)
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP, tag="t2"))
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200, sdp=AVP)
    asked = len(ladder.relay.asked)
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="t1")
    assert ladder.relay.asked[asked:] == [("offer", "caller", "callee"), ("answer", "caller", "callee")]
    assert ladder.phone.receives_response(200).body == AVP
    assert ladder.callee.media.in_force == Settlement(SAVP, SAVP, we_offered=True)


def test_200_that_repeats_an_answer_which_an_update_has_replaced_changes_nothing() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.phone.receives(183)
    moved = SAVP.replace(b"6000", b"6100")
    ladder.provider.sends(ladder.provider.within_answered(onward, "UPDATE", sdp=moved))
    ladder.phone.answers(ladder.phone.receives_request("UPDATE"), 200, sdp=AVP)
    asked = len(ladder.relay.asked)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    assert len(ladder.relay.asked) == asked
    assert ladder.callee.media.in_force == Settlement(SAVP, moved, we_offered=False)


def test_refresh_of_a_call_that_the_provider_offered_repeats_its_profile_and_suite() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    ladder.provider.sends(invite)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    wish = wish_in_force(ladder.caller)
    assert (wish.encryption, wish.suites) == (Encryption.SAVP, ("AES_CM_128_HMAC_SHA1_80",))
    ladder.caller.media.in_force = Settlement(AVP, AVP, we_offered=False)
    assert wish_in_force(ladder.caller).encryption is Encryption.NONE
    assert wish_in_force(ladder.callee) == ladder.callee.media.wish


class PortsRelay(TestRelay):
    """Shows each description with the port that it came with."""

    def _shown(self, form: bytes, sdp: bytes) -> Deferred[bytes]:
        came, was = (re.search(rb"m=audio (\d+)", one) for one in (sdp, form))
        assert came is not None
        assert was is not None
        return succeed(form.replace(was[0], came[0]))

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        return super().offer(call, from_tag, sdp, wish, to_tag).addCallback(self._shown, sdp)

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        return super().answer(call, from_tag, to_tag, sdp).addCallback(self._shown, sdp)


def test_rfc_3264_section_8_versions_go_up_toward_the_caller_whichever_fork_speaks() -> None:
    ladder = Ladder(relay=PortsRelay())
    _, onward = ring(ladder)
    given = []
    ladder.provider.answers(onward, 183, sdp=SAVP, tag="t1")
    given.append(ladder.phone.receives_response(183).body)
    ladder.provider.sends(
        ladder.provider.within_answered(onward, "UPDATE", sdp=SAVP.replace(b"6000", b"6100"), tag="t1")
    )
    update = ladder.phone.receives_request("UPDATE")
    given.append(update.body)
    ladder.phone.answers(update, 200, sdp=AVP)
    ladder.provider.answers(onward, 183, sdp=SAVP.replace(b"6000", b"6200"), tag="t2")
    given.append(ladder.phone.receives_response(183).body)
    ladder.provider.answers(onward, 200, tag="t1")
    given.append(ladder.phone.receives_response(200).body)
    lines = [re.search(rb"o=- (\d+) (\d+)[^m]*m=audio (\d+)", sdp) for sdp in given]
    found = [line.groups() for line in lines if line is not None]
    assert [port for _, _, port in found] == [b"6000", b"6100", b"6200", b"6100"]
    assert {session for session, _, _ in found} == {b"1"}
    assert [int(version) for _, version, _ in found] == [1, 2, 3, 4]
