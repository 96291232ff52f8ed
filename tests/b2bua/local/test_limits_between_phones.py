"""Limits of calls count calls between phones, but for those of classes of destinations: nobody is paid for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.config.model import CallLimit
from gateway.config.tables.limit_table import LimitAction
from tests.support.two_users import TwoUsers

REFUSE = LimitAction.REFUSE


def limited(*limits: CallLimit, **more: Any) -> TwoUsers:
    """Two users, and these limits."""
    return TwoUsers(limit=limits, **more)


def refusal(ladder: TwoUsers, uri: str = "sip:bob@example.com", call_id: str = "second") -> str:
    """Alice calls once more, and is refused: the reason in the record."""
    ladder.alice.sends(ladder.alice.invite(uri, call_id=call_id))
    assert ladder.alice.receives_response(403).reason == "Call Limit"
    ladder.bob.receives_nothing()
    record = next(one for one in ladder.calls.records() if one.status == 403)
    assert record.direction == "internal"
    return str(record.reason)


def test_a_limit_of_all_calls_counts_one_between_phones() -> None:
    ladder = limited(CallLimit("two", calls=2, then=REFUSE), CallLimit("one", users=("alice",), calls=1, then=REFUSE))
    _, answer = ladder.talk()

    assert refusal(ladder) == "CALL_LIMIT_REACHED"
    ladder.alice.sends(ladder.alice.within(answer, "BYE"))
    ladder.alice.receives(200)
    ladder.bob.receives("BYE")
    ladder.calls_bob(call_id="third")
    ladder.bob.receives("INVITE")


def test_a_phone_that_may_call_nobody_calls_no_phone_either() -> None:
    """Without local_calls the provider's way is limited; the shorter one must not be the way round."""
    ladder = limited(CallLimit("lobby", users=("alice",), calls=0, then=REFUSE))

    assert refusal(ladder) == "CALL_LIMIT_REACHED"
    ladder.provider.receives_nothing()


@pytest.mark.parametrize("user", ["0088161234567", "+1876555123", "09001234567"])
def test_a_number_that_would_cost_costs_nothing_where_a_phone_here_has_it(user: str) -> None:
    limit = CallLimit("abroad", to=("international", "premium", "unallocated"), calls=0, then=REFUSE)
    ladder = limited(limit, region="DE")
    ladder.store.save(attrs.evolve(ladder.bindings["bob-21"], aor=f"sip:{user}@example.com", token=user))
    ladder.calls_bob(uri=f"sip:{user}@example.com")

    ladder.bob.receives("INVITE")


def test_a_limit_of_numbers_that_begin_so_is_about_phones_with_such_numbers() -> None:
    ladder = limited(CallLimit("door", to=("20",), calls=0, then=REFUSE))
    for user in ("201", "301"):
        ladder.store.save(attrs.evolve(ladder.bindings["bob-21"], aor=f"sip:{user}@example.com", token=user))

    assert refusal(ladder, "sip:201@example.com") == "CALL_LIMIT_REACHED"
    ladder.calls_bob(uri="sip:301@example.com", call_id="other")
    ladder.bob.receives("INVITE")


def test_the_called_user_is_not_the_one_that_counts() -> None:
    ladder = limited(CallLimit("bob", users=("bob",), calls=0, then=REFUSE))
    ladder.talk()


def test_it_counts_on_after_the_gateway_was_killed(tmp_path: Path) -> None:
    ladder = limited(CallLimit("one", calls=1, then=REFUSE), journal=tmp_path)
    ladder.talk()
    after = ladder.killed()
    assert isinstance(after, TwoUsers)

    assert refusal(after) == "CALL_LIMIT_REACHED"
