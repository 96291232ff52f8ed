"""DEV: the phones of the inventory against the advisories. Make, model and firmware are a phone's own word
(User-Agent), which nobody has verified, and each finding says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.security.posture.advisories import Advisories, Advisory
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
from gateway.state.devices.device_table import DeviceCount

SAID: Final = "by its User-Agent, not verified"
FEW: Final = 0.1
"""The share of devices of unknown make that is nothing to look at."""


def _known_to(advisories: Advisories, facts: PostureFacts) -> list[tuple[DeviceCount, Advisory]]:
    return [
        (kind, one) for kind in facts.devices or () for one in advisories.about(kind.make, kind.model, kind.firmware)
    ]


def _nothing(facts: PostureFacts) -> Judgement | None:
    """The judgement where there is no device to judge; None where there is one."""
    if facts.devices is None:
        return unknown("the inventory of devices is not known")
    return None if facts.devices else not_applicable("no device has registered in 30 days")


def _name(kind: DeviceCount) -> str:
    return " ".join(word for word in (kind.make or "unknown make", kind.model, kind.firmware) if word)


def _judged(
    facts: PostureFacts, found: list[tuple[DeviceCount, Advisory]], words: Callable[[Advisory], str], well: str
) -> Judgement:
    if (nothing := _nothing(facts)) is not None:
        return nothing
    devices = sum(kind.devices for kind in facts.devices or ())
    if not found:
        return passed(Evidence(f"{devices:,} devices: {well}", 0))
    told = [
        Evidence(f"{_name(kind)}: {kind.devices:,} devices ({SAID}); {words(one)}", kind.devices) for kind, one in found
    ]
    affected = sum(kind.devices for kind in {kind for kind, _ in found})
    return failed(" ".join(dict.fromkeys(one.remedy for _, one in found)), told, affected / devices)


def _supported(advisories: Advisories, facts: PostureFacts) -> Judgement:
    found = [(kind, one) for kind, one in _known_to(advisories, facts) if one.is_out_of_support(facts.at)]
    return _judged(facts, found, lambda one: f"support ended on {one.end_of_support}", "none past its end of support")


def _holes(advisories: Advisories, facts: PostureFacts) -> Judgement:
    found = [(kind, one) for kind, one in _known_to(advisories, facts) if one.cves]
    return _judged(facts, found, _hole, f"none with a hole that the advisories of {advisories.date} know")


def _hole(one: Advisory) -> str:
    fixed = f"fixed in {one.fixed_in}" if one.fixed_in else "no fix"
    return f"{', '.join(one.cves)}: {one.severity}, {fixed}; {one.summary}"


def _default_passwords(facts: PostureFacts) -> Judgement:
    remedy = "A password of its own for the web page of each phone, or switch that page off (Enable Web Server: no)."
    if facts.surroundings.default_passwords is None:
        return unknown("passwords of phones' web pages are never tried from here", remedy)
    count = facts.surroundings.default_passwords
    told = [Evidence(f"{count:,} phones have the maker's password", count)]
    return failed(remedy, told) if count else passed(*told)


def _unknown_makes(facts: PostureFacts) -> Judgement:
    if (nothing := _nothing(facts)) is not None:
        return nothing
    devices = sum(kind.devices for kind in facts.devices or ())
    nameless = [kind for kind in facts.devices or () if not kind.make or not kind.model]
    count = sum(kind.devices for kind in nameless)
    told = [Evidence(f"{_name(kind)}: {kind.devices:,} devices ({SAID})", kind.devices) for kind in nameless]
    if count <= FEW * devices:
        return passed(*told, Evidence(f"{devices - count:,} of {devices:,} devices tell their model", devices - count))
    remedy = "Look at them: gatewayctl phones, or the page Phones; a device that nobody knows is to be taken off."
    return warned(remedy, told, count / devices)


def device_checks(advisories: Advisories) -> tuple[Check, ...]:
    """The checks of this family, by these advisories."""
    return (
        Check(
            "DEV-1",
            "Phones are supported by their maker",
            Gravity.HIGH,
            "A hole that is found after the end of support is never mended.",
            Effort.REPLACE,
            partial(_supported, advisories),
        ),
        Check(
            "DEV-2",
            "No phone has a known hole",
            Gravity.CRITICAL,
            "A phone that was taken over gives away every call of it, before any encryption.",
            Effort.REPLACE,
            partial(_holes, advisories),
        ),
        Check(
            "DEV-3",
            "Phones' web pages have passwords of their own",
            Gravity.MEDIUM,
            "The maker's password is in its manual, and leads to the phone's SIP password.",
            Effort.HOURS,
            _default_passwords,
        ),
        Check(
            "DEV-4",
            "Each device is of a known model",
            Gravity.LOW,
            "Nobody looks for holes in a device of unknown make.",
            Effort.HOURS,
            _unknown_makes,
        ),
    )
