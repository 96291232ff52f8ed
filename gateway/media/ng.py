"""A client of rtpengine's NG protocol in its JSON form: `COOKIE {"command": ...}` over datagrams.

A request is sent again until its reply comes; the cookie lets the relay answer it once, and pairs replies with
requests. The same client speaks UNIX datagrams (our workers) and UDP (rtpengine). Not here: the content of commands
(ng_commands), the sockets (ng_sockets).

    request(fields) --datagram--> relay --reply--> Deferred fires: a dictionary, or RelayFailure (refused, no answer)
                              `--> nobody has its port open, twice in a row: RelayFailure at once

A datagram costs more than most requests: both sides wake up for it. So our workers take several requests in one, with a
NUL between, which JSON cannot have, and answer them likewise. A delete, which is seldom urgent, waits for the next one.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.base.json_codec import decode, encode
from gateway.media.relay import JSON, RelayExhausted, RelayFailure, RelayRefusal

RETRY_SECONDS: Final = (0.25, 0.5, 1.0, 1.25)
"""How long each copy of a request is waited for: three seconds in all."""
STEP_SECONDS: Final = 0.05
"""Between two looks at a relay that is just being started."""
WINDOW: Final = 1_000
"""Requests under way at once."""
REFUSED_AGAIN: Final = 0.1
"""Seconds after the first refusal by the kernel until the relay is asked again: a second one counts. One alone may be
of a relay that is just being started, or be forged."""
GATHERED_BYTES: Final = 50_000
"""A datagram that is larger gets no more requests."""
BETWEEN: Final = b"\0"
"""Stands between requests, or replies, in one datagram."""
PATIENT: Final = frozenset({"delete", "confirm"})
"""Commands that are not urgent."""
PATIENCE_SECONDS: Final = 0.05
"""How long they wait for the next request, to go before it in the same datagram."""
CLOCK_ERROR_SECONDS: Final = 0.001
"""A request that is due so soon is due."""

Reply: TypeAlias = dict[str, JSON]
Listen: TypeAlias = Callable[[DatagramProtocol], IListeningPort]

log = Logger()


@attrs.define(eq=False)
class _Request:
    """One request that has no reply yet."""

    datagram: bytes = attrs.field(repr=False)
    command: str
    waiting: Deferred[Reply]
    due: float
    """When the next copy is to be sent, in the clock's seconds."""
    waits: Sequence[float] = RETRY_SECONDS
    """How long each copy is waited for, in seconds."""
    is_vain: Callable[[], bool] = bool
    """Whether it is known that no answer will come."""
    insists: bool = False
    """Whether copies go on where nobody has the relay's port open."""
    copies: int = 0


class NgClient(DatagramProtocol):
    """Asks one relay. `start` first; `stop` fails open requests and removes `own`, the socket's file if any."""

    def __init__(
        self, clock: IReactorTime, listen: Listen, target: str | tuple[str, int], own: Path | None = None
    ) -> None:
        self.target = target
        self.window = WINDOW
        """Requests under way at once."""
        self.gathers = False
        """Whether the relay takes several requests in one datagram, as its reply to `list` says."""
        self.heard = 0
        """Datagrams that came from the relay: one that is busy answers late, one that hangs answers nothing."""
        self.is_connected = False
        """Whether the socket hears the kernel's word that nobody has the relay's port open, and is bound to one address
        of this machine."""
        self.is_refused = False
        """Whether the kernel said so twice, and no datagram came since."""
        self.own = own
        self._clock = clock
        self._listen = listen
        self._port: IListeningPort | None = None
        self._is_wanted = False
        self._is_closing = False
        self._has_told = False
        """Whether the log says that there is no socket."""
        self._refused_at: float | None = None
        """When the kernel said first that nobody is there; None after any datagram."""
        self._requests: dict[str, _Request] = {}
        self._patient: list[str] = []
        """Not sent yet: these go with the next that is urgent."""
        self._waiting: deque[str] = deque()
        """For room."""
        self._under_way: set[str] = set()
        self._timer: IDelayedCall | None = None
        self._prefix = secrets.token_hex(6)
        self._number = 0

    def start(self) -> None:
        """Open the socket; raises CannotListenError."""
        self._is_wanted = True
        if self._port is None:
            self._port = self._listen(self)
            self._has_told = False

    def reopen(self) -> None:
        """Have the next datagram leave from another socket: the one that is connected may be bound to an address that
        this machine has no more, or to a way that leads nowhere now."""
        if self.is_connected and self._port is not None and not self._is_closing:
            self._is_closing = True
            self._port.stopListening()

    def stopProtocol(self) -> None:  # noqa: N802
        """The socket is closed; where not by us, reading it met an error. The next datagram opens it again."""
        self._port = None
        was_meant, self._is_closing = self._is_closing, False
        if self._is_wanted and not was_meant:
            log.error("the socket to the relay at {target} was closed by an error", target=self.target)

    def stop(self) -> None:
        """Close the socket and fail every open request; those that were patient are sent."""
        self._hurry()
        port, self._port = self._port, None
        self._is_wanted = False
        if port is not None:
            if not self._is_closing:
                port.stopListening()
            if self.own is not None:
                self.own.unlink(missing_ok=True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for cookie in list(self._requests):
            self._end(cookie).waiting.errback(RelayFailure("the relay's client was stopped"))

    def request(
        self,
        fields: Mapping[str, JSON],
        *,
        at_once: bool = False,
        waits: Sequence[float] = RETRY_SECONDS,
        is_vain: Callable[[], bool] = bool,
        insists: bool = False,
    ) -> Deferred[Reply]:
        """The reply's dictionary. Fails with RelayFailure: the relay refuses, does not answer while its copies are
        waited for, three seconds if nothing else is said, or has its port closed, and it does not insist.

        `at_once` is for a command that would wait for others. `is_vain` is asked before each copy but the first,
        whether none will be answered."""
        self._number += 1
        cookie, command = f"{self._prefix}_{self._number}", str(fields.get("command"))
        if self._port is None and not self._is_open_again():
            return fail(self._silence(command))
        waiting: Deferred[Reply] = Deferred(lambda _: self._cancel(cookie))
        datagram = b"%s %s" % (cookie.encode(), encode(fields))
        due = self._clock.seconds() + PATIENCE_SECONDS
        self._requests[cookie] = request = _Request(datagram, command, waiting, due, waits, is_vain, insists)
        self._patient.append(cookie)
        if at_once or command not in PATIENT or not self.gathers or len(self._patient) >= self.window:
            self._hurry()
        self._wake(request.due)
        return waiting

    def _is_open_again(self) -> bool:
        if self._is_wanted:
            try:
                self.start()
            except CannotListenError as error:
                told, self._has_told = self._has_told, True
                (log.debug if told else log.error)(
                    "no socket to ask the relay at {target}: {reason}", target=self.target, reason=error
                )
        return self._port is not None

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        if addr == self.target:
            self.heard += 1
            self.is_refused, self._refused_at = False, None
            for reply in datagram.split(BETWEEN) if self.gathers else (datagram,):
                self._receive(reply)
            self._fill()

    def connectionRefused(self) -> None:
        """Nobody has the relay's port open, says the kernel: ask again soon; and when it says so again, fail."""
        now = self._clock.seconds()
        pressing = [request for request in self._requests.values() if request.copies and not request.insists]
        if self._refused_at is None:
            self._refused_at = now
            again = now + REFUSED_AGAIN
            for request in pressing:
                if request.copies < len(request.waits):
                    request.due = min(request.due, again)
        elif now > self._refused_at + REFUSED_AGAIN - CLOCK_ERROR_SECONDS:
            self.is_refused = True
            for request in pressing:
                request.copies, request.due = len(request.waits), now
        if pressing:
            self._wake(min(request.due for request in pressing))

    def _receive(self, datagram: bytes) -> None:
        cookie, _, body = datagram.partition(b" ")
        name = cookie.decode("ascii", "replace")
        if name not in self._requests:
            return  # a second reply, to a copy of a request, or a stranger's
        reply = _decoded(body)
        if reply is None:
            return
        request = self._end(name)
        if reply.get("result") == "error":
            request.waiting.errback(_refusal(request.command, str(reply.get("error-reason"))))
        else:
            request.waiting.callback(reply)

    def _hurry(self) -> None:
        """No request may wait for others any longer."""
        patient, self._patient = self._patient, []
        now = self._clock.seconds()
        for cookie in patient:
            request = self._requests.get(cookie)
            if request is not None:
                request.copies, request.due = 1, now + request.waits[0]
                self._waiting.append(cookie)
        self._fill()

    def _fill(self) -> None:
        """Send waiting requests while there is room; one that was answered or given up meanwhile takes none."""
        batch: list[_Request] = []
        while self._waiting and len(self._under_way) < self.window:
            cookie = self._waiting.popleft()
            request = self._requests.get(cookie)
            if request is None:
                continue
            self._under_way.add(cookie)
            batch.append(request)
            if not self.gathers or sum(len(one.datagram) for one in batch) > GATHERED_BYTES:
                self._write(batch)
                batch = []
        if batch:
            self._write(batch)

    def _write(self, batch: Sequence[_Request]) -> None:
        if self.transport is None and not self._is_open_again():
            return
        try:
            assert self.transport is not None
            # IUDPTransport knows IP addresses only; a UNIX port takes a path.
            self.transport.write(BETWEEN.join(one.datagram for one in batch), self.target)  # type: ignore[arg-type]
        except (OSError, MessageLengthError) as error:  # nobody has the socket open now; it may come back
            log.debug(
                "NG {command} not sent to {target}: {error}", command=batch[0].command, target=self.target, error=error
            )
            if isinstance(error, OSError):
                self.reopen()

    def _wake(self, due: float) -> None:
        """Look after the requests then, if not earlier: one timer for all, that most replies come before."""
        if self._timer is not None:
            if self._timer.getTime() <= due:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(due - self._clock.seconds(), 0.0), self._expire)

    def _expire(self) -> None:
        """Send patient requests, copies of those without a reply, and give up those that had their copies."""
        self._timer = None
        now = self._clock.seconds()
        for cookie, request in list(self._requests.items()):
            if request.due > now + CLOCK_ERROR_SECONDS or cookie not in self._requests:
                continue
            if request.copies == 0:
                self._hurry()
            elif request.copies == len(request.waits) or request.is_vain():
                self._end(cookie).waiting.errback(self._silence(request.command))
            else:
                request.due = now + request.waits[request.copies]
                request.copies += 1
                if cookie in self._under_way:
                    self._write([request])
        self._fill()
        if self._requests:
            self._wake(min(request.due for request in self._requests.values()))

    def _silence(self, command: str) -> RelayFailure:
        why = "has its port closed" if self.is_refused else "is silent"
        return RelayFailure(f"{command}: the relay at {self.target} {why}")

    def _cancel(self, cookie: str) -> None:
        self._end(cookie)
        self._fill()

    def _end(self, cookie: str) -> _Request:
        self._under_way.discard(cookie)
        return self._requests.pop(cookie)


def in_short_steps(waits: Sequence[float]) -> Sequence[float]:
    """As many seconds as these, in steps of 50 ms: waits for a process that was started from here.

    Its socket is there once it has imported, and until then a copy costs one system call. Phones wait for it."""
    return (STEP_SECONDS,) * round(sum(waits) / STEP_SECONDS)


def _refusal(command: str, reason: str) -> RelayFailure:
    """An exhausted relay is in trouble; any other reason is about the content of the request."""
    kind = RelayExhausted if "ran out of ports" in reason.lower() else RelayRefusal
    return kind(f"{command}: {reason}")


def _decoded(body: bytes) -> Reply | None:
    try:
        reply = decode(body)
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) else None
