"""The verdicts that probes of one provider expect, one after the other, and whether they got worse.

    facts of a probe -> expected_of -> {"example.com, required": "ENCRYPTED_TO_PROVIDER"} -> judged -> Change

A verdict that nobody can tell is compared with none. A worse one counts once a second probe, a few minutes later, has
seen it too: a provider that is started anew at night is no news. A domain under another policy is another entry, so
that an operator's own switch is none either. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

from gateway.config.model import Security
from gateway.security.policy.verdict import Verdict

Expected = Mapping[str, str]
"""By domain and policy the verdict of its calls; of a provider without domains by the policy `preferred`."""

_RANKS: Final[Mapping[str, int]] = {
    Verdict.UNANSWERED: 0,
    Verdict.REFUSED: 0,
    Verdict.CLEAR: 1,
    Verdict.SIGNALLING_ONLY: 2,
    Verdict.MEDIA_ONLY_WEAK: 2,
    Verdict.ENCRYPTED_TO_PROVIDER: 3,
    Verdict.ENCRYPTED: 3,
}


class Change(StrEnum):
    """A probe beside the ones before."""

    NONE = "none"
    DOUBTED = "doubted"
    """It is worse, which the next probe is to confirm."""
    WORSE = "worse"
    BETTER = "better"


@attrs.frozen
class VerdictsSoFar:
    """The verdicts that count for one provider."""

    expected: Expected
    """Those that a worse one is measured by."""
    is_doubted: bool = False
    """Whether the latest probe saw worse ones."""


def expected_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The verdicts in the facts of a probe of a provider (`found.ProviderFacts` as a dict); those that nobody can tell
    are left out."""
    rows = facts.get("domains", ())
    found = {f"{row['domain']}, {row['security']}": row["prediction"]["verdict"] for row in rows}
    if not found:
        rows = facts.get("rows", ())
        found = {row["policy"]: row["prediction"]["verdict"] for row in rows if row["policy"] == Security.PREFERRED}
    return {name: verdict for name, verdict in found.items() if verdict in _RANKS}


def judged(before: VerdictsSoFar | None, now: Expected) -> tuple[Change, VerdictsSoFar, tuple[str, ...]]:
    """The change that a probe brings, the standing after it, and the domains that it is about."""
    if before is None:
        return Change.NONE, VerdictsSoFar(now), ()
    worse = tuple(sorted(_below(now, before.expected)))
    if worse and not before.is_doubted:
        return Change.DOUBTED, VerdictsSoFar(before.expected, is_doubted=True), worse
    after = VerdictsSoFar({**before.expected, **now})
    if worse:
        return Change.WORSE, after, worse
    better = tuple(sorted(_below(before.expected, now)))
    return (Change.BETTER if better else Change.NONE), after, better


def _below(one: Expected, other: Expected) -> Iterable[str]:
    """The domains of which one has a lower verdict than the other."""
    return (name for name, verdict in one.items() if name in other and _rank(verdict) < _rank(other[name]))


def _rank(verdict: str) -> int:
    return _RANKS.get(verdict, 0)
