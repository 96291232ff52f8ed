"""The parts of an offer and of its answer: how an offer is to be written, and the meaning of a party's m-line.

Here: the wish, the refusal, and m-lines read into keys that both ends agreed on and a `Remote`. Not here: the order of
offers and answers, and streams (media_call); the lines that are written (rewriting).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

import attrs

from gateway.media.worker import rewriting
from gateway.media.worker.parties import CallParty, Line
from gateway.media.worker.rewriting import Profile
from gateway.media.worker.streams.endpoint import Remote
from gateway.media.worker.web import web_lines
from gateway.media.worker.web.ice import IceCredentials
from gateway.sdp.crypto import SUITE_NAMES, CryptoAttribute
from gateway.sdp.description import Description, Media
from gateway.sdp.dtls import DtlsTransport, Setup, is_dtls_profile
from gateway.sdp.negotiation import accepted, crypto_lines

Keys: TypeAlias = tuple[CryptoAttribute | None, CryptoAttribute | None]
"""The party's and ours toward it."""
_NOT_MIRRORED: Final = "The answer's profile does not mirror the offer's"


class NgRefusal(Exception):
    """The command cannot be done; the reason goes back in NG's reply."""


@attrs.frozen
class OfferWish:
    """How an offer is to be written. `profile` None: as it came in."""

    profile: Profile | None = None
    is_dual: bool = False
    suites: tuple[str, ...] = SUITE_NAMES
    takes_clear: bool = False
    """Whether an answer without keys may stand where keys were offered."""
    is_urgent: bool = False
    """Whether the call may use the last ports."""
    is_repeated: bool = False
    """Whether its reader was shown this offer before, and is not shown it again."""
    fork: int = 0
    """The number of its reader, where each of several has keys of its own; 0 where none is told from the others."""


def web_remote_of(party: CallParty, media: Media, told: DtlsTransport, ours: IceCredentials) -> Remote:
    """The same of a browser: ICE finds its address, and its keys come of the handshake."""
    return Remote(
        None,
        None,
        direction=media.direction,
        is_multiplexed=True,
        codec=rewriting.codec_of(media),
        source=party.source,
        dtls=told,
        ice=ours,
    )


def remote_of(party: CallParty, description: Description, media: Media, keys: Keys) -> Remote:
    """`party`'s description of a stream in that m-line."""
    address, control = rewriting.addresses(description, media, party.interface.family)
    is_multiplexed = media.is_rtp and rewriting.accepts_multiplexing(media)
    return Remote(
        address,
        address if is_multiplexed else control,
        direction=media.direction,
        is_held=rewriting.is_unspecified(description.connection_of(media)),
        is_multiplexed=is_multiplexed,
        is_rtp=media.is_rtp,
        codec=rewriting.codec_of(media),
        theirs=keys[0],
        ours=keys[1],
        source=party.source,
    )


def digest(side: int, offer: bytes, wish: OfferWish) -> bytes:
    """The name of an offer of that party in that form, to know it by when it is told again."""
    return blake2b(_form(side, wish.profile, wish.is_dual, wish.suites, wish.fork) + offer, digest_size=16).digest()


@lru_cache(maxsize=64)
def _form(side: int, *form: object) -> bytes:
    return f"{side} {form} ".encode()


def is_without_keys(line: Line, media: Media) -> bool:
    """Whether keys were offered and the answer is RTP without any: RTP/AVP, or RTP/SAVP without a=crypto."""
    is_dtls = is_dtls_profile(media.protocol)
    return bool(line.keys) and media.is_rtp and not is_dtls and not media.has_attribute("crypto")


def agreed(line: Line, media: Media) -> tuple[CryptoAttribute, CryptoAttribute] | None:
    """(our key, the peer's) of an answered line; None for plain RTP. NgRefusal for an answer that fits no offer."""
    if line.profile is Profile.OTHER:
        return None
    if not media.is_rtp or is_dtls_profile(media.protocol):
        raise NgRefusal(_NOT_MIRRORED)
    return agreed_keys(line, media.is_secure, crypto_lines(media), media.has_attribute("crypto"))


def agreed_keys(
    line: Line, is_secure: bool, keys: Sequence[CryptoAttribute], has_crypto: bool
) -> tuple[CryptoAttribute, CryptoAttribute] | None:
    """The same for an answer over RTP, with those usable `keys` where it `has_crypto`."""
    if is_secure is not (line.profile is Profile.SAVP):
        raise NgRefusal(_NOT_MIRRORED)
    if line.profile is Profile.PLAIN or (line.profile is Profile.OSRTP and not has_crypto):
        return None
    pair = accepted(line.keys, keys)
    if pair is None:
        raise NgRefusal("The answer has no a=crypto that fits the offer's")
    if pair[0].key == pair[1].key:
        # One keystream both ways, wherever the SSRCs are the same (RFC 3711 section 9.1).
        raise NgRefusal("The answer has the key that was offered")
    return pair


def web_agreed(line: Line, description: Description, index: int) -> tuple[DtlsTransport, IceCredentials]:
    """The browser's word in the m-line that answers ours, and our credentials in that. NgRefusal for one that is not
    DTLS-SRTP, or that no certificate can be held against."""
    told = web_lines.usable(description, index)
    if told is None or told.setup is Setup.ACTPASS or line.ice is None:
        raise NgRefusal(
            "The answer is not DTLS-SRTP with ICE, RTCP on the same port and a fingerprint of SHA-256 or more"
        )
    return told, line.ice
