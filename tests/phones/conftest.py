"""A media worker's process for all tests of phones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.media_relays import Ng, worker


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    with worker(tmp_path_factory.mktemp("media"), ports="32000-32999") as running:
        yield running
