"""When things are sent again and when transactions give up, second by second; and the queues that run the timers."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.transaction.tables import Event
from gateway.transaction.timers import FEW, GATHERED, LOOK_SECONDS, Timer, TimerQueues
from tests.support.transactions import Bench, ack_of, make_request, outgoing


def times(bench: Bench, seconds: float) -> list[float]:
    """When something was sent in that time, measured from now; sums of halves and quarters are exact."""
    start = bench.clock.seconds()
    bench.flow.take()
    found: list[float] = []
    for _ in range(int(seconds / 0.25)):
        bench.clock.advance(0.25)
        found += [bench.clock.seconds() - start] * len(bench.flow.take())
    return found


def test_timer_a_doubles_without_limit_and_timer_b_ends_it() -> None:
    bench = Bench("udp")
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    assert times(bench, 31.75) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.user.failures == []
    bench.advance(0.25)
    assert [failure.timed_out for failure in bench.user.failures] == [True]
    bench.assert_nothing_left()


def test_timer_e_doubles_up_to_t2_and_timer_f_ends_it() -> None:
    bench = Bench("udp")
    bench.layer.send_request(outgoing("REGISTER"), bench.flow, bench.user)
    assert times(bench, 31.75) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.user.failures == []
    bench.advance(0.25)
    assert [failure.timed_out for failure in bench.user.failures] == [True]
    bench.assert_nothing_left()


def test_timer_e_is_t2_after_a_provisional_response_and_timer_f_runs_on() -> None:
    bench = Bench("udp")
    bench.layer.send_request(outgoing("REGISTER"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("REGISTER")[0].response(100), bench.flow)
    assert times(bench, 31.75) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    bench.advance(0.25)
    assert [failure.timed_out for failure in bench.user.failures] == [True]
    bench.assert_nothing_left()


def test_a_provisional_response_ends_the_copies_of_an_invite_for_good() -> None:
    bench = Bench("udp")
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("INVITE")[0].response(100), bench.flow)
    assert times(bench, 300) == []
    assert bench.clock.getDelayedCalls() == []


def test_timer_g_doubles_up_to_t2_and_timer_h_ends_it() -> None:
    bench = Bench("udp")
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(486, to_tag="x"))
    assert times(bench, 31.75) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    bench.advance(0.25)
    bench.assert_nothing_left()


def test_timer_i_absorbs_acks_for_t4() -> None:
    bench = Bench("udp")
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(486, to_tag="x"))
    ack = ack_of(invite, bench.flow.sent[-1])
    bench.layer.receive(ack, bench.flow)
    assert times(bench, 4.75) == []
    bench.layer.receive(ack, bench.flow)
    assert bench.core.acks == []
    bench.advance(0.25)
    bench.assert_nothing_left()


def test_timer_j_answers_copies_for_64_t1() -> None:
    bench = Bench("udp")
    request = make_request("OPTIONS")
    bench.layer.receive(request, bench.flow)
    bench.core.transactions[0].respond(request.response(200, to_tag="x"))
    bench.advance(31.9)
    bench.layer.receive(make_request("OPTIONS"), bench.flow)
    assert bench.flow.statuses() == [200, 200]
    assert len(bench.core.transactions) == 1
    bench.advance(0.1)
    bench.assert_nothing_left()


def test_timer_k_absorbs_copies_for_t4() -> None:
    bench = Bench("udp")
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    response = bench.flow.requests("OPTIONS")[0].response(200, to_tag="x")
    bench.layer.receive(response, bench.flow)
    bench.advance(4.9)
    bench.layer.receive(response, bench.flow)
    assert (bench.user.statuses, bench.core.strays) == ([200], [])
    bench.advance(0.1)
    bench.assert_nothing_left()
    bench.layer.receive(response, bench.flow)
    assert bench.core.strays == [response]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_reliable_transport_sends_once_and_still_gives_up(transport: str) -> None:
    bench = Bench(transport)
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    assert times(bench, 31.75) == []
    bench.advance(0.25)
    assert [failure.timed_out for failure in bench.user.failures] == [True] * 2
    bench.assert_nothing_left()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_reliable_transport_waits_for_no_copies(transport: str) -> None:
    bench = Bench(transport)
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("OPTIONS")[0].response(200, to_tag="x"), bench.flow)
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("INVITE")[0].response(486, to_tag="x"), bench.flow)
    request = make_request("OPTIONS")
    bench.layer.receive(request, bench.flow)
    bench.core.transactions[0].respond(request.response(200, to_tag="x"))
    invite = make_request("INVITE", "z9hG4bK2")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[1].respond(invite.response(486, to_tag="x"))
    bench.layer.receive(ack_of(invite, bench.flow.sent[-1]), bench.flow)
    bench.assert_nothing_left()


def test_17_2_1_an_invite_gets_a_100_after_200_ms_of_silence() -> None:
    bench = Bench("udp")
    invite = make_request("INVITE")
    invite.headers.add("Timestamp", "54.2")
    bench.layer.receive(invite, bench.flow)
    bench.advance(0.19)
    assert bench.flow.statuses() == []
    bench.advance(0.02)
    assert bench.flow.statuses() == [100]
    assert bench.flow.sent[0].headers.get("Timestamp") == "54.2"
    bench.layer.receive(make_request("INVITE"), bench.flow)
    assert bench.flow.statuses() == [100, 100]


def test_17_2_1_no_100_after_the_core_has_spoken() -> None:
    bench = Bench("udp")
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(180, to_tag="x"))
    bench.advance(60)
    assert bench.flow.statuses() == [180]


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_rfc_4320_other_requests_get_a_100_when_timer_e_reaches_t2(transport: str) -> None:
    bench = Bench(transport)
    request = make_request("REGISTER")
    bench.layer.receive(request, bench.flow)
    (transaction,) = bench.core.transactions
    transaction.respond(request.response(183, to_tag="x"))
    transaction.respond(request.response(408, to_tag="x"))
    bench.advance(3.4)
    bench.layer.receive(make_request("REGISTER"), bench.flow)
    assert bench.flow.statuses() == []
    bench.advance(0.2)
    assert bench.flow.statuses() == [100]
    bench.advance(28.3)
    bench.layer.receive(make_request("REGISTER"), bench.flow)
    assert bench.flow.statuses() == [100, 100]
    bench.advance(0.2)
    assert transaction.ended
    transaction.respond(request.response(200, to_tag="x"))
    assert bench.flow.statuses() == [100, 100]
    bench.assert_nothing_left()


class Owner:
    """Notes which of its timers expired and when; can act on it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queues = TimerQueues(self.clock)
        self.expired: list[tuple[float, Event]] = []
        self.restarts = 0

    def timer_expired(self, event: Event) -> None:
        self.expired.append((self.clock.seconds(), event))
        if self.restarts:
            self.restarts -= 1
            self.queues.start(0.5, self, event)

    def start(self, seconds: float, event: Event = Event.TIMER_A) -> Timer:
        return self.queues.start(seconds, self, event)


def test_timers_expire_in_their_order() -> None:
    owner = Owner()
    owner.start(0.5, Event.TIMER_A)
    owner.clock.advance(0.25)
    owner.start(0.5, Event.TIMER_B)
    owner.start(32, Event.TIMER_D)
    owner.clock.pump([0.25] * 200)
    assert owner.expired == [(0.5, Event.TIMER_A), (0.75, Event.TIMER_B), (32.25, Event.TIMER_D)]
    assert owner.clock.getDelayedCalls() == []


def test_one_delayed_call_for_all_timers_of_a_duration() -> None:
    owner = Owner()
    timers = [owner.start(32) for _ in range(1000)]
    assert len(owner.clock.getDelayedCalls()) == 1
    for timer in timers[:-1]:
        timer.cancel()
    assert len(owner.clock.getDelayedCalls()) == 1
    timers[-1].cancel()
    timers[-1].cancel()
    assert owner.clock.getDelayedCalls() == []


def test_a_cancelled_head_does_not_delay_or_hasten_the_next() -> None:
    owner = Owner()
    head = owner.start(1)
    owner.clock.advance(0.25)
    owner.start(1, Event.TIMER_B)
    head.cancel()
    owner.clock.pump([0.25] * 10)
    assert owner.expired == [(1.25, Event.TIMER_B)]


def test_an_expiry_may_start_and_cancel_timers_of_its_queue() -> None:
    owner = Owner()
    owner.restarts = 2
    owner.start(0.5)
    owner.clock.pump([0.25] * 20)
    assert [when for when, _ in owner.expired] == [0.5, 1.0, 1.5]
    assert owner.clock.getDelayedCalls() == []
    first = owner.start(0.5, Event.TIMER_B)
    second = owner.start(0.5, Event.TIMER_D)
    owner.timer_expired = lambda event: second.cancel()  # type: ignore[method-assign]
    owner.clock.advance(0.5)
    assert (first.owner, second.owner) == (None, None)
    assert owner.clock.getDelayedCalls() == []


def test_an_owner_that_raises_does_not_stop_the_others() -> None:
    owner = Owner()

    class Broken:
        def timer_expired(self, event: Event) -> None:
            raise RuntimeError

    owner.queues.start(0.5, Broken(), Event.TIMER_A)
    owner.start(0.5, Event.TIMER_B)
    with pytest.raises(RuntimeError):
        owner.clock.advance(0.5)
    owner.clock.advance(0)
    assert owner.expired == [(0.5, Event.TIMER_B)]


def test_sums_that_are_not_exact_do_not_matter() -> None:
    owner = Owner()
    for _ in range(50):
        owner.start(0.2)
        owner.clock.advance(0.1)
    owner.clock.advance(0.2)
    assert len(owner.expired) == 50
    assert owner.clock.getDelayedCalls() == []


def test_long_timers_expire_together_a_little_late_and_short_ones_do_not() -> None:
    owner = Owner()
    for _ in range(16):
        owner.start(32, Event.TIMER_J)
        owner.start(0.5, Event.TIMER_A)
        owner.clock.advance(0.015625)
    owner.clock.pump([0.015625] * 64 * 33)
    ends = [when for when, event in owner.expired if event is Event.TIMER_J]
    assert ends[0] == 32
    assert set(ends[1:]) == {32 + GATHERED}
    assert len({when for when, event in owner.expired if event is Event.TIMER_A}) == 16
    assert owner.clock.getDelayedCalls() == []


def test_timers_that_are_cancelled_do_not_fill_the_memory() -> None:
    owner = Owner()
    owner.start(32)
    for _ in range(20):
        for _ in range(FEW):
            owner.start(32).cancel()
        owner.clock.advance(LOOK_SECONDS / 2)
    assert len(owner.queues._queues[32].timers) <= 3 * FEW
    assert len(owner.expired) == 1


def test_a_cancelled_timer_lets_go_of_its_owner() -> None:
    owner = Owner()
    timer = owner.start(32)
    assert timer.owner is owner
    timer.cancel()
    assert timer.owner is None
