"""How each direction of a stream fares: what the RTCP that passes says, added to what is counted here.

The relay stands between the parties, so it sees each one's sender report go by and the other's answer to it come back:
that is the round trip between the relay and the answering party (RFC 3550 section 6.4.1). A direction is from one party
to the other; its loss is the worse of what was missing when it came here and of what the receiver says is missing.
Called for RTCP and when asked for a report, never for a packet of media.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.rtp.mos import mean_opinion_score

if TYPE_CHECKING:
    from gateway.media.worker.streams.endpoint import Leg

ENOUGH_PACKETS: Final = 50
"""A second of audio: less says nothing about quality."""
SILENCE_SECONDS: Final = 5.0
"""A party that sends nothing for so long, while the other talks, is not heard."""
TALKING_SECONDS: Final = 2.0
BUFFER_FACTOR: Final = 2.0
"""A phone's jitter buffer delays by so many times the jitter."""


def loss(leg: Leg, peer: Leg) -> float:
    """The share of packets from `leg`'s party to `peer`'s that were lost on the way, 0 to 1."""
    counters = leg.counters
    expected = counters.packets + counters.lost
    reported = peer.control.reported.block
    lost = max(counters.lost, reported.lost if reported is not None and reported.ssrc == counters.ssrc else 0)
    return min(lost / expected, 1.0) if expected else 0.0


def jitter_ms(leg: Leg) -> float:
    return 1_000 * leg.counters.jitter / leg.remote.codec.clock_rate


def score(leg: Leg, peer: Leg) -> float | None:
    """The mean opinion score of what `peer`'s party hears of `leg`'s; None when too little was sent to tell."""
    if leg.counters.packets < ENOUGH_PACKETS:
        return None
    trips = sum(one.control.reported.round_trip or 0.0 for one in (leg, peer))
    delay_ms = 1_000 * trips / 2 + BUFFER_FACTOR * jitter_ms(leg)
    return mean_opinion_score(peer.remote.codec.name, loss(leg, peer), delay_ms)


def is_unheard(leg: Leg, peer: Leg, now: float) -> bool:
    """Whether the audio is one-way: nothing comes from `leg`'s party while `peer`'s talks, and both should."""
    if not (leg.is_open and leg.remote.flows and peer.remote.flows) or peer.counters.packets < ENOUGH_PACKETS:
        return False
    is_talking = now - peer.counters.heard < TALKING_SECONDS
    return leg.counters.packets == 0 or (is_talking and now - leg.counters.heard > SILENCE_SECONDS)
