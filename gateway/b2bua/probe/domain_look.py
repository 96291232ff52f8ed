"""A domain looked at: its provider as calls meet it, and all of its phones as they are known.

    provider_look -> the domain's verdict under its policy, and under required
    bindings of the domain, TURN at a time -> remembered_phone -> counts, names of phones cut off

Phones are not asked: thousands of OPTIONS would take longer than a probe has, and hold up calls.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.internet.task import deferLater

from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import DomainFacts, PhoneFacts, ProviderFacts
from gateway.b2bua.probe.phone_look import CLEAR, ENCRYPTS, remembered_phone
from gateway.b2bua.probe.prediction import Prediction
from gateway.config.model import Domain, Security
from gateway.transport.flow import Transport

MOST_PHONES: Final = 5_000
"""Registrations of one domain that are looked at."""
MOST_ROWS: Final = 300
"""Registrations that are told one by one: those first that do not encrypt their leg."""
MOST_NAMES: Final = 1_000
"""Names of phones in one list."""
TURN: Final = 50
"""Registrations that are looked at in one go."""


async def look_at_domain(around: Around, domain: Domain, provider: ProviderFacts) -> DomainFacts:
    """The domain, with its provider's facts at hand."""
    bindings = [one for one in around.store.all() if one.domain == domain.name.lower()]
    phones: list[PhoneFacts] = []
    for start in range(0, min(len(bindings), MOST_PHONES), TURN):
        phones += [remembered_phone(around, one) for one in bindings[start : start + TURN]]
        await deferLater(around.clock, 0)
    phones.sort(key=lambda phone: (phone.verdict == ENCRYPTS, phone.address_of_record))
    count = Counter(phone.verdict for phone in phones)
    prediction = next((row.prediction for row in provider.domains if row.domain == domain.name), None)
    names = sorted({phone.address_of_record for phone in phones})
    in_clear = sorted({phone.address_of_record for phone in phones if not Transport(phone.transport).is_secure})
    required = provider.row(Security.REQUIRED)
    is_refused = required is not None and required.is_known and not required.is_encrypted
    return DomainFacts(
        domain.name,
        str(domain.security),
        provider,
        prediction,
        tuple(phones[:MOST_ROWS]),
        max(0, len(bindings) - MOST_ROWS),
        count[ENCRYPTS],
        count[CLEAR],
        len(phones) - count[ENCRYPTS] - count[CLEAR],
        tuple(names[:MOST_NAMES]) if is_refused else (),
        tuple(in_clear[:MOST_NAMES]),
        share_of(prediction),
        count[ENCRYPTS] / len(phones) if phones and prediction is not None and prediction.is_encrypted else None,
    )


def share_of(prediction: Prediction | None) -> float | None:
    """The share of a domain's calls with an encrypted leg to the provider; None: nobody knows."""
    if prediction is None or not prediction.is_known:
        return None
    return 1.0 if prediction.is_encrypted else 0.0
