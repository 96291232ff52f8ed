"""The codecs of a description: those of a list, in its order (RFC 3264, RFC 3551).

    offer    m=audio 4000 RTP/AVP 111 9 8 0 101 110     PCMA, PCMU, telephone-event -> 8 0 101
    answer   m=audio 6000 RTP/AVP 8 9 101               -> 8 101

Of an offer the formats that are on the list are left, in the order of the list, with their attributes. Its reader never
sees the others, and cannot answer them. An m-line of RTP without any is offered with port 0 (RFC 3264 section 5.1).

An answer keeps its own order: its first format is the one that its writer sends, and nobody here can change that. It
may name formats that were not offered (section 6.1); those are taken out, by number: a payload type that was taken out
of the offer means another codec to the offerer, and no answer may lead to it. An answer SHOULD use the offer's numbers.

telephone-event (RFC 4733) and CN (RFC 3389) go along with a codec of the same clock, and not without one. Other lines
than those of RTP are left alone. Nothing is transcoded.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.sdp.description import Description, Media

ACCOMPANYING: Final = frozenset({"telephone-event", "cn"})
"""Formats that accompany a codec of the same clock, in lower case."""
WITHIN_OTHERS: Final = frozenset({"red", "rtx", "ulpfec", "flexfec", "ulpfec-er"})
"""Formats whose parameters name other payload types (RFC 2198, RFC 4588, RFC 5109): a list cannot hold them."""
_STATIC: Final = {
    "0": ("pcmu", 8_000),
    "3": ("gsm", 8_000),
    "4": ("g723", 8_000),
    "7": ("lpc", 8_000),
    "8": ("pcma", 8_000),
    "9": ("g722", 8_000),
    "10": ("l16", 44_100),
    "11": ("l16", 44_100),
    "12": ("qcelp", 8_000),
    "13": ("cn", 8_000),
    "15": ("g728", 8_000),
    "18": ("g729", 8_000),
    "26": ("jpeg", 90_000),
    "31": ("h261", 90_000),
    "34": ("h263", 90_000),
}
"""Encodings and clocks in Hz of payload types that need no a=rtpmap (RFC 3551 section 6)."""
_BY_FORMAT: Final = frozenset({"rtpmap", "fmtp", "rtcp-fb", "imageattr"})
"""Attributes whose value begins with a payload type, or with "*"."""


@attrs.frozen
class CodecList:
    """The codecs that may cross, by their names (RFC 3551, RFC 4855), which do not depend on case."""

    names: tuple[str, ...]
    """The best first; empty: all, in the writer's order."""
    also: tuple[str, ...] = ()
    """Those that have to be on this list as well; empty: all."""
    is_lenient: bool = False
    """Whether an m-line that would have no codec left crosses as it is."""

    def offer(self, sdp: bytes) -> bytes | None:
        """An offer as it crosses, the same bytes where all of it does; None where no media are left. Raises
        MalformedDescription."""
        description = Description.parse(sdp)
        return _written(sdp, description, [self._offered(media) for media in description.media])

    def answer(self, sdp: bytes, offer: bytes) -> bytes | None:
        """An answer to an offer that crossed so; None where it takes no codec of it. Raises MalformedDescription."""
        description, asked = Description.parse(sdp), Description.parse(offer).media
        lines = [
            self._answered(media, asked[index].formats if index < len(asked) else [])
            for index, media in enumerate(description.media)
        ]
        return _written(sdp, description, lines)

    def _offered(self, media: Media) -> list[str]:
        if not _is_judged(media):
            return media.formats
        encodings = encodings_of(media)
        kept = self._with_clocks(media, encodings)
        if self.names:
            rank = {name.lower(): index for index, name in enumerate(self.names)}
            kept.sort(key=lambda one: rank[encodings[one][0]])
        return kept or self._without(media)

    def _answered(self, media: Media, offered: list[str]) -> list[str]:
        if not _is_judged(media):
            return media.formats
        kept = [one for one in self._with_clocks(media, encodings_of(media)) if one in offered]
        return kept or self._without(media)

    def _with_clocks(self, media: Media, encodings: dict[str, tuple[str, int]]) -> list[str]:
        """The formats that may cross; none without a codec."""
        allowed = [{name.lower() for name in names} for names in (self.names, self.also) if names]
        kept = [one for one in media.formats if all(encodings[one][0] in names for names in allowed)]
        clocks = {encodings[one][1] for one in kept if encodings[one][0] not in ACCOMPANYING}
        return [one for one in kept if encodings[one][1] in clocks]

    def _without(self, media: Media) -> list[str]:
        """The formats of a line that none of the codecs is left of."""
        return media.formats if self.is_lenient else []


def _written(sdp: bytes, description: Description, lines: list[list[str]]) -> bytes | None:
    if lines == [media.formats for media in description.media]:
        return sdp
    had_any = any(media.is_active for media in description.media)
    for media, formats in zip(description.media, lines, strict=True):
        _keep(media, formats)
    if had_any and not any(media.is_active for media in description.media):
        return None
    return description.to_bytes()


def encodings_of(media: Media) -> dict[str, tuple[str, int]]:
    """The encoding in lower case and the clock in Hz of each format; empty and 0 for one that says neither."""
    found = {one: _STATIC.get(one, ("", 0)) for one in media.formats}
    for value in media.attributes_named("rtpmap"):
        number, _, encoding = value.partition(" ")
        name, _, rate = encoding.strip().partition("/")
        clock = rate.partition("/")[0]
        if number in found and clock.isascii() and clock.isdigit() and len(clock) < 8:
            found[number] = name.lower(), int(clock)
    return found


def _is_judged(media: Media) -> bool:
    return media.is_active and media.is_rtp


def _keep(media: Media, formats: list[str]) -> None:
    """Leave these formats of an m-line, with their attributes; refuse it where there is none."""
    if formats == media.formats:
        return
    if not formats:
        media.port, media.port_count = 0, 1
        media.attributes = [one for one in media.attributes if one[0] == "mid"]
        return
    gone = set(media.formats) - set(formats)
    media.attributes = [
        (name, value)
        for name, value in media.attributes
        if name not in _BY_FORMAT or (value or "").partition(" ")[0] not in gone
    ]
    media.formats = formats
