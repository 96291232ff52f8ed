"""Session descriptions under other names are found, and taken out where the body can do without."""

from __future__ import annotations

import time

import pytest

from gateway.sip.bodies.disguise import holds_description, status_line, without_descriptions
from gateway.sip.errors import MalformedMessage

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
DIALOG = (
    b'<?xml version="1.0"?><dialog-info version="0"><dialog id="x"><local>%s</local><state>confirmed</state>'
    b"</dialog></dialog-info>"
)
XML = "application/dialog-info+xml"


@pytest.mark.parametrize(
    "body",
    [
        SDP,
        b"hello\r\n" + SDP,
        b"m=audio 4000 RTP/AVP 0",
        b"x\nM=Video 4000 RTP/AVP 0",
        b"\ra=crypto :1 x",
        b"key inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        b"<a>v=0\r\n</a>",
        b"<a>&#118;=0\r\n</a>",
        b"<a>m&#x3d;audio 9 RTP/AVP 0</a>".replace(b"<a>", b"<a>\n"),
        b"a=fingerprint:sha-256 00",
    ],
)
def test_lines_of_a_description_are_found(body: bytes) -> None:
    assert holds_description(body)


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"Signal=5\r\nDuration=160\r\n", b"v=01", b"Voice-Message: 2/0\r\n", b"a=b"]
)
def test_other_lines_are_none(body: bytes) -> None:
    assert not holds_description(body)


@pytest.mark.parametrize(
    "element",
    [
        b'<session-description type="application/sdp">' + SDP + b"</session-description>",
        b"<d:session-description>%s</d:session-description >" % SDP,
        b"<session-description/>",
    ],
)
def test_rfc_4235_description_of_a_dialog_is_taken_out(element: bytes) -> None:
    assert without_descriptions(XML, DIALOG % element) == DIALOG % b""


@pytest.mark.parametrize(
    "body",
    [
        DIALOG % (b"<session-description>" + SDP),
        DIALOG % (b"&lt;session-description>"),
        DIALOG % b"<!-- --><Session-Description/>",
        b'<!DOCTYPE x [<!ENTITY s "v=0">]>' + DIALOG % b"&s;",
        b'<?xml version="1.0" encoding="utf-7"?><x/>',
        "<?xml version='1.0'?><x/>".encode("utf-16"),
        DIALOG % (b"<session-description></session-description>" * 100),
    ],
)
def test_xml_that_can_be_read_in_two_ways_does_not_cross(body: bytes) -> None:
    assert without_descriptions(XML, body) is None


SCATTERED = [
    b"<s><m>m=audio</m><p>6000</p><t>RTP/SAVP 0</t></s>",
    b"<s>note <b>m=</b>\r\n  <b>audio 6000 RTP/AVP 0</b></s>",
    b"<k>a=cry</k>\n\t<k>pto:1 AES_CM_128_HMAC_SHA1_80</k>",
    b"<k><![CDATA[a=crypto:1 AES_CM_128_HMAC_SHA1_80]]></k>",
    b"<k><![CDATA[inli]]><![CDATA[ne:WVNfX19zZW1jdGwgKCkg]]><x/>ewkyMjA7fQp9CnVubGVz</k>",
    b"<k>inline:WVNfX19zZW1jdGwg<!-- -->KCkgewkyMjA7fQp9CnVubGVz</k>",
    b"<k a='a=cryp' b=\"to:1 AES_CM_128_HMAC_SHA1_80\"/>",
    b"<k>a&#61;cry</k><k>pto&#x3a;1</k>",
    b"&lt;k&gt;a=cry&lt;/k&gt;&lt;k&gt;pto:1&lt;/k&gt;",
    b"<k>a=key-</k><k>mgmt:mikey AQAFgM0XflABAAAA</k>",
]


@pytest.mark.parametrize("body", SCATTERED)
def test_rfc_4235_lines_scattered_over_elements_do_not_cross(body: bytes) -> None:
    assert without_descriptions(XML, DIALOG % body) is None
    assert holds_description(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<note>please look inline: it is all there</note>",
        b"<a>m</a>=<b>audio</b> of room 7",
        b"<presence><tuple id='a1'><status><basic>open</basic></status></tuple></presence>",
        b"<a b='1' c=\"2\">3 &lt; 4</a>",
    ],
)
def test_xml_without_such_lines_crosses(body: bytes) -> None:
    assert without_descriptions("application/pidf+xml", body) == body


@pytest.mark.parametrize("piece", [b"<", b"<a ", b"< \t", b"<a b='", b"<!--", b"&lt;", b"m=a", b"]]>", b"a=crypto "])
def test_hostile_markup_takes_no_time(piece: bytes) -> None:
    begun = time.monotonic()
    without_descriptions(XML, b"<x>" + piece * (60_000 // len(piece)))
    assert time.monotonic() - begun < 0.5


def test_many_elements_take_no_time() -> None:
    begun = time.monotonic()
    without_descriptions(XML, b"<session-description>" * 64 + b"x" * 60_000)
    assert time.monotonic() - begun < 0.5


def test_text_in_a_character_set_that_hides_lines_does_not_cross() -> None:
    assert without_descriptions("text/plain;charset=utf-16", b"hello") is None
    assert without_descriptions("text/plain;charset=UTF-8", b"hello") == b"hello"


@pytest.mark.parametrize("charset", ["cp500", "unicode", "utf_16", "UnicodeLittle", "x-own", "hz-gb-2312"])
def test_rfc_2046_section_4_1_2_text_in_an_unknown_character_set_does_not_cross(charset: str) -> None:
    assert without_descriptions(f"text/plain;charset={charset}", b"hello") is None


@pytest.mark.parametrize("charset", ["utf-8", '"UTF8"', "us-ascii", "ISO-8859-15", "windows-1252", "gb18030"])
def test_rfc_2046_section_4_1_2_text_in_a_set_like_ascii_crosses(charset: str) -> None:
    assert without_descriptions(f"text/plain; charset={charset}", b"hello") == b"hello"
    assert without_descriptions(f"text/plain; charset={charset}", SDP) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_rfc_2781_section_3_3_description_in_wide_characters_is_found(encoding: str) -> None:
    assert holds_description(SDP.decode().encode(encoding))
    assert not holds_description("hello".encode(encoding))


@pytest.mark.parametrize(
    "type_line",
    ["text/plain;charset=utf-8;charset=utf-16", "text/plain;charset*=utf-16", "text/plain;CHARSET*0=utf-;charset*1=16"],
)
def test_rfc_2231_section_3_a_character_set_that_is_named_twice_is_none(type_line: str) -> None:
    with pytest.raises(MalformedMessage):
        without_descriptions(type_line, b"hello")


@pytest.mark.parametrize(
    ("fragment", "crosses"),
    [
        (b"SIP/2.0 200 OK\r\n", b"SIP/2.0 200 OK\r\n"),
        (b"SIP/2.0 100 Trying", b"SIP/2.0 100 Trying"),
        (b"SIP/2.0 180\r\n\r\n", b"SIP/2.0 180\r\n\r\n"),
        (
            b"SIP/2.0 200 OK\r\nContact: <sip:a@b>\r\nReason: X\r\n\r\n" + SDP,
            b"SIP/2.0 200 OK\r\nReason: X\r\n",
        ),
        (b"INVITE sip:x SIP/2.0\r\n", None),
        (b"Subject: hello\r\n", None),
        (SDP, None),
    ],
)
def test_rfc_3515_fragment_is_its_status_line(fragment: bytes, crosses: bytes | None) -> None:
    assert status_line(fragment) == crosses
