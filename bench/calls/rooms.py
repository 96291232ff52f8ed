"""How far a message walks in the gateway's own code: files, moves between them, depth, calls of functions.

`python -m bench.calls.rooms` plays one call with media (anchoring.py) and prints a line for each message, with what the
worker's answer sets going as a part of it. Counted is code below gateway/ alone; no other load of the machine changes
it. A move is a call from a function of one file into another file, whatever stands between them; depth is how many
functions of the gateway are under way at once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import attrs

import gateway
from bench.calls import inside
from bench.calls.anchoring import Anchoring
from gateway.transport.udp import Peer

OWN = str(Path(gateway.__file__).parent) + "/"
WARM_UP, SETTLING_TURNS, TURN_SECONDS = 50, 20, 0.02


@attrs.define
class Walk:
    """Of one message, or of all of a call."""

    calls: int = 0
    moves: int = 0
    depth: int = 0
    files: Counter[str] = attrs.field(factory=Counter)

    def add(self, other: Walk) -> None:
        """Count another one's, too."""
        self.calls += other.calls
        self.moves += other.moves
        self.depth = max(self.depth, other.depth)
        self.files += other.files

    def step(self, frame: FrameType, event: str, _argument: object) -> None:
        """For sys.setprofile."""
        if event != "call" or not frame.f_code.co_filename.startswith(OWN):
            return
        callers = _own_files(frame.f_back)
        file = frame.f_code.co_filename
        self.calls += 1
        self.files[file] += 1
        self.moves += bool(callers) and callers[0] != file
        self.depth = max(self.depth, len(callers) + 1)


class Rooms(Anchoring):
    """Takes note of each message of a call, once `walks` is there."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.walks: dict[str, Walk] | None = None

    def receive(self, port: Any, data: bytes, peer: Peer) -> None:
        """Give the gateway one datagram, and then the answers of the worker that it asked."""
        if self.walks is None:
            super().receive(port, data, peer)
            return
        walk = self.walks[_name(data)] = Walk()
        _walked(walk, lambda: port.datagramReceived(data, peer))
        for reply, source in self.answers():
            _walked(walk, lambda reply=reply, source=source: self._client.datagramReceived(reply, source))  # type: ignore[misc]

    def settle(self) -> None:
        """Have done now, in no message's walk, all that waits for a turn of the reactor."""
        for _ in range(SETTLING_TURNS):
            inside.reactor.runUntilCurrent()
            time.sleep(TURN_SECONDS)
            for reply, source in self.answers():
                self._client.datagramReceived(reply, source)


def _own_files(frame: FrameType | None) -> list[str]:
    """Files of the gateway's functions under way, the innermost first."""
    files = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(OWN):
            files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def _walked(walk: Walk, do: Callable[[], object]) -> None:
    sys.setprofile(walk.step)
    try:
        do()
    finally:
        sys.setprofile(None)


def _name(data: bytes) -> str:
    """A request by its method, a response by its status and the method that it answers."""
    first = data.split(b" ", 2)
    if first[0] != b"SIP/2.0":
        return first[0].decode()
    return f"{first[1].decode()} to {inside._found(inside._CSEQ_METHOD, data).decode()}"


def walks() -> dict[str, Walk]:
    """Of one call, by message."""
    with tempfile.TemporaryDirectory() as directory:
        rooms = Rooms(Path(directory))
        rooms.run(WARM_UP)
        rooms.settle()
        rooms.walks = {}
        rooms.call()
        return rooms.walks


def whole(walks: dict[str, Walk]) -> Walk:
    """All of a call."""
    total = Walk()
    for walk in walks.values():
        total.add(walk)
    return total


def main() -> None:
    """Print the table."""
    found = walks()
    print(f"{'':16} {'files':>6} {'moves':>6} {'depth':>6} {'calls':>6}")
    for name, walk in [*found.items(), ("a call", whole(found))]:
        print(f"{name:16} {len(walk.files):6} {walk.moves:6} {walk.depth:6} {walk.calls:6}")


if __name__ == "__main__":
    main()
