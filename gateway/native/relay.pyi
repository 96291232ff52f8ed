"""The hot path of media in C (relay.c)."""

from collections.abc import Callable

FORM: int

class Counts:
    """Counters of one direction of a stream, as plain numbers."""

    packets: int
    bytes: int
    authentication: int
    replay: int
    other: int
    malformed: int
    interrupted: int
    undelivered: int
    unsent: int
    ssrc: int
    sequence: int
    span: int
    base_packets: int
    lost: int
    lost_before: int
    transit: float
    jitter: float

class Clock:
    """The time of the current batch of packets."""

    now: float

class Path:
    """The way of packets of one locked source to the other party."""

    def __init__(
        self,
        counts: Counts,
        peer: Counts,
        opening: int,
        sealing: int,
        clock_rate: int,
        target: int,
        address: bytes,
        control: Callable[[int], object],
        kept: object,
        is_mixed: bool,
    ) -> None: ...

class Relay:
    """Takes the events of an epoll, and passes the packets of the paths that it watches."""

    batch: int
    events: int

    def __init__(
        self, poll: int, clock: Clock, memory: bytearray, longest: int, protect: int, unprotect: int
    ) -> None: ...
    def watch(self, descriptor: int, path: Path | None) -> None: ...
    def take(self, until: float, gather: float, once: bool) -> list[int]: ...
