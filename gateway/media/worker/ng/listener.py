"""NG over datagrams: a cookie, a space, a dictionary in JSON or bencoding; the reply is written like the request.

A request that comes again (its reply was lost) gets the same reply again and is not done twice. Any other datagram is
counted and dropped: none stops the worker. Requests of one datagram are done one by one, with media between
them: each takes as long as twenty packets. A UNIX socket is left behind by a worker that died: `bound`
replaces it, and refuses to take one of a process that is alive. Not here: the commands (commands).
"""

from __future__ import annotations

import os
import socket
from collections import OrderedDict, deque
from pathlib import Path
from typing import Final

import attrs

from gateway.base.json_codec import decode, encode
from gateway.media.worker.loop import Loop
from gateway.media.worker.ng import bencode
from gateway.media.worker.ng.commands import Commands

MAXIMUM_REQUEST: Final = 131_072
MAXIMUM_COOKIE: Final = 128
BETWEEN: Final = b"\0"
"""JSON cannot have it; bencoding can."""
REMEMBERED: Final = 512
"""Replies kept for requests that come again."""


class SocketTaken(Exception):
    """Another process answers at the path."""


def bound(path: Path) -> socket.socket:
    """A UNIX datagram socket at `path`, readable by this user alone. Raises SocketTaken or OSError."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.connect(str(path))
        raise SocketTaken(str(path))
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        path.unlink()
    finally:
        probe.close()
    result = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    result.setblocking(False)
    before = os.umask(0o077)
    try:
        result.bind(str(path))
    finally:
        os.umask(before)
    return result


def bound_udp(address: str, port: int) -> socket.socket:
    """A UDP socket at a numeric address. Raises OSError. Every host that can reach it commands the relay."""
    result = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    result.setblocking(False)
    try:
        result.bind((address, port))
    except OSError:
        result.close()
        raise
    return result


@attrs.define(eq=False)
class _Batch:
    """The requests of one datagram, and the replies so far."""

    source: object
    requests: deque[bytes]
    replies: list[bytes] = attrs.field(factory=list)


class NgListener:
    """Answers requests at `own`, a bound datagram socket of any family, in the order in which they came."""

    def __init__(self, own: socket.socket, commands: Commands, loop: Loop) -> None:
        self.socket = own
        self.commands = commands
        self._loop = loop
        self._buffer = bytearray(MAXIMUM_REQUEST)
        self._view = memoryview(self._buffer)
        """Kept: a buffer of that size, made anew for each datagram, takes longer than to read it."""
        self._batches: deque[_Batch] = deque()
        self._replies: OrderedDict[tuple[object, bytes], bytes] = OrderedDict()
        self.dropped = 0
        self.heard = loop.clock.now
        """When a request came last, in the clock's seconds."""

    def receive(self) -> None:
        """One datagram. Requests in JSON may come together, with a NUL between, and are answered together."""
        try:
            length, source = self.socket.recvfrom_into(self._buffer)
        except OSError:
            return
        data = bytes(self._view[:length])
        is_json = data.partition(b" ")[2].startswith(b"{")
        self._batches.append(_Batch(source, deque(data.split(BETWEEN) if is_json else (data,))))
        if len(self._batches) == 1:
            self._work()

    def _work(self) -> None:
        """The next request now, those after it later."""
        batch = self._batches[0]
        request = batch.requests.popleft()
        try:
            reply = self._answer(request, batch.source)
            if reply is not None:
                batch.replies.append(reply)
        finally:
            if not batch.requests:
                self._batches.popleft()
            if self._batches:
                self._loop.later(self._work)
        if batch.replies and not batch.requests:
            self._send(BETWEEN.join(batch.replies), batch.source)

    def _answer(self, request: bytes, source: object) -> bytes | None:
        cookie, space, body = request.partition(b" ")
        if not space or not 0 < len(cookie) <= MAXIMUM_COOKIE or not source:
            self.dropped += 1
            return None
        self.heard = self._loop.clock.now
        reply = self._replies.get((source, cookie))
        if reply is None:
            reply = cookie + b" " + self._execute(body)
            self._remember((source, cookie), reply)
        return reply

    def _execute(self, body: bytes) -> bytes:
        is_json = not body.startswith(b"d")
        try:
            fields = decode(body) if is_json else bencode.decode(body)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            if " " in "".join(fields):  # some write "transport protocol" where others have "transport-protocol"
                fields = {key.replace(" ", "-"): value for key, value in fields.items()}
            result = self.commands.execute(fields)
        else:
            self.dropped += 1
            result = {"result": "error", "error-reason": "Could not decode dictionary"}
        return encode(result) if is_json else bencode.encode(result)

    def _remember(self, key: tuple[object, bytes], reply: bytes) -> None:
        self._replies[key] = reply
        if len(self._replies) > REMEMBERED:
            self._replies.popitem(last=False)

    def _send(self, reply: bytes, target: object) -> None:
        try:
            self.socket.sendto(reply, target)  # type: ignore[call-overload]
        except OSError:  # it has gone, or its queue is full: it will ask again
            self.dropped += 1
