"""The worst that could be heard of one leg of a call, and the phases that it went through.

    message over a flow    -> signalled()  \\
    relay told an answer   -> carried()     > Exposure -> facts() -> the verdict of the call (verdict.py)
    relay's last report    -> reported()   /

An exposure is a value, and only ever gets worse: a call whose media ran in clear for a second was heard for that
second, however it went on, and a key that crossed a clear hop opens all media under it. Not here: which legs and
messages count (gateway/b2bua/exposed_legs.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.security.policy.terms import Reason
from gateway.security.policy.verdict import LegFacts

MOST_PHASES: Final = 16
"""Phases that are kept, of signalling and of media; a peer can make changes without end. Later ones are counted."""


_new: Final = tuple.__new__
"""Makes one without the detour through names."""


class Phases(NamedTuple):
    """The states that something went through, each with its beginning. Tuples, as the next: each call makes several."""

    kept: tuple[tuple[float, str], ...] = ()
    """Seconds since the call began, and the state from then on."""
    last: str = ""
    left_out: int = 0

    def then(self, at: float, state: str) -> Phases:
        """The same with a state from this time on; no new phase where it was the last one."""
        if state == self.last:
            return self
        if len(self.kept) < MOST_PHASES:
            return _new(Phases, ((*self.kept, (at, state)), state, self.left_out))
        return Phases(self.kept, state, self.left_out + 1)

    @property
    def has_changed(self) -> bool:
        """Whether there was more than one."""
        return len(self.kept) > 1

    def __str__(self) -> str:
        told = ", ".join(f"{state} from {round(at, 1):g} s" for at, state in self.kept)
        return f"{told}, and {self.left_out} more changes" if self.left_out else told


class Exposure(NamedTuple):
    """One leg so far."""

    signalling: Phases = Phases()
    media: Phases = Phases()
    was_signalled_in_clear: bool = False
    was_heard: bool = False
    """Whether media, or a part of them, could cross in clear."""
    clear_reason: Reason | None = None
    """Why that was so at the first such moment, where policy or negotiation said it."""
    has_clear_control: bool = False
    """Whether RTCP came in clear beside SRTP."""

    def signalled(self, at: float, way: str, *, is_secure: bool) -> Exposure:
        """A message of the leg passed: over ``way``, a name for people. The same exposure when that adds nothing."""
        if self.is_known(way, is_secure=is_secure):
            return self
        was_in_clear = self.was_signalled_in_clear or not is_secure
        signalling = self.signalling.then(at, way)
        return _new(Exposure, (signalling, self.media, was_in_clear, *self[3:]))

    def is_known(self, way: str, *, is_secure: bool) -> bool:
        """Whether a message over that way adds nothing."""
        return way == self.signalling.last and (is_secure or self.was_signalled_in_clear)

    def carried(self, at: float, *, encrypted: bool, reason: Reason | None = None) -> Exposure:
        """The relay carries media from now on: all of them SRTP, or not; ``reason`` says why not."""
        media = self.media.then(at, "SRTP" if encrypted else "RTP")
        if encrypted:
            return self._replace(media=media)
        return self._replace(media=media, was_heard=True, clear_reason=self.clear_reason or reason)

    def reported(self, *, has_clear_control: bool) -> Exposure:
        """The relay has told of RTCP in clear beside SRTP, or of none."""
        return self._replace(has_clear_control=self.has_clear_control or has_clear_control)

    def facts(self, encrypted: bool | None, reason: Reason | None = None) -> LegFacts:
        """The leg for a verdict; ``encrypted`` is the state of its media as it is now, ``reason`` why it is weak."""
        weak = reason or self.clear_reason
        media = False if self.was_heard else encrypted
        if media is True and self.has_clear_control:
            media, weak = False, weak if self.was_signalled_in_clear else Reason.CLEAR_RTCP
        return LegFacts(not self.was_signalled_in_clear, media, weak)
