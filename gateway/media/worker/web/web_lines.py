"""The lines of SDP that a browser writes and wants: DTLS, ICE-lite and BUNDLE of one m-line (RFC 8829, RFC 8839).

    a browser's description --bare--> without all that is between it and us alone --> the other party's
    m-line for a browser ----dress--> fingerprint, setup, credentials, one host candidate, rtcp-mux, mid --> the browser

Video is refused: it shares the one port of a bundle, where streams are told apart by header extensions that nobody here
speaks. Not here: the handshake and the checks (web_end), all other lines (rewriting).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from gateway.media.worker.rewriting import is_unspecified, multiplex
from gateway.media.worker.web.ice import IceCredentials
from gateway.sdp.description import Description, Direction, Media
from gateway.sdp.dtls import DtlsTransport, Setup, is_dtls_profile, transport_of

PRIORITY: Final = 2_130_706_431
"""Of the only candidate: host, component 1 (RFC 8445 section 5.1.2.1)."""
MOST_MID: Final = 32
"""Characters of an a=mid that is repeated: Chromium's have one."""

_ITS_OWN: Final = frozenset(
    "extmap extmap-allow-mixed msid msid-semantic ssrc ssrc-group rid simulcast rtcp-fb rtcp-rsize".split()
)


@attrs.frozen
class WebForm:
    """Our end of an m-line for a browser."""

    ours: IceCredentials
    setup: Setup
    fingerprint: str
    address: str
    """Where the candidate is."""
    mid: str


def usable(description: Description, index: int) -> DtlsTransport | None:
    """The word of the m-line at that index where it can be taken: the first of audio over DTLS-SRTP that is active.
    None for others, which would have to share its port, and for all that gateway/sdp/dtls.py calls of no use."""
    media = description.media[index]
    if media.kind != "audio" or any(_is_active(one) for one in description.media[:index]):
        return None
    told = transport_of(description, media)
    return told if told.is_usable else None


def bare(description: Description) -> None:
    """Take from a browser's description all that is between it and us alone; nothing from one of another kind.

    c=0.0.0.0 is no hold here: a browser writes it when it has no candidate yet (RFC 8840 section 4.1.1).
    """
    if not any(is_dtls_profile(media.protocol) for media in description.media):
        return
    for part in (description, *description.media):
        part.attributes = _passing(part.attributes)
        if is_unspecified(part.connection):
            part.connection = None


def mid_of(media: Media) -> str:
    """Its a=mid as it may be repeated (RFC 5888 section 4); empty for none, and for one that is no token."""
    value = media.attribute("mid") or ""
    return value if len(value) <= MOST_MID and value.isascii() and value.isprintable() and " " not in value else ""


def dress(media: Media, form: WebForm, *, is_held: bool) -> None:
    """Write our end of DTLS and ICE into an m-line that has its port. A hold by c=0.0.0.0 (RFC 3264 section 8.4) is one
    by direction to a browser, which looks at candidates alone; `is_held`: by the party that it hears."""
    if is_held:
        is_deaf = media.direction in (Direction.RECVONLY, Direction.INACTIVE)
        media.direction = Direction.INACTIVE if is_deaf else Direction.SENDONLY
    media.attributes = _passing(media.attributes)
    multiplex(media)
    where = f"{form.address} {media.port}"
    for name, value in (
        ("mid", form.mid),
        ("setup", str(form.setup)),
        ("fingerprint", form.fingerprint),
        ("ice-ufrag", form.ours.ufrag),
        ("ice-pwd", form.ours.password),
        ("candidate", f"1 1 udp {PRIORITY} {where} typ host"),
        ("end-of-candidates", None),
    ):
        media.add_attribute(name, value)


def dress_session(result: Description, mids: Sequence[str], address: str) -> None:
    """Say that we are ICE-lite, and which m-line is bundled, where one is for a browser; `mids` of all lines, and our
    `address`."""
    named = [mid for media, mid in zip(result.media, mids, strict=True) if _is_active(media)]
    if not named:
        return
    result.attributes = _passing(result.attributes)
    result.add_attribute("group", " ".join(["BUNDLE", *named]))
    result.add_attribute("ice-lite")
    result.connection = address
    for media, mid in zip(result.media, mids, strict=True):
        media.connection = None
        if media.port == 0 and mid:
            media.add_attribute("mid", mid)


def _is_active(media: Media) -> bool:
    return media.kind == "audio" and media.port != 0 and is_dtls_profile(media.protocol)


def _passing(attributes: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return [item for item in attributes if item[0].lower() not in _ITS_OWN]
