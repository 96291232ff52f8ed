"""How long the first answer of a target may take, by those that came before."""

from __future__ import annotations

import pytest

from gateway.routing.answer_times import AT_LEAST, COPIES, HEARD_WITHIN, MOST, AnswerTimes
from tests.support.flows import RecordingFlow, a_flow


def test_a_target_of_which_nothing_is_known_has_the_longest_time() -> None:
    assert AnswerTimes().within(a_flow("udp")) == HEARD_WITHIN


@pytest.mark.parametrize(
    ("seconds", "within"),
    [
        ((0.005,), AT_LEAST),  # however quick it is
        ((0.4,), 0.4 + 4 * 0.2),  # section 2.2: R + 4 * R/2
        ((0.4, 0.8), 0.45 + 4 * 0.25),  # section 2.3: 7/8 * R + 1/8 * R', 3/4 * R/2 + 1/4 * |R - R'|
        ((0.005, 0.6), 0.6 + 4 * 0.3),  # later than the limit so far: begun anew with it
        ((2.0,), HEARD_WITHIN),
        ((2.0, *[0.005] * 60), AT_LEAST),
    ],
)
def test_rfc6298_2_the_limit_follows_the_times_of_answers(seconds: tuple[float, ...], within: float) -> None:
    times, udp, tls = AnswerTimes(), a_flow("udp"), a_flow("tls")
    assert isinstance(tls, RecordingFlow)
    tls.connected = True
    for one in seconds:
        times.heard(udp, one)
        times.heard(tls, one)
    assert times.within(tls) == pytest.approx(within)
    assert times.within(udp) == pytest.approx(min(within + COPIES, HEARD_WITHIN)), "a copy may be lost, and the next"


def test_after_silence_a_target_has_the_longest_time_again() -> None:
    times, flow = AnswerTimes(), a_flow("udp")
    times.heard(flow, 0.005)
    times.unheard(flow)
    assert times.within(flow) == HEARD_WITHIN
    times.unheard(flow)


def test_a_connection_that_is_not_up_yet_has_the_longest_time() -> None:
    times, flow = AnswerTimes(), a_flow("tls")
    assert isinstance(flow, RecordingFlow)
    times.heard(flow, 0.005)
    assert times.within(flow) == HEARD_WITHIN
    flow.connected = True
    assert times.within(flow) == AT_LEAST


def test_so_many_targets_are_remembered_and_the_latest_ones() -> None:
    times = AnswerTimes()
    flows = [a_flow("udp", port=5060 + number) for number in range(MOST + 1)]
    times.heard(flows[0], 0.005)
    for flow in flows[1:MOST]:
        times.heard(flow, 0.005)
    times.heard(flows[0], 0.005)
    times.heard(flows[MOST], 0.005)
    assert len(times) == MOST
    assert [times.within(flows[number]) for number in (0, 1, MOST)] == [
        AT_LEAST + COPIES,
        HEARD_WITHIN,
        AT_LEAST + COPIES,
    ]
