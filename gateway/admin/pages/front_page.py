"""The overview: one sentence, all that needs a look, four figures, the verdicts by hour, and how the parts stand.

Here: a pure function from the status and the hours to the values of its template. Not here: the status itself
(`admin.status`), figures (`charts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from gateway.admin.pages.figures.charts import Bar, sparkline, stacked
from gateway.admin.pages.phrases import NONE, TONE_WORDS, TONES, When, claim, count, seconds, share
from gateway.admin.status.facts import ENCRYPTED, REFUSED, UNANSWERED, Facts, tally
from gateway.admin.status.looks import looks
from gateway.admin.status.summary import sentence
from gateway.base.json_codec import Json
from gateway.state.listing.call_statistics import Statistics
from gateway.state.listing.tallies import HOUR

Row: TypeAlias = dict[str, Json]


@attrs.frozen
class Hour:
    """The calls that began in one hour."""

    at: float
    """Its beginning, seconds since the epoch."""
    verdicts: Mapping[str, int] = attrs.field(factory=dict)
    setup_p95: float | None = None
    """Seconds within which the callers of 95 % of its calls heard that the callee rings."""
    mos: float | None = None
    """The mean opinion score that half of its calls reach, in their worse direction."""

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(self.verdicts.values())

    @property
    def tones(self) -> dict[str, int]:
        """Its calls by tone."""
        counted = dict.fromkeys(TONES, 0)
        for verdict, number in self.verdicts.items():
            counted[claim(verdict).tone] += number
        return counted

    @property
    def share(self) -> float | None:
        """The share of calls that were encrypted, of those that came about."""
        came_about = sum(number for verdict, number in self.verdicts.items() if verdict not in (REFUSED, UNANSWERED))
        return sum(self.verdicts.get(one, 0) for one in ENCRYPTED) / came_about if came_about else None


def hours_of(statistics: Statistics) -> list[Hour]:
    """The 24 hours up to now, those without calls among them."""
    last = int(statistics.at) // HOUR * HOUR
    verdicts: dict[int, dict[str, int]] = {}
    for one in statistics.hours:
        verdicts.setdefault(one.at, {})[one.verdict] = one.calls
    setup = {spread.at: spread.p95 for spread in statistics.post_dial}
    mos = {spread.at: spread.p50 for spread in statistics.quality}
    times = range(last - 23 * HOUR, last + HOUR, HOUR)
    return [Hour(at, verdicts.get(at, {}), setup.get(at), mos.get(at)) for at in times]


@attrs.frozen
class Figure:
    """A number with its name and its last 24 hours."""

    name: str
    value: str
    note: str
    line: object


def view(facts: Facts, hours: Sequence[Hour], when: When) -> dict[str, object]:
    """The values of the overview."""
    bars = [Bar(f"{when.hour(hour.at)} to {when.hour(hour.at + 3600)}", hour.tones) for hour in hours]
    totals = {tone: sum(bar.tones[tone] for bar in bars) for tone in TONES}
    return {
        "sentence": sentence(facts),
        "looks": looks(facts),
        "checked_at": facts.now,
        "figures": _figures(facts, hours),
        "bars": stacked(bars, "Calls of each of the last 24 hours by verdict; the table below has the numbers"),
        "tallest": max((bar.total for bar in bars), default=0),
        "hours": [*zip(bars, hours, strict=True)],
        "marks": [when.hour(hour.at) for hour in hours[::6]] + ["now"] if hours else [],
        "legend": [(tone, TONE_WORDS[tone], totals[tone]) for tone in TONES if totals[tone]],
        "tones": [tone for tone in TONES if totals[tone]],
        "tone_words": TONE_WORDS,
        "providers": [{**row, "standing": standing(row)} for row in facts.providers],
        "domains": [_domain(row, facts) for row in facts.domains],
        "certificates": facts.certificates,
        "has_calls": any(bar.total for bar in bars) or bool(facts.counts.get("calls")),
        "phones": facts.counts.get("bindings"),
    }


def standing(provider: Row) -> tuple[str, str]:
    """How a provider stands: the shape, and words."""
    targets = provider.get("targets")
    known = [one for one in targets if isinstance(one, dict)] if isinstance(targets, list) else []
    asked = [one for one in known if one.get("is_up") is not None]
    if not asked:
        return "unknown", "Not asked"
    up = sum(bool(one["is_up"]) for one in asked)
    if up == len(asked):
        return "up", "Up" if up == 1 else f"{up} targets up"
    return ("degraded", f"{up} of {len(asked)} targets up") if up else ("down", "Down")


def _figures(facts: Facts, hours: Sequence[Hour]) -> list[Figure]:
    day = tally(facts.tallies)
    last = hours[-1] if hours else Hour(0.0)
    up = facts.counts.get("calls")
    known_setup = [hour.setup_p95 for hour in hours if hour.setup_p95 is not None]
    known_mos = [hour.mos for hour in hours if hour.mos is not None]
    return [
        Figure(
            "Calls now",
            count(up),
            f"busiest hour: {count(max((hour.calls for hour in hours), default=0), 'call')}",
            sparkline([hour.calls for hour in hours], "The calls of each hour", 0.0),
        ),
        Figure(
            "Encrypted to the provider",
            share(day.encrypted, day.answered),
            f"of {count(day.answered, 'call')} in 24 h",
            sparkline([hour.share for hour in hours], "The encrypted share of each hour"),
        ),
        Figure(
            "Ringing, 95 % within",
            seconds(last.setup_p95 if last.setup_p95 is not None else (known_setup[-1] if known_setup else None)),
            f"worst hour: {seconds(max(known_setup, default=None))}",
            sparkline([hour.setup_p95 for hour in hours], "The time until callers hear ringing, by hour", 0.0),
        ),
        Figure(
            "Quality (MOS)",
            f"{known_mos[-1]:.1f}" if known_mos else NONE,
            f"worst hour: {min(known_mos):.1f} of 4.5" if known_mos else "no media yet",
            sparkline([hour.mos for hour in hours], "The quality of each hour", 3.0),
        ),
    ]


def _domain(row: Row, facts: Facts) -> dict[str, object]:
    day = tally(facts.tallies, domain=str(row.get("name")))
    return {**row, "share": share(day.encrypted, day.answered), "answered": day.answered}
