"""The cluster in a gateway that is active: its route, its metrics, and its small files as they change.

A part of the state's own: see state_part.py. Without [cluster] it says so, and does nothing.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.task import LoopingCall

from gateway.admin.status.cluster_api import ClusterAnswer, ClusterApi
from gateway.app.parts import Basis
from gateway.state.cluster.file_copies import FileCopies

LOOK_SECONDS: Final = 1.0
"""Between two looks at the small files."""


class ClusterPart:
    """This node among others."""

    def __init__(self, basis: Basis) -> None:
        node = basis.cluster
        basis.routes.extend(ClusterApi(self.answer).routes())
        self._node = node
        self._looking: LoopingCall | None = None
        if node is not None:
            basis.metrics.asked.add(node.figures)
            files = FileCopies(basis.configuration.gateway.state_directory, node.copies)
            self._looking = LoopingCall(files.look)
            self._looking.clock = basis.reactor

    def answer(self) -> ClusterAnswer:
        """How this node stands."""
        return ClusterAnswer("none") if self._node is None else self._node.answer()

    def start(self) -> None:
        """Begin to look at the small files."""
        if self._looking is not None:
            self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None and self._looking.running:
            self._looking.stop()
