"""The files of a node that takes over are those that the active one copies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from gateway.admin.status.cluster_api import ClusterAnswer
from gateway.app.cluster.takeover import DATABASES
from gateway.app.gateway import Gateway
from gateway.config.load import load
from gateway.observe.figures import Sample
from gateway.observe.log import LogOutput
from gateway.state.cluster.file_copies import FILES
from gateway.state.journal.live_journal import FILE
from tests.support.cluster.configuration import CONFIGURATION
from tests.support.cluster.memory_replica import MemoryReplica
from tests.support.docs.files import make_named_files


class Node:
    """A node that copies into memory."""

    def __init__(self) -> None:
        self.copies = MemoryReplica()

    def answer(self) -> ClusterAnswer:
        return ClusterAnswer("active")

    def figures(self) -> Iterator[Sample]:
        return iter(())


def test_each_file_that_is_copied_is_restored_and_no_other(tmp_path: Path) -> None:
    """One that is restored and never copied would be told as unreadable; one that is only copied would be lost."""
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURATION)
    make_named_files(CONFIGURATION, tmp_path)
    node: Any = Node()
    Gateway(load(file), LogOutput(), MemoryReactorClock(), node)
    assert set(node.copies.files) == {*DATABASES, FILES, FILE}
