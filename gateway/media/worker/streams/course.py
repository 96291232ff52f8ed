"""The course of a stream: its loss, jitter and score while it lasts, in few samples.

    every EVERY seconds, later 2, 4, ... times: figures since the sample before --> MOST samples, both directions alike

A call that sounded bad for a minute has good figures on the whole after an hour. So a report has samples beside: each
tells of the time since the one before it. Where there are too many, of each two the worse figures are kept, and the
distance doubles: a call of any length has as many samples as a short one. Called when calls are looked at now and
then, never for a packet. Not here: figures of the whole stream (`quality`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.media.worker.streams import quality
from gateway.media.worker.streams.endpoint import Endpoint

EVERY: Final = 10.0
"""Seconds between two samples at first."""
MOST: Final = 30
"""Samples of a direction, an even number: five minutes of the first distance."""


class Sample(NamedTuple):
    """A direction in the time up to ``at``. None where nothing came, or too little to tell."""

    at: float
    """Seconds since the stream was made."""
    loss: float | None
    """A share of the packets sent, 0 to 1."""
    jitter: float | None
    """Milliseconds."""
    score: float | None
    """Mean opinion score, 1 to 4.5."""


class Course:
    """That of both directions of a stream, by the side that sends; ``now`` in seconds of the worker's clock."""

    __slots__ = ("_before", "_began", "_due", "_every", "samples")

    def __init__(self, now: float) -> None:
        self.samples: tuple[list[Sample], list[Sample]] = ([], [])
        self._began = now
        self._every = EVERY
        self._due = now + EVERY
        self._before = [(0, 0), (0, 0)]

    def look(self, ends: Sequence[Endpoint], now: float) -> None:
        """Take a sample of each direction, if it is time."""
        if now < self._due:
            return
        self._due = now + self._every
        for side, samples in enumerate(self.samples):
            samples.append(self._sample(ends, side, now))
        if len(self.samples[0]) == MOST:
            self._every *= 2
            for samples in self.samples:
                samples[:] = _halved(samples)

    def _sample(self, ends: Sequence[Endpoint], side: int, now: float) -> Sample:
        end, peer = ends[side], ends[1 - side]
        packets, lost = end.counters.packets, quality.lost(end, peer)
        more, missing = packets - self._before[side][0], max(lost - self._before[side][1], 0)
        self._before[side] = packets, lost
        at = round(now - self._began, 1)
        if more <= 0:
            return Sample(at, None, None, None)
        share = missing / (more + missing)
        score = quality.score_of(end, peer, share) if more >= quality.ENOUGH_PACKETS else None
        return Sample(at, round(share, 4), round(quality.jitter_ms(end), 1), None if score is None else round(score, 2))


def _halved(samples: Sequence[Sample]) -> list[Sample]:
    """One of each two, with the worse figures."""
    pairs = (samples[start : start + 2] for start in range(0, len(samples), 2))
    return [
        Sample(
            pair[-1].at,
            _worst([one.loss for one in pair]),
            _worst([one.jitter for one in pair]),
            min((one.score for one in pair if one.score is not None), default=None),
        )
        for pair in pairs
    ]


def _worst(figures: Iterable[float | None]) -> float | None:
    return max((one for one in figures if one is not None), default=None)
