"""A pair on a LAN with keepalived and its configuration of deploy/: a machine that dies, a cable that is cut, an
address that moves. One node answers, and never two."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.cluster.cluster_node import FENCED
from tests.support.calls.processes import wait_until
from tests.support.cluster.pair import settle
from tests.support.cluster.pair_lan import FLOATING, PairLan

RESTS = 10.0
"""Seconds: a check fails three times, and the other node waits for adverts."""


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[PairLan]:
    made = PairLan(tmp_path)
    yield made
    made.close()


def test_the_machine_of_the_active_node_dies(lan: PairLan) -> None:
    lan.start()
    phone = lan.phone()
    assert phone.register() is not None
    call = phone.must_call()
    phone.must_be_heard()
    settle(lan.a)
    died = time.monotonic()
    assert lan.a.keepalived is not None
    workers = lan.a.workers()
    lan.networks.ip("a", "link", "set", "ea", "down")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    lan.a.kill()
    answer = phone.hang_up(call, 60)
    print(f"the other node hung up {time.monotonic() - died:.1f} s after the death")
    assert answer is not None
    assert answer.status == 200
    assert lan.b.has_address
    wait_until("b is ready", lambda: lan.b.is_active and lan.b.is_ready(), 30)
    wait_until("it has its record", lambda: len(lan.b.records()) == 1, 15)
    assert len([one for one in lan.provider.requests if one.method == "BYE"]) >= 1
    phone.close()


def test_a_cable_that_is_cut_leaves_one_node_active(lan: PairLan) -> None:
    """Neither hears VRRP of the other then; the one that does not reach the store stops by itself."""
    lan.start()
    phone = lan.phone()
    call = phone.must_call()
    phone.must_be_heard()
    settle(lan.a)
    lan.cut(lan.a)
    assert lan.a.process is not None
    assert lan.a.process.wait(30) == FENCED
    wait_until("b is active", lambda: lan.b.is_active and lan.b.is_ready(), 60)
    answer = phone.hang_up(call, 30)
    assert answer is not None
    assert answer.status == 200
    lan.a.launch()
    wait_until("a waits", lambda: lan.a.is_waiting, 30)
    assert not lan.a.is_active
    lan.mend(lan.a)
    wait_until("one has the address", lambda: lan.a.has_address is not lan.b.has_address, 30)
    wait_until("one is active", lambda: lan.a.is_active is not lan.b.is_active, 60)
    phone.close()


def test_an_address_that_moves_moves_the_lease(lan: PairLan) -> None:
    lan.start()
    phone = lan.phone()
    call = phone.must_call()
    phone.must_be_heard()
    settle(lan.a)
    assert lan.a.keepalived is not None
    lan.a.keepalived.stop()
    assert lan.a.process is not None
    assert lan.a.process.wait(30) == FENCED
    assert "its floating address is gone from this machine" in lan.a.text()
    wait_until("b is active", lambda: lan.b.is_active and lan.b.is_ready(), 60)
    assert FLOATING in (lan.b.fetch("/api/v1/cluster") or "")
    answer = phone.hang_up(call, 30)
    assert answer is not None
    assert answer.status == 200
    phone.close()


def test_a_node_whose_way_to_the_store_is_cut_leaves_the_address_to_the_other(lan: PairLan) -> None:
    """Else it would wait with the address, and the other one without: nobody would answer."""
    lan.start()
    phone = lan.phone()
    call = phone.must_call()
    phone.must_be_heard()
    settle(lan.a)
    lan.cut_store(lan.a)
    assert lan.a.process is not None
    assert lan.a.process.wait(30) == FENCED
    lan.a.launch()
    wait_until("b is active", lambda: lan.b.is_active and lan.b.is_ready(), 60)
    assert lan.b.has_address
    wait_until("a may not hold it", lambda: lan.a.is_waiting and not lan.a.may_hold, 30)
    assert not lan.a.is_active
    answer = phone.hang_up(call, 30)
    assert answer is not None
    assert answer.status == 200
    wait_until("its keepalived knows", lambda: lan.a.priority == 80, 30)
    lan.mend_store(lan.a)
    wait_until("it is fit again", lambda: lan.a.may_hold and lan.a.priority == 100, 30)
    must_rest(lan)
    assert lan.b.has_address
    phone.close()


def test_a_store_that_nobody_reaches_does_not_move_the_address_to_and_fro(lan: PairLan) -> None:
    lan.start()
    lan.store.stop()
    assert lan.a.process is not None
    assert lan.a.process.wait(30) == FENCED
    lan.a.launch()
    wait_until("both wait", lambda: lan.a.is_waiting and lan.b.is_waiting, 30)
    wait_until("neither may hold it", lambda: not (lan.a.may_hold or lan.b.may_hold), 30)
    must_rest(lan)
    with lan.networks.inside("lan"):
        lan.store.start()
    wait_until("one is active", lambda: lan.a.is_active is not lan.b.is_active, 60)


def must_rest(lan: PairLan) -> None:
    """One node has the address, for longer than keepalived takes to move it."""
    since: dict[str, float] = {}

    def rests() -> bool:
        for node in (lan.a, lan.b):
            if not node.has_address:
                since.pop(node.name, None)
            elif time.monotonic() - since.setdefault(node.name, time.monotonic()) > RESTS:
                return True
        return False

    wait_until("the address rests", rests, 60)
