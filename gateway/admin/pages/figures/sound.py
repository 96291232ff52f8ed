"""The media of a call: each direction in numbers, and its course while the call lasted as three small lines.

    the relay's report -> streams(call) -> MediaSent, with lines for score, loss and jitter

Here: pure functions from a call's record. Samples are a worker's (`media/worker/streams/course.py`): an rtpengine has
none, nor has a call of less than ten seconds. Reports of another form are no error: then there is less to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from markupsafe import Markup

from gateway.admin.pages.figures.charts import sparkline
from gateway.admin.pages.figures.wire import CallRow, sent_streams
from gateway.admin.pages.phrases import NONE, clock_length
from gateway.base.json_codec import Json

MOST: Final = 100
"""Samples that are drawn; a worker has 30 at most."""


@attrs.frozen
class Measure:
    """One figure of a sample, and how it is drawn."""

    name: str
    place: int
    """In the sample."""
    least: float
    most: float
    """The scale has these at its ends, and goes beyond for figures that do."""
    is_best_at_top: bool
    told: Callable[[float], str]


MEASURES: Final = (
    Measure("Score (MOS)", 3, 1.0, 4.5, True, lambda score: f"{score:.1f}"),
    Measure("Loss", 1, 0.0, 0.05, False, lambda share: f"{100 * share:.1f} %"),
    Measure("Jitter", 2, 0.0, 0.03 * 1000, False, lambda jitter: f"{jitter:.0f} ms"),
)


@attrs.frozen
class CourseLine:
    """One measure over time."""

    name: str
    worst: str
    when: str
    """How long after the begin of the stream it was so bad."""
    figure: Markup


@attrs.frozen
class MediaSent:
    """The media that came from one end, in numbers."""

    source: str
    protocol: str
    suite: str
    packets: Json
    loss: str
    jitter: Json
    mos: Json
    errors: str
    course: tuple[CourseLine, ...] = ()


def streams(call: CallRow, end_of: Callable[[str], str]) -> list[MediaSent]:
    """Each RTP stream of a call by the end that sent it; ``end_of`` names the party of a leg."""
    found = []
    for leg in ("caller", "callee"):
        for protocol, stream in sent_streams(call, leg):
            if "jitter" not in stream and "loss" not in stream:
                continue  # RTCP's socket
            causes, stats = stream.get("errors by cause"), stream.get("stats")
            errors = [f"{number} {cause}" for cause, number in causes.items()] if isinstance(causes, dict) else []
            found.append(
                MediaSent(
                    end_of(leg),
                    protocol,
                    str(stream.get("crypto suite") or ""),
                    stats.get("packets") if isinstance(stats, dict) else None,
                    _percent(stream.get("loss")),
                    stream.get("jitter"),
                    stream.get("MOS"),
                    ", ".join(errors),
                    course_lines(stream.get("course"), end_of(leg)),
                )
            )
    return found


def course_lines(course: Json, source: str) -> tuple[CourseLine, ...]:
    """The lines of a stream that has two samples or more; none for a measure of which nothing is known."""
    samples = [_numbers(one) for one in course[:MOST]] if isinstance(course, list) else []
    samples = [one for one in samples if one[0] is not None]
    if len(samples) < 2:
        return ()
    return tuple(line for measure in MEASURES if (line := _line(measure, samples, source)) is not None)


def _line(measure: Measure, samples: Sequence[Sequence[float | None]], source: str) -> CourseLine | None:
    values = [one[measure.place] for one in samples]
    known = [(value, one[0]) for value, one in zip(values, samples, strict=True) if value is not None]
    if not known:
        return None
    choose = min if measure.is_best_at_top else max
    worst, at = choose(known, key=lambda pair: pair[0])
    when, whole = clock_length(at), clock_length(samples[-1][0])
    label = f"{measure.name} of {source} over {whole}: at worst {measure.told(worst)}, at {when}"
    return CourseLine(measure.name, measure.told(worst), when, sparkline(values, label, measure.least, measure.most))


def _numbers(sample: Json) -> tuple[float | None, ...]:
    """The four figures of a sample, None where one is no number."""
    figures = [*sample, None, None, None, None] if isinstance(sample, list) else [None] * 4
    return tuple(_number(one) for one in figures[:4])


def _number(value: Json) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if is_number else None  # type: ignore[arg-type]


def _percent(ratio: Json) -> str:
    return f"{100 * ratio:.1f} %" if isinstance(ratio, int | float) else NONE
