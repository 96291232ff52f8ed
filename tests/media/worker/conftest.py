"""A worker process for the tests of a module, and parties to call through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.media_party import Party
from tests.support.media_relays import Ng, own_address, worker


@pytest.fixture(scope="module", params=["native", "python"])
def ng(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    """A worker with each loop of packets."""
    with worker(tmp_path_factory.mktemp("w"), f"--loop={request.param}") as running:
        yield running


@pytest.fixture
def call(request: pytest.FixtureRequest, ng: Ng) -> Iterator[str]:
    name = request.node.name
    yield name
    ng.delete(name)


@pytest.fixture
def phone() -> Iterator[Party]:
    party = Party(own_address())
    yield party
    party.close()


@pytest.fixture
def provider() -> Iterator[Party]:
    party = Party(own_address())
    yield party
    party.close()


@pytest.fixture
def stranger() -> Iterator[Party]:
    party = Party(own_address())
    yield party
    party.close()
