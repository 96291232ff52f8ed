"""A node's part by a clock and a store in memory: its turn, its renewals, its end, and the kernel's timer."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.state.cluster.cluster_store import ClusterStore
from gateway.state.cluster.membership import Membership, NodeTurns
from gateway.state.cluster.node_lease import START_SECONDS, LeaseState, LeaseTerms
from tests.support.cluster.memory_store import MemoryStore


@attrs.define
class Machine:
    """The machine under a node."""

    clock: Clock
    is_here: bool = True
    ends_at: float | None = None
    """When the kernel would end the process."""

    def has_address(self) -> bool:
        return self.is_here

    def end_in(self, seconds: float) -> None:
        self.ends_at = self.clock.seconds() + seconds if seconds else None


class Node:
    """A node, and all that it was told."""

    def __init__(self, store: MemoryStore, *, serves_alone: bool = False, own: str = "") -> None:
        self.clock = Clock()
        self.store = store
        self.machine = Machine(self.clock)
        self.turns: list[str] = []
        told = NodeTurns(
            lambda taken: self.turns.append("active"), lambda taken: self.turns.append("again"), self.turns.append
        )
        given: Any = store
        self.member = Membership(
            cast(ClusterStore, given), LeaseTerms(3.0, serves_alone), self.machine, self.clock, told, own
        )

    def start(self) -> None:
        self.member.start()
        self.member.settled()

    def passes(self, seconds: float, step: float = 0.1) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)


def test_it_becomes_active_once_and_renews() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(20)
    assert node.turns == ["active"]
    assert node.member.state is LeaseState.HOLDING
    assert node.store.lives[0] == START_SECONDS
    assert set(node.store.lives[1:]) == {3.0}
    assert node.machine.ends_at is not None
    assert 0 < node.machine.ends_at - node.clock.seconds() <= 3.0


def test_it_waits_while_another_has_the_lease_and_takes_it_then() -> None:
    store = MemoryStore("b")
    store.held = "a 4 1000.0 p"
    node = Node(store)
    node.start()
    node.passes(5)
    assert node.turns == []
    assert (node.member.standing.holder, node.member.epoch) == ("a", 4)
    store.held = ""
    node.passes(1.1)
    assert node.turns == ["active"]
    assert node.member.token.startswith("b 5 ")


def test_it_waits_for_the_address() -> None:
    node = Node(MemoryStore())
    node.machine.is_here = False
    node.start()
    node.passes(5)
    assert node.store.held == ""
    node.machine.is_here = True
    node.passes(1.1)
    assert node.turns == ["active"]


def test_its_own_token_of_a_process_that_is_over_keeps_it_waiting_for_nothing() -> None:
    store = MemoryStore()
    store.held = "a 7 1000.0 p"
    node = Node(store, own="a 7 1000.0 p")
    node.start()
    assert node.turns == ["active"]
    assert node.member.epoch == 8


def test_a_silent_store_ends_it_before_the_lease_is_over() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(10)
    asked = node.clock.seconds()
    node.store.is_silent = True
    node.passes(4)
    assert node.turns == ["active", "its lease was not renewed in time"]
    assert node.machine.ends_at is not None
    assert node.machine.ends_at <= asked + 3.0
    assert node.clock.getDelayedCalls() == []


def test_a_silent_store_leaves_it_active_where_it_may_serve() -> None:
    node = Node(MemoryStore(), serves_alone=True)
    node.start()
    node.passes(10)
    node.store.is_silent = True
    node.passes(60)
    assert node.turns == ["active"]
    assert node.member.state is LeaseState.ALONE
    assert node.machine.ends_at is None
    node.store.is_silent, node.store.held = False, ""
    node.passes(3)
    assert node.turns == ["active", "again"]
    assert node.machine.ends_at is not None


def test_an_emptied_store_gives_it_another_lease() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(10)
    node.store.empty()
    node.passes(3)
    assert node.turns == ["active", "again"]
    assert node.member.epoch == 2


def test_an_emptied_store_waits_for_as_long_as_the_lease_of_a_node_that_starts() -> None:
    """A node that rebuilds calls asks late; another that took the lease meanwhile would be a second active one."""
    node = Node(MemoryStore())
    node.start()
    node.passes(10)
    node.store.empty()
    node.passes(3)
    assert node.store.forgotten == [START_SECONDS] * 2


def test_it_ends_when_another_has_the_lease() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(10)
    node.store.held = "b 9 1001.0 p"
    node.passes(1.1)
    assert node.turns == ["active", "node b has the lease"]
    node.passes(5)
    assert node.store.held == "b 9 1001.0 p"


def test_it_ends_when_its_address_is_gone() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(10)
    node.machine.is_here = False
    node.passes(1.1)
    assert node.turns == ["active", "its floating address is gone from this machine"]


def test_a_question_that_hangs_does_not_hide_the_end() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(10)

    async def renew(*_: object) -> Any:
        await Deferred()

    node.store.renew = renew  # type: ignore[method-assign, assignment]
    node.passes(4)
    assert node.turns == ["active", "its lease was not renewed in time"]


def test_at_its_stop_it_gives_the_lease_back_and_the_kernel_forgets_it() -> None:
    node = Node(MemoryStore())
    node.start()
    node.passes(5)
    Deferred.fromCoroutine(node.member.stop())
    assert node.store.held == ""
    assert node.machine.ends_at is None
    assert node.clock.getDelayedCalls() == []
