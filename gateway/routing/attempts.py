"""The ways of one attempt at a provider or phone, and the order in which they are tried.

    take() -> Way -open-> flow -fails-> after(kind) -> the same way once more | the next way | None: the policy's turn

A certificate that does not verify ends the attempt: another target of the same name proves its identity no better,
and an attacker must not be able to choose the target by spoiling one.

A connection that was up already and closes before any response says nothing about its target: the request goes there
once more, over a new connection.

Here: the choice alone, without I/O. Not here: finding the ways, the policy that decides between TLS and clear, sending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.transport.flow import FailureKind, Flow

Way = Callable[[], Flow]
"""Opens the flow of one way, when its turn comes."""


class Attempts:
    """The ways that are left, and the one that was opened last."""

    __slots__ = ("_is_repeated", "_left", "_opened", "_was_connected")

    def __init__(self, ways: Iterable[Way] = ()) -> None:
        self._left = list(ways)
        self._opened: Way | None = None
        self._was_connected = False
        self._is_repeated = False

    @property
    def has_next(self) -> bool:
        """Whether a way is left that was not tried."""
        return bool(self._left)

    def take(self) -> Way:
        """The next way; IndexError where none is left."""
        return self._left.pop(0)

    def open(self, way: Way) -> Flow:
        """The flow of a way: the open one, or one that begins to connect."""
        flow = way()
        self._opened, self._was_connected = way, flow.is_connected and not self._is_repeated
        self._is_repeated = False
        return flow

    def after(self, failure: FailureKind, *, is_heard: bool) -> Way | None:
        """The way to try after the opened one failed; None where this attempt has no other.

        ``is_heard`` tells of any response, be it a provisional one: then the peer has the request.
        """
        if failure is FailureKind.CLOSED and self._was_connected and not is_heard:
            self._is_repeated = True
            return self._opened
        if self._left and failure is not FailureKind.CERTIFICATE:
            return self.take()
        return None
