"""The 2xx of an INVITE until its ACK (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.dialog.ack import AnswerRetransmission


class Answer:
    """A 2xx that notes when it was sent."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sent: list[float] = []
        self.expired: list[float] = []
        self.retransmission = AnswerRetransmission(
            self.clock,
            lambda: self.sent.append(self.clock.seconds()),
            lambda: self.expired.append(self.clock.seconds()),
        )

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.5] * int(seconds / 0.5))


def test_13_3_1_4_the_intervals_double_up_to_t2_until_64_t1() -> None:
    answer = Answer()
    answer.advance(40)
    assert answer.sent == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert answer.expired == [32.0]
    assert not answer.retransmission.is_waiting
    assert answer.clock.getDelayedCalls() == []


def test_an_ack_ends_it() -> None:
    answer = Answer()
    answer.advance(2)
    answer.retransmission.acknowledged()
    answer.retransmission.acknowledged()
    answer.advance(40)
    assert answer.sent == [0.5, 1.5]
    assert answer.expired == []
    assert answer.clock.getDelayedCalls() == []


def test_the_ack_may_come_while_it_sends() -> None:
    clock = Clock()
    sent: list[float] = []

    def send() -> None:
        sent.append(clock.seconds())
        retransmission.acknowledged()

    retransmission = AnswerRetransmission(clock, send, lambda: sent.append(-1.0))
    clock.pump([0.5] * 100)
    assert sent == [0.5]
    assert clock.getDelayedCalls() == []
