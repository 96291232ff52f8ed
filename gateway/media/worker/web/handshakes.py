"""Handshakes in a thread: a step of one takes up to a millisecond, and packets of other calls do not wait for it.

    loop: begin, DtlsHandshake.take --queue--> thread: Association --results, a byte to wake it--> loop: the listener

The thread has the associations to itself, and their timers; the loop has everything else. OpenSSL lets go of the
interpreter's lock while it counts. All that waits is bounded: handshakes by MOST_OPEN, datagrams of one by MOST_QUEUED,
its time by HANDSHAKE_SECONDS. Datagrams beyond are lost, as on any way, and DTLS sends again.
"""

from __future__ import annotations

import socket
import sys
import traceback
from collections import Counter, deque
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final, Protocol

from gateway.media.worker.loop import Loop
from gateway.media.worker.web.association import Association, DtlsIdentity, DtlsKeys, DtlsOutcome

MOST_OPEN: Final = 2_000
"""DtlsHandshakes of a worker that are under way at the same time."""
MOST_QUEUED: Final = 32
"""Datagrams of one handshake that wait for the thread."""
HANDSHAKE_SECONDS: Final = 60.0


class HandshakeListener(Protocol):
    """The end that a handshake is for; called in the loop."""

    def handshake_wrote(self, handshake: DtlsHandshake, datagrams: list[bytes]) -> None:
        """Send these to its peer."""

    def handshake_ended(self, handshake: DtlsHandshake) -> None:
        """Its `outcome` is no longer WAITING."""


class DtlsHandshake:
    """One of them, as the loop sees it."""

    __slots__ = ("_owner", "agreed", "is_active", "is_vouched_for", "listener", "outcome", "queued")

    def __init__(self, owner: DtlsHandshakes, listener: HandshakeListener, *, is_active: bool) -> None:
        self._owner = owner
        self.listener: HandshakeListener | None = listener
        self.is_active = is_active
        self.outcome = DtlsOutcome.WAITING
        self.agreed: DtlsKeys | None = None
        self.queued = 0
        self.is_vouched_for = False
        """Whether an SDP has vouched for its certificate."""

    def take(self, datagram: bytes) -> None:
        """Have the thread look at it, unless too many wait already."""
        if self.listener is not None and self.queued < MOST_QUEUED:
            self.queued += 1
            self._owner.jobs.put((self, datagram))

    def close(self) -> None:
        """Nothing more comes of it."""
        if self.listener is not None:
            self.listener = None
            self._owner.closed(self)


class DtlsHandshakes:
    """Those of one worker, and its counts of their results and of ICE checks."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._identity = DtlsIdentity()
        self.fingerprint = self._identity.fingerprint
        self.jobs: SimpleQueue[tuple[DtlsHandshake, bytes | None]] = SimpleQueue()
        self._results: deque[tuple[DtlsHandshake, list[bytes], DtlsOutcome, DtlsKeys | None, bool]] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._thread: Thread | None = None
        self._open = 0
        self.results: Counter[str] = Counter()
        """DtlsHandshakes so far: up, failed, mismatch."""
        self.checks: Counter[str] = Counter()
        """ICE checks so far: ok, unproved, wrong, unknown, malformed, limited, unasked."""
        self.mismatched = 0
        """Ends that are up now and whose certificate is not the one of the SDP."""

    def begin(self, listener: HandshakeListener, *, is_active: bool) -> DtlsHandshake | None:
        """A new handshake; an active one sends its first flight. None while too many are under way."""
        if self._open >= MOST_OPEN:
            return None
        if self._thread is None:
            self._loop.watch(self._reader, self._finish)
            self._thread = Thread(target=self._work, name="handshakes", daemon=True)
            self._thread.start()
        self._open += 1
        handshake = DtlsHandshake(self, listener, is_active=is_active)
        if is_active:
            self.jobs.put((handshake, b""))
        return handshake

    def closed(self, handshake: DtlsHandshake) -> None:
        """Let go of its association."""
        if handshake.outcome is DtlsOutcome.WAITING:
            self._open -= 1
        self.jobs.put((handshake, None))

    def _finish(self) -> None:
        """In the loop: hand on the results so far."""
        try:
            self._reader.recv(4_096)
        except OSError:
            return
        while self._results:
            handshake, datagrams, outcome, agreed, is_reply = self._results.popleft()
            handshake.queued -= is_reply
            listener = handshake.listener
            if listener is None:
                continue
            if datagrams:
                listener.handshake_wrote(handshake, datagrams)
            if outcome is not handshake.outcome:
                self._open -= handshake.outcome is DtlsOutcome.WAITING
                handshake.outcome, handshake.agreed = outcome, agreed
                listener.handshake_ended(handshake)

    def _work(self) -> None:
        """The thread's, for ever."""
        work = _Work(self._identity)
        while True:
            try:
                handshake, datagram = self.jobs.get(timeout=work.seconds_left(monotonic()))
            except Empty:
                for late in work.due(monotonic()):
                    self._tell(late, *work.again(late), False)
                continue
            if datagram is None:
                work.forget(handshake)
            else:
                self._tell(handshake, *work.step(handshake, datagram), bool(datagram))

    def _tell(
        self,
        handshake: DtlsHandshake,
        datagrams: list[bytes],
        outcome: DtlsOutcome,
        agreed: DtlsKeys | None,
        is_reply: bool,
    ) -> None:
        self._results.append((handshake, datagrams, outcome, agreed, is_reply))
        try:
            self._writer.send(b"\0")
        except OSError:  # full: the loop is awake anyway
            pass


class _Work:
    """The thread's part: associations, and when each is to be looked at."""

    def __init__(self, identity: DtlsIdentity) -> None:
        self._identity = identity
        self._associations: dict[DtlsHandshake, Association] = {}
        self._timers: dict[DtlsHandshake, tuple[float, float]] = {}
        """When to send again, and when to give up, by `monotonic`."""

    def seconds_left(self, now: float) -> float | None:
        """Until the first is due; None for no timer at all."""
        return max(min(map(min, self._timers.values())) - now, 0.0) if self._timers else None

    def due(self, now: float) -> list[DtlsHandshake]:
        return [handshake for handshake, times in self._timers.items() if min(times) <= now]

    def step(self, handshake: DtlsHandshake, datagram: bytes) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]:
        """Take a datagram; an empty one begins."""
        try:
            association = self._associations.get(handshake)
            if association is None:
                association = Association(self._identity, is_active=handshake.is_active)
                self._associations[handshake] = association
            written = association.take(datagram) if datagram else association.start()
        except Exception:
            return self._failed(handshake)
        self._wind(handshake, association)
        return written, association.outcome, association.agreed

    def again(self, handshake: DtlsHandshake) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]:
        """Its time has come."""
        association = self._associations[handshake]
        if self._timers[handshake][1] <= monotonic():
            association.outcome = DtlsOutcome.FAILED
        try:
            written = association.time_passed()
        except Exception:
            return self._failed(handshake)
        self._wind(handshake, association)
        return written, association.outcome, association.agreed

    def forget(self, handshake: DtlsHandshake) -> None:
        self._associations.pop(handshake, None)
        self._timers.pop(handshake, None)

    def _wind(self, handshake: DtlsHandshake, association: Association) -> None:
        """Set its timer, while it lasts."""
        if association.outcome is not DtlsOutcome.WAITING:
            self._timers.pop(handshake, None)
            return
        now = monotonic()
        end = self._timers[handshake][1] if handshake in self._timers else now + HANDSHAKE_SECONDS
        left = association.timeout()
        self._timers[handshake] = (now + left + 0.001 if left is not None else end, end)

    def _failed(self, handshake: DtlsHandshake) -> tuple[list[bytes], DtlsOutcome, None]:
        """A mistake of ours, or a use of OpenSSL that it does not like: told, and the end of that handshake alone."""
        traceback.print_exc(file=sys.stderr)
        self.forget(handshake)
        return [], DtlsOutcome.FAILED, None
