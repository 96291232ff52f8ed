"""What offers and answers look like when the relay has rewritten them."""

from __future__ import annotations

import re

import pytest

from gateway.media.relay import Encryption
from gateway.sdp.codecs import CodecList
from gateway.sdp.description import Description
from tests.support.media_party import SUITES, Party, cryptos, media_lines, rtp
from tests.support.media_relays import Ng

ICE = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    "a=candidate:1 1 UDP 2130706431 127.0.0.1 4000 typ host",
)


@pytest.mark.parametrize(
    ("encryption", "profile", "has_keys"),
    [(Encryption.NONE, "RTP/AVP", False), (Encryption.SAVP, "RTP/SAVP", True), (Encryption.OSRTP, "RTP/AVP", True)],
)
def test_offer_has_the_profile_and_keys_asked_for(
    ng: Ng, call: str, phone: Party, encryption: Encryption, profile: str, has_keys: bool
) -> None:
    offer = ng.offer(call, phone.sdp(), encryption)
    ((kind, port, found),) = media_lines(offer)
    assert (kind, found) == ("audio", profile)
    assert port % 2 == 0
    assert [suite for _, suite, _ in cryptos(offer)] == (list(SUITES) if has_keys else [])
    assert f"a=rtcp:{port + 1}".encode() in offer


def test_rfc4568_6_1_keys_are_written_whole_with_their_padding(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """44 bytes of AEAD_AES_256_GCM are 60 characters, the last of them =."""
    suite = SUITES[0]
    offer = ng.offer(call, phone.sdp("RTP/SAVP", [(1, suite, phone.key(suite))]), Encryption.SAVP)
    answer = ng.answer(call, provider.answer(offer, suite))
    for written in re.findall(rb"inline:(\S+)", offer + answer):
        assert len(written) % 4 == 0


def test_suites_are_those_asked_for_and_their_keys_differ(ng: Ng, call: str, phone: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP, suites=SUITES[1:3])
    lines = cryptos(offer)
    assert [suite for _, suite, _ in lines] == list(SUITES[1:3])
    assert len({key for _, _, key in lines}) == 2


def test_nothing_of_the_offerer_is_left(ng: Ng, call: str, phone: Party) -> None:
    offer = ng.offer(call, phone.sdp(more=(*ICE, "a=rtcp-mux", "a=ptime:20")), Encryption.SAVP)
    assert phone.address.encode() not in offer
    assert str(phone.port).encode() not in offer
    for name in (b"a=candidate", b"a=ice-", b"a=fingerprint", b"a=setup", b"a=rtcp-mux"):
        assert name not in offer
    assert f"c=IN IP4 {ng.address}".encode() in offer
    assert b"a=ptime:20" in offer


@pytest.mark.parametrize("feedback", ["", "F"])
@pytest.mark.parametrize("encryption", [Encryption.NONE, Encryption.SAVP, Encryption.OSRTP])
def test_answer_mirrors_the_profile_of_the_offer(
    ng: Ng, call: str, phone: Party, provider: Party, encryption: Encryption, feedback: str
) -> None:
    for asked, suite in (("RTP/AVP", None), ("RTP/SAVP", SUITES[2])):
        crypto = [(1, suite, phone.key(suite))] if suite else None
        offer = ng.offer(call + asked, phone.sdp(asked + feedback, crypto), encryption)
        taken = None if encryption is Encryption.NONE else SUITES[2]
        answer = ng.answer(call + asked, provider.answer(offer, taken))
        assert media_lines(answer)[0][2] == asked + feedback
        assert [(tag, name) for tag, name, _ in cryptos(answer)] == ([(1, suite)] if suite else [])
        assert provider.address.encode() not in answer
        ng.delete(call + asked)


@pytest.mark.parametrize("profile", ["RTP/AVPF", "RTP/SAVPF"])
@pytest.mark.parametrize("encryption", [Encryption.SAVP, Encryption.NONE])
def test_audio_is_offered_without_feedback_and_the_answer_has_the_profile_of_the_offer(
    ng: Ng, call: str, phone: Party, provider: Party, profile: str, encryption: Encryption
) -> None:
    """Linphone offers RTP/AVPF, which most providers refuse."""
    keys = [(1, SUITES[2], phone.key(SUITES[2]))] if "SAVP" in profile else []
    offer = ng.offer(call, phone.sdp(profile, keys, more=("a=rtcp-fb:* trr-int 1000",)), encryption)
    expected = "RTP/SAVP" if encryption is Encryption.SAVP else "RTP/AVP"
    assert [found for _, _, found in media_lines(offer)] == [expected]
    answer = ng.answer(call, provider.answer(offer, SUITES[2] if cryptos(offer) else None))
    assert [found for _, _, found in media_lines(answer)] == [profile]


def test_an_answer_without_srtp_stands_where_it_may(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    provider.aim(ng.offer(call, phone.sdp(), Encryption.SAVP, takes_clear=True))
    answer = ng.answer(call, provider.sdp())
    phone.aim(answer)
    assert media_lines(answer)[0][2] == "RTP/AVP"
    assert cryptos(answer) == []
    provider.send(rtp(1))
    assert phone.receive() == rtp(1)
    phone.send(rtp(2))
    assert provider.receive() == rtp(2)


def test_answer_echoes_the_tag_it_takes(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    lines = [(7, SUITES[3], phone.key(SUITES[3])), (9, SUITES[2], phone.key(SUITES[2]))]
    offer = ng.offer(call, phone.sdp("RTP/SAVP", lines), Encryption.NONE)
    ((tag, suite, key),) = cryptos(ng.answer(call, provider.answer(offer)))
    assert (tag, suite) in {(7, SUITES[3]), (9, SUITES[2])}
    assert key not in (phone.key(SUITES[3]), phone.key(SUITES[2]))


def test_refused_line_stays_refused(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    video = b"m=video 6000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    offer = ng.offer(call, phone.sdp() + video, Encryption.SAVP)
    assert [line[2] for line in media_lines(offer)] == ["RTP/SAVP", "RTP/SAVP"]
    audio = provider.answer(offer[: offer.index(b"m=video")], SUITES[2])
    answer = ng.answer(call, audio + b"m=video 0 RTP/SAVP 96\r\n")
    assert [(kind, port == 0, profile) for kind, port, profile in media_lines(answer)] == [
        ("audio", False, "RTP/AVP"),
        ("video", True, "RTP/AVP"),
    ]


def test_offer_again_keeps_ports_and_keys(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    first = ng.offer(call, phone.sdp(), Encryption.SAVP)
    answered = ng.answer(call, provider.answer(first, SUITES[1]))
    again = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
    used = next(line for line in cryptos(first) if line[1] == SUITES[1])
    assert used in cryptos(again)
    assert media_lines(again) == media_lines(first)
    assert media_lines(ng.answer(call, provider.answer(again, SUITES[1]))) == media_lines(answered)


def test_the_answerer_may_offer_later(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    answer = ng.answer(call, provider.answer(offer, SUITES[1]))
    used = next(line for line in cryptos(offer) if line[1] == SUITES[1])
    own = [(used[0], SUITES[1], provider.key(SUITES[1]))]
    to_phone = ng.offer(call, provider.sdp("RTP/SAVP", own), Encryption.NONE, from_tag="callee", to_tag="caller")
    assert media_lines(to_phone) == media_lines(answer)
    to_provider = ng.answer(call, phone.sdp(), from_tag="callee", to_tag="caller")
    assert media_lines(to_provider) == media_lines(offer)
    assert cryptos(to_provider) == [used]


def test_hold_is_passed_on(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITES[2]))
    held = ng.offer(call, phone.sdp(more=("a=sendonly",)), Encryption.SAVP, to_tag="callee")
    assert b"a=sendonly" in held
    answer = ng.answer(call, provider.answer(held, SUITES[2], more=("a=recvonly",)))
    assert b"a=recvonly" in answer
    old = ng.offer(call, phone.sdp(address="0.0.0.0"), Encryption.SAVP, to_tag="callee")
    assert b"c=IN IP4 0.0.0.0" in old
    assert phone.address.encode() not in old


def test_rfc3264_5_1_codecs_that_were_left_cross_in_their_order_beside_a_line_that_was_refused(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Codecs are taken out before the relay sees an offer (gateway/sdp/codecs.py), so that it may be any."""
    lines = ("a=rtpmap:111 opus/48000/2", "m=video 5002 RTP/AVP 96", "a=rtpmap:96 VP8/90000")
    body = phone.sdp(more=lines).replace(b"RTP/AVP 0 101", b"RTP/AVP 111 0 8 101")
    codecs = CodecList(("PCMA", "PCMU", "telephone-event"))
    kept = codecs.offer(body)
    assert kept is not None
    offer = ng.offer(call, kept, Encryption.SAVP)
    audio, video = Description.parse(offer).media
    assert (audio.formats, video.port) == (["8", "0", "101"], 0)
    assert b"opus" not in offer

    answered = codecs.answer(provider.answer(offer, SUITES[2]).replace(b" 0 101", b" 0 9 101 111"), offer)
    assert answered is not None
    taken = Description.parse(ng.answer(call, answered)).media
    assert taken[0].formats == ["0", "101"]
    assert all(line.port == 0 for line in taken[1:])
