"""The turn of a process that another one has loaded: it waits, with all code in memory, until that one has stopped.

Turn.given --LOADED--> the process before: leaves its calls, closes all --GO--> come: True, the start begins
                       it ends without a word                                   come: False, nothing is to be taken over
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

VARIABLE: Final = "GATEWAY_TURN"
"""Of the environment: the descriptors for LOADED and for GO."""
LOADED, GO = b"loaded\n", b"go\n"


class Turn(FileDescriptor):
    """Waits for the word of the process before."""

    def __init__(self, reactor: Any, tells: int, hears: int) -> None:
        super().__init__(reactor)
        self._tells, self._hears = tells, hears
        self._come: Deferred[bool] | None = None

    @classmethod
    def given(cls, reactor: Any, environment: MutableMapping[str, str]) -> Turn | None:
        """That of this process; None for one that was started by nobody else of ours. It is taken out of the
        environment."""
        tells, _, hears = environment.pop(VARIABLE, "").partition(",")
        return cls(reactor, int(tells), int(hears)) if tells.isdecimal() and hears.isdecimal() else None

    def come(self) -> Deferred[bool]:
        """Say that all is loaded. Fires when the process before has stopped: False where it ended in another way."""
        for one in (self._tells, self._hears):
            os.set_inheritable(one, False)
        os.set_blocking(self._hears, False)
        come: Deferred[bool] = Deferred()
        self._come = come
        self.reactor.addReader(self)
        with suppress(OSError):  # it has ended: the other descriptor says so
            os.write(self._tells, LOADED)
        return come

    def fileno(self) -> int:
        """See FileDescriptor."""
        return self._hears

    def doRead(self) -> None:
        """The word came, or the process before has ended."""
        try:
            word = os.read(self._hears, 16)
        except BlockingIOError:
            return
        except OSError:
            word = b""
        self._end(has_come=word == GO)

    def connectionLost(self, reason: Failure) -> None:
        """The process before has ended without a word, which the poll tells without a reading; or this one ends."""
        self._end(has_come=False)

    def _end(self, *, has_come: bool) -> None:
        self.reactor.removeReader(self)
        come, self._come = self._come, None
        if come is not None:
            for one in (self._tells, self._hears):
                os.close(one)
            come.callback(has_come)
