"""Every test here runs on our worker and on Debian's rtpengine: what they share is what the gateway may rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.media_party import Party
from tests.support.media_relays import Ng, own_address, rtpengine, worker


@pytest.fixture(scope="module", params=["worker", "rtpengine"])
def ng(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    start = worker if request.param == "worker" else rtpengine
    with start(tmp_path_factory.mktemp("m")) as running:
        yield running


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
