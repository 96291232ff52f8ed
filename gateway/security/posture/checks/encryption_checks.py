"""ENC: whether calls are encrypted toward the provider, by their verdicts; and the policy of each domain.

Emergency calls in clear are judged by a check of their own, and by no other: they are put through in any way there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from gateway.security.budget.standing import FallbackBudget
from gateway.security.posture.findings import (
    Check,
    Effort,
    Evidence,
    Gravity,
    Judgement,
    failed,
    not_applicable,
    passed,
    unknown,
    warned,
)
from gateway.security.posture.posture_facts import PostureFacts, total
from gateway.state.listing.call_groups import CallGroup
from gateway.state.remedies import remedy_for

NEARLY: Final = 0.95
"""The share of encrypted calls from which on the rest is a warning."""
NO_CALLS: Final = "no call has come about in this time"


def weaker_calls(facts: PostureFacts) -> list[CallGroup]:
    """The calls that came about and were not encrypted to the provider; emergency calls left out."""
    return [one for one in facts.calls if one.is_weaker]


def top_reason(calls: list[CallGroup]) -> str:
    """The reason that most of the calls have."""
    counted: Counter[str] = Counter()
    for one in calls:
        counted[one.reason] += one.calls
    return counted.most_common(1)[0][0] if counted else ""


def remedy_of(code: str) -> str:
    """The remedy of a reason code, which names the key or command."""
    known = remedy_for(code)
    return known.remedy if known else "Look at one of these calls: gatewayctl calls --verdict CLEAR, then call ID."


def policy_remedy(facts: PostureFacts) -> str:
    """The commands that switch on all domains that are off."""
    return "; ".join(f"gatewayctl domain {name} --security {to}" for name, to in to_switch(facts))


def to_switch(facts: PostureFacts) -> list[tuple[str, str]]:
    """Each domain that is off, and the policy for it: required where its provider is known to do TLS and SRTP."""
    off = [domain for domain in facts.domains if domain.security == "off"]
    return [(domain.name, "required" if is_able(facts, domain.provider) else "preferred") for domain in off]


def require_remedy(facts: PostureFacts) -> str:
    """The commands that require encryption in all domains of `to_require`."""
    return "; ".join(f"gatewayctl domain {name} --security required" for name in to_require(facts))


def to_require(facts: PostureFacts) -> list[str]:
    """The domains that prefer encryption, and whose provider is known to do TLS and SRTP."""
    return [one.name for one in facts.domains if one.security == "preferred" and is_able(facts, one.provider)]


def is_able(facts: PostureFacts, provider: str) -> bool:
    """Whether a provider was seen to do both TLS and SRTP."""
    known = facts.provider(provider)
    return known is not None and known.does_tls is True and known.does_srtp is True


def _share(facts: PostureFacts) -> Judgement:
    if not facts.answered:
        return unknown(NO_CALLS)
    weaker, months = weaker_calls(facts), _verdicts("24 hours", facts.day)
    evidence = [_verdicts("the time of the report", facts.calls), months]
    if not weaker:
        return passed(*evidence)
    lost = facts.share(total(weaker))
    remedy = _for_reason(facts, top_reason(weaker))
    return (warned if 1 - lost >= NEARLY else failed)(remedy, evidence, lost)


def _verdicts(time: str, calls: tuple[CallGroup, ...]) -> Evidence:
    counted: Counter[str] = Counter()
    for one in calls:
        counted[one.verdict or "no verdict"] += one.calls
    told = ", ".join(f"{number:,} {verdict}" for verdict, number in counted.most_common()) or "no calls"
    return Evidence(f"{time}: {told}", sum(counted.values()))


def _for_reason(facts: PostureFacts, reason: str) -> str:
    return policy_remedy(facts) or remedy_of(reason) if reason == "CLEAR_POLICY_OFF" else remedy_of(reason)


def _in_clear(facts: PostureFacts) -> Judgement:
    if not facts.answered:
        return unknown(NO_CALLS)
    clear = [one for one in weaker_calls(facts) if one.verdict == "CLEAR"]
    if not clear:
        return passed(Evidence("no call was in clear", 0))
    evidence = [
        Evidence(
            f"{one.domain}: {one.calls:,} in clear, {one.reason or 'without a reason'}; "
            f"gatewayctl calls --verdict CLEAR --domain {one.domain}",
            one.calls,
        )
        for one in sorted(clear, key=lambda one: -one.calls)
    ]
    return failed(_for_reason(facts, top_reason(clear)), evidence, facts.share(total(clear)))


def _policies(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown("no domain is known")
    weak = {name for name, _ in to_switch(facts)}
    preferred = [domain for domain in facts.domains if domain.security == "preferred"]
    told = [Evidence(f"{domain.name}: security is {domain.security}") for domain in facts.domains]
    if weak:
        lost = total(one for one in weaker_calls(facts) if one.domain in weak)
        return failed(policy_remedy(facts), [one for one in told if "required" not in one.text], facts.share(lost))
    if preferred:
        later = "Once the provider does TLS and SRTP: gatewayctl domain NAME --security required"
        lost = total(one for one in weaker_calls(facts) if one.domain in {domain.name for domain in preferred})
        return warned(
            require_remedy(facts) or later, [one for one in told if "required" not in one.text], facts.share(lost)
        )
    return passed(*told)


def _phones(facts: PostureFacts) -> Judgement:
    if facts.phones is None:
        return unknown("the phones are not known")
    if not facts.phones:
        return not_applicable("no phone is registered")
    clear = sum(number for transport, number in facts.phones.items() if transport not in ("tls", "wss"))
    told = [Evidence(f"{number:,} over {transport.upper()}", number) for transport, number in facts.phones.items()]
    if not clear:
        return passed(*told)
    remedy = (
        'A [[listener]] with side = "phones" and transport = "tls", then the phones that can: docs/phones.md has the '
        "setting of each make."
    )
    return warned(remedy, told, clear / sum(facts.phones.values()))


def _emergency(facts: PostureFacts) -> Judgement:
    if not facts.calls:
        return unknown(NO_CALLS)
    clear = total(one for one in facts.calls if one.is_emergency)
    if not clear:
        return passed(Evidence("no emergency call was in clear", 0))
    remedy = "gatewayctl calls --reason CLEAR_EMERGENCY, then gatewayctl call ID: the chain has the cause."
    return warned(remedy, [Evidence(f"{clear:,} emergency calls went in clear", clear)], facts.share(clear))


def _budget(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown("no domain is known")
    limited = [domain for domain in facts.domains if domain.budget is not None]
    if not limited:
        return not_applicable("no domain has a fallback_budget")
    told, missed = [], []
    weaker, encrypted = defaultdict[str, list[CallGroup]](list), Counter[str]()
    for one in weaker_calls(facts):
        weaker[one.domain] += [one] if one.reason != "CLEAR_POLICY_OFF" else []
    for one in facts.calls:
        encrypted[one.domain] += one.calls if one.is_encrypted else 0
    for domain in limited:
        kept, spent = encrypted[domain.name], weaker[domain.name]
        allowed = FallbackBudget(domain.budget or 0.0, domain.budget_floor).allowed(kept + total(spent))
        told.append(Evidence(f"{domain.name}: {total(spent):,} calls with less, {allowed:,} are allowed", total(spent)))
        missed += spent if total(spent) > allowed else []
    if not missed:
        return passed(*told)
    return failed(f"gatewayctl budget; {remedy_of(top_reason(missed))}", told, facts.share(total(missed)))


CHECKS: Final = (
    Check(
        "ENC-1",
        "Calls are encrypted to the provider",
        Gravity.MEDIUM,
        "A call that is not encrypted is heard by everybody on its way, and so are the numbers.",
        Effort.HOURS,
        _share,
    ),
    Check(
        "ENC-2",
        "No call is in clear",
        Gravity.CRITICAL,
        "A call in clear can be recorded and changed by everybody on its way.",
        Effort.HOURS,
        _in_clear,
    ),
    Check(
        "ENC-3",
        "Each domain requires encryption",
        Gravity.HIGH,
        "A policy that lets calls go in clear does so on the day on which somebody blocks TLS.",
        Effort.MINUTES,
        _policies,
    ),
    Check(
        "ENC-4",
        "Phones speak TLS",
        Gravity.MEDIUM,
        "In the office's own network a phone in clear is heard by everybody who gets into it.",
        Effort.HOURS,
        _phones,
    ),
    Check(
        "ENC-5",
        "Emergency calls need no exception",
        Gravity.MEDIUM,
        "An emergency call in clear worked, but the cause may meet the next call as well.",
        Effort.HOURS,
        _emergency,
    ),
    Check(
        "ENC-6",
        "Fallback budgets are kept",
        Gravity.MEDIUM,
        "A budget that is spent says that calls in clear are no exception any more.",
        Effort.HOURS,
        _budget,
    ),
)
