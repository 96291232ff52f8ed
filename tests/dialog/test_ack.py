"""The 2xx of INVITEs and their ACKs, both ways (RFC 3261 sections 13.3.1.4 and 13.2.2.4)."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.dialog.ack import AnswerRetransmission, InviteClient, ack_and_bye
from gateway.dialog.dialog import Dialog
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure
from tests.support.transactions import RecordingUser, make_request, outgoing


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


class Leg:
    """A leg that notes what an INVITE's client asks of it."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.again: list[int] = []

    def note_received(self, response: Response) -> None:
        self.received.append(response.status)

    def acknowledge_again(self, cseq: int) -> bool:
        self.again.append(cseq)
        return True


def test_13_2_2_4_a_copy_of_the_2xx_gets_its_ack_again_and_the_user_hears_of_the_first() -> None:
    leg, user, invite = Leg(), RecordingUser(), outgoing("INVITE", 7)
    client = InviteClient(leg, user)
    for status in (100, 180, 200, 200, 200):
        client.receive_response(invite.response(status))
    assert user.statuses == [100, 180, 200]
    assert leg.received == [200, 200]
    assert leg.again == [7, 7]


def test_a_refusal_and_a_failure_go_to_the_user() -> None:
    leg, user, invite = Leg(), RecordingUser(), outgoing("INVITE")
    InviteClient(leg, user).receive_response(invite.response(488))
    InviteClient(leg, user).transaction_failed(TransactionFailure())
    assert user.statuses == [488]
    assert [failure.timed_out for failure in user.failures] == [True]
    assert leg.again == []


def test_13_2_2_4_the_2xx_of_an_unwanted_fork_is_acknowledged_and_hung_up() -> None:
    invite = make_request("INVITE")
    response = invite.response(200, to_tag="fork")
    response.headers.add("Contact", "<sip:fork@10.0.0.3>")
    ack, bye = ack_and_bye(invite, response)
    assert [(one.method, one.uri, one.to.tag, one.cseq.number) for one in (ack, bye)] == [
        ("ACK", "sip:fork@10.0.0.3", "fork", invite.cseq.number),
        ("BYE", "sip:fork@10.0.0.3", "fork", invite.cseq.number + 1),
    ]
    winner = Dialog.from_response(invite, invite.response(200, to_tag="winner")).make_ack(invite.cseq.number)
    assert [one.to_bytes() for one in ack_and_bye(winner, response)] == [ack.to_bytes(), bye.to_bytes()]
