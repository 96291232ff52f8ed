"""The quality of an ended call's streams, from a relay's last word on them into the metrics.

A worker's reply to `delete` is the call's report: one observation a direction is added for each call, none for a
packet. rtpengine's reply says nothing of quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from gateway.config import Side
from gateway.media.relay import JSON
from gateway.metrics import Metrics

_DIRECTIONS: Final[dict[JSON, str]] = {Side.PHONES.value: "to_provider", Side.PROVIDER.value: "to_phone"}
"""By the side that a stream was received from."""


@attrs.frozen
class StreamQuality:
    """One direction of one stream. None for what is not known."""

    direction: str
    score: float | None
    """Mean opinion score, 1 to 5."""
    loss: float | None
    """A share of what was sent, 0 to 1."""
    jitter: float | None
    """Seconds."""
    round_trip: float | None
    """Seconds, between the relay and the party that sent the stream."""
    is_one_way: bool


def stream_qualities(report: JSON) -> Iterator[StreamQuality]:
    """Of every audio stream on which something came, or should have."""
    for party in _values(report, "tags"):
        direction = _DIRECTIONS.get(_value(party, "side"))
        for media in _values(party, "medias"):
            streams = _values(media, "streams")
            if direction is not None and _value(media, "type") == "audio" and streams:
                quality = _quality(direction, streams[0])
                if quality.is_one_way or quality.score is not None:
                    yield quality


def observe(report: JSON, metrics: Metrics) -> None:
    """Add an ended call's report to the metrics."""
    for quality in stream_qualities(report):
        if quality.is_one_way:
            metrics.one_way_audio.labels(quality.direction).inc()
        for histogram, value in (
            (metrics.media_score, quality.score),
            (metrics.media_loss, quality.loss),
            (metrics.media_jitter, quality.jitter),
            (metrics.media_round_trip, quality.round_trip),
        ):
            if value is not None:
                histogram.labels(quality.direction).observe(value)


def _quality(direction: str, stream: JSON) -> StreamQuality:
    return StreamQuality(
        direction,
        score=_number(stream, "MOS"),
        loss=_number(stream, "loss"),
        jitter=_number(stream, "jitter", 1_000),
        round_trip=_number(stream, "round trip", 1_000),
        is_one_way=_value(stream, "one way") is True,
    )


def _value(of: JSON, key: str) -> JSON:
    return of.get(key) if isinstance(of, dict) else None


def _values(of: JSON, key: str) -> list[JSON]:
    """The items of a list or dictionary within a dictionary."""
    found = _value(of, key)
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []


def _number(of: JSON, key: str, units: int = 1) -> float | None:
    found = _value(of, key)
    return found / units if isinstance(found, int | float) and not isinstance(found, bool) else None
