"""Handshakes in a thread: a step of one takes up to a millisecond, and packets of other calls do not wait for it.

    loop: begin, DtlsHandshake.take --queue--> thread: Association --results, a byte to wake it--> loop: the listener

The thread has the associations to itself, and their timers; the loop has everything else. OpenSSL lets go of the
interpreter's lock while it counts. All that waits is bounded: handshakes by MOST_OPEN, datagrams of one by MOST_QUEUED,
its time by HANDSHAKE_SECONDS (handshake_work). Datagrams beyond are lost, as on any way, and DTLS sends again.

OpenSSL takes half of a worker's start to load, and calls whose worker has died wait for the next one. So it is loaded
in a thread as well, when the worker answers already (`load`); a browser's call that comes before that is over waits.
"""

from __future__ import annotations

import socket
from collections import Counter, deque
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final, Protocol

from gateway.media.worker.loop import Loop
from gateway.media.worker.web.dtls_keys import DtlsKeys, DtlsOutcome, HandshakeWork

MOST_OPEN: Final = 2_000
"""DtlsHandshakes of a worker that are under way at the same time."""
MOST_QUEUED: Final = 32
"""Datagrams of one handshake that wait for the thread."""


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
        self._loading: Thread | None = None
        self._work: HandshakeWork[DtlsHandshake] | None = None
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

    def load(self) -> None:
        """Load OpenSSL and make this worker's certificate, in a thread, so that no packet waits for it."""
        if self._loading is None:
            self._loading = Thread(target=self._load, name="handshakes loading", daemon=True)
            self._loading.start()

    @property
    def fingerprint(self) -> str:
        """The value of a=fingerprint."""
        return self._loaded().fingerprint

    def begin(self, listener: HandshakeListener, *, is_active: bool) -> DtlsHandshake | None:
        """A new handshake; an active one sends its first flight. None while too many are under way."""
        if self._open >= MOST_OPEN:
            return None
        if self._thread is None:
            self._loop.watch(self._reader, self._finish)
            self._thread = Thread(target=self._serve, args=(self._loaded(),), name="handshakes", daemon=True)
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

    def _loaded(self) -> HandshakeWork[DtlsHandshake]:
        """The work, as soon as it can be done."""
        self.load()
        if self._work is None and self._loading is not None:
            self._loading.join()
        if self._work is None:
            raise RuntimeError("OpenSSL cannot be loaded")
        return self._work

    def _load(self) -> None:
        from gateway.media.worker.web.handshake_work import Work

        self._work = Work()

    def _serve(self, work: HandshakeWork[DtlsHandshake]) -> None:
        """The thread's, for ever."""
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
