"""How many calls the media ports carry: the shares of the workers, their reserve, and the sum.

    Media, cores -> PortRange.shares -> a range for each worker -> calls_carried -> Capacity

A call with one stream takes a pair of ports (RTP and RTCP) on each side. Both sides take theirs from one range, and
where they have addresses of their own, the same port serves once on each. Not here: the ports themselves
(gateway/media/worker/port_pool.py).
"""

from __future__ import annotations

import attrs

from gateway.base.media_ports import QUARANTINE_SECONDS
from gateway.config.model import Media


@attrs.frozen
class Capacity:
    """Calls with one stream, such as audio, that fit at once; one with video as well counts twice."""

    calls: int
    """Of any kind."""
    reserved: int
    """More, to emergency numbers only."""
    workers: int
    """That the ports are shared by."""

    def calls_a_second(self, seconds: float) -> float:
        """New calls a second that never run out of ports, when each lasts so many seconds."""
        return self.calls / (seconds + QUARANTINE_SECONDS)


def calls_carried(media: Media, cores: int) -> Capacity | None:
    """The calls that the workers' ports carry on a machine with so many cores; None: an rtpengine has ports of its own,
    which it alone knows."""
    if media.relay == "rtpengine":
        return None
    sides = 2 if _is_one_address(media) else 1
    shares = media.ports.shares(media.workers or cores)
    calls = reserved = 0
    for share in shares:
        pairs = len(share.pairs)
        ordinary = (pairs - share.reserved) // sides
        calls, reserved = calls + ordinary, reserved + pairs // sides - ordinary
    return Capacity(calls, reserved, len(shares))


def _is_one_address(media: Media) -> bool:
    return (media.phone_address or media.address) == (media.provider_address or media.address)
