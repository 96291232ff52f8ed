"""Fixtures of the web phones: the pages one time a run, and a stage with a listener for browsers a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.calls.stage import Scenery, Stage
from tests.support.calls.web.pages import Pages
from tests.support.calls.web.web_stage import WebStage


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    pages = Pages(tmp_path_factory.mktemp("pages"))
    yield pages
    pages.stop()


@pytest.fixture
def web(scenery: Scenery, pages: Pages, make_stage: Callable[..., Stage]) -> WebStage:
    return WebStage(make_stage(), pages)
