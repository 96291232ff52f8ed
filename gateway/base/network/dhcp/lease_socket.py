"""The UNIX socket by which the gateway asks the client. It serves one user and root, nobody else.

    LeaseSocket.accept -> owner of the other end, by the kernel (SO_PEERCRED) -> not the gateway's user: closed unread
                       -> a line -> asked(question, LeaseConnection) -> LeaseConnection.answer(): a line, and closed

Connections are few and short: AT_ONCE of them, each for PATIENCE seconds, one question each. A connection of another
user is closed before a byte of it is read. The directory of the socket is the client's own, so that nobody else can put
a socket there in its place. Not here: the lines (lease_report.py), the loop (lease_loop.py).
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Final

from gateway.base.network.dhcp.lease_report import LONGEST_LINE, LeaseAnswer, LeaseQuestion, Unusable, question_of

AT_ONCE: Final = 4
PATIENCE: Final = 5.0
"""Seconds from a connection to its end."""
ROOT: Final = 0
_CREDENTIALS: Final = Struct("=iII")
"""struct ucred: process, user, group."""


class SocketRefused(Exception):
    """The socket cannot be there; str() is one line that says why."""


def user_number(user: str) -> int | None:
    """The number of a user by name or number; None where there is no such name."""
    if user.isascii() and user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def peer_user(own: socket.socket) -> int:
    """The user of the process that made the other end of a UNIX socket. Raises OSError."""
    _, user, _ = _CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


class LeaseConnection:
    """One connection, from its acceptance to its answer."""

    def __init__(self, own: socket.socket, ends: float) -> None:
        own.setblocking(False)
        self._socket = own
        self._read = b""
        self.ends = ends
        """When it is closed in any case."""
        self.is_open = True

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def question(self) -> LeaseQuestion | None:
        """The question, once its line is complete. Raises Unusable: it is none, or it was closed."""
        try:
            piece = self._socket.recv(LONGEST_LINE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Unusable("it broke") from error
        self._read += piece
        line, end, _ = self._read.partition(b"\n")
        if end:
            return question_of(line)
        if not piece or len(self._read) > LONGEST_LINE:
            raise Unusable("it has no end")
        return None

    def answer(self, answer: LeaseAnswer) -> None:
        """Tell it, as far as the other end reads, and close. An answer fits the kernel's queue of a UNIX socket."""
        if self.is_open:
            try:
                self._socket.send(answer.encoded())
            except OSError:  # the other end is gone
                pass
            self.close()

    def close(self) -> None:
        """Let it go."""
        self.is_open = False
        self._socket.close()


class LeaseSocket:
    """The listening socket."""

    def __init__(self, path: Path, user: str, told: Callable[[str], None]) -> None:
        """``told`` takes a line for people. Raises SocketRefused."""
        self._path = path
        self._user = user
        self._told = told
        self._turned_away: set[int] = set()
        self._socket = _bound(path)
        self._give_to(user)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def accept(self, now: float) -> LeaseConnection | None:
        """The next connection; None where it was not of the gateway's user, or gone."""
        try:
            own, _ = self._socket.accept()
        except OSError:
            return None
        try:
            user = peer_user(own)
        except OSError:
            own.close()
            return None
        if user not in (ROOT, user_number(self._user)):
            own.close()
            if user not in self._turned_away and len(self._turned_away) < 100:
                self._turned_away.add(user)  # told once each: nobody fills the log by asking
                self._told(f"user {user} is turned away: {self._path} is for {self._user}")
            return None
        return LeaseConnection(own, now + PATIENCE)

    def close(self) -> None:
        """Let it go, and its file."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _give_to(self, user: str) -> None:
        """Let the gateway's group write to it. Where this process may not give files away, anybody may connect, and is
        turned away by the user that the kernel names."""
        number = user_number(user)
        self._path.chmod(0o660)
        try:
            os.chown(self._path, -1, pwd.getpwuid(number).pw_gid if number is not None else -1)
        except (PermissionError, KeyError):
            self._path.chmod(0o666)


def _bound(path: Path) -> socket.socket:
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as other:
                if other.connect_ex(str(path)) == 0:
                    raise SocketRefused(f"{path} is another client's, which runs")
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SocketRefused(f"{path} cannot be looked at: {error.strerror}") from error
    own = socket.socket(socket.AF_UNIX)
    try:
        own.bind(str(path))
    except OSError as error:
        own.close()
        raise SocketRefused(f"{path} cannot be made: {error.strerror}") from error
    own.setblocking(False)
    own.listen(AT_ONCE)
    return own
