"""The result of a probe in one sentence, and as one of three words: as wanted, not, or nobody can tell.

ProviderFacts | PhoneFacts | DomainFacts -> Said(result, sentence)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs

from gateway.b2bua.probe.found import DomainFacts, PhoneFacts, ProviderFacts
from gateway.b2bua.probe.phone_look import CLEAR, ENCRYPTS, UNKNOWN
from gateway.b2bua.probe.prediction import Prediction
from gateway.config.model import Security

NAMED: Final = 8
"""Phones that a sentence names."""


class ProbeResult(StrEnum):
    """The result of a probe; gatewayctl ends with 0, 1 or 2 for the first three."""

    AS_WANTED = "as_wanted"
    NOT = "not"
    UNKNOWN = "unknown"
    FAILED = "failed"


@attrs.frozen
class Said:
    """A result in words."""

    result: ProbeResult
    sentence: str


def of_provider(facts: ProviderFacts) -> Said:
    """The result for a provider: by its domains as they are configured, or with none by the policy `preferred`."""
    wanted = [row.prediction for row in facts.domains if row.security != Security.OFF]
    preferred = facts.row(Security.PREFERRED)
    wanted = wanted or ([preferred] if preferred is not None else [])
    return Said(_result(wanted), f"Calls to {facts.name} {_words(_worst(wanted), facts)}.")


def of_phone(name: str, phones: Sequence[PhoneFacts]) -> Said:
    """The result for the registrations of one address of record."""
    if not phones:
        return Said(ProbeResult.NOT, f"{name} is not registered.")
    told = "; ".join(
        f"over {one.transport.upper()} from {one.source}: {_OF_PHONE[one.verdict]}, {one.why}" for one in phones
    )
    verdicts = {one.verdict for one in phones}
    if verdicts == {ENCRYPTS}:
        return Said(ProbeResult.AS_WANTED, f"{name} {told}.")
    is_unknown = verdicts <= {ENCRYPTS, UNKNOWN}
    return Said(ProbeResult.UNKNOWN if is_unknown else ProbeResult.NOT, f"{name} {told}.")


def of_domain(facts: DomainFacts) -> Said:
    """The result for a domain."""
    wanted = [facts.prediction] if facts.prediction is not None else []
    said = f"Calls of {facts.name} {_words(_worst(wanted), facts.provider)}."
    number = facts.encrypts + facts.clear + facts.unknown
    if number:
        said += f" {facts.encrypts} of {number} phones encrypt their own leg, too"
        said += f"; {facts.unknown} are not known" if facts.unknown else ""
        others = [one.address_of_record for one in facts.phones if one.verdict == CLEAR]
        many = f"{facts.clear} do not, such as " if facts.clear > NAMED else ""
        does = "" if many else " does not" if len(others) == 1 else " do not"
        said += f"; {many}{_listed(others[:NAMED])}{does}." if others else "."
    else:
        said += " No phone is registered."
    if facts.cut_off_by_required:
        said += f" The policy required would cut off all of them: {_listed(facts.cut_off_by_required)}."
    return Said(_result(wanted), said)


_OF_PHONE: Final = {
    "encrypts": "will encrypt",
    "clear": "will not encrypt its leg",
    "unknown": "unknown",
    "unreachable": "cannot be reached",
}


def _result(wanted: Sequence[Prediction]) -> ProbeResult:
    if not wanted or not all(one.is_known for one in wanted):
        return ProbeResult.UNKNOWN
    return ProbeResult.AS_WANTED if all(one.is_encrypted for one in wanted) else ProbeResult.NOT


def _worst(wanted: Sequence[Prediction]) -> Prediction | None:
    """The one to tell of: one that is not known, else one that is not encrypted."""
    return min(wanted, key=lambda one: (one.is_known, one.is_encrypted), default=None)


def _words(prediction: Prediction | None, facts: ProviderFacts) -> str:
    if prediction is None or not prediction.is_known:
        why = facts.dns_failure or ("" if prediction is None else prediction.text)
        return f"may be encrypted or not: {why or 'nothing was seen'}"
    if prediction.is_encrypted:
        version = next((one.version for one in facts.targets if one.version), "TLS")
        suite = next((suite for call in facts.calls if call.is_encrypted for suite in call.suites), "SRTP")
        seen = "" if prediction.is_seen else f"; {prediction.text}"
        return f"will be {prediction.verdict} ({version}, {suite}{seen})"
    reason = f", {prediction.reason}" if prediction.reason else ""
    return f"will be {prediction.verdict}{reason}" + (f" ({prediction.text})" if prediction.text else "")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name.removeprefix("sip:") for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
