"""FRAUD: limits on calls that cost money, and whether somebody ran into them."""

from __future__ import annotations

from typing import Final

from gateway.security.posture.findings import (
    Check,
    Effort,
    Evidence,
    Gravity,
    Judgement,
    failed,
    passed,
    unknown,
    warned,
)
from gateway.security.posture.posture_facts import PostureFacts

NO_LIMITS: Final = "this gateway has no limits on calls"


def _limits(facts: PostureFacts) -> Judgement:
    count, unlimited = facts.defence.limits, facts.defence.unlimited
    if count is None:
        return unknown(NO_LIMITS)
    if count and not unlimited:
        return passed(Evidence(f"{count:,} limits refuse calls", count))
    remedy = (
        'A [[limit]] with to = ["international", "premium"], calls = 5 and then = "refuse", of all users and hours.'
    )
    if count and len(unlimited) < len(facts.domains):
        return warned(remedy, [f"{name}: no such limit holds at each hour" for name in unlimited])
    reporting = facts.defence.limits_reporting
    if reporting:
        return warned(remedy, [Evidence(f"{reporting:,} limits report calls, and refuse none", reporting)])
    return failed(remedy, ["no limit refuses everybody's expensive calls: a stolen password calls without end"])


def _at_night(facts: PostureFacts) -> Judgement:
    count, unlimited = facts.defence.limits, facts.defence.unlimited_at_night
    if count is None:
        return unknown(NO_LIMITS)
    if count and not unlimited:
        return passed(Evidence(f"{count:,} limits on international calls count at night", count))
    remedy = 'A [[limit]] with to = ["international", "premium"] and the hours in which nobody works.'
    names = ", ".join(unlimited)
    return failed(remedy, [f"international calls are as free at night and at weekends as by day: {names}"])


def _hit(facts: PostureFacts) -> Judgement:
    count = facts.defence.limits_hit
    if count is None:
        return unknown(NO_LIMITS)
    told = [Evidence(f"{count:,} calls were refused by limits since the start", count)]
    if not count:
        return passed(*told)
    return warned("gatewayctl limits shows the users: a password of one may be stolen, or a limit too low.", told)


CHECKS: Final = (
    Check(
        "FRAUD-1",
        "Expensive calls are limited",
        Gravity.HIGH,
        "One stolen password costs thousands in a night by calls to numbers that pay the thief.",
        Effort.MINUTES,
        _limits,
    ),
    Check(
        "FRAUD-2",
        "International calls are limited at night",
        Gravity.MEDIUM,
        "Fraud comes at night and at weekends, when nobody looks.",
        Effort.MINUTES,
        _at_night,
    ),
    Check(
        "FRAUD-3",
        "Nobody runs into a limit",
        Gravity.MEDIUM,
        "A limit that is hit is a thief at work, or a user that cannot work.",
        Effort.HOURS,
        _hit,
    ),
)
