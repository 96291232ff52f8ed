"""The matrix and the attacks are played once a run each, with a gateway process of their own; the tests look at what
came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests.support.calls.hosts import Hosts
from tests.support.matrix import changes, houses, web_phones
from tests.support.matrix.attacks import Attacked, cases, play_attacks
from tests.support.matrix.cells import cells
from tests.support.matrix.changes import Changed, play_changes
from tests.support.matrix.houses import Housed, HouseScene, play_houses
from tests.support.matrix.run import Outcome, play_all
from tests.support.matrix.scene import Scene
from tests.support.matrix.table import DOCUMENT, Place, expected
from tests.support.matrix.web_phones import WebPlayed, WebScene, play_web

HERE: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each table is played once, a dozen calls side by side, and all its tests look at that: on a machine that others
    load, one late answer fails them all."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.alone)


@attrs.frozen
class Played:
    """The scene after its last call, and what came of each cell."""

    scene: Scene
    outcomes: dict[int, Outcome]


@attrs.frozen
class Struck:
    """The scene after the last attack, what came of each, and what the gateway told its operator."""

    scene: Scene
    attacked: dict[int, Attacked]
    log: str
    metrics: str


@attrs.frozen
class Altered:
    """The scene after the last call that changed, and what came of each."""

    scene: Scene
    changed: dict[int, Changed]


@attrs.frozen
class Inside:
    """The scene after the last local call and call of a PBX, and what came of each."""

    scene: HouseScene
    housed: dict[int, Housed]


@attrs.frozen
class OfPages:
    """The scene after the last call of a web phone, and what came of each."""

    scene: WebScene
    played: dict[int, WebPlayed]


@cache
def documented() -> dict[Place, str]:
    """What the document expects."""
    return expected(DOCUMENT.read_text(encoding="utf-8"))


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


@pytest.fixture(scope="session")
def struck(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    scene = Scene(hosts, tmp_path_factory.mktemp("attacks"), "attacks")
    try:
        attacked = asyncio.run(play_attacks(scene, [*cases()]))
        log, metrics = scene.gateway.program.text(), scene.gateway.metrics()
        yield Struck(scene, {one.case.index: one for one in attacked}, log, metrics)
    finally:
        scene.gateway.stop()


@pytest.fixture(scope="session")
def altered(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Altered]:
    scene = Scene(hosts, tmp_path_factory.mktemp("changes"), "changes")
    try:
        changed = asyncio.run(play_changes(scene, [*changes.cases()]))
        yield Altered(scene, {one.case.index: one for one in changed})
    finally:
        scene.gateway.stop()


@pytest.fixture(scope="session")
def inside(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    played = [*houses.cases()]
    scene = HouseScene(hosts, tmp_path_factory.mktemp("houses"), played)
    try:
        housed = asyncio.run(play_houses(scene, played))
        yield Inside(scene, {one.case.index: one for one in housed})
    finally:
        scene.gateway.stop()


@pytest.fixture(scope="session")
def of_pages(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfPages]:
    scene = WebScene(hosts, tmp_path_factory.mktemp("web"))
    try:
        played = asyncio.run(play_web(scene, [*web_phones.cases()]))
        yield OfPages(scene, {one.case.index: one for one in played})
    finally:
        scene.gateway.stop()
