"""Offer/answer choices about media encryption (RFC 4568 sections 5 and 7, OSRTP RFC 8643).

Here: the choice among offered keys, the keys that we offer, whether an answer fits its offer, and the promise of a
description as a whole. Not here: reading the lines (description.py, crypto.py), ports and keys in use (gateway/media).

"Encrypted" is said of a description only when every m-line that carries anything is: an RTP profile with a usable
``a=crypto``, or DTLS-SRTP with a fingerprint, a role and ICE of use (dtls.py). Fax over UDPTL, a fingerprint of
SHA-1, or one forgotten m-line make it not encrypted.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import attrs

from gateway.sdp.crypto import CryptoAttribute, generate, usable
from gateway.sdp.description import MAXIMUM_MEDIA, Description, Media
from gateway.sdp.dtls import transports

_SECURED = {"RTP/AVP": "RTP/SAVP", "RTP/AVPF": "RTP/SAVPF"}
_PLAIN = {secured: plain for plain, secured in _SECURED.items()}

_GLANCED_BYTES: Final = 4_096
"""A longer description is read as a whole."""
_USUAL: Final = re.compile(
    r"v=0\r\n"
    r"o=\S+ \S+ \S+ \S+ \S+ \S+\r\n"
    r"(?:[abd-ln-zA-Z]=[^\r\n]*\r\n|m=\S+ [0-9]{1,5} \S+(?: \S+)*\r\n|c=\S+ \S+ \S+\r\n)*+"
)
_CRYPTO: Final = re.compile(r"^a=[^\S\r\n]*crypto[^\S\r\n]*(?::([^\r\n]*))?(?=\r|\Z)", re.MULTILINE)


@attrs.frozen
class MediaSecurity:
    """The encryption of one m-line; ``keys`` are the usable ones, the writer's favourite first."""

    kind: str
    port: int
    protocol: str
    keys: tuple[CryptoAttribute, ...]
    is_dtls: bool = False
    """Whether its keys come of DTLS-SRTP, with a fingerprint that binds its writer."""

    @property
    def suites(self) -> tuple[str, ...]:
        """Those of the keys."""
        return tuple(key.suite for key in self.keys)

    @property
    def is_encrypted(self) -> bool:
        """DTLS-SRTP; or RTP/SAVP(F), or RTP/AVP(F) as OSRTP, with at least one usable key."""
        return self.is_dtls or (bool(self.keys) and self.protocol.upper() in {*_SECURED, *_PLAIN})

    @property
    def is_keyed(self) -> bool:
        """RTP/SAVP(F) with at least one usable key."""
        return bool(self.keys) and self.protocol.upper() in _PLAIN

    @property
    def is_rtp(self) -> bool:
        """Any RTP profile."""
        return "RTP" in self.protocol.upper().split("/")

    @property
    def is_plain(self) -> bool:
        """RTP/AVP(F), keys or not."""
        return self.protocol.upper() in _SECURED


def choose(offered: Sequence[CryptoAttribute], allowed: Sequence[str]) -> CryptoAttribute | None:
    """The offerer's most preferred key that is usable and of an allowed suite (RFC 4568 section 5.1.2)."""
    return next((item for item in offered if item.is_usable and item.suite in allowed), None)


def offer_lines(suites: Sequence[str], random: Callable[[int], bytes], first_tag: int = 1) -> list[CryptoAttribute]:
    """One new key a suite, in that order; tags count from ``first_tag``."""
    return [generate(suite, tag, random) for tag, suite in enumerate(suites, first_tag)]


def accepted(
    offered: Sequence[CryptoAttribute], answered: Sequence[CryptoAttribute]
) -> tuple[CryptoAttribute, CryptoAttribute] | None:
    """(our offered line, the peer's answer to it), or None when the answer fits none of ours.

    The answer repeats the tag and the suite of the line it takes (RFC 4568 section 5.1.3): any other suite under our
    tag would leave both sides with different ideas of the transform. It must hold exactly one usable line.
    """
    if len(answered) != 1 or not answered[0].is_usable:
        return None
    ours = next((item for item in offered if item.tag == answered[0].tag), None)
    return (ours, answered[0]) if ours is not None and ours.suite == answered[0].suite else None


def fits(offer: bytes, answer: bytes) -> bool:
    """Whether an answer is one to this offer, m-line by m-line, as far as encryption goes; raises MalformedDescription.

    Its profile mirrors the offer's (RFC 3264 section 6) and its key takes one of the offer's. A clear answer without
    keys counts as fitting: whether it may stand is for the policy to say.
    """
    lines = zip(_keyed_media(offer), _keyed_media(answer), strict=False)
    return all(_fits(ours, theirs) for ours, theirs in lines if theirs.port and ours.is_rtp)


def _fits(ours: Media, theirs: Media) -> bool:
    offered = crypto_lines(ours)
    if not theirs.is_rtp or (theirs.is_secure and not ours.is_secure):
        return False
    if not offered or not theirs.has_attribute("crypto"):
        return True
    return theirs.is_secure is ours.is_secure and accepted(offered, crypto_lines(theirs)) is not None


def crypto_lines(media: Media) -> tuple[CryptoAttribute, ...]:
    """The usable keys of an m-line, in order."""
    return usable(media.attributes_named("crypto"))


@lru_cache(maxsize=8)
def media_security(sdp: bytes) -> tuple[MediaSecurity, ...]:
    """The encryption of each m-line, in order; raises MalformedDescription."""
    lines = tuple(
        MediaSecurity(media.kind, media.port, media.protocol, crypto_lines(media)) for media in _keyed_media(sdp)
    )
    return _with_dtls(lines, sdp) if b"UDP/TLS/" in sdp else lines


def _with_dtls(lines: tuple[MediaSecurity, ...], sdp: bytes) -> tuple[MediaSecurity, ...]:
    pairs = zip(lines, transports(sdp), strict=True)
    return tuple(attrs.evolve(line, is_dtls=transport.is_usable) for line, transport in pairs)


@lru_cache(maxsize=8)
def _keyed_media(sdp: bytes) -> tuple[Media, ...]:
    """The m-lines, to be looked at only; of a description in the usual form their keys are all that is read.

    A call asks seven times about four descriptions, several times about the same one within a moment: reading all of it
    each time would cost more than the answer is worth. Only a few are remembered, for a moment.
    """
    text = sdp.decode("utf-8", "surrogateescape") if len(sdp) <= _GLANCED_BYTES and b"\0" not in sdp else ""
    _, *sections = text.split("\r\nm=")
    if not _USUAL.fullmatch(text) or len(sections) > MAXIMUM_MEDIA:
        return tuple(Description.parse(sdp).media)
    return tuple(map(_glanced, sections))


def _glanced(section: str) -> Media:
    line, _, rest = section.partition("\r\n")
    media = Media.parse(line)
    if "crypto" in rest:
        media.attributes = [("crypto", value) for value in _CRYPTO.findall(rest)]
    return media


def media_encrypted(sdp: bytes) -> bool | None:
    """Whether all media is encrypted; None when every m-line is refused or there is none. MalformedDescription."""
    active = [media for media in media_security(sdp) if media.port]
    return all(media.is_encrypted for media in active) if active else None


def offer_encrypted(sdp: bytes) -> bool | None:
    """Whether an offer lets all its media be encrypted; None as for media_encrypted; raises MalformedDescription.

    A line in clear beside the same media encrypted does not count against it: the answer refuses it (alternatives).
    """
    lines = media_security(sdp)
    refused = alternatives(lines)
    active = [line for index, line in enumerate(lines) if line.port and index not in refused]
    return all(line.is_encrypted for line in active) if active else None


def lacks_keys(sdp: bytes, takes_dtls: bool = False) -> bool:
    """Whether an offer wants SRTP and nothing else, and brings no key for it that can be taken; MalformedDescription.

    It cannot be answered: in clear the answer would not mirror the offer (RFC 3264 section 6), encrypted it could not
    be heard. Keys of unknown suites, of the wrong length, with an MKI are such, and DTLS of peers that it is not taken
    of.
    """
    active = [line for line in media_security(sdp) if line.port]
    return bool(active) and all(
        "SAVP" in line.protocol.upper() and not (line.keys or (takes_dtls and line.is_dtls)) for line in active
    )


def alternatives(lines: Sequence[MediaSecurity]) -> frozenset[int]:
    """Indexes of the plain lines that stand beside an RTP/SAVP line for the same media, before or after it.

    Older phones offer SRTP and RTP so, in two m-lines; the secure one is taken and the other answered with port 0.
    """
    found: set[int] = set()
    for index, (one, other) in enumerate(pairwise(lines)):
        if one.kind != other.kind or not (one.port and other.port) or index in found:
            continue
        if one.is_keyed and other.is_plain:
            found.add(index + 1)
        elif other.is_keyed and one.is_plain:
            found.add(index)
    return frozenset(found)


def is_encrypted(sdp: bytes) -> bool:
    """Whether there is media and all of it is encrypted; raises MalformedDescription."""
    return media_encrypted(sdp) is True


def secured_profile(protocol: str) -> str:
    """RTP/AVP -> RTP/SAVP, RTP/AVPF -> RTP/SAVPF; anything else stays."""
    return _SECURED.get(protocol.upper(), protocol)


def plain_profile(protocol: str) -> str:
    """RTP/SAVP -> RTP/AVP, RTP/SAVPF -> RTP/AVPF; anything else stays."""
    return _PLAIN.get(protocol.upper(), protocol)
