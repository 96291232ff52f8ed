"""The answer to a dry run: the phones of a plan, and the verdict that their calls would get.

    RolloutPlan -> outlook_of -> OutlookAnswer          PhoneOutlook -> planned -> PlannedPhoneAnswer

Not here: the plan (rollout_office.py), the verdicts (b2bua/probe/outlook), the route (rollout_routes.py).
"""

from __future__ import annotations

import attrs

from gateway.admin.enablement.rollout_office import PhoneOutlook, RolloutPlan
from gateway.admin.v1.parameters import said


@attrs.frozen
class PlannedPhoneAnswer:
    """A phone of a plan."""

    address_of_record: str = said("The first of its addresses.")
    make: str = said("Its make in the list of orders, or other.")
    model: str = said("Its model, as it says.")
    wave: int = said("Its wave, from 1.")
    order: str = said("The Event that it would be sent; empty: none is needed.")
    words: str = said("Its prospects.")
    verdict: str = said("The verdict of its calls once the domain's security is that; empty: nobody can tell.", "")
    reason: str = said("The code of the reason; empty: there is none.", "")
    status: int = said("The status that its calls would get; 0: nobody can tell.", 0)
    best: str = said("The verdict once it comes over TLS and takes SRTP, which its first call shows.", "")
    why: str = said("Why, in plain words.", "")


@attrs.frozen
class OutlookAnswer:
    """The calls of a plan's phones as they would be."""

    result: str = said("as_wanted, not, unknown (nobody can tell) or failed: the probe was not done.")
    sentence: str = said("The same in plain words.")
    probe: str = said("The probe of the domain: GET /api/v1/probes/{id} has all facts.")
    provider_verdict: str = said("The verdict that the provider's leg leads to; empty: nobody can tell.")
    provider_reason: str = said("The code of its reason.")
    provider_why: str = said("Its reason in plain words.")
    verdicts: dict[str, int] = said("How many phones have calls of each verdict; unknown: nobody can tell.")
    reasons: dict[str, int] = said("How many phones have calls with each reason.")


def outlook_of(plan: RolloutPlan) -> OutlookAnswer:
    """The calls of a plan."""
    reckoning, outlook = plan.reckoning, plan.outlook
    provider = outlook.provider
    return OutlookAnswer(
        str(reckoning.result(outlook)),
        f"{outlook.provider_words} {reckoning.sentence(outlook)}",
        outlook.job.id,
        "" if provider is None else provider.verdict,
        "" if provider is None else provider.reason,
        outlook.job.sentence if provider is None else provider.text,
        dict(reckoning.verdicts),
        dict(reckoning.reasons),
    )


def planned(one: PhoneOutlook) -> PlannedPhoneAnswer:
    """A phone of a plan."""
    phone = one.phone
    told = PlannedPhoneAnswer(phone.address, phone.make, phone.model, phone.wave + 1, one.order, one.words)
    call = one.call
    if call is None:
        return told
    return attrs.evolve(
        told, verdict=call.verdict, reason=call.reason, status=call.status, best=call.best, why=call.why
    )
