"""A 2xx that nobody waits for: an ACK for each copy, one BYE for each fork, and a bound (RFC 3261 section 13.2.2.4)."""

from __future__ import annotations

from typing import cast

from gateway.b2bua.late_answers import MOST_FORKS, LateAnswers, Strays
from gateway.dialog.dialog import Dialog
from gateway.sip.message import Request, Response
from gateway.transaction.layer import TransactionLayer
from tests.support.flows import a_flow
from tests.support.transactions import make_request

FLOW = a_flow("udp")


class Sent:
    """Takes what leaves, in the place of the transactions."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def send_ack(self, ack: Request, flow: object) -> None:
        self.requests.append(ack)

    def send_request(self, request: Request, flow: object, user: object) -> None:
        self.requests.append(request)

    @property
    def layer(self) -> TransactionLayer:
        return cast(TransactionLayer, self)

    @property
    def methods(self) -> list[str]:
        """Of what left since the last look."""
        methods = [request.method for request in self.requests]
        self.requests.clear()
        return methods


def answer(invite: Request, tag: str, status: int = 200) -> Response:
    response = invite.response(status, to_tag=tag)
    response.headers.add("Contact", "<sip:fork@10.0.0.3>")
    return response


def test_rfc3261_13_2_2_4_each_copy_gets_its_ack_and_each_fork_one_bye() -> None:
    invite, sent = make_request("INVITE"), Sent()
    strays = Strays(invite)
    for tag, expected in (("a", ["ACK", "BYE"]), ("a", ["ACK"]), ("b", ["ACK", "BYE"]), ("a", ["ACK"])):
        strays.turn_away(answer(invite, tag), FLOW, sent.layer)
        assert sent.methods == expected


def test_forks_that_are_hung_up_are_bounded() -> None:
    invite, sent = make_request("INVITE"), Sent()
    strays = Strays(invite)
    for number in range(MOST_FORKS + 5):
        strays.turn_away(answer(invite, f"t{number}"), FLOW, sent.layer)
    assert sent.methods.count("BYE") == MOST_FORKS


def test_late_copies_for_the_fork_that_had_the_call_get_its_own_ack() -> None:
    invite, sent = make_request("INVITE"), Sent()
    ack = Dialog.from_response(invite, answer(invite, "winner")).make_ack(invite.cseq.number)
    late = LateAnswers(ack, FLOW, sent.layer, "winner")
    late.receive_response(answer(invite, "winner"))
    assert sent.requests == [ack]
    sent.requests.clear()
    for expected in (["ACK", "BYE"], ["ACK"]):
        late.receive_response(answer(invite, "other"))
        assert sent.methods == expected
    late.receive_response(answer(invite, "other", 487))
    assert sent.methods == []
