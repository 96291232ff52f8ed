"""One run of `nft -f -`: commands in, whether the kernel took them out. It waits for nobody, and ends in time.

    run(text) -> child process, its standard input is the text -> Deferred: None, or NftFailed with nft's own words

Here: the process. Not here: the commands (nft_commands.py), the time of a run (nftables.py). nft needs CAP_NET_ADMIN,
which the gateway's service has and hands on; it is run without an environment, and no shell is between.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from gateway.observe.clean_text import clean

PLACES: Final = "/usr/sbin:/sbin:/usr/bin:/usr/local/sbin"
PATIENCE: Final = 15.0
"""Seconds for one run; then it is killed."""
WORDS: Final = 300
"""Characters of its complaint that are told."""
_ROOM: Final = 4096


class NftFailed(Exception):
    """The kernel took nothing; str() is one line that says why."""


NftRun = Callable[[str], "Deferred[None]"]
"""Runs commands as one transaction; fails with NftFailed."""


def found_nft() -> str | None:
    """The path of the program."""
    return shutil.which("nft", path=PLACES)


def nft_run(reactor: Any, program: Callable[[], str | None] = found_nft) -> NftRun:
    """A runner of commands on a reactor."""

    def run(commands: str) -> Deferred[None]:
        path = program()
        if path is None:
            return fail(NftFailed("nft is not installed (package nftables)"))
        child = _Nft(commands, reactor)
        try:
            reactor.spawnProcess(child, path, [path, "-f", "-"], env={})
        except OSError as error:
            return fail(NftFailed(f"{path} cannot be run: {error.strerror}"))
        return child.done

    return run


class _Nft(ProcessProtocol):
    """The child: told its commands, listened to, killed when it hangs."""

    def __init__(self, commands: str, reactor: Any) -> None:
        self.done: Deferred[None] = Deferred()
        self._commands = commands
        self._told = b""
        self._is_late = False
        self._timer = reactor.callLater(PATIENCE, self._late)

    def connectionMade(self) -> None:
        """It runs."""
        transport: Any = self.transport
        transport.write(self._commands.encode("ascii"))
        transport.closeStdin()

    def errReceived(self, data: bytes) -> None:
        """Its complaints."""
        self._told = (self._told + data)[:_ROOM]

    def processEnded(self, reason: Failure) -> None:
        """It is over."""
        if self._timer.active():
            self._timer.cancel()
        if reason.check(ProcessDone) and not self._is_late:
            self.done.callback(None)
        else:
            self.done.errback(NftFailed(self._why(reason)))

    def _late(self) -> None:
        self._is_late = True
        transport: Any = self.transport
        try:
            transport.signalProcess("KILL")
        except ProcessExitedAlready:
            return

    def _why(self, reason: Failure) -> str:
        if self._is_late:
            return f"nft did not end within {PATIENCE:.0f} s"
        first = self._told.decode(errors="replace").strip().partition("\n")[0]
        return clean(first)[:WORDS] or clean(reason.getErrorMessage())[:WORDS]
