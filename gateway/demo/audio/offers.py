"""The session descriptions of the demonstration: one audio stream, G.711 mu-law, plain or with SDES keys.

What lives here: making an offer, answering one, and reading the answer, each ending in an `Agreement` (offer/answer,
RFC 3264; SDES, RFC 4568). What does not: the packets (`media`), changing somebody else's description (the gateway's
`media`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from gateway.demo.g711 import PAYLOAD_TYPE
from gateway.sdp.crypto import CryptoAttribute, generate
from gateway.sdp.description import Description, Direction, MalformedDescription, Media
from gateway.sdp.negotiation import accepted, choose, crypto_lines
from gateway.sip.errors import Refused

_MIRRORED = {Direction.SENDONLY: Direction.RECVONLY, Direction.RECVONLY: Direction.SENDONLY}


@frozen
class Agreement:
    """What both ends of a stream agreed on; keys are None when it is plain RTP."""

    remote: tuple[str, int]
    sending: CryptoAttribute | None
    receiving: CryptoAttribute | None


@frozen
class Party:
    """One end of a stream, and how it protects it: without suites, plain RTP."""

    address: str
    port: int
    suites: tuple[str, ...]
    random: Callable[[int], bytes]


def offer(party: Party, keys: Sequence[CryptoAttribute] = ()) -> bytes:
    """An offer of audio: RTP/SAVP with these keys, RTP/AVP without any."""
    media = _audio(party.port, "RTP/SAVP" if keys else "RTP/AVP", keys)
    return _description(party.address, [media])


def answer(offered: bytes, party: Party, previous: Agreement | None = None) -> tuple[bytes, Agreement]:
    """The answer to an offer, whose first usable audio stream is taken; every other stream is refused.

    With suites, the stream must be encrypted by one of them; without, it must be plain. Our key stays what it was
    when the other end's did (RFC 4568 section 7.1.4). Raises Refused(488).
    """
    description = _parsed(offered)
    taken = _first_audio(description, encrypted=bool(party.suites))
    receiving = choose(crypto_lines(taken), party.suites)
    if party.suites and receiving is None:
        raise Refused(488, "No SRTP suite in common")
    sending = _own_key(receiving, party, previous)
    audio = _audio(party.port, taken.protocol, [sending] if sending else [])
    audio.direction = _MIRRORED.get(taken.direction, taken.direction)
    body = _description(party.address, [audio if media is taken else _refused(media) for media in description.media])
    return body, Agreement(_remote(description, taken), sending, receiving)


def agreed(keys: Sequence[CryptoAttribute], answered: bytes) -> Agreement:
    """What came of an offer with these keys. Raises Refused(488) when the answer does not fit it."""
    description = _parsed(answered)
    media = next((media for media in description.media if _is_audio(media)), None)
    if media is None:
        raise Refused(488, "No audio in the answer")
    pair = accepted(keys, crypto_lines(media)) if keys else None
    if keys and pair is None:
        raise Refused(488, "The answer takes none of the keys")
    sending, receiving = pair or (None, None)
    return Agreement(_remote(description, media), sending, receiving)


def _parsed(body: bytes) -> Description:
    try:
        return Description.parse(body)
    except MalformedDescription as malformed:
        raise Refused(488, f"Unreadable description: {malformed.reason}") from malformed


def _first_audio(description: Description, encrypted: bool) -> Media:
    for media in description.media:
        if _is_audio(media) and bool(crypto_lines(media)) is encrypted:
            return media
    raise Refused(488, "SRTP required" if encrypted else "Plain RTP required")


def _own_key(receiving: CryptoAttribute | None, party: Party, previous: Agreement | None) -> CryptoAttribute | None:
    if receiving is None:
        return None
    if previous is not None and previous.receiving == receiving:
        return previous.sending
    return generate(receiving.suite, receiving.tag, party.random)


def _is_audio(media: Media) -> bool:
    return media.kind == "audio" and media.port != 0 and str(PAYLOAD_TYPE) in media.formats


def _remote(description: Description, media: Media) -> tuple[str, int]:
    address = description.connection_of(media)
    if address is None:
        raise Refused(488, "No address for the audio")
    return address, media.port


def _audio(port: int, protocol: str, keys: Sequence[CryptoAttribute]) -> Media:
    media = Media("audio", port, protocol, [str(PAYLOAD_TYPE)])
    media.add_attribute("rtpmap", f"{PAYLOAD_TYPE} PCMU/8000")
    for key in keys:
        media.add_attribute("crypto", str(key))
    return media


def _refused(media: Media) -> Media:
    return Media(media.kind, 0, media.protocol, media.formats)


def _description(address: str, media: list[Media]) -> bytes:
    lines = [
        ("v", "0"),
        ("o", f"demo 1 1 IN IP4 {address}"),
        ("s", "demonstration"),
        ("c", f"IN IP4 {address}"),
        ("t", "0 0"),
    ]
    return Description(lines=lines, media=media).to_bytes()
