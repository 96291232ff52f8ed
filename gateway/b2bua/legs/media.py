"""The session descriptions of one leg: the form that its peer is to see, and the state that offers and answers made.

Here: the peer's last description, whether the media are encrypted, and whether an offer is open. Not here: the relay's
rewriting, and the order of offers and answers across a call.
"""

from __future__ import annotations

from typing import Final

from gateway.media.relay import Encryption, SdpWish
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import media_encrypted
from gateway.sip.message import Message, Response

SDP: Final = "application/sdp"


def has_sdp(message: Message) -> bool:
    """True when the body of a message is a session description."""
    return bool(message.body) and message.content_type == SDP


class LegMedia:
    """The media that one leg has come to."""

    def __init__(self, wish: SdpWish) -> None:
        self.wish = wish
        """The form of SDP toward the peer."""
        self.their_sdp = b""
        """The peer's last session description."""
        self.encrypted: bool | None = None
        """Whether the last answer with any media, of either side, encrypts it; None before there was one."""
        self.our_sdp = b""
        """The session description that the peer was given last in an INVITE, an UPDATE or their 2xx."""
        self.pending_invite = False
        """True while an INVITE of either direction has no final response on this leg (RFC 3261 section 14)."""
        self.pending_update = False
        """True while an offer in an UPDATE of either direction has no response on this leg (RFC 3311 section 5)."""

    def note_received(self, message: Message) -> None:
        """Keep the description that a message of the peer brings."""
        if has_sdp(message):
            self.their_sdp = message.body

    def note_sent(self, message: Message) -> None:
        """Keep the description that a message of ours brings, if it may be repeated to refresh the session."""
        is_agreed = not isinstance(message, Response) or 200 <= message.status < 300
        if is_agreed and message.cseq.method in ("INVITE", "UPDATE") and has_sdp(message):
            self.our_sdp = message.body

    def is_encrypted_by(self, sdp: bytes) -> bool | None:
        """Whether the peer's answer encrypts all media; None as for media_encrypted. MalformedDescription.

        Keys in the answer to an offer without any encrypt nothing.
        """
        encrypted = media_encrypted(sdp)
        return encrypted and self.wish.encryption is not Encryption.NONE

    def take_our_answer(self, sdp: bytes) -> bool:
        """True when the answer that we gave settles whether the media are encrypted."""
        try:
            return self._settle(media_encrypted(sdp))
        except MalformedDescription:
            return self._settle(False)

    def take_their_answer(self, sdp: bytes) -> bool:
        """True when the peer's answer settles whether the media are encrypted.

        One that refuses or switches off all media says nothing new. One that cannot be read is not called encrypted,
        and the relay will not have it either.
        """
        try:
            return self._settle(self.is_encrypted_by(sdp))
        except MalformedDescription:
            return self._settle(False)

    def _settle(self, encrypted: bool | None) -> bool:
        if encrypted is not None:
            self.encrypted = encrypted
        return encrypted is not None
