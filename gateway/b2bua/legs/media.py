"""The session descriptions of one leg: the form that its peer is to see, and the state that offers and answers made.

Here: the descriptions in force, whether the media are encrypted, and whether a change is open. Not here: the relay's
rewriting, the policy, and the order of offers and answers across a call (exchange).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from gateway.media.relay import Encryption, SdpWish
from gateway.sdp.negotiation import alternatives, media_security
from gateway.sdp.settlement import SettledLine, Settlement
from gateway.sip.bodies.session_part import SDP
from gateway.sip.message import Message


def has_sdp(message: Message) -> bool:
    """True when the body of a message is a session description."""
    return bool(message.body) and message.content_type == SDP


@attrs.frozen
class Relayed:
    """An offer and its answer as their makers wrote them, for the relay to be told again; names are legs' tags."""

    offerer: str
    offer: bytes = attrs.field(repr=False)
    wish: SdpWish
    answerer: str
    answer: bytes = attrs.field(repr=False)


@attrs.frozen
class Agreed:
    """The outcome of one exchange for both legs."""

    relayed: Relayed
    here: Settlement
    there: Settlement
    """The other leg's."""


_NO_FORKS: Final[Mapping[str, Agreed]] = {}
_NONE_OPENING: Final[Mapping[int, bool]] = {}
_NONE_RELIABLE: Final[frozenset[str]] = frozenset()
"""Of all legs that have none: a call that is up has none of any."""


class LegMedia:
    """The media that one leg has come to."""

    __slots__ = (
        "_opening",
        "encrypted",
        "forks",
        "in_force",
        "is_repeated",
        "opening",
        "pending_by",
        "pending_invite",
        "pending_offer",
        "reliable_forks",
        "wish",
    )

    def __init__(self, wish: SdpWish) -> None:
        self.wish = wish
        """The form of SDP toward the peer."""
        self.in_force: Settlement | None = None
        """The descriptions that both sides agreed on last; None before there was an answer."""
        self.encrypted: bool | None = None
        """Whether the last answer with any media, of either side, encrypts it; None before there was one."""
        self._opening = _NONE_OPENING
        self.opening: bool | None = None
        """Whether all answers encrypt the media that the relay acts on and has not replied to; None without any."""
        self.forks = _NO_FORKS
        """While forks ring: the agreement of each, by its tag."""
        self.reliable_forks = _NONE_RELIABLE
        """Tags of those forks that have described their media in a reliable provisional response."""
        self.pending_invite = False
        """True while an INVITE of either direction has no final response on this leg (RFC 3261 section 14)."""
        self.is_repeated = False
        """While a re-INVITE of ours offers this leg's description to the other leg: nothing is open in this dialog."""
        self.pending_offer: bool | None = None
        """While an offer has no answer on this leg: whether the peer made it (RFC 3264 section 4)."""
        self.pending_by: int | None = None
        """The name of the exchange that has that offer, where it is known."""

    @property
    def lines(self) -> tuple[SettledLine, ...]:
        """The active m-lines that are in force, each with its profile and suite."""
        return () if self.in_force is None else self.in_force.lines

    @property
    def may_rtcp_be_clear(self) -> bool:
        """Whether RTCP of any active m-line may be in clear."""
        return any(line.may_rtcp_be_clear for line in self.lines)

    def begin(self, exchange: int, *, is_theirs: bool) -> None:
        """An offer of this exchange waits for its answer."""
        self.pending_by, self.pending_offer = exchange, is_theirs

    def end(self, exchange: int) -> None:
        """It does no longer; one of another exchange still may."""
        if self.pending_by in (None, exchange):
            self.pending_by = self.pending_offer = None

    def open(self, exchange: int, encrypted: bool | None) -> None:
        """The relay is about to act on an answer of the exchange with that name: the worst of its answers counts."""
        if encrypted is not None:
            self._opening = {**self._opening, exchange: encrypted and self._opening.get(exchange, True)}
            self.opening = all(self._opening.values())

    def opened(self, exchange: int) -> None:
        """The relay has replied to all of them."""
        left = {other: encrypted for other, encrypted in self._opening.items() if other != exchange}
        self._opening = left or _NONE_OPENING
        self.opening = all(left.values()) if left else None

    def fork_agreed(self, tag: str, agreed: Agreed) -> None:
        """A fork that rings has come to this."""
        self.forks = {**self.forks, tag: agreed}

    def forks_over(self) -> None:
        """One of them has the call: its agreement is the leg's."""
        self.forks, self.reliable_forks = _NO_FORKS, _NONE_RELIABLE

    def agree(self, settlement: Settlement) -> bool:
        """Put an exchange's outcome in force; True when it settles whether the media are encrypted.

        One that refuses or switches off all media says nothing new. One that cannot be read is not called encrypted.
        """
        self.in_force = settlement
        encrypted = settlement.encrypted
        if encrypted is not None:
            self.encrypted = encrypted
        if encrypted and not settlement.we_offered and self.wish.encryption is Encryption.NONE:
            # A peer that has offered SRTP since is not offered less: that would be a downgrade of our own.
            self.wish = attrs.evolve(self.wish, encryption=encryption_of(settlement.theirs))
        return encrypted is not None


def encryption_of(sdp: bytes) -> Encryption:
    """The form in which a peer offers its media, to offer it the same way later; raises MalformedDescription.

    A peer that offers the same media twice, encrypted and in clear, is offered the encrypted form.
    """
    lines = media_security(sdp)
    refused = alternatives(lines)
    active = [line for index, line in enumerate(lines) if line.port and index not in refused]
    if not active or not all(media.is_encrypted for media in active):
        return Encryption.NONE
    if active[0].is_dtls:
        return Encryption.DTLS
    return Encryption.SAVP if "SAVP" in active[0].protocol.upper() else Encryption.OSRTP
