"""The facts as they would be after a step: so a promise is made by the judge itself, and not by an estimate.

    facts -> after a step -> judged again -> score; the difference is the worth of the step

A step changes the policy or mends a reason, and the calls that it would protect count as encrypted; where no handshake
or SRTP was seen before, they are the first. The promise is kept exactly where the same calls are made again, and
everything else is as it was: calls of before a change of policy are no evidence any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from gateway.security.posture.checks.encryption_checks import (
    policy_remedy,
    remedy_of,
    require_remedy,
    to_require,
    to_switch,
)
from gateway.security.posture.findings import Effort
from gateway.security.posture.posture_facts import KnownProvider, PostureFacts, SeenTls
from gateway.state.listing.call_groups import CallGroup

OFF: Final = "CLEAR_POLICY_OFF"
STRONG: Final = "AES_CM_128_HMAC_SHA1_80"


@attrs.frozen
class WhatIf:
    """A step, and the facts after it."""

    id: str
    title: str
    recommendation: str
    effort: Effort
    calls: int
    """Calls that it would have protected."""
    facts: PostureFacts


def steps_of(facts: PostureFacts) -> Iterator[WhatIf]:
    """The steps that these facts give reason to."""
    reasons = {one.reason for one in facts.calls if one.is_weaker}
    if OFF in reasons or to_switch(facts):
        names = ", ".join(name for name, _ in to_switch(facts)) or "the domains that are off"
        yield WhatIf(
            f"reason:{OFF}",
            f"Switch encryption on for {names}",
            policy_remedy(facts) or remedy_of(OFF),
            Effort.MINUTES,
            _count(facts, OFF),
            switched_on(facts),
        )
    for reason in sorted(reasons - {OFF}):
        title = f"Mend {reason}" if reason else "Look for the cause of calls in clear without a reason"
        remedy, count = remedy_of(reason), _count(facts, reason)
        yield WhatIf(f"reason:{reason}", title, remedy, Effort.HOURS, count, mended(facts, reason))
    able = to_require(facts)
    if able:
        title = f"Require encryption for {', '.join(able)}"
        yield WhatIf("require", title, require_remedy(facts), Effort.MINUTES, 0, required(facts))


def switched_on(facts: PostureFacts) -> PostureFacts:
    """After all domains that are off were switched on, and their calls made again."""
    to = dict(to_switch(facts))
    domains = (attrs.evolve(one, security=to.get(one.name, one.security)) for one in facts.domains)
    return attrs.evolve(mended(facts, OFF), domains=tuple(domains))


def mended(facts: PostureFacts, reason: str) -> PostureFacts:
    """After a reason for calls in clear is gone, and the calls were made again."""
    media = facts.media
    if reason == "CLEAR_RTCP" and media is not None:
        media = attrs.evolve(media, plain_rtcp=())
    calls = tuple(_mended(one, reason) for one in facts.calls)
    moved = [one for one in facts.calls if one.is_weaker and one.reason == reason]
    suites, handshakes = _first_suites(facts, moved), _first_handshakes(facts, moved)
    return attrs.evolve(facts, calls=calls, media=media, suites=suites, handshakes=handshakes)


def _first_suites(facts: PostureFacts, moved: list[CallGroup]) -> Mapping[tuple[str, str], int]:
    """The suites of streams, with those that the provider is offered first, where none was seen yet."""
    seen = facts.suites or {}
    if any(suite != "none" for _, suite in seen):
        return seen
    offered = {(facts.provider(one.provider) or KnownProvider("")).suites[:1] or (STRONG,): one.calls for one in moved}
    return {**seen, **{("provider", suite): number for (suite,), number in offered.items()}}


def _first_handshakes(facts: PostureFacts, moved: list[CallGroup]) -> tuple[SeenTls, ...] | None:
    """The handshakes, with one of our own time, where none was seen yet."""
    new = tuple(SeenTls("provider", one.provider, "TLSv1.3", "", one.calls) for one in moved)
    return facts.handshakes or new or facts.handshakes


def required(facts: PostureFacts) -> PostureFacts:
    """After encryption is required where it is known to work."""
    able = to_require(facts)
    domains = (attrs.evolve(one, security="required") if one.name in able else one for one in facts.domains)
    return attrs.evolve(facts, domains=tuple(domains))


def _count(facts: PostureFacts, reason: str) -> int:
    return sum(one.calls for one in facts.calls if one.is_weaker and one.reason == reason)


def _mended(one: CallGroup, reason: str) -> CallGroup:
    is_meant = one.is_weaker and one.reason == reason
    return attrs.evolve(one, verdict="ENCRYPTED_TO_PROVIDER", reason="") if is_meant else one
