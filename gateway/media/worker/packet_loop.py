"""Which loop a worker has: in C where that was built, else in Python. Chosen once, when the worker starts.

"auto"    the one in C, if it is there and pylibsrtp's binding fits; else the one in Python
"native"  the one in C, or the worker does not start
"python"  the one in Python, though the other was built
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.media.worker.loop import Loop, LoopClock
from gateway.media.worker.streams import fastpath
from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.streams.endpoint import HotPath
from gateway.rtp.srtp import PacketBuffer

AUTO: Final = "auto"
NATIVE: Final = "native"
PYTHON: Final = "python"
LOOPS: Final = (AUTO, NATIVE, PYTHON)


@attrs.frozen
class PacketLoop:
    """A loop, and the parts that go with it."""

    loop: Loop
    hot_path: HotPath
    counters: type[Counters]


def chosen(wanted: str, tick: Callable[[float], None], buffer: PacketBuffer, gather: float) -> PacketLoop:
    """The loop that is `wanted`: one of LOOPS; `gather` in seconds. Raises ValueError where it cannot be had."""
    if wanted == PYTHON:
        return _in_python(tick, gather)
    try:
        return _in_c(tick, buffer, gather)
    except (ImportError, ValueError) as error:
        if wanted == NATIVE:
            raise ValueError(f"there is no native loop: {error}") from None
        return _in_python(tick, gather)


def _in_python(tick: Callable[[float], None], gather: float) -> PacketLoop:
    return PacketLoop(Loop(LoopClock(), tick, gather), fastpath.listen, Counters)


def _in_c(tick: Callable[[float], None], buffer: PacketBuffer, gather: float) -> PacketLoop:
    """Raises ImportError where it was not built, and ValueError where libsrtp cannot be called from C."""
    from gateway.media.worker.native_loop import NativeLoop
    from gateway.media.worker.streams.native_path import NativeCounters, listen_natively

    if not buffer.in_place:
        raise ValueError("pylibsrtp's binding has changed")
    return PacketLoop(NativeLoop(tick, buffer, gather), listen_natively, NativeCounters)
