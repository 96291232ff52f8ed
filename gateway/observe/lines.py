"""Lines for a stream with a reader that may stop: written without ever waiting for it.

A log usually goes to a pipe (a container's engine, a service manager). When its reader stops, the pipe is full after
64 KiB, and the next write would stop this process until the reader comes back: no call, no ping, no timer. So a line is
written only where there is room for it; else it waits here, and beyond WAITING bytes it is counted and dropped. A line
says how many were lost as soon as there is room.

    write(text) -> waiting -> (poll: room for a piece?) -> os.write            retry(): again, now and then
                      `- full: counted, told later

Linux says that a pipe can be written when PIECE bytes fit it (pipe(7)): a piece of that size never blocks. Files are
always ready. Not here: the form of a line (log).
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

PIECE: Final = 4096
"""Bytes that a pipe takes without blocking once it takes anything (PIPE_BUF)."""
WAITING: Final = 1024 * 1024
"""Bytes that wait for a reader at most."""
AT_THE_END: Final = 2.0
"""Seconds that the last lines are waited for."""


class Stream(Protocol):
    """A stream of the system's, such as sys.stdout."""

    def fileno(self) -> int: ...


class LineOutput:
    """Lines to a stream. ``told`` makes the line about those that were lost, from their number."""

    def __init__(self, stream: Stream, told: Callable[[int], str] = lambda count: f"{count} lines were lost\n") -> None:
        self.lost = 0
        """Lines so far that were not read in time, or could not be written."""
        self._descriptor = stream.fileno()
        self._told = told
        self._untold = 0
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, text: str) -> None:
        """Write a line now, later or never, but do not wait. Raises nothing."""
        self._write(text.encode("utf-8", "backslashreplace"))

    def write_all(self, texts: Sequence[str]) -> None:
        """The same of several lines: as many in one piece as fit it."""
        piece = b""
        for text in texts:
            data = text.encode("utf-8", "backslashreplace")
            if piece and len(piece) + len(data) > PIECE:
                self._write(piece)
                piece = b""
            piece += data
        self._write(piece)

    def _write(self, data: bytes) -> None:
        if not (self._waiting or self._untold) and len(data) <= PIECE and self._has_room():
            data = data[self._written(data) :]
            if not data:
                return
        if self._size + len(data) > WAITING:
            self._lose(_lines_in(data))
        else:
            self._put(data)
        self.retry()

    def flush(self) -> None:
        """Nothing: no line is held back."""

    def retry(self) -> None:
        """Write the lines that wait, as far as there is room."""
        while self._waiting and self._has_room():
            if not self._write_piece():
                return
        if self._untold and not self._waiting and self._has_room():
            self._tell()

    def close(self) -> None:
        """Write the lines that wait, for AT_THE_END seconds at most."""
        deadline = time.monotonic() + AT_THE_END
        self.retry()
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            self._poll.poll(left * 1000)
            self.retry()

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)

    def _has_room(self) -> bool:
        events = self._poll.poll(0)
        return bool(events) and bool(events[0][1] & (select.POLLOUT | select.POLLERR))

    def _write_piece(self) -> bool:
        """The next piece, if it can be written now; one that never can (no reader, no space) takes its line with it."""
        line = self._waiting.popleft()
        written = self._written(line)
        self._size -= written
        if written < len(line):
            self._waiting.appendleft(line[written:])
        return written > 0

    def _written(self, line: bytes) -> int:
        """How many bytes are off our hands: written, or lost with their line."""
        try:
            return os.write(self._descriptor, line[:PIECE])
        except BlockingIOError:
            return 0
        except OSError:
            self._lose(_lines_in(line))
            return len(line)

    def _tell(self) -> None:
        try:
            os.write(self._descriptor, self._told(self._untold).encode())
            self._untold = 0
        except OSError:  # tried again with the next line
            return

    def _lose(self, count: int) -> None:
        self.lost += count
        self._untold += count


def _lines_in(piece: bytes) -> int:
    """The lines of a piece that begin or end in it. One that is continued has a tab behind each break."""
    return max(piece.count(b"\n") - piece.count(b"\n\t"), 1)
