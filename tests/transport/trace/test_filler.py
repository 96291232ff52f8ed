"""A traced message: nothing secret in it, nothing else changed, and as long as before."""

from __future__ import annotations

import base64
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.trace.filler import without_secrets

KEY = base64.b64encode(bytes(range(46))).decode()

INVITE = f"""\
INVITE sip:+4930123@voip.test SIP/2.0
Via: SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK776asdhds
From: <sip:alice:Wonderland@voip.test>;tag=1
To: <sip:+4930123@voip.test>
Call-ID: a84b4c76e66710
CSeq: 2 INVITE
Proxy-Authorization: Digest username="alice", realm="voip.test", nonce="dcd98b7102dd2f0e",
 uri="sip:alice:Other@voip.test", response="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", qop=auth, nc=00000001
Content-Type: application/sdp
Content-Length: 200

v=0
m=audio 4000 RTP/SAVP 0
a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}|2^20|1:4
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:40]}
k=base64:c2VjcmV0
""".replace("\n", "\r\n").encode()


def test_keys_and_credentials_become_filler_of_their_length() -> None:
    shown = without_secrets(INVITE)
    assert len(shown) == len(INVITE)
    for secret in (KEY[:20], "6629fae4", "dcd98b71", "0a4f113b", "Wonderland", "Other", "c2VjcmV0"):
        assert secret.encode() not in shown
    assert base64.b64decode(re.findall(rb"inline:([^|\r]+)", shown)[0]) == b"\0" * 46
    assert len(base64.b64decode(re.findall(rb"inline:([^|\r]+)", shown)[1])) == 30


def test_the_rest_stays_readable() -> None:
    shown = without_secrets(INVITE)
    for kept in (
        b'username="alice", realm="voip.test"',
        b"nc=00000001",
        b"|2^20|1:4",
        b"branch=z9hG4bK776asdhds",
        b"CSeq: 2",
    ):
        assert kept in shown


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ('SIP/2.0 401 X\r\nWWW-Authenticate: Digest realm="a", nonce="f84f1cec41"\r\n\r\n', "f84f1cec41"),
        ('SIP/2.0 200 OK\r\nAuthentication-Info: nextnonce="47364c23", rspauth="6629fae4"\r\n\r\n', "6629fae4"),
        ("REGISTER sip:a SIP/2.0\r\nAuthorization: Basic QWxhZGRpbg==\r\n\r\n", "QWxhZGRpbg"),
        ("REGISTER sip:a SIP/2.0\r\nAUTHORIZATION:Bearer mF_9.B5f-4.1JqM\r\n\r\n", "mF_9.B5f"),
        ("INVITE sip:a SIP/2.0\r\nAuthorization: Digest\r\n response=6629fae49393a0539745\r\n\r\n", "6629fae4"),
        ("INVITE sip:a SIP/2.0\r\nAuthorization: Digest response='6629fae49393', x y 77cafe88\r\n\r\n", "77cafe88"),
        ("MESSAGE sip:a SIP/2.0\r\nContent-Encoding: gzip\r\n\r\nsecretbytes", "secretbytes"),
        ("MESSAGE sip:a SIP/2.0\r\ne: deflate\r\n\r\nsecretbytes", "secretbytes"),
        ("MESSAGE sip:a SIP/2.0\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--b--", "c2VjcmV0"),
        ("NOTIFY sip:a SIP/2.0\r\n\r\n<sd>a=crypto:1 X inline&#58;AbCdEfGhIjKl</sd>", "AbCdEfGh"),
        ("NOTIFY sip:a SIP/2.0\r\nX: <sip:b?body=inline%3AAbCdEfGhIjKl>\r\n\r\n", "AbCdEfGh"),
        ("INVITE sip:a SIP/2.0\r\nX-Y: <sip:[redacted]:Wonderland@b>\r\n\r\n", "Wonderland"),
        ("INVITE sip:a SIP/2.0\r\nRefer-To: <sip:b@c?Authorization=Digest%20x>\r\n\r\n", "Digest%20x"),
        ("INVITE sip:a SIP/2.0\r\n\r\nv=0\r\na=key-mgmt:mikey AQAFgM0XflABAAAA\r\n", "AQAFgM0X"),
    ],
)
def test_wherever_a_secret_stands(message: str, secret: str) -> None:
    shown = without_secrets(message.encode())
    assert secret.encode() not in shown
    assert len(shown) == len(message)


HEAD, SDP, XML, JSON = (
    f"INFO sip:a SIP/2.0\r\n{type_line}\r\n"
    for type_line in (
        "Subject: %s\r\n",
        "Content-Type: application/sdp\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 %s\r\nm=audio 1 RTP/AVP 0\r\n",
        "Content-Type: application/xml\r\n\r\n<a><k>%s</k></a>",
        "Content-Type: application/json\r\n\r\n%s",
    )
)
HALF = len(KEY) // 2


@pytest.mark.parametrize(
    "message",
    [
        *(form % f"inline{sign}{KEY}" for form in (HEAD, SDP, XML) for sign in (": ", " :", ":\t", ":\\")),
        HEAD % f"inline:\r\n {KEY}",
        *(SDP % f"inline:{KEY[:4]}{end}{KEY[4:]}" for end in ("\r\n", "\n", "\r", "\r\n ", "\0", "\x0c", " ")),
        SDP % f"inline:AAAA|2^20|1:4;{KEY}",
        SDP % f"uri:{KEY}",
        SDP % f"x\rk=base64:{KEY}",
        SDP % f"x\r\nK =base64:{KEY}",
        SDP % f"x\r\na=key-mgmt: mi-key {KEY}",
        XML % f"inline:<![CDATA[{KEY}]]>",
        XML % f"inline:{KEY[:HALF]}<b/>{KEY[HALF:]}",
        XML % f'<c inline="{KEY}"/>',
        XML % f"<inline>{KEY}</inline>",
        JSON % f'{{"inline": "{KEY}"}}',
        JSON % f'{{"a": "inline\\u003a{KEY}"}}',
        JSON % f'{{"a": "inline:AA\\/{KEY}"}}',
        JSON % KEY,
        JSON % base64.b64encode(f"a=crypto:1 X inline:{KEY}".encode()).decode(),
        *(HEAD % f"<sip:b?body={sign}{KEY}>" for sign in ("inline%253A", "%69nline%3A", "inline:ab%2B", "inl\\ine:")),
        HEAD % f"inline&#058;A&#43;{KEY}",
        *(
            f'INFO sip:a SIP/2.0\r\nAuthorization: Digest realm="{sign}{KEY}"\r\n\r\n'
            for sign in ("inl\\ine:", "a=crypto:1 X ")
        ),
        f"INFO sip:a SIP/2.0\r\nX: y\n\r\nv=0\r\na=crypto:1 X inline:{KEY[:4]}\r\n{KEY[4:]}\r\n",
    ],
)
def test_however_a_peer_writes_a_key(message: str) -> None:
    shown = without_secrets(message.encode())
    assert len(shown) == len(message)
    pieces = [KEY[start : start + 12].encode() for start in range(len(KEY) - 12)]
    assert not any(piece in shown for piece in pieces)


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_key_in_wide_characters(coding: str) -> None:
    key = f"inline:{KEY}".encode(coding)
    assert key[40:] not in without_secrets(b"INFO sip:a SIP/2.0\r\n\r\n" + key)


def test_a_key_in_hexadecimal() -> None:
    key = f"a=crypto:1 X inline:{KEY}".encode().hex()
    assert key[60:].encode() not in without_secrets(f"INFO sip:a SIP/2.0\r\nUser-to-User: {key}\r\n\r\n".encode())


def test_of_a_challenge_the_realm_stays_and_the_opaque_goes() -> None:
    shown = without_secrets(b'SIP/2.0 401 X\r\nWWW-Authenticate: Digest realm="a", opaque=c2VjcmV0, qop="auth"\r\n\r\n')
    assert b"c2VjcmV0" not in shown
    assert b'realm="a"' in shown


LONG = "0123456789abcdef" * 3


@pytest.mark.parametrize(
    "message",
    [
        f"INVITE sip:a SIP/2.0\nContent-Disposition: inline\nCall-ID: {LONG}\nVia: x;branch={LONG}\n\nv=0\na=x:1\n",
        "MESSAGE sip:a SIP/2.0\nSubject: 50% \\o/ &amp; more\nContent-Type: text/plain\n\nSee you at noon.\n\nA.\n",
        "SIP/2.0 200 OK\nContent-Type: multipart/mixed;boundary=b\n\n--b\nContent-Disposition: inline;x=y\n\nv=0\n",
    ],
)
def test_a_message_without_secrets_is_as_it_was(message: str) -> None:
    data = message.replace("\n", "\r\n").encode()
    assert without_secrets(data) == data


@given(
    st.binary(max_size=300),
    st.sampled_from([b"inline:", b"nonce=", b"Authorization: Digest ", b"\r\n\r\n", b"sip:a:", b"k="]),
)
def test_any_bytes_keep_their_length(data: bytes, sign: bytes) -> None:
    for message in (data, data + sign + data, sign + data):
        assert len(without_secrets(message)) == len(message)


@pytest.mark.parametrize(
    "piece", [b"sip:", b"nonce=", b"inline:", b"Authorization: Digest a=", b"\r\n ", b"&#", b'"', b"sip:a:"]
)
def test_a_long_message_takes_no_longer_than_its_length(piece: bytes) -> None:
    begun = time.perf_counter()
    without_secrets(b"INVITE sip:a SIP/2.0\r\nAuthorization: Digest " + piece * (65_000 // len(piece)))
    assert time.perf_counter() - begun < 1
