"""How each direction of a stream fares: loss, jitter and mean opinion score.

A direction is from one party to the other. Its loss is the worse of two: packets that were missing when it came here,
and packets that the receiver's RTCP reports missing. Called when a report is asked for, never for a packet of media.
"""

from __future__ import annotations

from typing import Final

from gateway.media.worker.streams.endpoint import Endpoint
from gateway.rtp.mos import mean_opinion_score

ENOUGH_PACKETS: Final = 50
"""A second of audio: less says nothing about quality."""
SILENCE_SECONDS: Final = 5.0
"""A party that sends nothing for so long, while the other talks, is not heard."""
TALKING_SECONDS: Final = 2.0
BUFFER_FACTOR: Final = 2.0
"""A phone's jitter buffer delays by so many times the jitter."""


def lost(endpoint: Endpoint, peer: Endpoint) -> int:
    """How many packets from `endpoint`'s party to `peer`'s were lost on the way."""
    counters, reported = endpoint.counters, peer.control.reported.block
    return max(counters.lost, reported.lost if reported is not None and reported.ssrc == counters.ssrc else 0)


def loss(endpoint: Endpoint, peer: Endpoint) -> float:
    """The share of packets from `endpoint`'s party to `peer`'s that were lost on the way, 0 to 1."""
    expected = endpoint.counters.packets + endpoint.counters.lost
    return min(lost(endpoint, peer) / expected, 1.0) if expected else 0.0


def jitter_ms(endpoint: Endpoint) -> float:
    """Milliseconds, of the packets received from its party (RFC 3550 section 6.4.1)."""
    return 1_000 * endpoint.counters.jitter / endpoint.remote.codec.clock_rate


def score(endpoint: Endpoint, peer: Endpoint) -> float | None:
    """The mean opinion score of `endpoint`'s party as `peer`'s hears it; None when too little was sent to tell."""
    return None if endpoint.counters.packets < ENOUGH_PACKETS else score_of(endpoint, peer, loss(endpoint, peer))


def score_of(endpoint: Endpoint, peer: Endpoint, share: float) -> float:
    """The same for a share of lost packets, 0 to 1, with delay and jitter as they are now."""
    trips = sum(one.control.reported.round_trip or 0.0 for one in (endpoint, peer))
    delay_ms = 1_000 * trips / 2 + BUFFER_FACTOR * jitter_ms(endpoint)
    return mean_opinion_score(peer.remote.codec.name, share, delay_ms)


def is_unheard(endpoint: Endpoint, peer: Endpoint, now: float) -> bool:
    """Whether the audio is one-way: nothing comes from `endpoint`'s party while `peer`'s talks, and both should."""
    if not (endpoint.is_open and endpoint.remote.flows and peer.remote.flows) or peer.counters.packets < ENOUGH_PACKETS:
        return False
    is_talking = now - peer.counters.heard < TALKING_SECONDS
    return endpoint.counters.packets == 0 or (is_talking and now - endpoint.counters.heard > SILENCE_SECONDS)
