"""The hot path in C does with each packet as its twin in Python does: every byte, every counter, every latch."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.worker.streams import paths
from gateway.media.worker.streams.counters import Counters
from gateway.native.relay import Counts
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES
from tests.support.media_party import SUITES, rtcp, rtp
from tests.support.relay_twins import PHONE, PROVIDER, Packet, Suites, Twin, compare

LEGS = [(None, suite) for suite in SUITES] + [(None, None), ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")]


def counted(outcome: tuple[object, ...], side: int) -> dict[str, Any]:
    counters: Any = outcome[1]
    return dict(counters[side])


def came(outcome: tuple[object, ...], side: int) -> list[bytes]:
    found: Any = outcome[0]
    return list(found[side])


@pytest.mark.parametrize("suites", LEGS)
def test_a_conversation_goes_the_same_way(suites: Suites) -> None:
    packets = [Packet(party, rtp(number)) for number in range(40) for party in (PHONE, PROVIDER)]
    outcomes = compare(packets, suites)
    assert counted(outcomes[-1], PHONE)["packets"] == counted(outcomes[-1], PROVIDER)["packets"] == 40
    assert all(came(outcome, 1 - packet.party) for outcome, packet in zip(outcomes, packets, strict=True))


@pytest.mark.parametrize("suites", LEGS)
def test_packets_that_go_no_further_are_counted_alike(suites: Suites) -> None:
    good = [Packet(party, rtp(1)) for party in (PHONE, PROVIDER)]
    bad = [
        b"",
        b"x",
        rtp(2)[:11],
        b"\x40" + rtp(2)[1:],
        rtp(2) + bytes(MAXIMUM_RECEIVED_BYTES),
        rtp(2, bytes(1_460)),
        rtcp()[:7],
    ]
    forged = [Packet(party, data, is_sealed=False) for party in (PHONE, PROVIDER) for data in (*bad, rtp(2), rtcp())]
    moved = [Packet(party, rtp(3), is_moved=True) for party in (PHONE, PROVIDER)]
    outcomes = compare([*good, *forged, *moved, *good, Packet(PHONE, rtp(4))], suites)
    assert counted(outcomes[-1], PHONE)["malformed"] >= 4
    if suites[PROVIDER] is not None:
        assert counted(outcomes[-1], PROVIDER)["authentication"] + counted(outcomes[-1], PROVIDER)["other"] >= 2


@pytest.mark.parametrize("suites", [legs for legs in LEGS if legs[PROVIDER] is not None])
def test_replays_are_refused_alike(suites: Suites) -> None:
    """RFC 3711 section 3.3.2: seen before, and too old for the list."""
    begin = [Packet(PHONE, rtp(1)), Packet(PROVIDER, rtp(1)), Packet(PROVIDER, rtp(2)), Packet(PROVIDER, rtp(3))]
    later = [Packet(PROVIDER, rtp(number)) for number in (1_000, 30_000, 50_000, 5_000, 30_000)]
    again = [Packet(PROVIDER, b"", repeats=number) for number in (3, 2, 1, 4, 7, 5)]
    found = counted(compare([*begin, *later, *again], suites)[-1], PROVIDER)
    assert found["replay"] >= 5


@pytest.mark.parametrize("jump", [step * sign for step in (2_999, 3_000, 3_001) for sign in (1, -1)])
def test_a_sequence_begins_anew_at_the_same_jump(jump: int) -> None:
    """RFC 3550 A.1: MAX_DROPOUT, from one measured packet to the next."""
    numbers = [*range(10_000, 10_016), *(10_015 + jump + step for step in range(-15, 17))]
    compare([Packet(PROVIDER, rtp(1)), *(Packet(PHONE, rtp(number)) for number in numbers)], (None, None))


@pytest.mark.parametrize("suites", LEGS)
@pytest.mark.parametrize("is_multiplexed", [True, False])
def test_rtcp_among_the_media_goes_the_same_way(suites: Suites, *, is_multiplexed: bool) -> None:
    """RFC 5761 section 4: types 192 to 223 are RTCP."""
    kinds = [191, 192, 200, 201, 203, 223, 224]
    packets = [Packet(party, rtp(number)) for number in range(3) for party in (PHONE, PROVIDER)]
    packets += [Packet(party, rtcp(kind=kind)) for kind in kinds for party in (PHONE, PROVIDER)]
    outcomes = compare(packets, suites, is_multiplexed=is_multiplexed)
    assert counted(outcomes[-1], PHONE)["control_packets"] == 5


def test_loss_and_jitter_are_measured_alike() -> None:
    """RFC 3550 A.3 and 6.4.1, at one packet in 16: with gaps, reordering, wraps, a new SSRC, a sequence begun anew."""
    numbers = [*range(65_500, 65_530), *range(65_540, 65_600), 65_601, 65_600, *range(65_602, 65_650), *range(9, 80)]
    packets = [Packet(PHONE, rtp(number & 0xFFFF)) for number in numbers]
    packets += [Packet(PHONE, rtp(number, ssrc=9)) for number in range(40)]
    found = counted(compare([Packet(PROVIDER, rtp(1)), *packets], (None, None))[-1], PHONE)
    assert found["lost"] > 0
    assert found["ssrc"] == 9
    assert found["packets"] == len(packets)


def test_an_address_that_c_cannot_have_is_left_to_the_twin() -> None:
    """Nothing goes on to the address before, and the command that told the new one is answered."""
    outcomes = []
    now = None
    for loop in ("native", "python"):
        twin = Twin(loop, (None, None))
        try:
            for party in (PHONE, PROVIDER):
                now = twin.take(Packet(party, rtp(1)), now)
            twin.outcome()
            end = twin.ends[PHONE]
            end.apply(attrs.evolve(end.remote, address=("fe80::1%nope", 9), source=None))
            paths.open_stream(end)
            now = twin.take(Packet(PROVIDER, rtp(2)), now)
            outcomes.append((twin.outcome()[0], end.counters.unsent))
        finally:
            twin.close()
    assert outcomes == [([[], [], [], []], 1)] * 2


DATA = st.one_of(
    st.builds(
        rtp,
        st.integers(0, 65_535),
        st.binary(max_size=200),
        st.sampled_from([1, 2, 0xFFFFFFFF]),
        st.integers(0, 255),
    ),
    st.builds(rtcp, st.sampled_from([1, 2]), st.integers(192, 223)),
    st.binary(max_size=64),
    st.binary(min_size=MAXIMUM_RECEIVED_BYTES - 2, max_size=MAXIMUM_RECEIVED_BYTES + 3),
)
PACKETS = st.lists(
    st.builds(
        Packet,
        st.sampled_from([PHONE, PROVIDER]),
        DATA,
        st.booleans(),
        st.sampled_from([False] * 7 + [True]),
        st.one_of(st.none(), st.integers(0, 30)),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100)
@given(PACKETS, st.sampled_from(LEGS), st.booleans())
def test_whatever_comes_the_twins_agree(packets: list[Packet], suites: Suites, is_multiplexed: bool) -> None:
    begin = [Packet(party, rtp(number)) for number in range(2) for party in (PHONE, PROVIDER)]
    compare([*begin, *packets], suites, is_multiplexed=is_multiplexed)


def test_the_numbers_of_the_extension_are_counters() -> None:
    in_c = {name for name in vars(Counts) if not name.startswith("_")}
    assert in_c < set(Counters.__slots__)
