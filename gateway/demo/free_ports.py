"""Whether every address and port that the demonstration needs is free, and words for when one is not.

Lives here: a trial bind of each, before anything is started. Not here: the processes that listen there later. A trial
binds as the gateway itself will: TCP with SO_REUSEADDR (a port in TIME_WAIT counts as free),
UDP without.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from attrs import frozen


@frozen
class NeededPort:
    """A port of the demonstration and its purpose."""

    transport: str  # "udp" or "tcp"
    address: str
    port: int
    purpose: str

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.transport}"


@frozen
class UnusablePort:
    """A port that cannot be had, and the operating system's reason."""

    needed: NeededPort
    error: int  # an errno


def unusable(needs: Iterable[NeededPort]) -> list[UnusablePort]:
    """Those of the ports that cannot be bound now, in order."""
    found = []
    for needed in needs:
        error = _bind_error(needed)
        if error is not None:
            found.append(UnusablePort(needed, error))
    return found


def explanation(problems: Iterable[UnusablePort]) -> str:
    """For a person at the terminal: the ports, their purposes, the likely cause, and a remedy."""
    listed = list(problems)
    lines = ["The demonstration cannot start:", *(f"  {_one_line(problem)}" for problem in listed), ""]
    if any(problem.error == errno.EADDRINUSE for problem in listed):
        lines += [
            "Most likely another demonstration is running, perhaps in another clone: end it with Ctrl-C there.",
            "What holds a port can be seen with: ss -lnp '( " + _ss_filter(listed) + " )'",
        ]
    if any(problem.error == errno.EADDRNOTAVAIL for problem in listed):
        lines.append("The demonstration needs all of 127.0.0.0/8 on the loopback interface, as Linux has it.")
    return "\n".join(lines)


def _one_line(problem: UnusablePort) -> str:
    if problem.error == errno.EADDRINUSE:
        return f"{problem.needed} is taken (wanted for {problem.needed.purpose})"
    return f"{problem.needed} cannot be used (wanted for {problem.needed.purpose}): {errno.errorcode[problem.error]}"


def _ss_filter(problems: Iterable[UnusablePort]) -> str:
    taken = sorted({problem.needed.port for problem in problems if problem.error == errno.EADDRINUSE})
    return " or ".join(f"sport = :{port}" for port in taken)


def _bind_error(needed: NeededPort) -> int | None:
    family = socket.AF_INET6 if ":" in needed.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if needed.transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as trial:
        if kind == socket.SOCK_STREAM:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((needed.address, needed.port))
        except OSError as error:
            return error.errno or errno.EINVAL
    return None
