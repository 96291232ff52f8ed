"""The transaction layer as a whole: matching, CANCEL, ACK, merged requests, the ceiling, and cores and users that
fail."""

from __future__ import annotations

import tracemalloc

import pytest

from gateway.config.model import Side
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.transaction.room import Ceiling
from gateway.transaction.tables import State
from gateway.transport import flow as transport
from tests.support.flows import a_flow
from tests.support.transactions import Bench, ack_of, make_request, outgoing


@pytest.fixture(params=["udp", "tcp", "tls"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_a_call_that_we_place(bench: Bench) -> None:
    transaction = bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    (invite,) = bench.flow.requests("INVITE")
    bench.layer.receive(invite.response(180, to_tag="callee"), bench.flow)
    bench.layer.receive(invite.response(200, to_tag="callee"), bench.flow)
    assert bench.user.statuses == [180, 200]
    assert transaction.state is State.ACCEPTED
    bench.advance(32.1)
    assert transaction.ended
    assert bench.flow.requests("INVITE") == [invite]
    bench.assert_nothing_left()


def test_a_call_that_we_get(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    transaction.respond(invite.response(180, to_tag="callee"))
    transaction.respond(invite.response(200, to_tag="callee"))
    bench.layer.receive(make_request("INVITE"), bench.flow)
    ack = ack_of(invite, bench.flow.sent[-1], "z9hG4bKown")
    bench.layer.receive(ack, bench.flow)
    assert bench.core.transactions == [transaction]
    assert bench.core.acks == [ack]
    assert bench.flow.statuses() == [180, 200]
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_request_gets_a_via_of_its_own(bench: Bench) -> None:
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    first, second = bench.flow.requests("OPTIONS")
    assert first.top_via.transport == bench.flow.transport.upper()
    assert (first.top_via.host, first.top_via.port, first.top_via.rport) == ("127.0.0.20", 5060, 0)
    assert str(first.top_via.branch).startswith("z9hG4bK")
    assert first.top_via.branch != second.top_via.branch
    bench.layer.stop()
    bench.assert_nothing_left()


def test_an_ack_of_a_2xx_has_no_transaction(bench: Bench) -> None:
    bench.layer.send_ack(outgoing("ACK"), bench.flow)
    (ack,) = bench.flow.requests("ACK")
    assert str(ack.top_via.branch).startswith("z9hG4bK")
    bench.assert_nothing_left()


def test_a_refusal_is_acknowledged_by_the_transaction(bench: Bench) -> None:
    bench.layer.send_request(outgoing("INVITE", cseq=7), bench.flow, bench.user)
    (invite,) = bench.flow.requests("INVITE")
    refusal = invite.response(486, to_tag="callee")
    bench.layer.receive(refusal, bench.flow)
    (ack,) = bench.flow.requests("ACK")
    assert (ack.uri, str(ack.cseq), ack.to.tag) == (invite.uri, "7 ACK", "callee")
    assert ack.headers.get_all("Via") == invite.headers.get_all("Via")
    assert ack.headers.get_all("Route") == invite.headers.get_all("Route")
    assert (ack.from_, ack.call_id, ack.max_forwards) == (invite.from_, invite.call_id, 70)
    assert bench.user.statuses == [486]
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_an_ack_of_a_refusal_ends_its_copies(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(486, to_tag="callee"))
    bench.layer.receive(ack_of(invite, bench.flow.sent[-1]), bench.flow)
    bench.advance(5.1)
    assert bench.flow.statuses() == [486]
    assert bench.core.acks == []
    bench.assert_nothing_left()


def test_a_cancel_waits_for_a_provisional_response(bench: Bench) -> None:
    transaction = bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    (invite,) = bench.flow.requests("INVITE")
    transaction.cancel((("Reason", "SIP;cause=487"),))
    assert bench.flow.requests("CANCEL") == []
    bench.layer.receive(invite.response(100), bench.flow)
    (cancel,) = bench.flow.requests("CANCEL")
    assert (cancel.uri, str(cancel.cseq), cancel.headers.get("Reason")) == (invite.uri, "1 CANCEL", "SIP;cause=487")
    assert cancel.headers.get_all("Via") == invite.headers.get_all("Via")
    assert cancel.headers.get_all("Route") == invite.headers.get_all("Route")
    transaction.cancel()
    bench.layer.receive(cancel.response(200, to_tag="callee"), bench.flow)
    bench.layer.receive(invite.response(487, to_tag="callee"), bench.flow)
    assert bench.flow.requests("CANCEL") == [cancel]
    assert bench.user.statuses == [100, 487]
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_cancelled_invite_that_is_never_answered_ends(bench: Bench) -> None:
    transaction = bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("INVITE")[0].response(180, to_tag="callee"), bench.flow)
    transaction.cancel()
    bench.advance(31.9)
    assert bench.user.failures == []
    bench.advance(0.2)
    assert [failure.timed_out for failure in bench.user.failures] == [True]
    bench.assert_nothing_left()


def test_a_received_cancel_is_answered_and_told(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    transaction.respond(invite.response(180, to_tag="callee"))
    cancel = make_request("CANCEL")
    bench.layer.receive(cancel, bench.flow)
    bench.layer.receive(make_request("CANCEL"), bench.flow)
    assert bench.core.cancelled == [(transaction, cancel)]
    answer = bench.flow.sent[1]
    assert isinstance(answer, Response)
    assert (answer.status, str(answer.cseq), answer.to.tag) == (200, "1 CANCEL", "callee")
    transaction.respond(invite.response(487, to_tag="callee"))
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_cancel_of_nothing_gets_481_and_leaves_nothing(bench: Bench) -> None:
    bench.layer.receive(make_request("CANCEL"), bench.flow)
    assert bench.flow.statuses() == [481]
    assert bench.core.cancelled == []
    bench.assert_nothing_left()


def test_a_cancel_after_the_answer_has_no_effect(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(200, to_tag="callee"))
    bench.layer.receive(make_request("CANCEL"), bench.flow)
    assert bench.flow.statuses() == [200, 200]
    assert bench.core.cancelled == []


def test_a_merged_request_gets_482(bench: Bench) -> None:
    bench.layer.receive(make_request("INVITE", "z9hG4bKfork1"), bench.flow)
    bench.layer.receive(make_request("INVITE", "z9hG4bKfork2"), bench.flow)
    assert len(bench.core.transactions) == 1
    assert bench.flow.statuses() == [482]
    bench.layer.receive(make_request("INVITE", "z9hG4bKnext", cseq=2), bench.flow)
    assert len(bench.core.transactions) == 2


def test_a_request_is_not_merged_with_one_that_is_over(bench: Bench) -> None:
    request = make_request("OPTIONS", "z9hG4bKfork1")
    bench.layer.receive(request, bench.flow)
    bench.core.transactions[0].respond(request.response(200, to_tag="x"))
    bench.advance(32.1)
    bench.layer.receive(make_request("OPTIONS", "z9hG4bKfork2"), bench.flow)
    assert len(bench.core.transactions) == 2
    assert bench.flow.statuses() == [200]


def test_requests_within_a_dialog_are_not_merged(bench: Bench) -> None:
    bench.layer.receive(make_request("BYE", "z9hG4bKone", to_tag="callee"), bench.flow)
    bench.layer.receive(make_request("BYE", "z9hG4bKtwo", to_tag="callee"), bench.flow)
    assert len(bench.core.transactions) == 2


def test_requests_over_the_ceiling_get_503() -> None:
    bench = Bench(ceiling=Ceiling(server_transactions=4, retry_after=7))
    for number in range(6):
        bench.layer.receive(make_request("INVITE", f"z9hG4bK{number}", cseq=number), bench.flow)
    assert len(bench.core.transactions) == 4
    refusals = bench.flow.take()
    assert [message.headers.get("Retry-After") for message in refusals] == ["7", "7"]
    bench.layer.receive(make_request("BYE", "z9hG4bKbye1", to_tag="callee"), bench.flow)
    bench.layer.receive(make_request("BYE", "z9hG4bKbye2", to_tag="callee"), bench.flow)
    assert len(bench.core.transactions) == 5
    assert bench.layer.refused[503] == 3


def test_a_flood_has_a_ceiling_of_memory() -> None:
    """Each INVITE from another client is refused by the core and never acknowledged."""
    bench = Bench(ceiling=Ceiling(server_transactions=500))
    response = make_request("INVITE").response(403, to_tag="x")
    tracemalloc.start()
    try:
        for number in range(5_000):
            bench.layer.receive(make_request("INVITE", f"z9hG4bK{number}", call_id=f"{number}@x"), bench.flow)
            for transaction in bench.core.transactions:
                transaction.respond(response)
            bench.core.transactions.clear()
            bench.flow.take()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bench.layer.counts_alive() == 500
    assert bench.layer.refused[503] == 4_500
    assert size < 500 * 3_000
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_request_that_cannot_be_read_gets_400(bench: Bench) -> None:
    request = make_request("OPTIONS")
    request.headers.set("CSeq", "no number")
    bench.layer.receive(request, bench.flow)
    assert bench.flow.statuses() == [400]
    bench.assert_nothing_left()


def test_responses_and_acks_that_cannot_be_read_are_dropped(bench: Bench) -> None:
    response = make_request("OPTIONS").response(200)
    response.headers.set("CSeq", "no number")
    bench.layer.receive(response, bench.flow)
    ack = make_request("ACK")
    ack.headers.set("Via", "no via")
    bench.layer.receive(ack, bench.flow)
    response = make_request("OPTIONS").response(200)
    response.headers.add("Via", "SIP/2.0/UDP 127.0.0.99")
    bench.layer.receive(response, bench.flow)
    assert bench.layer.dropped == 3
    assert (bench.flow.sent, bench.core.strays, bench.core.acks) == ([], [], [])


@pytest.mark.parametrize("one_line", [True, False])
def test_rfc3261_8_1_3_3_response_with_two_vias_is_somebody_elses(bench: Bench, one_line: bool) -> None:
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    (request,) = bench.flow.requests("OPTIONS")
    response, other = request.response(200, to_tag="x"), "SIP/2.0/UDP 127.0.0.99;branch=z9hG4bKother"
    if one_line:
        response.headers.set("Via", f"{response.headers.get('Via')}, {other}")
    else:
        response.headers.add("Via", other)
    bench.layer.receive(response, bench.flow)
    assert (bench.user.responses, bench.core.strays, bench.layer.dropped) == ([], [], 1)


def test_nobody_reaches_a_transaction_from_the_other_side(bench: Bench) -> None:
    provider = a_flow("tls", Side.PROVIDER)
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    (invite,) = bench.flow.requests("INVITE")
    bench.layer.receive(invite.response(200, to_tag="x"), provider)
    assert bench.user.responses == []
    assert [response.status for response in bench.core.strays] == [200]
    bench.layer.receive(make_request("INVITE"), bench.flow)
    bench.layer.receive(make_request("CANCEL"), provider)
    assert bench.core.cancelled == []
    assert provider.statuses() == [481]


def test_a_late_response_is_a_stray(bench: Bench) -> None:
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    (options,) = bench.flow.requests("OPTIONS")
    bench.advance(32.1)
    assert [failure.timed_out for failure in bench.user.failures] == [True]
    late = options.response(200, to_tag="x")
    bench.layer.receive(late, bench.flow)
    assert bench.core.strays == [late]
    assert bench.user.responses == []
    bench.assert_nothing_left()


def test_a_lost_connection_is_told(bench: Bench) -> None:
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.send_request(outgoing("OPTIONS"), bench.flow, bench.user)
    bench.flow.fail(transport.FailureKind.CERTIFICATE)
    assert [failure.timed_out for failure in bench.user.failures] == [False] * 2
    assert {failure.transport and failure.transport.kind for failure in bench.user.failures} == {
        transport.FailureKind.CERTIFICATE
    }
    bench.assert_nothing_left()


def test_a_closed_flow_is_told_after_the_call_returns(bench: Bench) -> None:
    bench.flow.fail()
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    assert bench.user.failures == []
    bench.advance(0)
    assert [failure.timed_out for failure in bench.user.failures] == [False]
    bench.assert_nothing_left()


def test_a_server_transaction_survives_its_connection(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.flow.fail()
    (transaction,) = bench.core.transactions
    assert transaction.state is State.PROCEEDING
    transaction.respond(invite.response(480, to_tag="x"))
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_stop_leaves_nothing(bench: Bench) -> None:
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.receive(make_request("REGISTER"), bench.flow)
    bench.layer.stop()
    assert (bench.user.responses, bench.user.failures) == ([], [])
    bench.assert_nothing_left()


@pytest.mark.parametrize(
    ("raised", "status"),
    [(Refused(488, headers=(("Warning", '304 gw "no media"'),)), 488), (MalformedMessage("no Contact"), 400)],
)
def test_a_core_may_refuse_by_raising(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, raised: Exception, status: int
) -> None:
    def refuse(*_arguments: object) -> None:
        raise raised

    monkeypatch.setattr(bench.core, "receive_request", refuse)
    bench.layer.receive(make_request("INVITE"), bench.flow)
    (response,) = bench.flow.sent
    assert bench.flow.statuses() == [status]
    assert response.headers.get("Warning") == ('304 gw "no media"' if status == 488 else None)
    assert response.to.tag


class Broken(Exception):
    pass


def test_a_core_that_fails_costs_one_transaction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise Broken

    for name in ("receive_request", "receive_ack", "receive_stray_response"):
        monkeypatch.setattr(bench.core, name, fail)
    bench.layer.receive(make_request("INVITE"), bench.flow)
    bench.layer.receive(make_request("OPTIONS", "z9hG4bK2"), bench.flow)
    bench.layer.receive(make_request("ACK", "z9hG4bK3"), bench.flow)
    bench.layer.receive(make_request("OPTIONS").response(200), bench.flow)
    assert bench.flow.statuses() == [500, 500]
    monkeypatch.undo()
    bench.layer.receive(make_request("MESSAGE", "z9hG4bK4"), bench.flow)
    assert [transaction.request.method for transaction in bench.core.transactions] == ["MESSAGE"]


def test_a_core_that_fails_on_a_cancel_ends_the_invite(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise Broken

    monkeypatch.setattr(bench.core, "receive_cancel", fail)
    bench.layer.receive(make_request("INVITE"), bench.flow)
    bench.layer.receive(make_request("CANCEL"), bench.flow)
    assert bench.flow.statuses() == [200, 500]


def test_a_user_that_fails_cancels_its_invite(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise Broken

    monkeypatch.setattr(bench.user, "receive_response", fail)
    monkeypatch.setattr(bench.user, "transaction_failed", fail)
    bench.layer.send_request(outgoing("INVITE"), bench.flow, bench.user)
    bench.layer.receive(bench.flow.requests("INVITE")[0].response(180, to_tag="x"), bench.flow)
    assert len(bench.flow.requests("CANCEL")) == 1
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_response_that_cannot_be_serialised_changes_nothing(bench: Bench) -> None:
    invite = make_request("INVITE")
    bench.layer.receive(invite, bench.flow)
    (transaction,) = bench.core.transactions
    response = invite.response(200, "OK\r\nX-Injected: yes", to_tag="x")
    with pytest.raises(ValueError, match="line break"):
        transaction.respond(response)
    assert transaction.state is State.PROCEEDING
    assert bench.flow.sent == []


def rfc2543(method: str, to_tag: str | None = None) -> Request:
    return make_request(method, None, to_tag=to_tag)


def test_a_peer_without_magic_cookie_is_matched(bench: Bench) -> None:
    invite = rfc2543("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.layer.receive(rfc2543("INVITE"), bench.flow)
    (transaction,) = bench.core.transactions
    bench.layer.receive(rfc2543("CANCEL"), bench.flow)
    assert bench.core.cancelled[0][0] is transaction
    transaction.respond(invite.response(487, to_tag="callee"))
    bench.layer.receive(rfc2543("ACK", "another"), bench.flow)
    assert bench.layer.counts()["INVITE server"][State.COMPLETED] == 1
    assert len(bench.core.acks) == 1
    bench.layer.receive(rfc2543("ACK", "callee"), bench.flow)
    assert bench.layer.counts()["INVITE server"][State.COMPLETED] == 0
    assert len(bench.core.acks) == 1
    bench.advance(32.1)
    bench.assert_nothing_left()


def test_a_peer_without_magic_cookie_acknowledges_a_2xx(bench: Bench) -> None:
    invite = rfc2543("INVITE")
    bench.layer.receive(invite, bench.flow)
    bench.core.transactions[0].respond(invite.response(200, to_tag="callee"))
    bench.layer.receive(rfc2543("ACK", "callee"), bench.flow)
    assert len(bench.core.acks) == 1


def test_counts_say_what_is_up(bench: Bench) -> None:
    bench.layer.receive(make_request("INVITE"), bench.flow)
    bench.layer.receive(make_request("OPTIONS", "z9hG4bK2"), bench.flow)
    counts = bench.layer.counts()
    assert counts["INVITE server"][State.PROCEEDING] == 1
    assert counts["Non-INVITE server"][State.TRYING] == 1
    bench.layer.stop()
    assert bench.layer.counts()["INVITE server"][State.TERMINATED] == 1
    assert sum(bench.layer.counts()["INVITE server"].values()) == 1
