"""One street for all attacks of a module; each attacker has an address of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.attacks.street import Street


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    street = Street(tmp_path_factory.mktemp("street"))
    yield street
    street.stop()


@pytest.fixture
def street(built: Street) -> Iterator[Street]:
    """The street; the test is in the gateway's network, as an operator on that machine."""
    with built.networks.inside("gateway"):
        yield built
        print(built.gateway.program.tail(5)[-1500:])  # pytest shows it when the test failed
        built.gateway.assert_log_is_clean(())
