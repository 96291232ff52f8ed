"""Whether a relay node is there: its pings, how long their silence is borne, and the sooner word of the kernel.

    ping --answer--> answered
         `- a copy without an answer: does the kernel say that none will come? --yes--> lost, at once
                                                                              `- no --> the next copy ... lost

A worker is a process of this machine: one that was stopped, or is dead, will not answer. One that runs, or waits for
its turn or a disk, has all its time: a machine may be busy. An rtpengine that ended has its port closed. Not here: what
becomes of calls (node), asking (ng), the process (worker_process).
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.python.failure import Failure

from gateway.media.ng import NgClient, Reply, in_short_steps
from gateway.media.relay import RelayFailure
from gateway.media.worker_process import WorkerProcess

PING_WAITS: Final = (0.2, 0.4, 0.4, 0.5)
"""Seconds that each copy of a ping is waited for. A pause of ours is no silence of the node's: each copy needs a turn
of the reactor, and its answer is read in the one before the next."""
STARTING_WAITS: Final = (0.25,) * 8
"""The same of a node that is down: its calls wait for the first answer."""
SILENT_WORKER: Final = 1
"""Pings without a sign of life after which a worker hangs that was up: two seconds with the time between two pings.
One that was stopped is found after the first copy: 0.7 seconds."""
SILENT_STARTING: Final = 3
"""The same of a worker that was just started: it imports, on a machine that may be busy."""
SILENT_RTPENGINE: Final = 2
"""The same of an rtpengine, with a network between: four seconds."""


class PulseOwner(Protocol):
    """The node, as its pulse sees it."""

    def answered(self, reply: Reply) -> None:
        """It is there. The reply is empty where another answer than the ping's tells so."""

    def lost(self, reason: str) -> None:
        """It is not there any more."""


class Pulse:
    """Asks one node by its `client`; `worker` is its process, None for rtpengine."""

    def __init__(self, client: NgClient, worker: WorkerProcess | None, owner: PulseOwner) -> None:
        self._client = client
        self._worker = worker
        self._owner = owner
        self._is_pinged = False
        self._silent_pings = 0
        self._heard_before = 0
        self._is_up = False
        """Whether the node was there when it was asked, and its process has not ended since."""

    def ping(self, *, is_up: bool) -> None:
        """Ask, if no question is under way. `is_up`: the node was there until now."""
        if self._worker is not None and not self._worker.is_alive:
            self._worker.check()
        elif not self._is_pinged:
            self._is_pinged, self._is_up = True, is_up
            self._heard_before = self._client.heard
            is_own = self._worker is not None and self._worker.pid is not None
            starting = in_short_steps(STARTING_WAITS) if is_own else STARTING_WAITS
            # An rtpengine tells only here that it is another process than before, and has none of our calls any more.
            command = "ping" if self._worker is not None else "statistics"
            waits = PING_WAITS if is_up else starting
            self._client.request(
                {"command": command}, waits=waits, is_vain=self._is_vain, insists=not is_up
            ).addCallbacks(self._owner.answered, self._silent)

    def beat(self) -> None:
        """It answered, this or another question."""
        self._is_pinged = False
        self._silent_pings = 0

    def died(self) -> None:
        """Its process ended: the next one has all its time to start."""
        self._silent_pings, self._is_up = 0, False

    def _is_vain(self) -> bool:
        """Whether the kernel knows that no answer of its process will come."""
        return self._worker is not None and self._worker.cannot_answer()

    def _silent(self, failure: Failure) -> None:
        failure.trap(RelayFailure)
        kernel = self._word_of_kernel()
        if not kernel and self._client.heard != self._heard_before:  # busy: the ping waits behind other requests
            self._owner.answered({})
            return
        self._is_pinged = False
        self._silent_pings += 1
        self._client.reopen()
        patience = SILENT_WORKER if self._is_up else SILENT_STARTING
        if not kernel and self._silent_pings < (SILENT_RTPENGINE if self._worker is None else patience):
            return
        self._owner.lost(kernel or "it is silent")
        if self._worker is not None:
            self._worker.check()

    def _word_of_kernel(self) -> str:
        """Why no answer can come; empty where one may."""
        if self._client.is_refused:
            return "nobody has its port open"
        return "its process was stopped" if self._is_vain() else ""
