"""Figures as SVG, drawn by the server: stacked bars by hour, sparklines, the segments of a lane.

Here: pure functions from numbers to markup. A figure has no text of its own, but a title for each part and one sentence
for those who do not see it; the words beside it are the templates'. It stretches to the width there is, so its lengths
are units of its own or percents. Its colours are classes of the style sheet: a page may hold no style.

Only texts are escaped: numbers and tones are most of a chart, and to escape them took most of its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from markupsafe import Markup, escape

from gateway.admin.pages.phrases import TONE_WORDS, TONES

HEIGHT: Final = 160
"""Units of a chart of bars, of which its tallest bar takes all."""
_BAR, _GAP = 20, 8
_SPARK_WIDTH, _SPARK_HEIGHT = 120.0, 28.0


@attrs.frozen
class Bar:
    """One hour (or day) of verdicts: its name, and how many of each tone."""

    name: str
    tones: Mapping[str, int]
    link: str = ""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.tones.values())

    def told(self) -> str:
        """The bar in words."""
        parts = [f"{self.tones[tone]:,} {TONE_WORDS[tone]}" for tone in TONES if self.tones.get(tone)]
        return f"{self.name}: {', '.join(parts) or 'no calls'}"


def stacked(bars: Sequence[Bar], label: str) -> Markup:
    """Bars side by side, each stacked from the best at the bottom to none at the top."""
    tallest = max((bar.total for bar in bars), default=0)
    width = len(bars) * (_BAR + _GAP) - _GAP
    drawn = [_stack(bar, index * (_BAR + _GAP), tallest) for index, bar in enumerate(bars)]
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(max(width, 1), HEIGHT, label, Markup("").join(drawn))


def _stack(bar: Bar, left: int, tallest: int) -> Markup:
    parts, top = [], float(HEIGHT)
    for tone in TONES:
        number = bar.tones.get(tone, 0)
        if number:
            # A single call of a thousand is still to be seen.
            tall = max(HEIGHT * number / tallest, 2.0)
            top -= tall
            y = max(top, 0.0)
            parts.append(f'<rect class="t-{tone}" x="{left}" y="{y:.1f}" width="{_BAR}" height="{tall:.1f}"/>')
    if not parts:
        parts.append(f'<rect class="t-empty" x="{left}" y="{HEIGHT - 1}" width="{_BAR}" height="1"/>')
    # The whole height can be pointed at, or the title of a short bar would not be found.
    parts.append(f'<rect class="t-over" x="{left}" y="0" width="{_BAR}" height="{HEIGHT}"/>')
    return Markup(f"<g><title>{escape(bar.told())}</title>{''.join(parts)}</g>")  # noqa: S704


def round_top(tallest: int) -> int:
    """The tallest bar as the scale beside it says it: exact, for the bars touch the top."""
    return max(tallest, 0)


def sparkline(
    values: Sequence[float | None], label: str, least: float | None = None, most: float | None = None
) -> Markup:
    """A line through the values; a gap where there is None. The scale has ``least`` and ``most`` in it, else the values
    alone."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup('<svg class="spark" viewBox="0 0 120 28" role="img" aria-label="{}"></svg>').format(label)
    bottom = min([*known, *([] if least is None else [least])])
    tall = (max([*known, *([] if most is None else [most])]) - bottom) or 1.0
    step = _SPARK_WIDTH / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            y = _SPARK_HEIGHT - 3 - (_SPARK_HEIGHT - 6) * (value - bottom) / tall
            lines[-1].append(f"{index * step:.1f},{y:.1f}")
    drawn = [_line(points) for points in lines if points]
    return Markup(
        '<svg class="spark" viewBox="0 0 {:.0f} {:.0f}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(_SPARK_WIDTH, _SPARK_HEIGHT, label, Markup("").join(drawn))


def _line(points: Sequence[str]) -> Markup:
    whole = points if len(points) > 1 else [points[0], points[0]]
    return Markup(f'<polyline points="{" ".join(whole)}"/>')  # noqa: S704 - numbers


@attrs.frozen
class Segment:
    """A part of a lane: its share of the whole (0 to 1), its tone, its words."""

    share: float
    tone: str
    words: str


def lane(segments: Sequence[Segment], label: str) -> Markup:
    """A wire as a bar of segments, in the order of time."""
    drawn, left = [], 0.0
    for segment in segments:
        drawn.append(
            Markup(
                '<rect class="t-{}" x="{:.2f}%" y="0" width="{:.2f}%" height="100%"><title>{}</title></rect>'
            ).format(segment.tone, 100 * left, 100 * segment.share, segment.words)
        )
        left += segment.share
    return Markup('<svg class="lane" role="img" aria-label="{}">{}</svg>').format(escape(label), Markup("").join(drawn))
