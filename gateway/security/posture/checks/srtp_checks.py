"""SRTP: suites that streams used, keys that crossed a hop in clear, RTCP in clear."""

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
from gateway.security.posture.posture_facts import PostureFacts, total


def is_short(suite: str) -> bool:
    """Whether a suite's tags are shorter than 80 bits, or it is none that this gateway knows."""
    return suite.endswith("_32") or suite == "other"


def _suites(facts: PostureFacts) -> Judgement:
    secure = {key: number for key, number in (facts.suites or {}).items() if key[1] != "none"}
    if not secure:
        return unknown("no stream with SRTP has ended since the start")
    short = {key: number for key, number in secure.items() if is_short(key[1])}
    told = [
        Evidence(f"{side}: {suite}, {number:,} streams", number) for (side, suite), number in (short or secure).items()
    ]
    if not short:
        return passed(*told)
    remedy = (
        'suites of the [[provider]] without the names that end in _32, such as suites = ["AES_CM_128_HMAC_SHA1_80"].'
    )
    return warned(remedy, told, sum(short.values()) / sum(secure.values()))


def _weak_keys(facts: PostureFacts) -> Judgement:
    if not facts.answered:
        return unknown("no call has come about in this time")
    weak = [one for one in facts.calls if one.verdict == "MEDIA_ONLY_WEAK"]
    if not weak:
        return passed(Evidence("no key crossed a hop in clear", 0))
    told = [Evidence(f"{one.domain}: {one.calls:,} calls, {one.reason or 'no reason'}", one.calls) for one in weak]
    remedy = "uri of the [[provider]] with transport=tls, so that SDES keys travel under TLS."
    return failed(remedy, told, facts.share(total(weak)))


def _clear_rtcp(facts: PostureFacts) -> Judgement:
    if facts.media is None:
        return unknown("the configuration of media is not known")
    calls = total(one for one in facts.calls if one.reason == "CLEAR_RTCP")
    allowed = facts.media.plain_rtcp
    told = [Evidence(f"media.plain_rtcp allows it toward {side}") for side in allowed]
    told += [Evidence(f"{calls:,} calls had RTCP in clear beside SRTP", calls)] if calls else []
    if not told:
        return passed("RTCP in clear is allowed toward nobody")
    remedy = "Take the side out of plain_rtcp in [media], once its devices encrypt RTCP."
    return (failed if calls else warned)(remedy, told, facts.share(calls))


CHECKS: Final = (
    Check(
        "SRTP-1",
        "Media have tags of 80 bits or more",
        Gravity.MEDIUM,
        "Short tags (_32) let a forged packet pass sooner, and AEAD or _80 cost nothing today.",
        Effort.MINUTES,
        _suites,
    ),
    Check(
        "SRTP-2",
        "Keys of media travel under TLS",
        Gravity.HIGH,
        "A key in SDP without TLS is read by whoever records the call, so SRTP protects nothing.",
        Effort.HOURS,
        _weak_keys,
    ),
    Check(
        "SRTP-3",
        "RTCP is encrypted",
        Gravity.MEDIUM,
        "RTCP in clear tells who talks when, and lets anybody send a BYE for a stream.",
        Effort.HOURS,
        _clear_rtcp,
    ),
)
