"""The seam between calls and media: what a call may ask of a relay.

A call hands SDP in and gets SDP back; it never sees ports, addresses or keys. Behind the Protocol stand our own
workers or rtpengine (pool.py). The words are those of rtpengine's NG protocol: an *offer* is what one party sends,
rewritten for the other; an *answer* is its reply, rewritten back (RFC 3264). Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeAlias

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


@attrs.frozen
class Terms:
    """How an SDP offer is to look toward its destination."""

    side: Side
    """The side toward which the SDP goes."""
    encryption: Encryption
    suites: tuple[str, ...] = ()
    """SRTP suites to offer, best first; unused for Encryption.NONE."""
    takes_clear: bool = False
    """Whether an answer without SRTP may stand (RTP/AVP to RTP/SAVP, or no key). rtpengine always lets it stand."""


@attrs.frozen
class RelayFailure(Exception):
    """A relay refused or did not answer in time; `reason` is for logs and for people, never for the peer."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class RelayRefusal(RelayFailure):
    """The relay is well and would not do this: what it was given is of no use to it."""


class Relay(Protocol):
    """Media for calls. Tags are opaque strings, unique within the call; every Deferred may fail with RelayFailure.

    Either party may offer again later (a re-INVITE): ports stay, and keys stay while the peer's SDP changes nothing
    about them. Cancelling a Deferred abandons the wait, not the work: `delete` the call afterwards.
    """

    lost: Callable[[tuple[str, ...]], None]
    """Set by the owner: told of calls whose media is gone (a node died or is unreachable): another may take over."""

    ended: Callable[[tuple[str, ...]], None]
    """Set by the owner: told of calls that a relay ended by itself, since no media came for a while."""

    def start(self) -> Deferred[None]:
        """Fires when at least one node answers."""

    def stop(self) -> Deferred[None]:
        """Let go of the nodes; the media of running calls goes on."""

    def offer(self, call: str, from_tag: str, sdp: bytes, terms: Terms, to_tag: str | None = None) -> Deferred[bytes]:
        """The offerer's SDP, rewritten for the other side by `terms`."""

    def answer(self, call: str, from_tag: str, to_tag: str, sdp: bytes) -> Deferred[bytes]:
        """The answerer's (`to_tag`) SDP, rewritten for the offerer (`from_tag`): its profiles mirror the offer's."""

    def delete(self, call: str) -> Deferred[dict[str, JSON]]:
        """End the call's media, and give its last report in the form of `query`; empty for an unknown call."""

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        """What the relay knows about the call's streams, in the form of NG's `query`."""
