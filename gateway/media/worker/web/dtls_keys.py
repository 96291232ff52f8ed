"""The outcome of a DTLS association and its keys for SRTP (RFC 5764 section 4.2), and the work that makes them.

Apart from the associations themselves, so that a worker has these words before OpenSSL is loaded, which takes longer
than all the rest of its start (handshakes).
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol, TypeVar

import attrs


class DtlsOutcome(Enum):
    """The state of an association."""

    WAITING = "waiting"
    UP = "up"
    FAILED = "failed"
    CLOSED = "closed"
    """The peer said that it is over."""


@attrs.frozen
class DtlsKeys:
    """The result of a handshake. Keys are master key and salt, as a=crypto has them."""

    suite: str
    theirs: bytes = attrs.field(repr=False)
    ours: bytes = attrs.field(repr=False)
    certificate: bytes = attrs.field(repr=False)
    """The peer's, in DER."""


class OpenHandshake(Protocol):
    """A handshake that is under way, as the thread knows it."""

    @property
    def is_active(self) -> bool:
        """Whether it begins."""

    def __hash__(self) -> int: ...


Handshake = TypeVar("Handshake", bound=OpenHandshake)


class HandshakeWork(Protocol[Handshake]):
    """The associations, each known by its handshake."""

    fingerprint: str

    def seconds_left(self, now: float) -> float | None: ...

    def due(self, now: float) -> list[Handshake]: ...

    def step(self, handshake: Handshake, datagram: bytes) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]: ...

    def again(self, handshake: Handshake) -> tuple[list[bytes], DtlsOutcome, DtlsKeys | None]: ...

    def forget(self, handshake: Handshake) -> None: ...
