"""The queue before one receiver: tries, pauses, room, losses, the end."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.observe.events import EventName, GatewayEvent
from gateway.security.alerts.alert_queue import ENDING, REST, TRIES, WAITING, AlertQueue
from gateway.security.alerts.notice import NotDelivered, Notice

Answer = Callable[[], Deferred[str]]


def taken() -> Deferred[str]:
    return succeed("202 Accepted")


def refused() -> Deferred[str]:
    return fail(NotDelivered("the receiver answered 500"))


class Receiver:
    """Notes the notices, and answers as it is told."""

    at_once = 3
    pause = 0.0
    patience = 10.0

    def __init__(self, *answers: Answer) -> None:
        self.answers = [*answers]
        self.notices: list[Notice] = []
        self.is_stopped = False

    def send(self, notice: Notice) -> Deferred[str]:
        self.notices.append(notice)
        return self.answers.pop(0)() if self.answers else taken()

    def stop(self) -> Deferred[None]:
        self.is_stopped = True
        return succeed(None)


class Stage:
    def __init__(self, *answers: Answer) -> None:
        self.timers = Timers()
        self.receiver = Receiver(*answers)
        self.told: list[str] = []
        clock = Clock(self.timers, lambda: 1000.0 + self.timers.seconds(), lambda: 0.0)
        self.queue = AlertQueue(self.receiver, self.notice, lost, self.told.append, clock)
        self.count = 0

    def notice(self, events: tuple[GatewayEvent, ...]) -> Notice:
        self.count += 1
        return Notice(f"token{self.count}", "gw", "1", events)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.queue.put(GatewayEvent(float(number), EventName.SECURITY_GUESSES_STOPPED))

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(int(seconds * 10) + 1):
            self.timers.advance(0.1)

    @property
    def sent(self) -> list[list[float]]:
        return [[event.at for event in notice.events] for notice in self.receiver.notices]


def lost(count: int) -> GatewayEvent:
    return GatewayEvent(-float(count), EventName.ALERTS_LOST)


def test_nobody_waits_for_a_receiver_and_events_go_together_in_their_order() -> None:
    stage = Stage()
    stage.put(1, 2, 3, 4)
    assert stage.sent == [], "an event costs its teller an append"
    stage.pass_seconds(0)
    assert stage.sent == [[1, 2, 3], [4]]
    standing = stage.queue.standing
    assert (standing.counts.sent, standing.waiting, standing.answer) == (4, 0, "202 Accepted")
    assert standing.last_sent is not None


def test_three_tries_with_one_token_then_the_next_is_told_of_the_loss() -> None:
    stage = Stage(refused, refused, refused)
    stage.put(1)
    stage.pass_seconds(0)
    assert len(stage.sent) == 1
    stage.pass_seconds(7)
    assert stage.sent == [[1]] * TRIES
    assert len({notice.token for notice in stage.receiver.notices}) == 1
    assert stage.told == ["the receiver answered 500"]
    assert (stage.queue.standing.counts.failed, stage.queue.standing.is_failing) == (1, True)
    stage.put(2)
    stage.pass_seconds(REST)
    assert stage.sent[-1] == [-1, 2], "told first of the one that it missed"
    assert not stage.queue.standing.is_failing
    stage.put(3)
    stage.pass_seconds(0)
    assert stage.sent[-1] == [3]


def test_a_failure_is_told_once_until_it_is_over() -> None:
    stage = Stage(*[refused] * 6, taken, *[refused] * 3)
    for number in (1, 2, 3, 4):
        stage.put(number)
        stage.pass_seconds(20)
    assert len(stage.told) == 2
    assert stage.queue.standing.counts.failed == 3


def test_a_receiver_that_hangs_is_left_after_its_patience_and_holds_no_more_than_its_queue() -> None:
    silence: list[Deferred[str]] = []

    def hang() -> Deferred[str]:
        silence.append(Deferred())
        return silence[-1]

    stage = Stage(*[hang] * 100)
    stage.put(0)
    stage.pass_seconds(0)
    stage.put(*range(1, WAITING + 51))
    assert stage.queue.standing.waiting == WAITING
    assert stage.queue.standing.counts.dropped == 50
    stage.pass_seconds(37)
    assert stage.told == ["no answer in time"]
    assert len(silence) == TRIES
    stage.receiver.answers = []
    stage.pass_seconds(6)
    assert stage.sent[TRIES] == [-51, 51, 52, 53], "the oldest went, and are counted"
    assert sum(len(one) for one in stage.sent[TRIES:]) == WAITING + 1


def test_a_mail_tells_the_first_at_once_and_sums_up_those_of_its_pause() -> None:
    stage = Stage()
    stage.receiver.pause, stage.receiver.at_once = 600.0, 1000
    stage.put(1)
    stage.pass_seconds(0)
    stage.put(2, 3)
    stage.pass_seconds(590)
    stage.put(4)
    assert stage.sent == [[1]]
    stage.pass_seconds(12)
    assert stage.sent == [[1], [2, 3, 4]]


def test_a_test_goes_beside_the_queue_in_one_try() -> None:
    stage = Stage(refused, taken)
    reasons: list[str] = []
    test = GatewayEvent(9.0, EventName.ALERTS_TEST)
    stage.queue.test(test).addErrback(lambda failure: reasons.append(failure.getErrorMessage()))
    assert reasons == ["the receiver answered 500"]
    answers: list[str] = []
    stage.queue.test(test).addCallback(answers.append)
    assert answers == ["202 Accepted"]
    assert stage.queue.standing.counts.sent == 0
    assert stage.told == []


def test_the_end_gives_a_moment_and_no_more() -> None:
    never: Deferred[str] = Deferred()
    stage = Stage(taken, lambda: never)
    stage.receiver.pause = 600.0
    stage.put(1)
    stage.pass_seconds(0)
    stage.put(2, 3, 4, 5)
    ended: list[None] = []
    stage.queue.stop().addCallback(ended.append)
    assert stage.sent == [[1], [2, 3, 4]], "a pause ends with the process"
    stage.pass_seconds(ENDING - 0.3)
    assert ended == []
    stage.pass_seconds(0.5)
    assert ended == [None]
    assert stage.receiver.is_stopped
    assert stage.queue.standing.waiting == 1, "no try begins after that"
    stage.put(6)
    stage.pass_seconds(1)
    assert len(stage.sent) == 2
    assert stage.timers.getDelayedCalls() == []
