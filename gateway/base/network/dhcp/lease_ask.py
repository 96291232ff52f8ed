"""Asking the DHCP client's process once, and waiting for its answer: for programs that have nothing else to do.

    asked_client(path, user) -> LeaseAnswer        anything else: ClientSilent, with the reason in a line

The gateway asks without waiting (app/network/lease_client.py); the rules are the same: the kernel names the owner of
the other end before a byte is sent, and an answer is bounded in bytes and time.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from gateway.base.network.dhcp.lease_report import LONGEST_LINE, LeaseAnswer, LeaseQuestion, Unusable, answer_of
from gateway.base.network.dhcp.lease_socket import ROOT, peer_user, user_number

PATIENCE: Final = 3.0
"""Seconds for each piece of it."""


class ClientSilent(Exception):
    """There is no answer; str() is one line that says why."""


class NotForUs(ClientSilent):
    """The client runs, and serves another user."""


def asked_client(path: Path, user: str) -> LeaseAnswer:
    """The client's report, nothing changed. Raises ClientSilent; NotForUs where this user may not ask."""
    with socket.socket(socket.AF_UNIX) as own:
        own.settimeout(PATIENCE)
        try:
            own.connect(str(path))
            owner = peer_user(own)
            if owner not in (ROOT, user_number(user)):
                raise ClientSilent(f"{path} is of user {owner}, and not of {user}")
            own.sendall(LeaseQuestion(taken=None).encoded())
            line = _line(own)
        except PermissionError:
            raise NotForUs(f"{path} is not for this user") from None
        except OSError as error:
            raise ClientSilent(f"nobody answers at {path}: {error.strerror or error}") from None
    if not line:
        raise NotForUs(f"{path} is not for this user")
    try:
        return answer_of(line)
    except Unusable as error:
        raise ClientSilent(f"the answer at {path} cannot be used: {error}") from None


def _line(own: socket.socket) -> bytes:
    found = b""
    while len(found) <= LONGEST_LINE:
        try:
            piece = own.recv(LONGEST_LINE)
        except ConnectionResetError:
            piece = b""
        if not piece or b"\n" in piece:
            return (found + piece).partition(b"\n")[0]
        found += piece
    return found
