"""Whether a figure meets its target: the words of every table, so that `make bench | grep MISSED` finds all misses."""

from __future__ import annotations


def at_most(found: float, target: float) -> str:
    """The verdict on a figure that should be small."""
    return f"target {target:g}: {_word(found <= target)}"


def at_least(found: float, target: float) -> str:
    """The verdict on a figure that should be large."""
    return f"target {target:g}: {_word(found >= target)}"


def not_above(found: float, peer: float, of: str) -> str:
    """The verdict on a figure whose target is a peer's in the same run."""
    return f"target {of}'s {peer:.0f}: {_word(found <= peer)}"


def _word(is_met: bool) -> str:
    return "met" if is_met else "MISSED"
