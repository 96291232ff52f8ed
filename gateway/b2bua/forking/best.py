"""The best of several final answers (RFC 3261 section 16.7 step 6): pure functions.

    one of 600 or more, else of the lowest class; of 4xx first those by which the caller can mend its request

A phone that gave no answer counts as 408 or 480 of the gateway's own, and after an answer of that class. A 503 of one
phone says nothing of the next request, and becomes 500.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from gateway.b2bua.legs.callee import CalleeLeg
from gateway.security.policy.terms import Refusal
from gateway.sip.message import Response

_MENDABLE: Final = (415, 420, 484)
"""Not 401 and 407: challenges of a phone are not the provider's to answer, and do not cross."""


@attrs.frozen
class PhoneOutcome:
    """The end of one phone's part in a call that it does not have."""

    refusal: Refusal
    response: Response | None = None
    """Its own; None where it gave none."""
    leg: CalleeLeg | None = attrs.field(default=None, repr=False)

    @property
    def status(self) -> int:
        """The final status."""
        return self.refusal.status if self.response is None else self.response.status

    @property
    def words(self) -> str:
        """The answer in words, for a record."""
        if self.response is not None:
            return f"{self.response.status} {self.response.reason}"
        return self.refusal.cause or self.refusal.text


def best(answers: Sequence[PhoneOutcome]) -> PhoneOutcome:
    """The answer that the caller is given; of equal ones the first. There must be one."""
    chosen = min(answers, key=lambda answer: _rank(answer.status, is_ours=answer.response is None))
    if chosen.response is not None and chosen.response.status == 503:
        return attrs.evolve(chosen, response=attrs.evolve(chosen.response, status=500, reason="Server Internal Error"))
    return chosen


def best_status(statuses: Sequence[int]) -> int:
    """The index of the status that is the best of these, which are phones' own."""
    return min(range(len(statuses)), key=lambda index: _rank(statuses[index], is_ours=False))


def _rank(status: int, *, is_ours: bool) -> tuple[int, bool, bool]:
    return 0 if status >= 600 else status // 100, status not in _MENDABLE, is_ours
