"""Every test here runs on both loops of our worker and on rtpengine: what they share is what the gateway relies on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.media_party import Party
from tests.support.media_relays import Ng, own_address, rtpengine, worker


@pytest.fixture(scope="module", params=["native", "python", "rtpengine"])
def ng(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    directory = tmp_path_factory.mktemp("m")
    with rtpengine(directory) if request.param == "rtpengine" else worker(directory, f"--loop={request.param}") as one:
        yield one


@pytest.fixture
def call(request: pytest.FixtureRequest, ng: Ng) -> Iterator[str]:
    """A call-id of this test's own; the call is deleted after it."""
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
