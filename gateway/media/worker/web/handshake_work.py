"""The thread's part of handshakes: associations, and when each is to be looked at. Loads OpenSSL (handshakes)."""

from __future__ import annotations

import sys
import traceback
from time import monotonic
from typing import Final, Generic

from gateway.media.worker.web.association import Association, DtlsIdentity
from gateway.media.worker.web.dtls_keys import DtlsKeys, DtlsOutcome, Handshake

HANDSHAKE_SECONDS: Final = 60.0
"""Until one that is under way is given up."""


class Work(Generic[Handshake]):
    """The associations of a worker."""

    def __init__(self) -> None:
        self._identity = DtlsIdentity()
        self.fingerprint = self._identity.fingerprint
        self._associations: dict[Handshake, Association] = {}
        self._timers: dict[Handshake, tuple[float, float]] = {}
        """When to send again, and when to give up, by `monotonic`."""

    def seconds_left(self, now: float) -> float | None:
        """Until the first is due; None for no timer at all."""
        return max(min(map(min, self._timers.values())) - now, 0.0) if self._timers else None

    def due(self, now: float) -> list[Handshake]:
        return [handshake for handshake, times in self._timers.items() if min(times) <= now]

    def step(self, handshake: Handshake, datagram: bytes) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]:
        """Take a datagram; an empty one begins."""
        try:
            association = self._associations.get(handshake)
            if association is None:
                association = Association(self._identity, is_active=handshake.is_active)
                self._associations[handshake] = association
            written = association.take(datagram) if datagram else association.start()
        except Exception:
            return self._failed(handshake)
        self._wind(handshake, association)
        return written, association.outcome, association.agreed

    def again(self, handshake: Handshake) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]:
        """Its time has come."""
        association = self._associations[handshake]
        if self._timers[handshake][1] <= monotonic():
            association.outcome = DtlsOutcome.FAILED
        try:
            written = association.time_passed()
        except Exception:
            return self._failed(handshake)
        self._wind(handshake, association)
        return written, association.outcome, association.agreed

    def forget(self, handshake: Handshake) -> None:
        self._associations.pop(handshake, None)
        self._timers.pop(handshake, None)

    def _wind(self, handshake: Handshake, association: Association) -> None:
        """Set its timer, while it lasts."""
        if association.outcome is not DtlsOutcome.WAITING:
            self._timers.pop(handshake, None)
            return
        now = monotonic()
        end = self._timers[handshake][1] if handshake in self._timers else now + HANDSHAKE_SECONDS
        left = association.timeout()
        self._timers[handshake] = (now + left + 0.001 if left is not None else end, end)

    def _failed(self, handshake: Handshake) -> tuple[list[bytes], DtlsOutcome, None]:
        """A mistake of ours, or a use of OpenSSL that it does not like: told, and the end of that handshake alone."""
        traceback.print_exc(file=sys.stderr)
        self.forget(handshake)
        return [], DtlsOutcome.FAILED, None
