"""A node by a clock and a store in memory: whose state it goes on with, and when it copies or ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from gateway.app.cluster import cluster_node, own_place
from gateway.app.cluster.cluster_node import FENCED, ClusterNode
from gateway.config.load import load
from gateway.state.cluster.replica import Page
from tests.support.cluster.configuration import CONFIGURATION
from tests.support.cluster.memory_store import MemoryStore
from tests.support.docs.files import make_named_files

PERIOD = 1.0


class Machine:
    """A machine without an address of its own, whose kernel ends nothing."""

    def __init__(self, address: str | None) -> None:
        pass

    def has_address(self) -> bool:
        return True

    def end_in(self, seconds: float) -> None:
        pass


class World:
    """The node `a`, started again and again in one directory with one store."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = directory / "gateway.toml"
        file.write_text(CONFIGURATION)
        make_named_files(CONFIGURATION, directory)
        self.configuration = load(file)
        self.clock = Clock()
        self.store = MemoryStore()
        self.ended: list[tuple[str, int]] = []
        self.restored: list[str] = []
        self.entries = {b"k": b"v"}
        self.started: Deferred[None] | None = None
        monkeypatch.setattr(cluster_node, "ClusterStore", lambda *_: self.store)
        monkeypatch.setattr(cluster_node, "ThisMachine", Machine)
        monkeypatch.setattr(cluster_node, "take_over", self._take_over)
        self.node = self._made()

    async def _take_over(self, store: object, keys: object, taken: Any, *_: object) -> int:
        self.restored.append(taken.generation)
        return 1

    def _made(self) -> ClusterNode:
        assert self.configuration.cluster is not None
        reactor: Any = self.clock
        node = ClusterNode(
            self.configuration,
            self.configuration.cluster,
            reactor,
            lambda reason, status: self.ended.append((reason, status)),
            lambda failure: failure.raiseException(),
        )
        node.copies.add("f", lambda mark: succeed(Page([*self.entries.items()], None)))
        node._waiting.start = lambda: None  # type: ignore[method-assign]
        return node

    def start(self) -> None:
        self.node.start(self._begin)
        self.passes(2)

    async def _begin(self) -> None:
        if self.started is not None:
            await self.started

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)

    def dies(self) -> None:
        """The process is killed, and the next one is there."""
        os.close(self.node._place._lock)
        self.clock = Clock()
        self.node = self._made()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    os.close(made.node._place._lock)


def test_its_own_files_are_the_newest_after_a_kill(world: World) -> None:
    world.start()
    assert world.store.state
    world.dies()
    with capturedLogs() as logged:
        world.start()
    assert world.restored == []
    assert "no other node was active meanwhile" in [event.get("meanwhile") for event in logged]


def test_a_copy_that_another_node_made_is_restored(world: World) -> None:
    world.start()
    world.dies()
    world.store.state = "of b"
    world.start()
    assert world.restored == ["of b"]


def test_another_node_that_was_active_and_left_no_copy_is_told_of(world: World) -> None:
    world.start()
    world.dies()
    world.store.held, world.store.epoch = "", world.store.epoch + 1
    with capturedLogs() as logged:
        world.start()
    assert world.restored == []
    told = [event.get("meanwhile") for event in logged]
    assert "another node may have been active meanwhile, and has left no copy" in told


def test_an_emptied_store_is_filled_again(world: World) -> None:
    world.start()
    first = world.store.state
    world.store.empty()
    with capturedLogs() as logged:
        world.passes(3 * PERIOD)
    assert world.ended == []
    assert world.store.state not in ("", first)
    assert "no other node was active meanwhile" in [event.get("meanwhile") for event in logged]


def test_a_node_that_was_alone_while_another_was_active_ends_and_copies_nothing(world: World) -> None:
    """The other has left a whole copy, of calls and phones that it served."""
    world.start()
    world.store.held, world.store.state, world.store.epoch = "", "of b", world.store.epoch + 1
    world.passes(3 * PERIOD)
    assert world.ended == [("this node may not be active any more: another node was active meanwhile", FENCED)]
    assert world.store.state == "of b"
    world.dies()
    world.start()
    assert world.restored == ["of b"]


def test_a_copy_of_its_own_whose_end_was_not_answered_is_no_other_nodes(world: World) -> None:
    world.store.is_mute = True
    world.start()
    own = world.store.state
    world.store.held = ""
    world.passes(3 * PERIOD)
    assert world.ended == []
    assert world.store.state != own


def test_nothing_is_copied_before_the_gateway_has_started(world: World) -> None:
    """A whole copy would have no files in it yet, and the one that is being restored would go."""
    world.store.state = "of b"
    world.started = Deferred()
    world.start()
    world.store.held = ""
    world.passes(3 * PERIOD)
    assert world.store.state == "of b"
    assert world.ended == []
    world.started.callback(None)
    world.passes(1)
    assert world.store.state != "of b"


def test_a_full_disk_keeps_nothing_from_being_copied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_place, "replace_private", is_full)
    world.start()
    first = world.store.state
    assert first
    world.store.empty()
    world.passes(3 * PERIOD)
    assert world.store.state not in ("", first)
    assert world.node.copies.figures.lag == 0


@pytest.mark.parametrize(
    ("seen", "is_there"), [({}, False), ({"a": 0.0}, False), ({"a": 0.0, "b": 0.0}, True), ({"b": 11.0}, False)]
)
def test_another_node_is_there_as_long_as_it_gives_signs_of_life(
    world: World, seen: dict[str, float], is_there: bool
) -> None:
    """The seconds since the last one are by node; this one is `a`."""
    world.start()
    now = world.node._clock.wall()
    world.store.seen = {node: now - ago for node, ago in seen.items()}
    world.passes(2)
    assert world.node.is_another_there is is_there
