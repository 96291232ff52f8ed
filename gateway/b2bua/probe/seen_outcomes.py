"""The outcomes of attempts at a provider, out of all that a probe has seen and the gateway remembers.

    targets looked at, calls made, sightings -> SeenOutcomes.outcome(signalling, encryption) -> AttemptOutcome | None

The targets are tried in the order of calls, and a certificate that does not verify ends an attempt (routing.attempts).
A call that was made says more than a handshake, and a handshake more than memory. Memory counts for a provider with
TLS now, and for no other; nobody is called encrypted that was never seen to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from gateway.b2bua.probe.prediction import AttemptOutcome
from gateway.b2bua.probe.target_look import Looked
from gateway.config.model import Signalling
from gateway.media.relay import Encryption
from gateway.security.policy.peer_memory import REMEMBERED_SECONDS, Feature, Sightings
from gateway.transport.flow import FailureKind, TransportFailure

Key = tuple[Signalling, Encryption]

_NOWHERE: Final = TransportFailure(FailureKind.DNS, "DNS names no way there over this transport")


@attrs.define
class SeenOutcomes:
    """All of them, about one provider."""

    looked: dict[Signalling, Sequence[Looked]]
    lost: dict[Signalling, TransportFailure]
    """Why there are no targets."""
    sightings: Sightings
    now: float
    """Seconds since the epoch."""
    calls: dict[Key, AttemptOutcome | None] = attrs.field(factory=dict)
    """Those that were made; None for one that says nothing about others."""

    def way(self, signalling: Signalling) -> Looked | TransportFailure:
        """The target that an attempt comes to, or the failure that it ends with."""
        failure = self.lost.get(signalling, _NOWHERE)
        for one in self.looked.get(signalling, ()):
            if one.failure is None:
                return one
            failure = one.failure
            if failure.kind is FailureKind.CERTIFICATE:
                break
        return failure

    def outcome(self, signalling: Signalling, encryption: Encryption) -> AttemptOutcome | None:
        """The outcome of an attempt; None where nobody can tell."""
        way = self.way(signalling)
        if isinstance(way, TransportFailure):
            return AttemptOutcome(way.kind, cause=f"{way.reason}; {way.found}" if way.found else way.reason)
        if (signalling, encryption) in self.calls:
            return self.calls[signalling, encryption]
        if not way.has_answered:
            return None
        if encryption is Encryption.NONE:
            return AttemptOutcome(None, False, "it answers SIP", is_seen=False)
        return self._remembered()

    def _remembered(self) -> AttemptOutcome | None:
        did, lacked = self.sightings.did_srtp_at, self.sightings.lacked_srtp_at
        if lacked is not None and not self.sightings.does(Feature.SRTP):
            return AttemptOutcome(None, False, f"it lacked SRTP on {_day(lacked)}", is_seen=False)
        if did is not None and self.now - did < REMEMBERED_SECONDS:
            return AttemptOutcome(None, True, f"it did SRTP on {_day(did)}", is_seen=False)
        return None


def memory_words(sightings: Sightings) -> str:
    """The protection that a peer was last seen to give, and to lack."""
    told = []
    for name, did, lacked in (
        ("TLS", sightings.did_tls_at, sightings.lacked_tls_at),
        ("SRTP", sightings.did_srtp_at, sightings.lacked_srtp_at),
    ):
        seen = [f"did {name} on {_day(did)}"] if did is not None else []
        seen += [f"lacked {name} on {_day(lacked)}"] if lacked is not None else []
        told.append(", ".join(seen) or f"was never seen to do {name}")
    return "; ".join(told)


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
