"""How long each target takes for its first answer to an INVITE, and so how long another may be silent.

    INVITE --seconds--> 100, or any other answer that is first: heard(flow, seconds)
    the next INVITE there, where another target could be asked: within(flow) seconds of silence, then the other one
    silence: unheard(flow), as if nothing was known

In the way of RFC 6298 (section 2): the smoothed time, and four times its variation. An answer that takes longer than
that is believed at once. Over UDP the time counts from the first copy, which is never too short (section 3 leaves such
answers out). Not here: whether a target is up (health).
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.transport.flow import Address, Flow, Transport

HEARD_WITHIN: Final = 4.0
"""Seconds of silence at most: three copies of the INVITE were sent by then (timer A), and a server answers 100 within
0.2 s (RFC 3261 section 17.2.1). It holds for a target of which nothing is known, and for the only one there is."""
AT_LEAST: Final = 0.8
"""Seconds: a server may be busy for a moment."""
COPIES: Final = 1.0
"""Seconds more over UDP: a lost datagram is sent again after 0.5 s, and once more a second later (timer A)."""
MOST: Final = 1_000
"""Targets that are remembered, the latest ones."""


@attrs.define
class _Times:
    """Of one target, in seconds."""

    smoothed: float
    variation: float

    @classmethod
    def of_first(cls, seconds: float) -> _Times:
        return cls(seconds, seconds / 2)

    @property
    def limit(self) -> float:
        return self.smoothed + 4 * self.variation

    def after(self, seconds: float) -> _Times:
        if seconds > self.limit:
            return self.of_first(seconds)
        variation = self.variation + (abs(self.smoothed - seconds) - self.variation) / 4
        return _Times(self.smoothed + (seconds - self.smoothed) / 8, variation)


class AnswerTimes:
    """Of all targets, by transport and address."""

    LONGEST: Final = HEARD_WITHIN

    def __init__(self) -> None:
        self._known: dict[tuple[Transport, Address], _Times] = {}

    def __len__(self) -> int:
        return len(self._known)

    def within(self, flow: Flow) -> float:
        """Seconds in which the first answer over this flow is to be expected. A connection that is not up yet has the
        longest time: its own time says nothing about the server."""
        known = self._known.get(_target(flow)) if is_ready(flow) else None
        if known is None:
            return HEARD_WITHIN
        return min(max(known.limit, AT_LEAST) + (0 if flow.is_reliable else COPIES), HEARD_WITHIN)

    def heard(self, flow: Flow, seconds: float) -> None:
        """The first answer to an INVITE came after that time. It was sent over a connection that was up, or UDP."""
        target = _target(flow)
        known = self._known.pop(target, None)
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[target] = _Times.of_first(seconds) if known is None else known.after(seconds)

    def unheard(self, flow: Flow) -> None:
        """Nothing came in time: the times that are known are no measure any more, and a target that became slow must
        not be passed over for ever."""
        self._known.pop(_target(flow), None)


def _target(flow: Flow) -> tuple[Transport, Address]:
    return flow.transport, flow.remote


def is_ready(flow: Flow) -> bool:
    """Whether a request leaves over this flow at once."""
    return flow.is_connected or not flow.is_reliable
