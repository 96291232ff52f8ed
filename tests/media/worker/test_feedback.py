"""RTCP feedback (RFC 4585) in offers and answers, beyond rtpengine's ground: who wrote it first keeps it."""

from __future__ import annotations

from gateway.media.relay import Encryption
from tests.support.media_party import SUITES, Party, media_lines
from tests.support.media_relays import Ng

FEEDBACK = ("a=rtcp-fb:* trr-int 1000", "a=rtcp-fb:* ccm tmmbr")


def profiles(sdp: bytes) -> list[str]:
    return [profile for _, _, profile in media_lines(sdp)]


def test_audio_is_offered_without_feedback_and_its_attributes(ng: Ng, call: str, phone: Party) -> None:
    offer = ng.offer(call, phone.sdp("RTP/AVPF", more=FEEDBACK), Encryption.SAVP)
    assert profiles(offer) == ["RTP/SAVP"]
    assert b"rtcp-fb" not in offer


def test_each_party_keeps_its_profile_when_the_other_offers_again(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    offer = ng.offer(call, phone.sdp("RTP/AVPF", more=FEEDBACK), Encryption.SAVP)
    own = [(1, SUITES[2], provider.key(SUITES[2]))]
    ng.answer(call, provider.answer(offer, SUITES[2]))
    again = ng.offer(call, provider.sdp("RTP/SAVP", own), Encryption.NONE, from_tag="callee", to_tag="caller")
    assert profiles(again) == ["RTP/AVPF"]
    answer = ng.answer(call, phone.sdp("RTP/AVPF", more=FEEDBACK), from_tag="callee", to_tag="caller")
    assert profiles(answer) == ["RTP/SAVP"]
    assert b"rtcp-fb" not in answer
    third = ng.offer(call, phone.sdp("RTP/AVPF", more=FEEDBACK), Encryption.SAVP, to_tag="callee")
    assert profiles(third) == ["RTP/SAVP"]


def test_video_keeps_its_feedback(ng: Ng, call: str, phone: Party) -> None:
    video = phone.sdp("RTP/AVPF", more=("a=rtcp-fb:* nack pli",)).replace(b"m=audio", b"m=video")
    offer = ng.offer(call, video, Encryption.SAVP)
    assert profiles(offer) == ["RTP/SAVPF"]
    assert b"a=rtcp-fb:* nack pli" in offer
