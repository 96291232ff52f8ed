"""INVITE transactions after a 2xx (RFC 6026): copies, forks, late ACKs, and a user that is gone."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request
from gateway.transaction.client import ClientTransaction
from gateway.transaction.tables import State
from tests.support.transactions import Bench, RecordingUser, ack_of, make_request, outgoing


@pytest.fixture(params=["udp", "tls"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def invited(bench: Bench) -> tuple[ClientTransaction, Request]:
    transaction = bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    return transaction, bench.flow.requests("INVITE")[0]


def test_every_2xx_reaches_the_user_for_64_t1(bench: Bench) -> None:
    _, invite = invited(bench)
    for tag in ("one", "one", "two"):
        bench.layer.receive(invite.response(200, to_tag=tag), bench.flow)
    bench.advance(31.9)
    bench.layer.receive(invite.response(200, to_tag="two"), bench.flow)
    assert [response.to.tag for response in bench.user.responses] == ["one", "one", "two", "two"]
    assert bench.core.strays == []
    bench.advance(0.2)
    bench.layer.receive(invite.response(200, to_tag="two"), bench.flow)
    assert [response.to.tag for response in bench.core.strays] == ["two"]
    assert len(bench.user.responses) == 4
    bench.assert_nothing_left()


def test_the_time_is_from_the_first_2xx(bench: Bench) -> None:
    transaction, invite = invited(bench)
    bench.layer.receive(invite.response(200, to_tag="one"), bench.flow)
    bench.advance(20)
    bench.layer.receive(invite.response(200, to_tag="two"), bench.flow)
    bench.advance(12.1)
    assert transaction.ended


def test_what_is_no_2xx_is_absorbed_in_accepted(bench: Bench) -> None:
    transaction, invite = invited(bench)
    bench.layer.receive(invite.response(200, to_tag="one"), bench.flow)
    bench.layer.receive(invite.response(180, to_tag="two"), bench.flow)
    bench.layer.receive(invite.response(486, to_tag="two"), bench.flow)
    transaction.cancel()
    bench.flow.fail()
    assert bench.user.statuses == [200]
    assert bench.user.failures == []
    assert bench.flow.requests("ACK") == bench.flow.requests("CANCEL") == []
    assert bench.layer.absorbed.total() == 3
    assert transaction.state is State.ACCEPTED


def test_provisional_responses_of_several_forks_reach_the_user(bench: Bench) -> None:
    _, invite = invited(bench)
    for status, tag in ((180, "one"), (183, "two"), (180, "one")):
        bench.layer.receive(invite.response(status, to_tag=tag), bench.flow)
    assert bench.user.statuses == [180, 183, 180]


def test_a_2xx_that_is_faster_than_the_cancel_reaches_the_user(bench: Bench) -> None:
    transaction, invite = invited(bench)
    bench.layer.receive(invite.response(180, to_tag="one"), bench.flow)
    transaction.cancel()
    bench.layer.receive(invite.response(200, to_tag="one"), bench.flow)
    assert bench.user.statuses == [180, 200]
    bench.advance(32.1)
    assert bench.user.failures == []
    bench.assert_nothing_left()


def test_a_remembered_cancel_is_not_sent_after_a_final_response(bench: Bench) -> None:
    transaction, invite = invited(bench)
    transaction.cancel()
    bench.layer.receive(invite.response(200, to_tag="one"), bench.flow)
    assert bench.user.statuses == [200]
    assert bench.flow.requests("CANCEL") == []


def test_a_remembered_cancel_of_a_silent_peer_ends_with_timer_b(bench: Bench) -> None:
    transaction, _ = invited(bench)
    transaction.cancel()
    bench.advance(32.1)
    assert len(bench.user.failures) == 1
    assert bench.flow.requests("CANCEL") == []
    bench.assert_nothing_left()


def test_copies_of_the_invite_are_absorbed_in_accepted(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    transaction.respond(invite.response(200, to_tag="x"))
    bench.advance(31.9)
    bench.layer.receive(make_request("INVITE"), bench.flow)
    assert bench.flow.statuses() == [200]
    assert bench.core.transactions == [transaction]
    bench.advance(0.2)
    bench.assert_nothing_left()


def test_the_core_sends_its_2xx_again(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    response = invite.response(200, to_tag="x")
    transaction.respond(response)
    transaction.respond(response)
    transaction.respond(invite.response(486, to_tag="x"))
    assert bench.flow.statuses() == [200, 200]
    assert transaction.state is State.ACCEPTED


def test_an_ack_with_the_branch_of_the_invite_reaches_the_core(bench: Bench) -> None:
    """As some phones send it, against 17.1.1.3, for a 2xx too."""
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(200, to_tag="x"))
    ack = ack_of(invite, bench.flow.sent[-1])
    bench.layer.receive(ack, bench.flow)
    assert bench.core.acks == [ack]


def test_a_transaction_lets_go_of_what_it_needs_no_more(bench: Bench) -> None:
    transaction, invite = invited(bench)
    bench.layer.receive(invite.response(200, to_tag="x"), bench.flow)
    assert bench.flow.watchers == set()
    assert transaction.request.method == "INVITE"
    transaction.release()
    bench.layer.receive(invite.response(200, to_tag="x"), bench.flow)
    assert bench.user.statuses == [200]
    assert [response.status for response in bench.core.strays] == [200]
    with pytest.raises(RuntimeError):
        _ = transaction.request
    received = make_request("INVITE")
    bench.layer.receive(received, bench.flow)
    bench.core.transactions[0].respond(received.response(200, to_tag="x"))
    with pytest.raises(RuntimeError):
        _ = bench.core.transactions[0].request
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_an_heir_hears_of_late_forks(bench: Bench) -> None:
    transaction, invite = invited(bench)
    bench.layer.receive(invite.response(200, to_tag="one"), bench.flow)
    heir = RecordingUser()
    transaction.release(heir)
    bench.layer.receive(invite.response(200, to_tag="two"), bench.flow)
    assert [response.to.tag for response in bench.user.responses] == ["one"]
    assert [response.to.tag for response in heir.responses] == ["two"]
    assert bench.core.strays == []


def test_a_user_may_be_gone_before_the_final_response(bench: Bench) -> None:
    transaction, invite = invited(bench)
    transaction.release()
    bench.layer.receive(invite.response(180, to_tag="x"), bench.flow)
    transaction.cancel()
    bench.layer.receive(invite.response(487, to_tag="x"), bench.flow)
    assert (bench.user.responses, bench.user.failures) == ([], [])
    assert [response.status for response in bench.core.strays] == [180, 487]
    assert len(bench.flow.requests("ACK")) == 1
    bench.advance(32.1)
    bench.assert_nothing_left()
