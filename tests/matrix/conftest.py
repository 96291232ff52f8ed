"""The matrix is played once a run, by a gateway process of its own; the tests look at what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import attrs
import pytest

from tests.support.calls.hosts import Hosts
from tests.support.matrix.cells import cells
from tests.support.matrix.run import Outcome, play_all
from tests.support.matrix.scene import Scene


@attrs.frozen
class Played:
    """The scene after its last call, and what came of each cell."""

    scene: Scene
    outcomes: dict[int, Outcome]


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    claimed = Hosts.claim()
    yield claimed
    claimed.release()


@pytest.fixture(scope="session")
def played(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    scene = Scene(hosts, tmp_path_factory.mktemp("matrix"))
    try:
        outcomes = asyncio.run(play_all(scene, [*cells()]))
        yield Played(scene, {outcome.cell.index: outcome for outcome in outcomes})
    finally:
        scene.gateway.stop()
