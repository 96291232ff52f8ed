"""DTLS-SRTP and ICE in a description: RFC 8122, RFC 5763, RFC 8839."""

from __future__ import annotations

import pytest

from gateway.sdp.description import MalformedDescription
from gateway.sdp.dtls import DtlsTransport, Fingerprint, Setup, is_dtls_profile, transports

SHA_256 = "sha-256 " + ":".join(["AB"] * 32)
SHA_1 = "sha-1 " + ":".join(["AB"] * 20)
ICE = ("a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg")


def body(*media: str, session: tuple[str, ...] = ()) -> bytes:
    lines = ("v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", *session, *media)
    return "".join(f"{line}\r\n" for line in lines).encode()


def audio(*attributes: str, profile: str = "UDP/TLS/RTP/SAVPF", port: int = 9) -> tuple[str, ...]:
    return (f"m=audio {port} {profile} 0", "c=IN IP4 0.0.0.0", *attributes)


def one(*attributes: str, session: tuple[str, ...] = (), profile: str = "UDP/TLS/RTP/SAVPF") -> DtlsTransport:
    (found,) = transports(body(*audio(*attributes, profile=profile), session=session))
    return found


def whole(*attributes: str) -> DtlsTransport:
    return one(f"a=fingerprint:{SHA_256}", "a=setup:actpass", *ICE, "a=rtcp-mux", *attributes)


def test_a_browsers_line_is_usable() -> None:
    found = whole()
    assert found.is_usable
    assert (found.kind, found.port, found.setup, found.ufrag) == ("audio", 9, Setup.ACTPASS, "8hhY")
    assert [str(item) for item in found.fingerprints] == [SHA_256]
    assert found.password not in repr(found)


def test_fingerprint_of_the_session_counts_for_lines_without_one_rfc_8122_5() -> None:
    other = "sha-256 " + ":".join(["CD"] * 32)
    both = transports(
        body(
            *audio("a=rtcp-mux"),
            *audio(f"a=fingerprint:{other}", "a=rtcp-mux"),
            session=(f"a=fingerprint:{SHA_256}", "a=setup:passive", *ICE),
        )
    )
    assert [str(line.fingerprints[0]) for line in both] == [SHA_256, other]
    assert all(line.is_usable and line.setup is Setup.PASSIVE for line in both)


@pytest.mark.parametrize("weak", [SHA_1, "md5 " + ":".join(["AB"] * 16), "sha-224 " + ":".join(["AB"] * 28)])
def test_weak_or_unknown_hash_is_of_no_use(weak: str) -> None:
    found = one(f"a=fingerprint:{weak}", "a=setup:actpass", *ICE, "a=rtcp-mux")
    assert not found.fingerprints
    assert not found.is_usable


def test_a_weak_one_beside_a_strong_one_is_passed_over() -> None:
    assert [item.algorithm for item in whole(f"a=fingerprint:{SHA_1}").fingerprints] == ["sha-256"]


def test_of_several_hashes_the_strongest_alone_counts_rfc_8122_5_1() -> None:
    strong = "SHA-512 " + ":".join(["ef"] * 64)
    assert [item.algorithm for item in whole(f"a=fingerprint:{strong}").fingerprints] == ["sha-512"]


def test_several_of_one_hash_all_count_rfc_8122_5_1() -> None:
    found = whole(f"a=fingerprint:{Fingerprint.of(b'certificate')}")
    assert found.vouches_for(b"certificate")
    assert not found.vouches_for(b"another")


@pytest.mark.parametrize("value", ["sha-256", "sha-256 AB", "sha-256 " + "AB" * 32, "sha-256 " + ":".join(["GG"] * 32)])
def test_unreadable_fingerprint_is_none(value: str) -> None:
    assert Fingerprint.read(value) is None


def test_without_ice_rtcp_mux_or_with_holdconn_it_is_of_no_use() -> None:
    print_line = f"a=fingerprint:{SHA_256}"
    assert not one(print_line, "a=setup:actpass", "a=rtcp-mux").is_usable
    assert not one(print_line, "a=setup:actpass", "a=rtcp-mux", "a=ice-ufrag:8hh", ICE[1]).is_usable
    assert not one(print_line, "a=setup:actpass", "a=rtcp-mux", ICE[0], "a=ice-pwd:short").is_usable
    assert not one(print_line, "a=setup:actpass", *ICE).is_usable
    assert not one(print_line, "a=setup:holdconn", *ICE, "a=rtcp-mux").is_usable
    assert one(print_line, "a=setup:nonsense", *ICE, "a=rtcp-mux").setup is None


def test_profile() -> None:
    assert is_dtls_profile("udp/tls/rtp/savp")
    assert not any(map(is_dtls_profile, ("RTP/SAVPF", "UDP/TLS/UDPTL", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/AVPF")))
    found = one(f"a=fingerprint:{SHA_256}", "a=setup:actpass", *ICE, "a=rtcp-mux", profile="RTP/SAVPF")
    assert not found.is_usable


def test_no_description_raises() -> None:
    with pytest.raises(MalformedDescription):
        transports(b"INVITE")
