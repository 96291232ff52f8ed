"""A gateway with HTTPS on its administration interface, for the tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_gateway import AdminGateway
from tests.support.calls.hosts import Hosts


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    claimed = Hosts.claim()
    yield claimed
    claimed.release()


@pytest.fixture
def gateway(hosts: Hosts, tmp_path: Path) -> Iterator[AdminGateway]:
    made = AdminGateway(hosts, tmp_path)
    made.begin()
    yield made
    print(made.rig.text())
    made.close()
