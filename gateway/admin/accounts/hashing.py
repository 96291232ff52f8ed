"""Passwords hashed in threads: two at once, two that wait, and no more.

A log-in costs 0.15 s of CPU and 32 MiB, and anybody may ask for one. So a flood of them must end here: at most two
cores are busy with it, at the lowest priority that still gets on, and 64 MiB are taken. One that comes when two run and
two wait is told to come again (429). The reactor's own threads do not do it: DNS and files would wait behind passwords.

Here: the bound. Not here: the hash (`passwords`), limits of one source or name (`log_in`).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway.admin.accounts import passwords

AT_ONCE: Final = 2
WAITING: Final = 2
NICE: Final = 15
"""Of the threads: calls go first."""

Result = TypeVar("Result")


class Busy(Exception):
    """Too many passwords are being looked at; nothing was done."""


class Threads:
    """Runs work in threads of its own."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, AT_ONCE, "passwords")

    def start(self) -> None:
        """To be called before any work."""
        self._pool.start()

    def stop(self) -> None:
        """Waits until none runs: tenths of a second."""
        if self._pool.started:
            self._pool.stop()

    def run(self, work: Callable[[], Result]) -> Deferred[Result]:
        """The result of the work, later."""

        def patiently() -> Result:
            if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):  # of a process that is ahead of all others
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            return work()

        return deferToThreadPool(self._reactor, self._pool, patiently)


class Hashing:
    """Hashes and compares passwords; `run` is that of Threads."""

    def __init__(self, run: Callable[[Callable[[], object]], Deferred[object]]) -> None:
        self._run = run
        self._running = 0
        self._waiting: deque[Deferred[None]] = deque()

    async def hash_of(self, password: str) -> str:
        """The hash to keep. Raises Busy."""
        return str(await self._in_turn(lambda: passwords.hash_of(password)))

    async def matches(self, password: str, kept: str) -> bool:
        """Whether a password is the one that a hash was made of. Raises Busy."""
        return bool(await self._in_turn(lambda: passwords.matches(password, kept)))

    async def _in_turn(self, work: Callable[[], object]) -> object:
        await self._turn()
        try:
            return await self._run(work)
        finally:
            self._running -= 1
            if self._waiting:
                self._running += 1
                self._waiting.popleft().callback(None)

    def _turn(self) -> Deferred[None]:
        """Fires when the work may begin; it is counted as running then."""
        if self._running < AT_ONCE:
            self._running += 1
            return succeed(None)
        if len(self._waiting) >= WAITING:
            raise Busy
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting
