"""ACL: peers that may call in from the provider's side, and strangers that tried."""

from __future__ import annotations

from typing import Final

from gateway.config.fields import is_address
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


def _restricted(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown("no domain is known")
    missing = [one.name for one in facts.domains if not one.access]
    by_address = [one.name for one in facts.domains if one.access and all(map(is_address, one.access))]
    remedy = (
        "restricted_access_domains in the [[domain]]: the names of the provider's servers, which certificates prove; "
        "addresses prove less."
    )
    if by_address:
        return failed(remedy, [f"{name} knows its peers by address alone" for name in by_address])
    if missing:
        return warned(remedy, [f"{name} takes calls of its provider's own hosts, and says no more" for name in missing])
    return passed(*(f"{one.name}: {', '.join(one.access)}" for one in facts.domains))


def _strangers(facts: PostureFacts) -> Judgement:
    if facts.strangers is None:
        return unknown("it is not known whether strangers came")
    told = [Evidence(f"{facts.strangers:,} requests of strangers were dropped since the start", facts.strangers)]
    if not facts.strangers:
        return passed(*told)
    if facts.defence.mode == "defend":
        return passed(*told, 'defence.mode is "defend"')
    if facts.defence.mode is None:
        remedy = "A firewall that lets the provider's addresses alone reach the provider's listener: docs/firewall.md."
    else:
        remedy = 'mode = "defend" in [defence], once its reports name nobody that belongs here.'
    return warned(remedy, told)


CHECKS: Final = (
    Check(
        "ACL-1",
        "Peers of each domain are named",
        Gravity.MEDIUM,
        "An address can be taken over or handed on; a name that a certificate proves cannot.",
        Effort.MINUTES,
        _restricted,
    ),
    Check(
        "ACL-2",
        "Strangers are kept away",
        Gravity.MEDIUM,
        "A stranger that keeps trying has found the gateway, and tries the phones' side next.",
        Effort.HOURS,
        _strangers,
    ),
)
