"""What the administration interface is told of the running gateway: answers `admin.inspection.Inspection`.

Everything is read when asked for and copied; no key, credential or nonce is among it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

import attrs

from gateway.admin.inspection import Row
from gateway.b2bua.calls import Calls
from gateway.config import Configuration
from gateway.location.binding import LocationStore

MOST_CALLS: Final = 500
"""Calls in one list."""


@attrs.frozen
class Overview:
    """A look at the parts of a running gateway."""

    configuration: Configuration
    all_calls: Calls
    store: LocationStore
    now: Callable[[], float]
    """Seconds since the epoch."""

    def calls(self) -> list[Row]:
        """Calls that are up and those kept after their end, the latest first."""
        records = sorted(islice(self.all_calls.records(), MOST_CALLS), key=lambda record: -record.started_at)
        return [record.summary() for record in records]

    def call(self, call_id: str) -> Row | None:
        """All that is known of one call."""
        record = self.all_calls.record(call_id)
        return None if record is None else record.as_json()

    def phones(self) -> list[Row]:
        """The bindings that have not expired."""
        now = self.now()
        return [
            {
                "address_of_record": binding.aor,
                "contact": binding.contact,
                "flow": str(binding.flow),
                "transport": str(binding.flow.transport),
                "user_agent": binding.user_agent,
                "expires_in": round(binding.expires_at - now),
                "provider_expires_in": round(binding.provider_expires_at - now),
            }
            for binding in self.store.all()
            if binding.expires_at > now
        ]

    def domains(self) -> list[Row]:
        """The configured domains and their policy."""
        return [
            {
                "name": domain.name,
                "provider": domain.provider,
                "security": str(domain.security),
                "downgrade": str(domain.downgrade),
                "challenge": [*domain.challenge],
                "restricted_access_domains": [*domain.restricted_access_domains],
                "emergency_numbers": [*domain.emergency_numbers],
            }
            for domain in self.configuration.domains
        ]

    def peers(self) -> list[Row]:
        """The providers."""
        return [
            {
                "name": provider.name,
                "uri": provider.uri,
                "srtp_offer": str(provider.srtp_offer),
                "trust": str(provider.trust),
            }
            for provider in self.configuration.providers
        ]
