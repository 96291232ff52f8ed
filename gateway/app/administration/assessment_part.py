"""Assessment: the posture of this place, and probes of all that calls go to.

    posture: by evidence, of calls that were made          probes: by looking, of calls that would be made

Both look at the same parts of a gateway and change none of them, so they are built, started and stopped as one. Not
here: their facts (posture_part.py, probe_part.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks

from gateway.admin.enablement.rollout_office import OfficeMeans
from gateway.admin.security.posture_gathering import HasUsers
from gateway.app.administration.posture_part import PosturePart
from gateway.app.administration.probe_part import ProbePart
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.config.model import Configuration
from gateway.config.switches import Settings
from gateway.security.posture.posture_facts import Surroundings


@attrs.frozen
class PlaceNow:
    """This place as it is when it is asked for; it changes while the gateway runs."""

    surroundings: Callable[[], Surroundings]
    """How phones get their files."""
    placed: Callable[[], Configuration]
    """The configuration with the addresses that interfaces have."""


class AssessmentPart(GatewayPart):
    """The posture and the probes."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        state: StatePart,
        signalling: SignallingPart,
        calls: CallsPart,
        now: PlaceNow,
    ) -> None:
        self._posture = PosturePart(basis, settings, state, signalling, calls, now.surroundings)
        self._probes = ProbePart(basis, settings, state, signalling, calls, now.placed)

    def office_means(self, rest: Callable[[], Awaitable[None]]) -> OfficeMeans:
        """The means of the office of roll-outs: ``rest`` and looks ahead at calls, by the probes."""
        return OfficeMeans(rest, self._probes.outlooks)

    @inlineCallbacks
    def start(self, has_users: HasUsers) -> Generator[Deferred[Any], Any, None]:
        """Read the reports and probes that are kept. Fails with InUse."""
        yield self._posture.start(has_users)
        yield self._probes.start()

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """End the probes that run, and make no more reports."""
        yield self._probes.stop()
        yield self._posture.stop()
