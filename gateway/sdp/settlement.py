"""The settlement of one leg: our description and the peer's, one of them the answer to the other (RFC 3264 section 6).

Here: whether a pair of them encrypts the media, the profile, suite and ends of each m-line, and whether a new one
changes anything that the other leg of a call would have to hear of. Keys are shown as fingerprints only. Not here: the
way of offers and answers through a call, ports and keys in use (gateway/media).
"""

import hashlib
from functools import cached_property, lru_cache
from typing import Final

import attrs

from gateway.sdp.description import Description, Direction, MalformedDescription, Media
from gateway.sdp.dtls import transport_of
from gateway.sdp.negotiation import MediaSecurity, accepted, crypto_lines, media_security

DTLS_SRTP: Final = "DTLS-SRTP"

_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104  (an address of RFC 2543's hold, nothing is bound)


@lru_cache(maxsize=8)
def settles(offer: bytes, answer: bytes) -> bool | None:
    """Whether this answer to this offer encrypts all media; None when it takes none. Raises MalformedDescription.

    A key in the answer that takes none of the offer's encrypts nothing (RFC 4568 section 5.1.3). A call asks five times
    about two exchanges within a moment; only a few are remembered.
    """
    lines = zip(media_security(offer), media_security(answer), strict=False)
    taken = [(offered, answered) for offered, answered in lines if offered.port and answered.port]
    return all(_is_encrypted(offered, answered) for offered, answered in taken) if taken else None


def _is_encrypted(offered: MediaSecurity, answered: MediaSecurity) -> bool:
    if offered.is_dtls or answered.is_dtls:
        return offered.is_dtls and answered.is_dtls
    is_meant = offered.is_encrypted and answered.is_encrypted
    return is_meant and accepted(offered.keys, answered.keys) is not None


@attrs.frozen
class LineEnd:
    """One side of an m-line."""

    address: str
    port: int
    direction: Direction
    key: str
    """A fingerprint of the key that this side sends with, or of its certificate's; empty in clear."""

    @property
    def is_held(self) -> bool:
        """Whether this side wants no packets (RFC 3264 section 8.4), in the old form or the new."""
        return self.address in _UNSPECIFIED or self.direction in (Direction.SENDONLY, Direction.INACTIVE)


@attrs.frozen
class SettledLine:
    """One m-line that both sides took."""

    index: int
    kind: str
    protocol: str
    """The profile of the answer."""
    suite: str
    """The SRTP suite, or DTLS_SRTP, whose handshake chooses it; empty in clear."""
    formats: tuple[str, ...]
    """The answer's formats, each RTP payload type with its encoding."""
    ours: LineEnd
    theirs: LineEnd

    @property
    def is_encrypted(self) -> bool:
        """Whether its packets are SRTP."""
        return bool(self.suite)

    @property
    def may_rtcp_be_clear(self) -> bool:
        """Whether its RTCP may be in clear: a key with UNENCRYPTED_SRTCP is never taken (RFC 4568 section 6.3.2)."""
        return not self.is_encrypted

    @property
    def heard(self) -> tuple[object, ...]:
        """The part of it that the peer decides and the other leg hears of: addresses and keys are the relay's."""
        return self.index, self.kind, self.formats, self.theirs.direction, self.theirs.is_held


@attrs.frozen
class Settlement:
    """Both descriptions that one leg has agreed on."""

    ours: bytes = attrs.field(repr=False)
    theirs: bytes = attrs.field(repr=False)
    we_offered: bool

    @property
    def encrypted(self) -> bool | None:
        """Whether all media is encrypted, False for descriptions that cannot be read; None when there is none."""
        offer, answer = (self.ours, self.theirs) if self.we_offered else (self.theirs, self.ours)
        try:
            return settles(offer, answer)
        except MalformedDescription:
            return False

    @cached_property
    def lines(self) -> tuple[SettledLine, ...]:
        """The m-lines that are active; none of descriptions that cannot be read."""
        try:
            ours, theirs = Description.parse(self.ours), Description.parse(self.theirs)
        except MalformedDescription:
            return ()
        pairs = zip(ours.media, theirs.media, strict=False)
        return tuple(
            self._line(index, (ours, our_media), (theirs, their_media))
            for index, (our_media, their_media) in enumerate(pairs)
            if our_media.port and their_media.port
        )

    def sounds_like(self, other: "Settlement") -> bool:
        """Whether the other leg would hear the same of both."""
        return [line.heard for line in self.lines] == [line.heard for line in other.lines]

    def _line(self, index: int, ours: tuple[Description, Media], theirs: tuple[Description, Media]) -> SettledLine:
        offered, answered = (ours[1], theirs[1]) if self.we_offered else (theirs[1], ours[1])
        if "TLS" in answered.protocol:
            return _dtls_line(index, ours, theirs, answered)
        keys = accepted(crypto_lines(offered), crypto_lines(answered)) if offered.is_rtp and answered.is_rtp else None
        our_key, their_key = (keys if self.we_offered else keys[::-1]) if keys is not None else (None, None)
        return SettledLine(
            index,
            answered.kind,
            answered.protocol,
            "" if keys is None else keys[0].suite,
            _formats(answered),
            _end(*ours, b"" if our_key is None else our_key.key),
            _end(*theirs, b"" if their_key is None else their_key.key),
        )


def _dtls_line(
    index: int, ours: tuple[Description, Media], theirs: tuple[Description, Media], answered: Media
) -> SettledLine:
    mine, its = transport_of(*ours), transport_of(*theirs)
    is_agreed = mine.is_usable and its.is_usable
    ends = (
        _end(*side, b"".join(one.digest for one in transport.fingerprints) if is_agreed else b"")
        for side, transport in ((ours, mine), (theirs, its))
    )
    suite = DTLS_SRTP if is_agreed else ""
    return SettledLine(index, answered.kind, answered.protocol, suite, _formats(answered), *ends)


def _end(description: Description, media: Media, key: bytes) -> LineEnd:
    fingerprint = hashlib.sha256(key).hexdigest()[:16] if key else ""
    return LineEnd(description.connection_of(media) or "", media.port, media.direction, fingerprint)


def _formats(media: Media) -> tuple[str, ...]:
    maps = dict(value.partition(" ")[::2] for value in media.attributes_named("rtpmap"))
    return tuple(f"{name} {maps.get(name, '').strip().lower()}".strip() for name in media.formats)
