"""DTLS-SRTP and ICE in a description: the fingerprints, the role and the credentials of each m-line; pure.

Here: an m-line's word on DTLS-SRTP (RFC 5763, RFC 8122, RFC 8842) and ICE (RFC 8839), from a parsed description
(`transport_of`) or a whole body (`transports`). Not here: SDES keys (crypto), the choice of a form (negotiation), and
handshakes (gateway/media/worker/web).

    m=audio 9 UDP/TLS/RTP/SAVPF 0 + a=fingerprint, a=setup, a=ice-ufrag, a=ice-pwd, a=rtcp-mux --> DtlsTransport

An attribute that an m-line lacks counts as the session has it. An attribute that cannot be read counts as absent, so
that the line `is_usable` no more: nothing raises for it.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs

from gateway.sdp.description import Description, Media

HASHES: Final = ("sha-512", "sha-384", "sha-256")
"""Of fingerprints that count, strongest first. SHA-1 and MD5 no longer bind anybody to a certificate."""
PROFILES: Final = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP")
MOST_FINGERPRINTS: Final = 16
"""Of one m-line that are read."""

_OCTETS: Final = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2})*", re.IGNORECASE)
_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")


class Setup(StrEnum):
    """The role of an end in the handshake (RFC 4145 section 4, RFC 5763 section 5)."""

    ACTIVE = "active"
    """It sends the ClientHello."""
    PASSIVE = "passive"
    ACTPASS = "actpass"
    """In an offer: the answerer chooses."""
    HOLDCONN = "holdconn"
    """No association now: of no use here."""


@attrs.frozen
class Fingerprint:
    """A digest of the certificate that an end is going to show."""

    algorithm: str
    """As HASHES has it."""
    digest: bytes

    @classmethod
    def read(cls, value: str) -> Fingerprint | None:
        """That of the text after ``a=fingerprint:``; None for a hash of no use and for a text that is none."""
        fields = value.split()
        if len(fields) != 2 or fields[0].lower() not in HASHES or not _OCTETS.fullmatch(fields[1]):
            return None
        algorithm, digest = fields[0].lower(), bytes.fromhex(fields[1].replace(":", ""))
        return cls(algorithm, digest) if len(digest) == _digest_bytes(algorithm) else None

    @classmethod
    def of(cls, certificate: bytes, algorithm: str = "sha-256") -> Fingerprint:
        """That of a certificate in DER; `algorithm` is one of HASHES."""
        return cls(algorithm, hashlib.new(algorithm.replace("-", ""), certificate).digest())

    def __str__(self) -> str:
        return f"{self.algorithm} {self.digest.hex(':').upper()}"


@attrs.frozen
class DtlsTransport:
    """The word of one m-line on DTLS-SRTP and ICE."""

    kind: str
    port: int
    """0: the line is refused."""
    is_dtls: bool
    """Whether the profile is UDP/TLS/RTP/SAVP or UDP/TLS/RTP/SAVPF."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """The usable ones, of the strongest hash among them alone: the certificate has to match one (RFC 8122 section 5).
    Empty where all are of SHA-1, MD5 or a hash unknown."""
    setup: Setup | None = None
    """None where it says nothing, or nothing that is known."""
    ufrag: str = ""
    password: str = attrs.field(default="", repr=False)
    """Of ICE; both empty where one of them is absent or cannot be read."""
    is_multiplexed: bool = False
    """RTCP on the port of RTP (RFC 5761)."""

    @property
    def is_usable(self) -> bool:
        """Whether media can be exchanged with its writer: DTLS-SRTP with a fingerprint that counts, a role, ICE
        credentials and RTCP on the port of RTP. A line with port 0 may be usable: ask `port` as well."""
        is_ready = self.setup is not Setup.HOLDCONN and self.is_multiplexed
        return self.is_dtls and bool(self.fingerprints) and bool(self.ufrag) and is_ready

    def vouches_for(self, certificate: bytes) -> bool:
        """Whether a certificate in DER is the one that this line promised."""
        return any(one == Fingerprint.of(certificate, one.algorithm) for one in self.fingerprints)


def is_dtls_profile(protocol: str) -> bool:
    """Whether an m-line's profile is DTLS-SRTP's over UDP, in any case."""
    return protocol.upper() in PROFILES


def transport_of(description: Description, media: Media) -> DtlsTransport:
    """The word of `media`, one of the m-lines of `description`."""
    ufrag, password = (_inherited(description, media, name) for name in ("ice-ufrag", "ice-pwd"))
    has_ice = _UFRAG.fullmatch(ufrag) is not None and _PASSWORD.fullmatch(password) is not None
    return DtlsTransport(
        media.kind,
        media.port,
        is_dtls_profile(media.protocol),
        _strongest(media.attributes_named("fingerprint") or description.attributes_named("fingerprint")),
        _setup(_inherited(description, media, "setup")),
        ufrag if has_ice else "",
        password if has_ice else "",
        media.has_attribute("rtcp-mux"),
    )


@lru_cache(maxsize=8)
def transports(sdp: bytes) -> tuple[DtlsTransport, ...]:
    """The word of each m-line of a body, in order; raises MalformedDescription."""
    description = Description.parse(sdp)
    return tuple(transport_of(description, media) for media in description.media)


def _inherited(description: Description, media: Media, name: str) -> str:
    value = media.attribute(name)
    return (description.attribute(name) if value is None else value) or ""


def _strongest(values: list[str]) -> tuple[Fingerprint, ...]:
    read = [Fingerprint.read(value) for value in values[:MOST_FINGERPRINTS]]
    for algorithm in HASHES:
        found = tuple(one for one in read if one is not None and one.algorithm == algorithm)
        if found:
            return found
    return ()


def _setup(value: str) -> Setup | None:
    try:
        return Setup(value.strip().lower())
    except ValueError:
        return None


def _digest_bytes(algorithm: str) -> int:
    return int(algorithm.removeprefix("sha-")) // 8
