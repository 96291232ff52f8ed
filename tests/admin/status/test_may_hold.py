"""keepalived's question: whether the floating address is of use on this machine."""

from __future__ import annotations

import json

import attrs
import pytest
from twisted.web.test.requesthelper import DummyRequest

from gateway.admin.hardening import MAY_HOLD
from gateway.admin.status.cluster_api import STANDBY, ClusterAnswer, ClusterApi
from gateway.state.cluster.node_lease import LeaseState

WAITS = ClusterAnswer(STANDBY, "gateway", "a")


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (ClusterAnswer("none"), 200),
        (WAITS, 200),
        (attrs.evolve(WAITS, has_address=False), 200),
        (attrs.evolve(WAITS, store_answers=False), 503),
        (attrs.evolve(WAITS, store_answers=False, has_address=False), 503),
        (attrs.evolve(WAITS, state=str(LeaseState.HOLDING.value), store_answers=False), 200),
        (attrs.evolve(WAITS, state=str(LeaseState.ALONE.value), store_answers=False), 200),
    ],
)
def test_a_node_that_waits_without_the_store_is_no_place_for_it(standing: ClusterAnswer, status: int) -> None:
    """With or without the address, or it would move to and fro where neither node reaches the store."""
    (route,) = (one for one in ClusterApi(lambda: standing).routes() if one.path == MAY_HOLD)
    request = DummyRequest([b""])
    answer = route.answer(request)
    assert isinstance(answer, bytes)
    assert json.loads(answer) == {"may_hold": status == 200}
    assert request.responseCode == status


def test_a_node_that_waits_says_so_by_that_word() -> None:
    assert LeaseState.WAITING.value == STANDBY
