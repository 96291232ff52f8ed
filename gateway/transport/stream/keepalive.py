"""The time of a connection's next ping, and of its end when it is silent. Pure: time is an argument, nothing is sent.

Lives here: RFC 5626 section 4.4.1 (double CRLF), half-open, half-read, stalled and idle connections. Not here: pinging
and closing (connection.py), the timer (timer_wheel.py).
"""

from attrs import define, frozen

PING, PONG = b"\r\n\r\n", b"\r\n"


@frozen
class Patience:
    """How long a connection is waited for; everything in seconds."""

    handshake: float = 10.0
    """From the connection's start to its readiness, TCP and TLS each."""
    first_message: float = 60.0
    """For the first message on an accepted connection; keep-alives do not count."""
    message: float = 30.0
    """From the first byte of a message to its last."""
    stalled: float = 30.0
    """While the peer reads nothing of its queue."""
    idle: float = 3600.0
    """An accepted connection on which nothing arrives."""
    ping_every: float = 30.0
    """Between keep-alives on connections that we began, and on those of web phones."""
    pong_within: float = 10.0
    """To an answer, of a peer that has answered before."""


PATIENCE = Patience()


@frozen
class Verdict:
    """A ping, the end for the reason given, or neither."""

    ping: bool = False
    expired: str | None = None


NOTHING = Verdict()


@define
class Liveness:
    """The clocks of one connection. All times are reactor time in seconds; None means: that clock does not run."""

    is_client: bool
    began: float
    is_ready: bool = False
    last_received: float = 0.0
    has_spoken: bool = False
    answers_pings: bool = False
    pinged: float | None = None
    partial_since: float | None = None
    stalled_since: float | None = None
    is_pinging: bool = False
    """Whether an accepted connection is pinged as well."""

    def ready(self, now: float) -> None:
        """The connection is up, its handshake complete."""
        self.is_ready = True
        self.last_received = now

    def received(self, now: float, completed: bool, is_partial: bool) -> None:
        """Bytes arrived: whether they completed something, and whether something unfinished is left."""
        self.last_received = now
        self.pinged = None
        if not is_partial:
            self.partial_since = None
        elif completed or self.partial_since is None:
            self.partial_since = now

    def stalled(self, now: float) -> None:
        """The peer reads nothing of its queue; called again, it has read something."""
        self.stalled_since = now

    def flowing(self, now: float) -> None:
        """Nothing is queued for the peer any more. A message that it could not finish, because we read nothing from it
        meanwhile, has its whole time again."""
        self.stalled_since = None
        if self.partial_since is not None:
            self.partial_since = now

    def look(self, now: float, patience: Patience) -> Verdict:
        """The verdict of this moment."""
        for deadline, reason in self._deadlines(patience):
            if now >= deadline:
                return Verdict(expired=reason)
        if (self.is_client or self.is_pinging) and self.is_ready and now >= self._next_ping(patience):
            self.pinged = now
            return Verdict(ping=True)
        return NOTHING

    def next_look(self, patience: Patience) -> float:
        """When to look again, at the latest."""
        times = [deadline for deadline, _ in self._deadlines(patience)]
        if (self.is_client or self.is_pinging) and self.is_ready:
            times.append(self._next_ping(patience))
        return min(times)

    def _next_ping(self, patience: Patience) -> float:
        return max(self.last_received, self.pinged or 0.0) + patience.ping_every

    def _deadlines(self, patience: Patience) -> list[tuple[float, str]]:
        if not self.is_ready:
            return [(self.began + patience.handshake, "no handshake in time")]
        found: list[tuple[float, str]] = []
        if self.stalled_since is not None:
            found.append((self.stalled_since + patience.stalled, "the peer does not read"))
        elif self.partial_since is not None:
            found.append((self.partial_since + patience.message, "a message was not completed in time"))
        if self.pinged is not None and self.answers_pings:
            found.append((self.pinged + patience.pong_within, "no answer to a keep-alive"))
        if self.is_client:
            return found
        if self.has_spoken:
            found.append((self.last_received + patience.idle, "idle"))
        else:
            found.append((self.began + patience.first_message, "nothing was said"))
        return found
