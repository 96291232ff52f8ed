"""Lines of the log that one source can cause."""

from __future__ import annotations

from gateway.observe.line_limit import LINES, SOURCES, LineLimit


def test_a_source_has_a_few_lines_and_the_next_says_how_many_were_left_out() -> None:
    now = [0.0]
    lines = LineLimit(lambda: now[0])
    assert [lines.more("192.0.2.1") for _ in range(LINES.burst + 5)] == [""] * LINES.burst + [None] * 5
    now[0] = 1 / LINES.per_second
    assert lines.more("192.0.2.1") == " (and 5 others, not told)"
    assert lines.more("192.0.2.1") is None


def test_many_sources_have_few_lines_together_once_too_many_are_remembered() -> None:
    lines = LineLimit(lambda: 0.0)
    written = sum(lines.more(f"10.0.{number >> 8}.{number & 255}") is not None for number in range(4 * SOURCES))
    assert written == SOURCES + LINES.burst
