"""The order of a gateway's start, as far as a call notices it."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from gateway.app.gateway import Gateway
from gateway.app.ingress_part import IngressPart
from gateway.ingress.overload import ENTER, TICK, Overload
from tests.support.parts import NoCrowd

PARTS = (
    "_state",
    "_security",
    "media",
    "defence",
    "signalling",
    "_calls",
    "_peers",
    "_operation",
    "_ingress",
    "_admin",
)


def test_the_rest_of_a_start_on_a_busy_machine_is_no_overload() -> None:
    clock = Clock()
    overload = Overload(clock, NoCrowd())
    gateway: Any = Gateway.__new__(Gateway)
    gateway._events = Mock()
    for name in PARTS:
        setattr(gateway, name, Mock())
        getattr(gateway, name).start.return_value = succeed(None)

    def slowly() -> Deferred[None]:
        for _ in range(5):
            clock.advance(TICK + 2 * ENTER)
        return succeed(None)

    gateway._ingress.start.side_effect = overload.start
    gateway._ingress.started.side_effect = lambda: IngressPart.started(gateway._ingress)
    gateway._ingress.overload = overload
    gateway._admin.start.side_effect = slowly

    started: list[object] = []
    gateway.start().addCallback(started.append)
    clock.advance(TICK)

    assert started == [None]
    assert not overload.is_shedding
    assert overload.lateness < TICK

    clock.advance(TICK + 2 * ENTER)
    clock.advance(TICK + 2 * ENTER)
    assert overload.is_shedding, "it is watched from then on"
