"""Addresses and ports of one run: every host of the picture is a loopback address of its own.

    phone 127.0.N.11..   gateway 127.0.N.20   provider 127.0.N.21   far end 127.0.N.31..

    phones over IPv6, and the gateway toward them: ::1, for loopback has no other

N is the first number from 1 on that no other run holds (127.0.0.x is left to a person's own programs): a bound
socket is the lock, so nothing stays behind. A port is given again only after all others were, when the test that had
it is long over, and none that somebody holds at any address: some programs bind to all of them. Each run begins
elsewhere, so that runs beside each other seldom meet.
"""

from __future__ import annotations

import socket
from pathlib import Path

import attrs

LOCK_PORT = 48999
FIRST_PORT = 10000
FIRST_EPHEMERAL = 32768  # the kernel gives outgoing sockets ports from here on: never hand out one of those
PORTS = FIRST_EPHEMERAL - FIRST_PORT
APART = 7000  # ports between the beginnings of two runs
RUNS = 200


@attrs.define
class Hosts:
    """The addresses of one run, and the ports handed out on them."""

    run: int
    _lock: socket.socket
    _passed: int = 0  # how many ports were handed out or passed over

    @classmethod
    def claim(cls) -> Hosts:
        """The first set of addresses no other run uses at this moment."""
        for run in range(1, RUNS + 1):
            lock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                lock.bind((f"127.0.{run}.254", LOCK_PORT))
                return cls(run, lock)
            except OSError:
                lock.close()
        raise RuntimeError(f"{RUNS} runs hold every set of loopback addresses")

    def release(self) -> None:
        self._lock.close()

    def host(self, number: int) -> str:
        return f"127.0.{self.run}.{number}"

    @property
    def phone(self) -> str:
        return self.host(11)

    @property
    def gateway(self) -> str:
        return self.host(20)

    @property
    def provider(self) -> str:
        return self.host(21)

    @property
    def far_end(self) -> str:
        return self.host(31)

    @property
    def control(self) -> str:
        """Where programs are steered: no capture watches it."""
        return self.host(1)

    @property
    def all(self) -> tuple[str, ...]:
        """Every address a capture should watch."""
        return tuple(self.host(number) for number in (11, 12, 13, 14, 20, 21, 31, 32, 33, 34))

    def port(self, address: str, block: int = 1) -> int:
        """The first of `block` ports free for UDP and TCP at every address of this kind; an even number."""
        everywhere = "::" if ":" in address else "0.0.0.0"  # not to listen there: to see who does
        size = block + block % 2
        turn = self._passed + PORTS
        while self._passed + size <= turn:
            first = FIRST_PORT + ((self.run - 1) * APART + self._passed) % PORTS
            self._passed += size
            if first + size <= FIRST_EPHEMERAL and all(
                _is_free(everywhere, port) for port in range(first, first + block)
            ):
                return first
        raise RuntimeError(f"no {block} free ports at {address}")


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def is_listening(address: str, port: int) -> bool:
    """Whether somebody listens on this TCP port (read from the kernel's table: no connection is made)."""
    return _in_table("tcp", f" {_packed(address)}:{port:04X} 00000000:0000 0A ")


def is_bound(address: str, port: int) -> bool:
    """Whether somebody holds this UDP port."""
    return _in_table("udp", f" {_packed(address)}:{port:04X} ")


def _packed(address: str) -> str:
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))


def _in_table(protocol: str, row: str) -> bool:
    return any(row in line for line in Path(f"/proc/net/{protocol}").read_text().splitlines())
