"""The NG dictionaries."""

from __future__ import annotations

import pytest

from gateway.config.model import Provider, Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpSource, SdpWish


def test_our_suites_are_those_of_the_configuration() -> None:
    wish = SdpWish(Side.PROVIDER, Encryption.SAVP, Provider("main", "sip:provider.example.com").suites)
    asked = ng_commands.offer("c", "a", None, b"v=0\r\n", wish)
    assert asked["suites"] == [
        "AEAD_AES_256_GCM",
        "AEAD_AES_128_GCM",
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
    ]


@pytest.mark.parametrize(
    ("encryption", "expected"),
    [
        (Encryption.NONE, {"transport-protocol": "RTP/AVP"}),
        (Encryption.SAVP, {"transport-protocol": "RTP/SAVP", "suites": ["AEAD_AES_128_GCM"]}),
        (Encryption.OSRTP, {"transport-protocol": "RTP/AVP", "OSRTP": ["offer"], "suites": ["AEAD_AES_128_GCM"]}),
        (Encryption.DUAL, {"transport-protocol": "RTP/SAVP", "dual": True, "suites": ["AEAD_AES_128_GCM"]}),
    ],
)
@pytest.mark.parametrize("takes_clear", [False, True])
def test_offer(encryption: Encryption, expected: dict[str, object], takes_clear: bool) -> None:
    wish = SdpWish(Side.PROVIDER, encryption, ("AEAD_AES_128_GCM",), takes_clear)
    found = ng_commands.offer("c", "caller", None, b"v=0\r\n", wish)
    assert found.pop("takes-clear", None) is (None if encryption is Encryption.NONE else takes_clear)
    common = {"command", "call-id", "from-tag", "sdp", "replace", "ICE", "DTLS", "rtcp-mux", "SDES", "direction"}
    assert {key: value for key, value in found.items() if key not in common} == expected
    assert found["direction"] == ["phones", "provider"]


def test_offer_toward_a_browser_is_dtls_alone() -> None:
    found = ng_commands.offer("c", "a", None, b"v=0\r\n", SdpWish(Side.PHONES, Encryption.DTLS, ("AEAD_AES_128_GCM",)))
    assert (found["transport-protocol"], found["ICE"], found["DTLS"]) == ("UDP/TLS/RTP/SAVPF", "force", "passive")
    assert found["rtcp-mux"] == ["require"]
    assert isinstance(found["SDES"], list)
    assert found["SDES"][0] == "off"
    assert not {"suites", "takes-clear", "OSRTP"} & set(found)


@pytest.mark.parametrize("encryption", list(Encryption))
def test_no_other_suite_is_ever_asked_for(encryption: Encryption) -> None:
    found = ng_commands.offer(
        "c", "a", "b", b"", SdpWish(Side.PHONES, encryption, ("AES_CM_128_HMAC_SHA1_80", "NULL_HMAC_SHA1_80"))
    )
    refused = found["SDES"]
    assert isinstance(refused, list)
    assert {f"no-{suite}" for suite in ng_commands.OTHER_SUITES} <= set(map(str, refused))
    assert "no-AES_CM_128_HMAC_SHA1_80" not in refused
    assert found.get("suites", ["AES_CM_128_HMAC_SHA1_80"]) == ["AES_CM_128_HMAC_SHA1_80"]


@pytest.mark.parametrize(("host", "family"), [("192.0.2.11", "IP4"), ("2001:db8::11", "IP6")])
def test_address_of_the_signalling_is_told_in_rtpengines_words(host: str, family: str) -> None:
    wish = SdpWish(Side.PROVIDER, Encryption.NONE)
    assert ng_commands.offer("c", "a", None, b"", wish, SdpSource(host))["received-from"] == [family, host]
    assert ng_commands.answer("c", "a", "b", b"", SdpSource(host))["received-from"] == [family, host]
    assert "received-from" not in ng_commands.answer("c", "a", "b", b"")


@pytest.mark.parametrize(
    ("sdp", "flags"),
    [
        (b"c=IN IP4 192.0.2.11\r\nm=audio 4 RTP/AVP 0\r\n", ["endpoint-learning-off", "strict-source"]),
        (b"c=IN IP4 192.0.2.11\r\na=crypto:1 x\r\n", ["endpoint-learning-off"]),
        (b"c=IN IP4 10.0.0.1\r\n", ["strict-source", "endpoint-learning-heuristic"]),
        (b"c=IN IP4 192.0.2.11\r\nc=IN IP4 10.0.0.1\r\n", ["strict-source", "endpoint-learning-heuristic"]),
        (b"", ["strict-source", "endpoint-learning-heuristic"]),
    ],
)
def test_an_rtpengine_is_held_to_the_sdp_where_there_is_no_nat(sdp: bytes, flags: list[str]) -> None:
    asked = ng_commands.answer("c", "a", "b", sdp, SdpSource("192.0.2.11"))
    assert ng_commands.held_to_sdp(asked) == {**asked, "flags": flags}


def test_an_early_answer_is_told_and_confirmed() -> None:
    assert ng_commands.answer("c", "a", "b", b"", SdpSource(is_early=True))["early"] is True
    assert "early" not in ng_commands.answer("c", "a", "b", b"")
    assert ng_commands.confirm("c") == {"command": "confirm", "call-id": "c"}


def test_answer_names_both_tags() -> None:
    found = ng_commands.answer("c", "caller", "callee", b"v=0\r\n")
    assert (found["from-tag"], found["to-tag"], found["sdp"]) == ("caller", "callee", "v=0\r\n")


def test_text_in_another_charset_survives() -> None:
    body = "s=caf\xe9".encode("latin-1")
    assert str(ng_commands.answer("c", "a", "b", body)["sdp"]).encode("utf-8", "surrogateescape") == body
