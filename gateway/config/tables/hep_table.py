"""The table [hep]: where copies of all SIP messages go (HEP version 3), for Homer, sipcapture and their like.

Keys are taken out of them before they leave (`gateway.transport.trace`). The rest names callers and callees, so that a
receiver on another machine is spoken to over TLS, unless the table says `insecure`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

import attrs

from gateway.config import fields
from gateway.config.structuring import Unacceptable, number, one_of

SIDES: Final = ("phones", "provider")

_RECEIVER = re.compile(r"(?P<transport>udp|tcp|tls):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")


@attrs.frozen
class HepReceiver:
    """A receiver of HEP packets."""

    transport: str
    host: str
    """A name or a numeric address, IPv6 without brackets."""
    port: int

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return self.is_numeric and ip_address(self.host).is_loopback

    @property
    def is_numeric(self) -> bool:
        """Whether its host is an address."""
        return fields.is_address(self.host)


def receiver(value: object) -> HepReceiver:
    """TRANSPORT:HOST:PORT of a receiver. Raises Unacceptable."""
    found = _RECEIVER.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found["port"]) < 65536:
        raise Unacceptable(value, "TRANSPORT:HOST:PORT, such as tls:homer.example.com:9061 (tls, tcp or udp)")
    made = HepReceiver(found["transport"], found["host"].strip("[]"), int(found["port"]))
    if made.transport == "udp" and not made.is_numeric:
        raise Unacceptable(value, "over udp a numeric address, such as udp:127.0.0.1:9060")
    return made


@attrs.frozen
class Hep:
    """[hep]: the receiver, and the messages that go there."""

    to: Annotated[HepReceiver, receiver]
    capture_id: Annotated[int, number(0, 0xFFFFFFFF)] = 1
    """Tells this gateway from others there."""
    password_file: Path | None = None
    """Its content goes with every packet; a receiver may refuse those without."""
    trust: Literal["system"] | Path = "system"
    """The authorities that the receiver's certificate must come from."""
    sides: tuple[Annotated[str, one_of(*SIDES)], ...] = SIDES
    methods: tuple[Annotated[str, fields.method], ...] = ()
    """Methods of the requests, and of the responses to them, that are sent; empty: all."""
    domains: tuple[Annotated[str, fields.domain], ...] = ()
    """Domains that a message must name to be sent; empty: all."""
    queue: Annotated[int, number(1, 1_000_000)] = 10_000
    """Packets that wait for the receiver at most; the oldest go first."""
    insecure: bool = False
    """Whether udp and tcp may lead to another machine: callers and callees can be read on the way then."""
