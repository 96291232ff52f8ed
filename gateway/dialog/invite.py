"""The 2xx of an INVITE until its ACK (RFC 3261 section 13.3.1.4).

The transaction ends its work with the 2xx (RFC 6026 Accepted), and intermediate hops may lose it whatever our transport
is: so the user agent that answered repeats it, over TCP and TLS too.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.transaction.timers import T1, T2


class AnswerRetransmission:
    """Sends a 2xx again after T1, 2*T1, ... at most T2, until acknowledged() or stop(); its owner sent the first.

    After 64*T1 without ACK it calls expired, once, and has ended; the owner then sends BYE.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[], None], expired: Callable[[], None]) -> None:
        self._clock = clock
        self._send = send
        self._expired = expired
        self._interval = T1
        self._left = 64 * T1  # seconds of waiting that are not scheduled yet
        self._call: IDelayedCall | None = None
        self._wait()

    @property
    def is_waiting(self) -> bool:
        """Whether the ACK is still to come."""
        return self._call is not None

    def acknowledged(self) -> None:
        """The ACK is here; any further one means nothing."""
        self.stop()

    def stop(self) -> None:
        """End, and call nobody any more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        seconds = min(self._interval, self._left)
        self._left -= seconds
        self._call = self._clock.callLater(seconds, self._interval_expired)

    def _interval_expired(self) -> None:
        self._call = None
        if self._left <= 0:
            self._expired()
            return
        self._interval = min(2 * self._interval, T2)
        self._wait()
        self._send()
