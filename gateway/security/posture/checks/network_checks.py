"""NET: the network around: DHCP servers that do not belong there, a network for voice, ways to the provider."""

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
from gateway.security.posture.posture_facts import PostureFacts


def _dhcp(facts: PostureFacts) -> Judgement:
    count = facts.surroundings.rogue_dhcp
    remedy = "DHCP snooping on the switches: only the port of the office's own DHCP server may answer."
    if count is None:
        return unknown("nothing here sees the DHCP servers of the phones' network", remedy)
    told = [Evidence(f"{count} DHCP servers that do not belong there", count)]
    return failed(remedy, told) if count else passed(*told)


def _voice(facts: PostureFacts) -> Judgement:
    remedy = "A network of their own (VLAN) for phones, which computers do not reach but through this gateway."
    if facts.surroundings.voice_vlan is None:
        return unknown("nothing here sees whether phones have a network of their own", remedy)
    if facts.surroundings.voice_vlan:
        return passed("phones have a network of their own")
    return warned(remedy, ["phones and computers share a network"])


def _paths(facts: PostureFacts) -> Judgement:
    if not facts.providers:
        return unknown("no provider is known")
    asked = [one for one in facts.providers if one.targets is not None]
    if not asked:
        return not_applicable("no provider is asked how it is (ping_seconds = 0)")
    told = [Evidence(f"{one.name}: {one.targets} ways", one.targets) for one in asked]
    if all(one.targets and one.targets > 1 for one in asked):
        return passed(*told)
    remedy = "uri of the [[provider]]: a name with several SRV records, or a provider that has a second site."
    return warned(remedy, told)


CHECKS: Final = (
    Check(
        "NET-1",
        "No DHCP server that does not belong there",
        Gravity.MEDIUM,
        "A false DHCP server leads all phones to a proxy of its own.",
        Effort.HOURS,
        _dhcp,
    ),
    Check(
        "NET-2",
        "Phones have a network of their own",
        Gravity.LOW,
        "Malware on a computer then cannot hear phones, nor call through them.",
        Effort.HOURS,
        _voice,
    ),
    Check(
        "NET-3",
        "The provider is reached by more than one way",
        Gravity.LOW,
        "With one way alone, whoever blocks it decides whether the office can call.",
        Effort.HOURS,
        _paths,
    ),
)
