"""Every test has a gateway of its own to ill-treat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls.hosts import Hosts
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    claimed = Hosts.claim()
    yield claimed
    claimed.release()


@pytest.fixture
def rig(hosts: Hosts, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(hosts, tmp_path)
    yield made
    print(made.text() if made.log.exists() else "")
    made.close()


@pytest.fixture
def phone(rig: Rig) -> Iterator[Phone]:
    made = Phone(rig.hosts.phone, rig.proxy)
    yield made
    made.close()
