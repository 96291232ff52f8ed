"""One stage for all tests of a run: a gateway with 100,000 calls in its history takes seconds to make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.stage import Stage, opened


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with opened(tmp_path_factory.mktemp("office") / "gateway") as stage:
        yield stage
