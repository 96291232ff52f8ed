"""How a call that is over counts toward its domain's fallback budget.

    verdict, reason, emergency or not -> outcome_of -> KEPT, SPENT, EXCUSED, or None: it claims nothing

Pure. Not here: verdicts and reasons themselves (security/policy, state/reasons.py).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from gateway.state.listing.call_statistics import CLEAR, ENCRYPTED, WEAKER

WEAK_VERDICTS: Final = WEAKER | CLEAR
"""Somebody between here and the provider could listen, or see the keys."""
BETWEEN_PHONES: Final = "internal"
"""The direction of calls that go to no provider, and so have no part in this: the budget is about the hop to it, and
the phones' own legs count in no call. Those in clear would spend it at once in a house of phones over UDP, and those
over TLS would hide in its share the part that goes out in clear."""
EXCUSES: Final = frozenset({"CLEAR_POLICY_OFF", "CLEAR_EMERGENCY"})
"""Reasons for which a call was meant to go on with less."""


class BudgetOutcome(IntEnum):
    """How a call counts toward a budget."""

    KEPT = 0
    """It was encrypted to the provider, at least."""
    SPENT = 1
    """It went on with less, and nobody had wanted that."""
    EXCUSED = 2
    """It went on with less, as meant: the policy is off, or it was an emergency call."""


def outcome_of(verdict: str, reason: str, *, is_emergency: bool = False) -> BudgetOutcome | None:
    """How a call counts; None for one that was refused or never answered.

    A call to an emergency number is excused even where the policy lets others fall back as well.
    """
    if verdict in ENCRYPTED:
        return BudgetOutcome.KEPT
    if verdict not in WEAK_VERDICTS:
        return None
    return BudgetOutcome.EXCUSED if is_emergency or reason in EXCUSES else BudgetOutcome.SPENT
