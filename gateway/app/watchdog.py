"""The watchdog: a process that serves nobody any more is ended, so that its service manager starts another.

    every second: is every listener open? -> yes: "WATCHDOG=1" to systemd (sd_notify(3))
                                          -> no, for DEAF_SECONDS: the process ends with status 1
    reactor stands still, or this tick fails -> systemd hears nothing for WatchdogSec, and ends the process

A process that is alive and deaf is the worst fault of all: nothing starts it again. A listener opens its socket again
by itself where its reader met an error (transport/udp.py); this is for faults that it cannot mend. The end is at once
and without a BYE: media workers outlive it (KillMode=process), and audio goes on.

systemd speaks here as far as it is there: readiness (Type=notify), the watchdog, and a start that takes its time, as
with a certificate that is ordered first. Not here: /readyz (ingress/readiness.py), which asks for more than ears.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

TICK: Final = 1.0
"""Seconds between two looks. WatchdogSec of the unit is to be some times as long."""
DEAF_SECONDS: Final = 10.0
"""For so long a listener may be closed while it is opened again."""
START_SECONDS: Final = 90
"""A start may stand still for so long before systemd ends it."""


class ServiceManager:
    """systemd's socket for notifications, if it gave one to this process. Nothing happens where it did not."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes its variables out of the environment: they are not for processes that are started from here. The socket
        is made now, since no file may be left later."""
        address = environment.pop("NOTIFY_SOCKET", "")
        environment.pop("WATCHDOG_USEC", None)
        environment.pop("WATCHDOG_PID", None)
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variable that was taken, for a process that takes the place of this one."""
        return {} if self._socket is None else {"NOTIFY_SOCKET": self._address.replace("\0", "@", 1)}

    def tell(self, *lines: str) -> None:
        """Notify: lines KEY=VALUE as in sd_notify(3). A manager that does not read is not waited for."""
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.debug("the service manager is not told: {reason}", reason=error)


class Watchdog:
    """Looks whether the gateway `is_listening`, once it has started; `end` ends the process at once, with a reason."""

    def __init__(
        self,
        clock: IReactorTime,
        manager: ServiceManager,
        is_listening: Callable[[], bool],
        end: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._manager = manager
        self._is_listening = is_listening
        self._end = end
        self._has_started = False
        self._deaf_since: float | None = None
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on; until `ready` the start may take its time as long as the reactor runs."""
        self._tick()

    def ready(self) -> None:
        """The start is over: listeners are open, and have to stay so."""
        self._has_started = True
        self._manager.tell("READY=1")

    def stop(self, *, is_service_over: bool = True) -> None:
        """Look no more: the process ends in order, and with it the service unless another one takes its place."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            if is_service_over:
                self._manager.tell("STOPPING=1")

    def _tick(self) -> None:
        self._timer = self._clock.callLater(TICK, self._tick)  # first: a look that fails is no end of looking
        if not self._has_started:
            self._manager.tell(f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}")
        elif self._is_listening():
            self._deaf_since = None
            self._manager.tell("WATCHDOG=1")
        else:
            self._look_deaf()

    def _look_deaf(self) -> None:
        now = self._clock.seconds()
        if self._deaf_since is None:
            self._deaf_since = now
        elif now - self._deaf_since >= DEAF_SECONDS:
            self._end(f"a listener has been closed for {DEAF_SECONDS:.0f} seconds, and cannot be opened")
        self._manager.tell("WATCHDOG=1")
