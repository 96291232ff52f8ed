"""Session descriptions: reading, changing, writing (RFC 8866), and every kind of nonsense."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp import description
from gateway.sdp.description import MAXIMUM_LINES, Description, Direction, MalformedDescription, Media

OFFER = (
    b"v=0\r\n"
    b"o=- 3919 3920 IN IP4 192.0.2.1\r\n"
    b"s=caf\xe9\r\n"
    b"c=IN IP4 192.0.2.1\r\n"
    b"t=0 0\r\n"
    b"a=sendonly\r\n"
    b"m=audio 4000 RTP/SAVP 0 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n"
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AAAA\r\n"
    b"m=video 0 RTP/AVP 31\r\n"
    b"c=IN IP6 2001:db8::1\r\n"
    b"b=AS:64\r\n"
    b"a=sendrecv\r\n"
)


def test_fields_of_an_offer() -> None:
    description = Description.parse(OFFER)
    audio, video = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 4000, "RTP/SAVP", ["0", "101"])
    assert audio.is_active
    assert audio.is_rtp
    assert audio.is_secure
    assert not video.is_active
    assert not video.is_secure
    assert description.origin.version == "3920"
    assert description.origin.address == "192.0.2.1"
    assert description.connection_of(audio) == "192.0.2.1"
    assert description.connection_of(video) == "2001:db8::1"
    assert len(audio.attributes_named("crypto")) == 2
    assert audio.attribute("rtpmap") == "0 PCMU/8000"
    assert audio.attribute("ptime") is None
    assert video.attribute("sendrecv") == ""


def test_an_offer_written_again_is_the_same_bytes() -> None:
    assert Description.parse(OFFER).to_bytes() == OFFER


def test_direction_inherits_the_session_and_its_own_wins() -> None:
    audio, video = Description.parse(OFFER).media
    assert (audio.direction, video.direction) == (Direction.SENDONLY, Direction.SENDRECV)
    audio.direction = Direction.INACTIVE
    assert audio.direction is Direction.INACTIVE
    assert ("inactive", None) in audio.attributes


def test_a_connection_is_written_where_the_grammar_wants_it() -> None:
    description = Description.parse(b"v=0\no=- 1 1 IN IP4 h\ns=-\nt=0 0\nm=audio 1 RTP/AVP 0\ni=x\nb=AS:64\na=b\n")
    description.connection = "192.0.2.9"
    description.media[0].connection = "2001:db8::2"
    assert b"s=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n" in description.to_bytes()
    assert b"i=x\r\nc=IN IP6 2001:db8::2\r\nb=AS:64\r\na=b\r\n" in description.to_bytes()
    description.media[0].connection = None
    assert description.connection_of(description.media[0]) == "192.0.2.9"


def test_multicast_suffix_is_no_part_of_the_address() -> None:
    assert Description.parse(b"v=0\no=- 1 1 IN IP4 h\nc=IN IP4 224.2.1.1/127/3\n").connection == "224.2.1.1"


def test_an_origin_username_with_spaces_as_some_phones_send() -> None:
    assert Description.parse(b"v=0\no=John Doe 1 2 IN IP4 192.0.2.1\ns=-\n").origin.username == "John Doe"


def test_attributes_can_be_removed_and_added() -> None:
    audio = Description.parse(OFFER).media[0]
    audio.remove_attribute("crypto")
    audio.add_attribute("rtcp-mux")
    assert not audio.has_attribute("crypto")
    assert audio.has_attribute("rtcp-mux")


def test_dtls_is_rtp_but_not_secured_by_crypto_attributes() -> None:
    assert Media.parse("audio 9 UDP/TLS/RTP/SAVPF 0").is_rtp
    assert not Media.parse("audio 9 UDP/TLS/RTP/SAVPF 0").is_secure
    assert not Media.parse("image 9 udptl t38").is_rtp


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"s=-\r\nv=0\r\n",
        b"a=b\r\nv=0\r\no=- 1 1 IN IP4 h\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\na b\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\n=b\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\n\xc3\xa9=b\r\n",
        b"v=1\r\no=- 1 1 IN IP4 h\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- 1 1 IN IP4\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 70000 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio \xd9\xa1 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 1/x RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=a\0b\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"a=x\r\n" * MAXIMUM_LINES,
        b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 65,
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=" + b"x" * 70_000,
    ],
)
def test_what_is_no_description_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedDescription):
        Description.parse(body)


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([b"v=0", b"o=- 1 1 IN IP4 h", b"s=-", b"c=IN IP4 h", b"m=audio 1 RTP/AVP 0", b"a=b:c"]),
    ),
    max_size=12,
)


@given(_LINES, st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_any_bytes_parse_or_are_malformed_and_writing_settles(lines: list[bytes], end: bytes) -> None:
    body = end.join([b"v=0", b"o=- 1 1 IN IP4 h", *lines])
    try:
        written = Description.parse(body).to_bytes()
    except MalformedDescription:
        return
    assert Description.parse(written).to_bytes() == written


@given(st.binary(max_size=200))
def test_raw_bytes_never_raise_anything_else(body: bytes) -> None:
    try:
        Description.parse(body)
    except MalformedDescription:
        pass


SESSION = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "A=CRYPTO:1 x inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "k=base64:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "a=key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyO",
        "a=ice-pwd:asd88fgpdd777uzjYhagZg",
        "a=x-srtp:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "a=rtcp:53020 IN IP4 126.16.64.4",
        "a=ssrc:314159 cname:user@example.com",
        "a=ssrc-group:FID 314159 271828",
        "a=msid:examplefoo examplebar",
        "a=path:msrp://192.0.2.1:7394/2s93i9ek2a;tcp",
    ],
)
def test_no_key_is_remembered_nor_a_line_that_no_other_call_has(line: str) -> None:
    description._known.cache_clear()
    body = f"{SESSION}a=rtpmap:0 PCMU/8000\r\n{line}\r\na=sendrecv\r\n".encode()
    assert Description.parse(body).to_bytes() == Description.parse(body).to_bytes()
    assert description._known.cache_info().currsize == 0


def test_a_description_that_was_changed_changes_no_other() -> None:
    body = f"{SESSION}a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n".encode()
    first = Description.parse(body)
    first.media[0].direction = Direction.INACTIVE
    first.media[0].connection = "192.0.2.9"
    again = Description.parse(body).media[0]
    assert (again.direction, again.connection) == (Direction.SENDRECV, None)
    assert description._known.cache_info().currsize > 0


@given(st.lists(st.sampled_from(["a=x", "a= y : z ", "b=AS:64", "i=", " ", "", "c=IN IP4 1.1.1.1", "a:b", "=", "a=é"])))
def test_lines_mean_the_same_remembered_or_not(lines: list[str]) -> None:
    def read(most: int) -> object:
        try:
            with mock.patch.object(description, "LONGEST_KNOWN", most):
                media = Description.parse((SESSION + "\r\n".join(lines)).encode()).media
        except MalformedDescription as error:
            return error.reason
        return [(one.attributes, one.lines) for one in media]

    assert read(-1) == read(2_048) == read(2_048)
