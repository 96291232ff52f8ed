"""Bans in the kernel: named sets of nftables, which drop packets before this process gets to see them.

    Doors -keep_out, let_in-> noted -> (GATHER) -> one transaction of `nft -f -` at a time -> the sets
                                                   `- failed: told once; tried again, with the whole sets

The administrator declares the sets and the rules that drop (deploy/gateway.nft); this fills the sets, and each element
ends by its own time, also where the gateway has ended. This process turns the same sources away as well
(defence/doors.py), so a kernel that takes nothing lets nobody in: it only costs more. The whole sets are written at the
start, after a failure and every few minutes, since loading the rules again may empty them.

Here: the time of writing, and how it stands. Not here: the text (nft_commands.py), the process (nft_process.py), which
bans the kernel gets (defence/doors.py).
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.clock import Clock
from gateway.observe.events import EventName, Events
from gateway.security.firewall.nft_commands import NftSets
from gateway.security.firewall.nft_process import NftFailed, NftRun

log = Logger()

GATHER: Final = 0.05
"""Seconds that changes are gathered for one transaction."""
AGAIN: Final = 10.0
"""Seconds from a failure to the next try."""
WHOLE: Final = 300.0
"""Seconds between two writes of the whole sets."""
CAPACITY: Final = 65_536
"""Elements at most, as many as the sets of deploy/gateway.nft hold."""


@attrs.frozen
class KernelStanding:
    """How the sets stand."""

    elements: int = 0
    why: str = ""
    """Why the kernel takes nothing at this moment; empty: it does."""


class Nftables:
    """The door of the kernel: a `KernelDoor`."""

    def __init__(self, sets: NftSets, run: NftRun, clock: Clock, events: Events) -> None:
        self._sets = sets
        self._run = run
        self._clock = clock
        self._events = events
        self._until: dict[str, float] = {}  # seconds of clock.now(), of each source that is kept out
        self._changed: set[str] = set()
        self._is_whole_due = True
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._is_stopped = False
        self._why = ""

    @property
    def standing(self) -> KernelStanding:
        """How it stands."""
        return KernelStanding(len(self._until), self._why)

    def start(self, sets: NftSets) -> None:
        """Write these sets whole: those that are kept out by now stand there with the time that they have left."""
        self._sets = sets
        self._is_whole_due = True
        if self._running is None:
            self._plan(0.0)

    def stop(self) -> Deferred[None]:
        """Write no more, once the run under way is over. The elements stand on: each has its own end."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._running if self._running is not None else succeed(None)

    def keep_out(self, source: str, seconds: float) -> None:
        """See KernelDoor."""
        if source not in self._until and len(self._until) >= CAPACITY:
            return  # this process turns it away all the same
        self._until[source] = self._clock.now() + seconds
        self._note(source)

    def let_in(self, source: str) -> None:
        """See KernelDoor."""
        if self._until.pop(source, None) is not None:
            self._note(source)

    def _note(self, source: str) -> None:
        self._changed.add(source)
        if self._running is None and not self._why:
            self._plan(GATHER)  # while one runs, or fails, its end plans the next

    def _plan(self, seconds: float) -> None:
        """Write in so many seconds, or sooner where that is planned already."""
        timers = self._clock.timers
        if self._is_stopped or (self._timer is not None and self._timer.getTime() <= timers.seconds() + seconds):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timers.callLater(seconds, self._expired)

    def _expired(self) -> None:
        self._timer = None
        now = self._clock.now()
        if self._is_whole_due or not self._changed:
            self._until = {source: until for source, until in self._until.items() if until > now}
            commands = self._sets.whole({source: until - now for source, until in self._until.items()})
        else:  # of the others nothing is asked: there may be very many
            left = {source: self._until.get(source, now) - now for source in self._changed}
            commands = self._sets.changed({source: one if one > 0 else None for source, one in left.items()})
        self._changed = set()
        self._is_whole_due = False
        self._running = self._run(commands).addCallbacks(self._took, self._failed)

    def _took(self, _: None) -> None:
        self._running = None
        if self._why:
            self._why = ""
            log.info("nftables drops banned sources again")
            self._events.note(EventName.SECURITY_FIREWALL_RESTORED, elements=len(self._until))
        self._plan(GATHER if self._changed else WHOLE)

    def _failed(self, failure: Failure) -> None:
        self._running = None
        self._is_whole_due = True
        if failure.check(NftFailed) is None:
            log.failure("a run of nft met a bug", failure)
        why = failure.getErrorMessage()
        if not self._why:
            log.error("nftables takes no bans; this process turns them away alone: {reason}", reason=why)
            self._events.note(EventName.SECURITY_FIREWALL_FAILED, why=why)
        self._why = why
        self._plan(AGAIN)
