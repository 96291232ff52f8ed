"""The streams of one call and its two parties: the latest offerer, and how long all lives.

Tags name parties; an unknown tag is the party opposite to the known one, so that every fork of a call is party 1 and
the latest answer wins. Not here: parties and streams themselves (parties), offers and answers (media_call, usual).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from gateway.media.worker.offering import NgRefusal
from gateway.media.worker.parties import CallParty, MediaStream
from gateway.media.worker.streams.endpoint import Endpoint, StreamServices

MAXIMUM_TAGS: Final = 64
"""Forks of one call."""
SESSION_BYTES: Final = 7
"""Of the number of a session in o=, which is to fit 64 bits."""


class CallStreams:
    """The media of one call, apart from its descriptions."""

    def __init__(
        self, services: StreamServices, random: Callable[[int], bytes], sides: tuple[str, str] = ("", "")
    ) -> None:
        """`sides` names the interfaces of the two parties, the first offerer's first."""
        self.services = services
        self.random = random
        self.created = self.signalled = services.clock.now
        self.tags: dict[str, int] = {}
        drawn, named = random(2 * SESSION_BYTES), services.interfaces.named
        self.parties = (
            CallParty(0, int.from_bytes(drawn[:SESSION_BYTES], "big"), named(sides[0]), sides[0]),
            CallParty(1, int.from_bytes(drawn[SESSION_BYTES:], "big"), named(sides[1]), sides[1]),
        )
        self.streams: list[MediaStream] = []
        self.is_answered = self.has_open_offer = False
        self.counted: dict[tuple[str, ...], int] = {}
        """Packets of its that the worker's statistics have already, by direction."""
        self.offerer: int | None = None
        self.takes_clear = False
        self.fork = 0  # of the last offer that had one: its reader's keys are those in use
        self.is_urgent = False

    def side_of(self, tag: str, other: str | None) -> int:
        """The party that `tag` names, opposite to `other`'s; a new tag is remembered."""
        side = self.tags.get(tag)
        if side is None:
            side = 1 - self.tags[other] if other in self.tags else int(bool(self.tags))
            if len(self.tags) >= MAXIMUM_TAGS:
                raise NgRefusal("Too many tags in one call")
            self.tags[tag] = side
        return side

    def confirm(self) -> None:
        """The call is answered, as an early answer said, or another one that comes at once."""
        self.is_answered, self.has_open_offer = True, False

    def release_unused(self) -> None:
        """Give back the ports of streams that nobody took, in a call that was answered some time ago."""
        for stream in [*self.streams] if self.is_answered and not self.has_open_offer else ():
            if stream.is_unused:
                stream.release()
                self.streams.remove(stream)

    def close(self) -> None:
        """End every stream and give the ports back."""
        for stream in self.streams:
            stream.close(was_answered=self.is_answered)
        self.streams = []

    def heard(self, now: float) -> float:
        """When anything good arrived last, in the clock's seconds, as exactly as this is called often."""
        latest = self.created
        for stream in self.streams:
            for end in stream.ends:
                counters = end.counters
                counters.notice(now)
                latest = max(latest, counters.heard)
        return latest

    def mend(self) -> None:
        """Called now and then: make receiving sessions anew where that is due, and sample the streams."""
        for stream in self.streams:
            stream.mend(self.services.clock.now)

    def is_held(self) -> bool:
        """Whether no stream flows both ways by the parties' descriptions: silence is no wonder then."""
        return not any(all(end.remote.flows for end in stream.ends) for stream in self.streams)

    def is_forsaken(self) -> bool:
        """Asked now and then: whether a browser is gone, or will never have keys."""
        return any(end.web.look() for end in self._web_ends() if end.web is not None)

    def is_mismatched(self) -> bool:
        """Whether a browser showed a certificate that is not the one of its SDP."""
        return any(end.web.is_mismatched for end in self._web_ends() if end.web is not None)

    def _web_ends(self) -> Iterator[Endpoint]:
        return (end for stream in self.streams for end in stream.ends if end.remote.dtls is not None)
