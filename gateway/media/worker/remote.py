"""What a party's SDP says of one of its streams, and the keys agreed for it: a value, made by session.py for a leg."""

from __future__ import annotations

import attrs

from gateway.media.worker.rewriting import DEFAULT_CODEC, Codec
from gateway.media.worker.streams.latch import Address
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Direction


@attrs.frozen
class Remote:
    """Of one stream of one party."""

    address: Address | None
    """Where it wants media; None when the SDP holds no address that we can reach."""
    control: Address | None
    direction: Direction = Direction.SENDRECV
    is_held: bool = False
    """By c=0.0.0.0: nothing is to be sent to it."""
    is_multiplexed: bool = False
    """RTCP comes and goes on the RTP port (RFC 5761)."""
    is_rtp: bool = True
    codec: Codec = DEFAULT_CODEC
    """Of its first format, which it hears best."""
    theirs: CryptoAttribute | None = None
    """The key it sends with; None for plain RTP."""
    ours: CryptoAttribute | None = None
    """The key we send to it with."""

    @property
    def flows(self) -> bool:
        """Whether media is to go both ways."""
        return self.direction is Direction.SENDRECV and not self.is_held
