"""The list of providers, and one provider: how each stands, and the protection that it was seen to give, in words.

Here: pure functions from the rows of peers and targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from gateway.admin.pages.front_page import standing
from gateway.admin.pages.phrases import TONE_WORDS, TONES, When, claim, count
from gateway.admin.status.facts import Facts, tally
from gateway.base.json_codec import Json

Row: TypeAlias = dict[str, Json]


def providers_view(facts: Facts, when: When) -> dict[str, object]:
    """The values of the list."""
    rows = [shown(row, when) for row in facts.providers]
    return {"rows": rows, "sentence": providers_sentence(facts.providers)}


def providers_sentence(rows: Sequence[Row]) -> str:
    """How they stand."""
    shapes = [standing(row)[0] for row in rows]
    if not rows:
        return "No provider is configured."
    if all(shape == "up" for shape in shapes):
        return f"{count(len(rows), 'provider')}, and every target of {'it' if len(rows) == 1 else 'theirs'} answers."
    down = [str(row.get("name")) for row, shape in zip(rows, shapes, strict=True) if shape == "down"]
    partly = [str(row.get("name")) for row, shape in zip(rows, shapes, strict=True) if shape == "degraded"]
    told = [f"{', '.join(down)} cannot be reached"] if down else []
    told += [f"{', '.join(partly)} answers at some of its targets only"] if partly else []
    return f"{count(len(rows), 'provider')}; " + ("; ".join(told) or "some were not asked yet") + "."


def provider_view(row: Row, facts: Facts, when: When) -> dict[str, object]:
    """The values of the page of one provider."""
    day = tally(facts.tallies, provider=str(row.get("name")))
    totals = dict.fromkeys(TONES, 0)
    for verdict, number in day.verdicts.items():
        totals[claim(verdict).tone] += number
    return {
        "row": shown(row, when),
        "sentence": provider_sentence(row),
        "domains": [one.get("name") for one in facts.domains if one.get("provider") == row.get("name")],
        "legend": [(tone, TONE_WORDS[tone], totals[tone]) for tone in TONES if totals[tone]],
    }


def provider_sentence(row: Row) -> str:
    """How it stands, and why."""
    shape, words = standing(row)
    reasons = [str(one.get("why")) for one in _targets(row) if not one.get("is_up") and one.get("why")]
    why = f": {reasons[0]}" if reasons else ""
    match shape:
        case "up":
            return f"{row.get('name')} answers at every target."
        case "degraded":
            return f"{words}; calls go to those. Of the others: {reasons[0] if reasons else 'no answer'}."
        case "down":
            return f"No target answers, and its calls fail{why}."
        case _:
            return "Its targets are not asked how they are, so nothing is known before a call."


def shown(row: Row, when: When) -> Row:
    """A provider with its standing and its memory in words."""
    targets: list[Json] = [
        {
            "target": one.get("target"),
            "is_up": one.get("is_up"),
            "why": one.get("why") or "",
            "since": one.get("since"),
            "tls": one.get("tls") or "",
            "certificate_days": one.get("certificate_days"),
        }
        for one in _targets(row)
    ]
    return {**row, "targets": targets, "standing": [*standing(row)], "memory": memory(row, when)}


def memory(row: Row, when: When) -> str:
    """The protection that a provider was last seen to give or to lack."""
    told = []
    for name, words in (("tls", "TLS"), ("srtp", "SRTP")):
        did, lacked = row.get(f"did_{name}_at"), row.get(f"lacked_{name}_at")
        if _is_later(lacked, did):
            before = f", and did it on {when.day(did)}" if did else ""
            told.append(f"lacked {words} when last asked, {when.ago(lacked)}{before}")
        elif did:
            told.append(f"did {words} {when.ago(did)}")
        else:
            told.append(f"was never seen to do {words}")
    return f"It {' and '.join(told)}."


def _is_later(one: Json, other: Json) -> bool:
    return isinstance(one, int | float) and (not isinstance(other, int | float) or one > other)


def _targets(row: Row) -> list[Row]:
    targets = row.get("targets")
    return [one for one in targets if isinstance(one, dict)] if isinstance(targets, list) else []
