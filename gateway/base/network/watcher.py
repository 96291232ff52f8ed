"""Hears of changes of this machine's addresses and links, from the kernel's own notices.

    notice -> not read for LULL seconds -> queue emptied -> changed()

A notice is a reason to look, and nothing in it is believed or even read: the look asks the kernel anew (kernel.py). So
a notice that was dropped, or forged, costs nothing, and however many come, there are 30 looks a second at most. Without
changes the process never wakes for this. Needs no capability.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.base.network.netlink import GROUPS

LULL: Final = 0.03
"""Seconds between a notice and the look: a change of address is several notices, one gone and another there."""

MOST_NOTICES: Final = 10_000
"""Taken from the queue in one go; it holds a few hundred."""

log = Logger()


@implementer(IReadDescriptor)
class AddressWatcher:
    """A socket of the kernel's notices. The reactor's interfaces are checked where it is handed over."""

    def __init__(self, reactor: Any, changed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._changed = changed
        self._socket: socket.socket | None = None
        self._look: IDelayedCall | None = None

    @property
    def is_watching(self) -> bool:
        """Whether changes are heard of."""
        return self._socket is not None

    def start(self) -> None:
        """Begin to listen. Raises OSError where this process may not: a sandbox can forbid netlink."""
        own = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        try:
            own.bind((0, GROUPS))
        except OSError:
            own.close()
            raise
        self._socket = own
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Listen no more."""
        own, self._socket = self._socket, None
        if own is None:
            return
        self._reactor.removeReader(self)
        if self._look is not None:
            self._look.cancel()
            self._look = None
        own.close()

    def fileno(self) -> int:
        """The descriptor of the socket; -1 once it is closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor's own words."""
        return "network"

    def doRead(self) -> None:
        """There are notices: they wait for the look."""
        self._reactor.removeReader(self)
        self._look = self._reactor.callLater(LULL, self._take)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor lets go of it."""
        self.stop()

    def _take(self) -> None:
        """Empty the queue, then look: a notice that comes meanwhile leads to another look."""
        self._look = None
        own = self._socket
        if own is None:
            return
        for _ in range(MOST_NOTICES):
            try:
                own.recv(1)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more notices than the queue holds, and the look tells all of them
                continue
        self._reactor.addReader(self)
        try:
            self._changed()
        except Exception:  # the guard: the next change is looked at again
            log.failure("a look at this machine's addresses failed")
