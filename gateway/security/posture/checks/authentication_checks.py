"""AUTH: proofs that peers and phones give: challenges, their algorithms, passwords, registered callers."""

from __future__ import annotations

from typing import Final

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

NO_DOMAIN: Final = "no domain is known"
STRONG: Final = ("SHA-256", "SHA-512-256")


def _challenges(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown(NO_DOMAIN)
    without = [one.name for one in facts.domains if not one.challenge]
    if not without:
        return passed(*(f"{one.name} challenges {', '.join(one.challenge)}" for one in facts.domains))
    remedy = 'challenge = ["INVITE"] and credentials = "FILE" in the [[domain]], if the provider can answer.'
    return warned(remedy, [f"{name} asks the provider's side for no password" for name in without])


def _algorithms(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown(NO_DOMAIN)
    challenging = [one for one in facts.domains if one.challenge]
    if not challenging:
        return not_applicable("no domain challenges anybody")
    weak = [one.name for one in challenging if not any(name in STRONG for name in one.algorithms)]
    if not weak:
        return passed(*(f"{one.name} offers {', '.join(one.algorithms)}" for one in challenging))
    remedy = 'challenge_algorithms = ["SHA-256", "MD5"] in the [[domain]]: SHA-256 comes first (RFC 8760).'
    return failed(remedy, [f"{name} offers MD5 alone" for name in weak])


def _passwords(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown(NO_DOMAIN)
    counted = [(one.name, one.weak_passwords) for one in facts.domains if one.weak_passwords is not None]
    if not counted:
        return not_applicable("no domain has a file of passwords here; those of phones are the provider's")
    told = [
        Evidence(f"{name}: {number:,} {words}", number)
        for name, weak in counted
        for number, words in zip(weak, ("are short", "are the user's name", "are used by several users"), strict=False)
        if number
    ]
    if not told:
        return passed(*(Evidence(f"{name}: {weak[3]:,} passwords", weak[3]) for name, weak in counted))
    users = sum(weak[3] for _, weak in counted)
    worst = sum(max(weak[:3]) for _, weak in counted)
    remedy = "New passwords of 16 characters by chance in the file that credentials names, then gatewayctl reload."
    return failed(remedy, told, min(1.0, worst / max(1, users)))


def _registered(facts: PostureFacts) -> Judgement:
    if not facts.domains:
        return unknown(NO_DOMAIN)
    names = [one.name for one in facts.domains if not one.registered_callers_only]
    if not names:
        return passed("each domain takes calls of registered phones alone")
    share = facts.share(total(one for one in facts.calls if one.domain in names and one.is_answered))
    remedy = "registered_callers_only = true in the [[domain]]; emergency numbers stay open."
    return failed(remedy, [f"{name} takes calls of phones that are not registered" for name in names], share or 1.0)


def _phones_ask(facts: PostureFacts) -> Judgement:
    asked = facts.surroundings.phones_that_challenge
    remedy = "Auth INVITE: yes (Cisco, Linksys), or SIP of the proxy alone (others), in each phone's settings."
    if asked is None:
        return unknown("nothing here sees whether phones ask who calls them", remedy)
    good, every = asked
    told = [Evidence(f"{good:,} of {every:,} phones ask who calls them", good)]
    if good >= every:
        return passed(*told)
    return warned(remedy, told, (every - good) / every)


CHECKS: Final = (
    Check(
        "AUTH-1",
        "Requests of the provider's side are challenged",
        Gravity.MEDIUM,
        "A password is a second proof beside the address or certificate that a caller shows.",
        Effort.HOURS,
        _challenges,
    ),
    Check(
        "AUTH-2",
        "Challenges offer more than MD5",
        Gravity.LOW,
        "An MD5 answer that was overheard is tried against a list of passwords quickly.",
        Effort.MINUTES,
        _algorithms,
    ),
    Check(
        "AUTH-3",
        "Passwords are long and one user's alone",
        Gravity.HIGH,
        "A short password, or the user's own number, is what scanners try first.",
        Effort.HOURS,
        _passwords,
    ),
    Check(
        "AUTH-4",
        "Only registered phones call",
        Gravity.HIGH,
        "Without it, whoever reaches the listener calls in the name and at the cost of the office.",
        Effort.MINUTES,
        _registered,
    ),
    Check(
        "AUTH-5",
        "Phones ask who calls them",
        Gravity.LOW,
        "A phone that takes calls of anybody in its network rings at night for scanners, and tells its model.",
        Effort.HOURS,
        _phones_ask,
    ),
)
