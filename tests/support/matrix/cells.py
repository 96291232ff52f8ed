"""The cells of the matrix: direction of the call, behaviour of the provider, policy.

Here: names and behaviour as data. Not here: playing it, the expected outcome (a document).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import attrs

POLICIES: Final = ("required", "preferred", "off")
PHONES: Final = {"udp": "UDP and RTP", "tls": "TLS and SRTP"}
NUMBERS: Final = {"bob": "a normal number", "112": "an emergency number"}


class Media(StrEnum):
    """What a provider does with an offer of SRTP."""

    SRTP = "srtp"
    RTP = "rtp"
    """Answers RTP/AVP."""
    STRIPPED = "stripped"
    """Answers RTP/SAVP without a key."""
    REFUSED = "488"
    FOREIGN_KEY = "foreign key"
    """488 to SRTP, and then a key in its answer to an offer of RTP."""


@attrs.frozen
class Kind:
    """How a provider behaves."""

    has_tls: bool = True
    certificate: str = "good"
    least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str | None = None
    """Of TLS 1.2 and older, as OpenSSL names them."""
    wants_certificate: bool = False
    media: Media = Media.SRTP
    gateway_has_certificate: bool = False
    """Whether the gateway is configured with one for it."""


V11: Final = ssl.TLSVersion.TLSv1_1
V12: Final = ssl.TLSVersion.TLSv1_2
V13: Final = ssl.TLSVersion.TLSv1_3

KINDS: Final = {
    "TLS and SRTP": Kind(),
    "TLS 1.2 only": Kind(most=V12),
    "TLS 1.3 only": Kind(least=V13),
    "answers SRTP with RTP": Kind(media=Media.RTP),
    "answers SRTP without a key": Kind(media=Media.STRIPPED),
    "488 to SRTP": Kind(media=Media.REFUSED),
    "488 to SRTP, then a key in its answer to RTP": Kind(media=Media.FOREIGN_KEY),
    "TLS port refuses": Kind(has_tls=False),
    "TLS 1.1 only": Kind(least=V11, most=V11, ciphers="ALL:@SECLEVEL=0"),
    "no cipher in common": Kind(most=V12, ciphers="AES256-GCM-SHA384"),
    "certificate expired": Kind(certificate="expired"),
    "certificate self-signed": Kind(certificate="self-signed"),
    "certificate of another name": Kind(certificate="another"),
    "certificate of an unknown CA": Kind(certificate="unknown"),
    "wants our certificate, has it": Kind(wants_certificate=True, gateway_has_certificate=True),
    "wants our certificate, has none": Kind(wants_certificate=True),
    "wants our certificate, TLS 1.2, has none": Kind(wants_certificate=True, most=V12),
}


@attrs.frozen
class Arrival:
    """How a provider's INVITE comes."""

    over: str
    """"own": a TLS connection that the provider begins; "gateway's": the one the gateway began; "udp"."""
    certificate: str | None = "good"
    """What it shows on a connection of its own; None shows nothing."""
    offers_srtp: bool = True
    kind: str = "TLS and SRTP"
    """Of the provider: what the gateway meets when it asks there."""
    is_known: bool = False
    """Whether the gateway has learned that the provider does TLS and SRTP."""


ARRIVALS: Final = {
    "TLS, its certificate, SRTP": Arrival("own"),
    "TLS 1.2 only, its certificate, SRTP": Arrival("own", kind="TLS 1.2 only"),
    "TLS 1.3 only, its certificate, SRTP": Arrival("own", kind="TLS 1.3 only"),
    "TLS, its certificate, RTP": Arrival("own", offers_srtp=False, kind="answers SRTP with RTP"),
    "TLS, its certificate, RTP/SAVP without a key": Arrival("own", kind="answers SRTP without a key"),
    "over the gateway's connection, SRTP": Arrival("gateway's"),
    "over the gateway's connection, RTP": Arrival("gateway's", offers_srtp=False, kind="488 to SRTP"),
    "over the gateway's connection for which it wanted our certificate, SRTP": Arrival(
        "gateway's", kind="wants our certificate, has it"
    ),
    "TLS, no certificate, SRTP": Arrival("own", None),
    "TLS, no certificate, RTP": Arrival("own", None, offers_srtp=False, kind="488 to SRTP"),
    "TLS, certificate expired": Arrival("own", "expired", kind="certificate expired"),
    "TLS, certificate self-signed": Arrival("own", "self-signed", kind="certificate self-signed"),
    "TLS, certificate of another name, SRTP": Arrival("own", "another", kind="certificate of another name"),
    "TLS, certificate of an unknown CA": Arrival("own", "unknown", kind="certificate of an unknown CA"),
    "UDP, RTP, has no TLS": Arrival("udp", offers_srtp=False, kind="TLS port refuses"),
    "UDP, SRTP, has no TLS": Arrival("udp", kind="TLS port refuses"),
    "UDP, RTP, was known to do TLS and SRTP": Arrival("udp", offers_srtp=False, kind="TLS port refuses", is_known=True),
    "UDP, SRTP, was known to do TLS and SRTP": Arrival("udp", kind="TLS port refuses", is_known=True),
    "UDP, RTP, certificate expired": Arrival("udp", offers_srtp=False, kind="certificate expired"),
    "UDP, RTP, wants our certificate, has none": Arrival(
        "udp", offers_srtp=False, kind="wants our certificate, has none"
    ),
}


@attrs.frozen
class Cell:
    """One call of the matrix; its domain is its own, and so is its provider in the configuration."""

    index: int
    direction: str  # "out" | "in"
    phone: str
    row: str  # of KINDS or ARRIVALS
    number: str  # called, or calling when the direction is "in"
    policy: str

    @property
    def domain(self) -> str:
        return f"c{self.index}.test"

    @property
    def kind(self) -> Kind:
        return KINDS[self.kind_name]

    @property
    def kind_name(self) -> str:
        """Which provider stands behind it."""
        return self.row if self.direction == "out" else ARRIVALS[self.row].kind

    @property
    def title(self) -> str:
        """The table it stands in."""
        if self.direction == "out":
            return f"A phone with {PHONES[self.phone]} calls {NUMBERS[self.number]}"
        who = "The provider" if self.number == "bob" else "An emergency number"
        return f"{who} calls a phone with {PHONES[self.phone]}"

    def __str__(self) -> str:
        return f"{self.title}: {self.row}, {self.policy}"


def cells() -> Iterator[Cell]:
    """All of them, table by table."""
    index = 0
    for direction, rows in (("out", KINDS), ("in", ARRIVALS)):
        for number in NUMBERS:
            for phone in PHONES:
                for row in rows:
                    for policy in POLICIES:
                        index += 1
                        yield Cell(index, direction, phone, row, number, policy)
