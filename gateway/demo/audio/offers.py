"""The session descriptions of the demonstration: one audio stream, G.711 mu-law, plain or with SDES keys.

Lives here: making an offer, answering one, and reading the answer, each ending in an `AudioAgreement` (offer/answer,
RFC 3264; SDES, RFC 4568), and `AudioStream`, which holds an RTP endpoint to it. Not here: the packets, changes to the
description of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from twisted.logger import Logger

from gateway.demo.audio.listen import Heard
from gateway.demo.audio.rtp_port import RtpEndpoint
from gateway.demo.audio.samples import PAYLOAD_TYPE
from gateway.sdp.crypto import CryptoAttribute, generate
from gateway.sdp.description import Description, Direction, MalformedDescription, Media
from gateway.sdp.negotiation import accepted, choose, crypto_lines, offer_lines
from gateway.sip.errors import Refused

log = Logger()

_MIRRORED = {Direction.SENDONLY: Direction.RECVONLY, Direction.RECVONLY: Direction.SENDONLY}


@frozen
class AudioAgreement:
    """The agreement of both ends of a stream; keys are None when it is plain RTP."""

    remote: tuple[str, int]
    sending: CryptoAttribute | None
    receiving: CryptoAttribute | None


@frozen
class AudioEnd:
    """One end of a stream, and how it protects it: without suites, plain RTP."""

    address: str
    port: int
    suites: tuple[str, ...]
    random: Callable[[int], bytes]


def offer(end: AudioEnd, keys: Sequence[CryptoAttribute] = ()) -> bytes:
    """An offer of audio: RTP/SAVP with these keys, RTP/AVP without any."""
    media = _audio(end.port, "RTP/SAVP" if keys else "RTP/AVP", keys)
    return _description(end.address, [media])


def answer(offered: bytes, end: AudioEnd, previous: AudioAgreement | None = None) -> tuple[bytes, AudioAgreement]:
    """The answer to an offer, whose first usable audio stream is taken; every other stream is refused.

    With suites, the stream must be encrypted by one of them; without, it must be plain. Our key stays the same
    when the other end's does (RFC 4568 section 7.1.4). Raises Refused(488).
    """
    description = _parsed(offered)
    taken = _first_audio(description, encrypted=bool(end.suites))
    receiving = choose(crypto_lines(taken), end.suites)
    if end.suites and receiving is None:
        raise Refused(488, "No SRTP suite in common")
    sending = _own_key(receiving, end, previous)
    audio = _audio(end.port, taken.protocol, [sending] if sending else [])
    audio.direction = _MIRRORED.get(taken.direction, taken.direction)
    body = _description(end.address, [audio if media is taken else _refused(media) for media in description.media])
    return body, AudioAgreement(_remote(description, taken), sending, receiving)


def agreed(keys: Sequence[CryptoAttribute], answered: bytes) -> AudioAgreement:
    """The agreement by the answer to an offer with these keys. Raises Refused(488) when the answer does not fit it."""
    description = _parsed(answered)
    media = next((media for media in description.media if _is_audio(media)), None)
    if media is None:
        raise Refused(488, "No audio in the answer")
    pair = accepted(keys, crypto_lines(media)) if keys else None
    if keys and pair is None:
        raise Refused(488, "The answer takes none of the keys")
    sending, receiving = pair or (None, None)
    return AudioAgreement(_remote(description, media), sending, receiving)


class AudioStream:
    """One end's audio; open from the start, silent until both ends agree."""

    def __init__(self, endpoint: RtpEndpoint, end: AudioEnd) -> None:
        self._endpoint = endpoint
        self._end = evolve(end, port=endpoint.open(end.address))
        self._agreement: AudioAgreement | None = None
        self._offered: list[CryptoAttribute] = []

    def offer(self) -> bytes:
        """Our description as an offer; the keys in use are offered again."""
        sending = self._agreement.sending if self._agreement else None
        self._offered = [sending] if sending else offer_lines(self._end.suites, self._end.random)
        return offer(self._end, self._offered)

    def answer(self, offered: bytes) -> bytes:
        """Our answer to an offer, which is in force at once. Raises Refused(488)."""
        body, agreement = answer(offered, self._end, self._agreement)
        self._enter(agreement)
        return body

    def take_answer(self, answered: bytes) -> None:
        """The other end's answer to our last offer. One that does not fit changes nothing and is logged."""
        try:
            self._enter(agreed(self._offered, answered))
        except Refused as refused:
            log.warn("unusable answer: {reason}", reason=refused.reason)

    def close(self) -> Heard:
        """Stop; returns the audio that arrived."""
        self._endpoint.close()
        return self._endpoint.ear.heard()

    def _enter(self, agreement: AudioAgreement) -> None:
        before, self._agreement = self._agreement, agreement
        if before is None or (before.sending, before.receiving) != (agreement.sending, agreement.receiving):
            self._endpoint.protect(agreement.sending, agreement.receiving)
        self._endpoint.send_to(agreement.remote)


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


def _own_key(
    receiving: CryptoAttribute | None, end: AudioEnd, previous: AudioAgreement | None
) -> CryptoAttribute | None:
    if receiving is None:
        return None
    if previous is not None and previous.receiving == receiving:
        return previous.sending
    return generate(receiving.suite, receiving.tag, end.random)


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
