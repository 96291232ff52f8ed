"""Fixtures of the calls between real programs: one scenery a run, one stage a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.calls.hosts import Hosts
from tests.support.calls.stage import Scenery, Stage


@pytest.fixture(scope="session")
def scenery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenery]:
    hosts = Hosts.claim()
    yield Scenery.build(hosts, tmp_path_factory.mktemp("scenery"))
    hosts.release()


@pytest.fixture
def make_stage(scenery: Scenery, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Build a stage with a provider: its digest algorithm (MD5 unless told), whether it takes UDP as well, and whether
    it challenges calls."""
    stages: list[Stage] = []

    def make(algorithm: str = "MD5", clear: bool = False, asks_callers: bool = True) -> Stage:
        stages.append(Stage(scenery, tmp_path / f"stage-{len(stages)}", algorithm, clear, asks_callers))
        return stages[-1]

    yield make
    for stage in stages:
        print(stage.report())  # pytest shows it when the test failed
        stage.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()
