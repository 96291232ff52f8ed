"""Codecs that cross: RFC 3264 sections 5.1, 6 and 6.1, RFC 4733 section 2.1, RFC 3389 section 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp.codecs import CodecList, encodings_of
from gateway.sdp.description import Description, MalformedDescription

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
PHONE = (
    "m=audio 4000 RTP/SAVP 111 9 8 0 13 101 110\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
    "a=rtcp-fb:111 transport-cc\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=rtpmap:110 telephone-event/48000\r\na=ptime:20\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
)
VIDEO = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\n"
FAX = "m=image 4004 udptl t38\r\n"


def sdp(*lines: str) -> bytes:
    return (HEAD + "".join(lines)).encode()


def offered(names: tuple[str, ...], *lines: str, also: tuple[str, ...] = ()) -> list[str]:
    found = CodecList(names, also).offer(sdp(*lines))
    assert found is not None
    return [line for line in found.decode().splitlines() if line.startswith(("m=", "a="))]


def formats(found: bytes | None) -> list[list[str]]:
    assert found is not None
    return [media.formats if media.port else [] for media in Description.parse(found).media]


def test_rfc3264_5_1_formats_are_those_of_the_list_in_its_order_with_their_attributes() -> None:
    assert offered(("PCMU", "pcma", "telephone-event"), PHONE) == [
        "m=audio 4000 RTP/SAVP 0 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    ]


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("opus", "telephone-event"), ["111", "110"]),
        (("PCMA", "telephone-event"), ["8", "101"]),
        (("opus", "PCMA", "telephone-event"), ["111", "8", "101", "110"]),
        (("CN", "PCMU"), ["13", "0"]),
        (("opus", "CN"), ["111"]),
        (("G722", "telephone-event"), ["9", "101"]),
    ],
)
def test_rfc4733_2_1_events_and_noise_stay_with_a_codec_of_their_clock(names: tuple[str, ...], kept: list[str]) -> None:
    assert formats(CodecList(names).offer(sdp(PHONE))) == [kept]


@pytest.mark.parametrize("names", [("G729",), ("G729", "telephone-event", "CN")])
def test_an_offer_without_any_of_them_is_none(names: tuple[str, ...]) -> None:
    assert CodecList(names).offer(sdp(PHONE)) is None
    assert CodecList(names, is_lenient=True).offer(sdp(PHONE)) == sdp(PHONE)


def test_rfc3264_5_1_a_line_without_any_of_them_is_offered_with_port_0_in_its_place() -> None:
    lines = offered(("PCMA",), VIDEO, PHONE)
    assert lines[:3] == ["m=video 0 RTP/AVP 96", "a=mid:1", "m=audio 4000 RTP/SAVP 8"]


def test_leniency_is_for_each_line_an_emergency_call_keeps_the_audio_that_the_list_does_not_have() -> None:
    """The list leaves the video alone: people want to hear each other all the same."""
    lenient = CodecList(("VP8",), is_lenient=True)
    assert formats(lenient.offer(sdp(PHONE, VIDEO))) == [["111", "9", "8", "0", "13", "101", "110"], ["96"]]
    assert formats(CodecList(("VP8", "PCMA"), is_lenient=True).offer(sdp(PHONE, VIDEO))) == [["8"], ["96"]]
    answer = sdp("m=audio 6000 RTP/AVP 0\r\n", VIDEO)
    assert formats(lenient.answer(answer, sdp(PHONE, VIDEO))) == [["0"], ["96"]]
    assert formats(CodecList(("VP8",)).answer(answer, sdp(PHONE, VIDEO))) == [[], ["96"]]


def test_lines_that_are_no_rtp_are_left_alone() -> None:
    assert formats(CodecList(("PCMA",)).offer(sdp(FAX))) == [["t38"]]
    assert formats(CodecList(("G729",)).offer(sdp(PHONE, FAX))) == [[], ["t38"]]


def test_both_lists_have_to_name_a_codec() -> None:
    assert offered(("opus", "PCMU", "PCMA"), PHONE, also=("PCMA", "G722", "PCMU"))[0] == "m=audio 4000 RTP/SAVP 0 8"


def test_an_offer_that_crosses_whole_is_the_same_bytes() -> None:
    body = sdp("m=audio 4000 RTP/AVP 8 0\r\n")
    assert CodecList(("PCMA", "PCMU")).offer(body) is body


def test_a_refused_line_stays_refused() -> None:
    body = sdp("m=audio 0 RTP/AVP 9\r\n")
    assert CodecList(("PCMA",)).offer(body) is body


def test_rfc3264_6_1_formats_that_were_not_offered_are_not_answered() -> None:
    offer = sdp("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n")
    answer = sdp(
        "m=audio 6000 RTP/AVP 0 8 96 101\r\na=rtpmap:96 telephone-event/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    found = CodecList(("PCMA", "PCMU", "telephone-event")).answer(answer, offer)
    assert formats(found) == [["8", "101"]]
    assert b"rtpmap:96" not in (found or b"")


def test_an_answer_keeps_its_own_order() -> None:
    offer = sdp("m=audio 4000 RTP/AVP 8 0\r\n")
    answer = sdp("m=audio 6000 RTP/AVP 0 8\r\n")
    assert CodecList(("PCMA", "PCMU")).answer(answer, offer) is answer


@pytest.mark.parametrize("taken", ["9", "18 101"])
def test_an_answer_without_any_of_them_is_none(taken: str) -> None:
    offer = sdp("m=audio 4000 RTP/AVP 8 0\r\n")
    assert CodecList(("PCMA", "PCMU")).answer(sdp(f"m=audio 6000 RTP/AVP {taken}\r\n"), offer) is None


def test_an_answer_that_refuses_all_is_one() -> None:
    offer = sdp("m=audio 4000 RTP/AVP 8 0\r\n")
    refused = sdp("m=audio 0 RTP/AVP 8\r\n")
    assert CodecList(("PCMA",)).answer(refused, offer) is refused


def test_rfc3551_6_static_types_need_no_rtpmap_and_dynamic_ones_do() -> None:
    (media,) = Description.parse(
        sdp("m=audio 4000 RTP/AVP 0 13 97 98\r\na=rtpmap:98 iLBC/8000\r\na=rtpmap:0 x/y\r\n")
    ).media
    assert encodings_of(media) == {"0": ("pcmu", 8000), "13": ("cn", 8000), "97": ("", 0), "98": ("ilbc", 8000)}


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(MalformedDescription):
        CodecList(("PCMA",)).offer(b"v=1\r\n")


@given(st.permutations(["111", "9", "8", "0", "13", "101", "110"]), st.sets(st.sampled_from(["opus", "PCMA", "CN"])))
def test_formats_left_are_some_of_the_offers_and_a_second_look_changes_nothing(
    written: list[str], names: set[str]
) -> None:
    body = sdp(PHONE.replace("111 9 8 0 13 101 110", " ".join(written)))
    codecs = CodecList(tuple(names))
    once = codecs.offer(body)
    if once is None:
        assert names == {"CN"}
        return
    assert set(formats(once)[0]) <= set(written)
    assert codecs.offer(once) is once
