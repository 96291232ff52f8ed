"""A store of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls.hosts import Hosts
from tests.support.cluster.store import RedisServer


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    claimed = Hosts.claim()
    yield claimed
    claimed.release()


@pytest.fixture
def redis(hosts: Hosts, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(hosts.host(40), hosts.port(hosts.host(40)), tmp_path)
    server.start()
    yield server
    server.stop()
