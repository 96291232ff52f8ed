"""A client of rtpengine's NG protocol in its JSON form: `COOKIE {"command": ...}` over datagrams.

A request is sent again until its reply comes; the cookie lets the relay answer it once, and pairs replies with
requests. The same client speaks UNIX datagrams (our workers) and UDP (rtpengine). Not here: what the commands say
(fields.py).

    request(fields) --datagram--> relay --reply--> Deferred fires: a dictionary, or RelayFailure (refused, no answer)
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime, IReactorUDP, IReactorUNIXDatagram
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.media.relay import JSON, RelayFailure, RelayRefusal

RETRY_SECONDS: Final = (0.25, 0.5, 1.0, 1.25)
"""How long each copy of a request is waited for: three seconds in all."""
UNIX_WINDOW: Final = 8
"""Requests under way at once to a UNIX socket; more wait here. Linux queues ten datagrams (net.unix.max_dgram_qlen) and
drops the rest: the copies of a burst would come as a burst again, and most of it would fail."""
UDP_WINDOW: Final = 1_000
MAXIMUM_DATAGRAM: Final = 262_144

Reply: TypeAlias = dict[str, JSON]
Listen: TypeAlias = Callable[[DatagramProtocol], IListeningPort]

log = Logger()


@attrs.define(eq=False)
class _Request:
    """One request that has no reply yet."""

    datagram: bytes = attrs.field(repr=False)
    command: str
    waiting: Deferred[Reply]
    attempt: int = 0
    timer: IDelayedCall | None = None


class NgClient(DatagramProtocol):
    """Asks one relay. `start` first; `stop` fails what is outstanding and removes `own`, the socket's file if any."""

    def __init__(
        self, clock: IReactorTime, listen: Listen, target: str | tuple[str, int], own: Path | None = None
    ) -> None:
        self.target = target
        self.window = UDP_WINDOW
        """Requests under way at once."""
        self._own = own
        self._clock = clock
        self._listen = listen
        self._port: IListeningPort | None = None
        self._requests: dict[str, _Request] = {}
        self._under_way: set[str] = set()
        self._waiting: deque[str] = deque()
        self._prefix = secrets.token_hex(6)
        self._number = 0

    def start(self) -> None:
        """Open the socket; raises CannotListenError."""
        if self._port is None:
            self._port = self._listen(self)

    def stop(self) -> None:
        """Close the socket and fail every outstanding request."""
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        if self._own is not None:
            self._own.unlink(missing_ok=True)
        for cookie in list(self._requests):
            self._end(cookie).waiting.errback(RelayFailure("the relay's client was stopped"))

    def request(self, fields: Mapping[str, JSON]) -> Deferred[Reply]:
        """The reply's dictionary. Fails with RelayFailure: the relay refuses, or does not answer in three seconds."""
        self._number += 1
        cookie = f"{self._prefix}_{self._number}"
        waiting: Deferred[Reply] = Deferred(lambda _: self._cancel(cookie))
        body = json.dumps(fields).encode()
        self._requests[cookie] = _Request(cookie.encode() + b" " + body, str(fields.get("command")), waiting)
        self._send(cookie)
        return waiting

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        cookie, _, body = datagram.partition(b" ")
        name = cookie.decode("ascii", "replace")
        if addr != self.target or name not in self._requests:
            return  # a reply to a copy of what was answered already, or a stranger's
        reply = _decoded(body)
        if reply is None:
            return
        request = self._end(name)
        if reply.get("result") == "error":
            request.waiting.errback(_refusal(request.command, str(reply.get("error-reason"))))
        else:
            request.waiting.callback(reply)

    def _send(self, cookie: str) -> None:
        request = self._requests[cookie]
        if self._port is None or request.attempt == len(RETRY_SECONDS):
            self._end(cookie).waiting.errback(RelayFailure(f"{request.command}: the relay at {self.target} is silent"))
            return
        request.timer = self._clock.callLater(RETRY_SECONDS[request.attempt], self._send, cookie)
        request.attempt += 1
        if cookie in self._under_way:
            self._write(request)
        elif request.attempt == 1:
            self._waiting.append(cookie)
            self._fill()

    def _fill(self) -> None:
        """Send what waits, while there is room; what was answered or given up meanwhile makes none."""
        while self._waiting and len(self._under_way) < self.window and self._port is not None:
            cookie = self._waiting.popleft()
            request = self._requests.get(cookie)
            if request is not None:
                self._under_way.add(cookie)
                self._write(request)

    def _write(self, request: _Request) -> None:
        try:
            assert self.transport is not None
            # IUDPTransport knows IP addresses only; a UNIX port takes a path.
            self.transport.write(request.datagram, self.target)  # type: ignore[arg-type]
        except (OSError, MessageLengthError) as error:  # nobody has the socket open now; it may come back
            log.debug(
                "NG {command} not sent to {target}: {error}", command=request.command, target=self.target, error=error
            )

    def _cancel(self, cookie: str) -> None:
        self._end(cookie)

    def _end(self, cookie: str) -> _Request:
        request = self._requests.pop(cookie)
        if request.timer is not None and request.timer.active():
            request.timer.cancel()
        self._under_way.discard(cookie)
        self._fill()
        return request


def unix_client(clock: IReactorTime, unix: IReactorUNIXDatagram, own: Path, target: Path) -> NgClient:
    """A client that binds `own`, which replies come to, and asks the worker at `target`."""

    def listen(protocol: DatagramProtocol) -> IListeningPort:
        own.unlink(missing_ok=True)
        return unix.listenUNIXDatagram(str(own), protocol, MAXIMUM_DATAGRAM, 0o600)

    client = NgClient(clock, listen, str(target), own)
    client.window = UNIX_WINDOW
    return client


def udp_client(clock: IReactorTime, udp: IReactorUDP, host: str, port: int) -> NgClient:
    """A client of the rtpengine at that numeric address."""
    any_address = "::" if ":" in host else "0.0.0.0"  # noqa: S104  (the client's end; replies are matched by cookie)
    return NgClient(clock, lambda protocol: udp.listenUDP(0, protocol, any_address, MAXIMUM_DATAGRAM), (host, port))


def _refusal(command: str, reason: str) -> RelayFailure:
    """An exhausted relay is in trouble; another reason is about what it was given."""
    kind = RelayFailure if "ran out of ports" in reason.lower() else RelayRefusal
    return kind(f"{command}: {reason}")


def _decoded(body: bytes) -> Reply | None:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) else None
