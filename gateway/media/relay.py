"""The seam between calls and media: questions of a call to a relay, and the relay's news for the calls.

A call hands SDP in and gets SDP back; it never sees ports, addresses or keys. Behind the Protocol stand our own
workers or rtpengine (pool). The words are those of rtpengine's NG protocol: an *offer* is one party's SDP, rewritten
for the other; an *answer* is the reply to it, rewritten back (RFC 3264). Nothing here does I/O.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import ClassVar, Final, Protocol, TypeAlias

import attrs
from twisted.internet.defer import Deferred

from gateway.config.model import Side

JSON: TypeAlias = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None


class Encryption(StrEnum):
    """The form in which SRTP is offered toward a side."""

    NONE = "none"
    """RTP/AVP without keys."""
    SAVP = "savp"
    """RTP/SAVP with a=crypto (RFC 4568): the peer takes SRTP or refuses."""
    OSRTP = "osrtp"
    """RTP/AVP with a=crypto (RFC 8643): the peer takes SRTP when it can."""
    DUAL = "dual"
    """Two m-lines per stream, RTP/SAVP and RTP/AVP: the peer takes one. Workers only."""
    DTLS = "dtls"
    """UDP/TLS/RTP/SAVPF for a browser (RFC 5763, RFC 8827): a=fingerprint, a=setup:actpass, a=ice-lite with one host
    candidate, a=rtcp-mux, a=mid and a BUNDLE of the one audio line; never a=crypto, and no line but audio: others have
    port 0. `suites` and `takes_clear` count for nothing: the answer has to be DTLS-SRTP with a fingerprint of SHA-256
    or stronger (gateway/sdp/dtls.py), or RelayRefusal. An offer that comes from a browser needs no wish: `answer`
    mirrors its form, with a=setup:passive where the browser leaves the choice."""


@attrs.frozen
class SdpWish:
    """The form of an SDP offer toward its destination."""

    side: Side
    """The side toward which the SDP goes."""
    encryption: Encryption
    suites: tuple[str, ...] = ()
    """SRTP suites to offer, best first; unused for Encryption.NONE."""
    takes_clear: bool = False
    """Whether an answer without SRTP may stand (RTP/AVP to RTP/SAVP, or no key). rtpengine always lets it stand."""
    is_urgent: bool = False
    """Whether the call may use the last ports. Workers only."""
    fork: int = 0
    """The number of the phone, from 1, where several are shown offers of their own: none has the keys of another.
    Workers only."""
    is_repeated: bool = False
    """Whether the peer was shown this offer before: it is for the relay alone, under the keys of then. Workers only."""
    is_between_phones: ClassVar[bool] = False
    """Whether the SDP comes from the same side."""


wish_of: Final = lru_cache(maxsize=256)(SdpWish)
"""One of those that are equal, for all calls: each leg has one, and there are few."""


class PhonesWish(SdpWish):
    """The form of an SDP offer of one phone toward another."""

    is_between_phones: ClassVar[bool] = True


@attrs.frozen
class SdpSource:
    """How an SDP came to the gateway."""

    host: str = ""
    """The address that its message came from: RTP in clear may come from there. Empty where that is not known."""
    is_early: bool = False
    """Whether it is an answer in a message that does not answer the call: media may flow, or not, while it rings."""


UNKNOWN_SOURCE: Final = SdpSource()


@attrs.frozen
class RelayFailure(Exception):
    """A relay refused or did not answer in time; `reason` is for logs and for people, never for the peer."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class RelayRefusal(RelayFailure):
    """The relay is well and would not do this: the SDP that it was given is of no use to it."""


@attrs.frozen
class RelayExhausted(RelayFailure):
    """The relay is well and has no ports left."""


class RelayListener(Protocol):
    """The owner of the calls, told of media that end without being asked to."""

    def media_lost(self, calls: tuple[str, ...]) -> None:
        """The media of these calls is gone (a node died or is unreachable): another may take over."""

    def media_ended(self, calls: tuple[str, ...]) -> None:
        """A relay ended these calls by itself, since no media came for a while."""

    def media_mismatched(self, calls: tuple[str, ...]) -> None:
        """A browser's certificate was not the one of its SDP in these calls: their media stand still, and nothing was
        opened or sealed. Once for each."""

    def media_in_clear(self, calls: tuple[str, ...]) -> None:
        """RTCP came in clear beside the SRTP of these calls, which go on; `query` names the sides. Once for each."""


class Relay(Protocol):
    """Media for calls. Tags are opaque strings, unique within the call; every Deferred may fail with RelayFailure.

    Either party may offer again later (a re-INVITE): ports stay, and keys stay while the peer's SDP changes nothing
    about them. Cancelling a Deferred abandons the wait, not the work: `delete` the call afterwards.
    """

    def start(self, listener: RelayListener) -> Deferred[None]:
        """Fires when at least one node answers."""

    def stop(self) -> Deferred[None]:
        """Let go of the nodes; the media of running calls goes on."""

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        """The offerer's SDP, rewritten for the other side as wished."""

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        """The answerer's (`to_tag`) SDP, rewritten for the offerer (`from_tag`): its profiles mirror the offer's."""

    def confirm(self, call: str) -> None:
        """The call was answered, as an early answer said: from now on its silence counts."""

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        """End the call's media, and give its last report in the form of `query`; empty for an unknown call. A call may
        wait for others to be deleted with, unless its media must stop at once."""

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        """The report on the call's streams so far, in the form of the reply to NG's `query`."""
