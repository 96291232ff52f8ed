"""The NG client: cookies, copies, time-outs, cancellation, strangers."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.media.ng import BETWEEN, PATIENCE_SECONDS, REFUSED_AGAIN, RETRY_SECONDS, Reply
from gateway.media.ng_sockets import UNIX_WINDOW
from gateway.media.relay import RelayFailure, RelayRefusal
from tests.support.media_nodes import TARGET, Wire


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wire(clock: Clock) -> Wire:
    wire = Wire(clock)
    wire.client.start()
    return wire


def outcome(waiting: Deferred[Reply]) -> list[Reply | Failure]:
    found: list[Reply | Failure] = []
    waiting.addBoth(found.append)
    return found


def reason(found: list[Reply | Failure]) -> str:
    (failure,) = found
    assert isinstance(failure, Failure)
    assert failure.check(RelayFailure)
    return failure.getErrorMessage()


def is_refused(wire: Wire) -> bool:
    return wire.client.is_refused


def test_reply_fires_once_and_stops_the_copies(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "ping"}))
    datagram = wire.sent[0]
    wire.reply(datagram, result="pong")
    wire.reply(datagram, result="pong")
    assert found == [{"result": "pong"}]
    clock.advance(10)
    assert len(wire.sent) == 1
    assert not clock.getDelayedCalls()


def test_request_is_sent_again_with_the_same_cookie_and_then_fails(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "offer"}))
    for seconds in RETRY_SECONDS:
        assert not found
        clock.advance(seconds)
    assert "silent" in reason(found)
    assert len(wire.sent) == len(RETRY_SECONDS)
    assert len(set(wire.sent)) == 1
    assert not clock.getDelayedCalls()


def test_a_burst_waits_for_room_in_the_relay_s_queue(wire: Wire, clock: Clock) -> None:
    wire.client.window = UNIX_WINDOW
    found = [outcome(wire.client.request({"command": "offer"})) for _ in range(3 * UNIX_WINDOW)]
    assert len(wire.sent) == UNIX_WINDOW
    for number in range(3 * UNIX_WINDOW):
        wire.reply(wire.sent[number])
    assert found == [[{"result": "ok"}]] * (3 * UNIX_WINDOW)
    assert len(wire.sent) == 3 * UNIX_WINDOW
    clock.advance(RETRY_SECONDS[0])
    assert not clock.getDelayedCalls()


@pytest.fixture
def gathering(wire: Wire) -> Wire:
    wire.client.window, wire.client.gathers = UNIX_WINDOW, True
    return wire


def test_a_patient_request_goes_with_the_next_and_before_it(gathering: Wire) -> None:
    found = [outcome(gathering.client.request({"command": "delete"})) for _ in range(2)]
    assert not gathering.sent
    found.append(outcome(gathering.client.request({"command": "offer"})))
    (datagram,) = gathering.sent
    requests = datagram.split(BETWEEN)
    assert [gathering.fields(request)["command"] for request in requests] == ["delete", "delete", "offer"]
    gathering.client.datagramReceived(
        BETWEEN.join(request.partition(b" ")[0] + b' {"result": "ok"}' for request in requests), TARGET
    )
    assert found == [[{"result": "ok"}]] * 3


def test_a_patient_request_does_not_wait_long(gathering: Wire, clock: Clock) -> None:
    found = outcome(gathering.client.request({"command": "delete"}))
    clock.advance(PATIENCE_SECONDS)
    assert gathering.commands() == ["delete"]
    for seconds in RETRY_SECONDS:
        assert not found
        clock.advance(seconds)
    assert "silent" in reason(found)
    assert gathering.commands() == ["delete"] * len(RETRY_SECONDS)
    assert not clock.getDelayedCalls()


def test_many_patient_requests_are_sent_with_as_many_in_a_datagram_as_there_is_room(gathering: Wire) -> None:
    found = [outcome(gathering.client.request({"command": "delete"})) for _ in range(20)]
    found.append(outcome(gathering.client.request({"command": "offer"})))
    for number in range(3):
        cookies = [request.partition(b" ")[0] for request in gathering.sent[number].split(BETWEEN)]
        replies = BETWEEN.join(cookie + b' {"result": "ok"}' for cookie in cookies)
        gathering.client.datagramReceived(replies, TARGET)
    assert found == [[{"result": "ok"}]] * 21
    assert len(gathering.sent) == 3


def test_a_request_that_is_urgent_takes_those_that_wait_with_it(gathering: Wire) -> None:
    outcome(gathering.client.request({"command": "delete", "call-id": "one"}))
    outcome(gathering.client.request({"command": "delete", "call-id": "two"}, at_once=True))
    (datagram,) = gathering.sent
    assert [gathering.fields(request)["call-id"] for request in datagram.split(BETWEEN)] == ["one", "two"]


def test_a_cancelled_patient_request_is_not_sent(gathering: Wire, clock: Clock) -> None:
    waiting = gathering.client.request({"command": "delete"})
    outcome(waiting)
    waiting.cancel()
    clock.advance(10)
    assert not gathering.sent


def test_stopping_sends_what_is_patient(gathering: Wire, clock: Clock) -> None:
    found = outcome(gathering.client.request({"command": "delete"}))
    gathering.client.stop()
    assert gathering.commands() == ["delete"]
    assert "stopped" in reason(found)
    assert not clock.getDelayedCalls()


def test_a_relay_that_takes_one_request_a_datagram_gets_one(wire: Wire) -> None:
    """rtpengine: a delete does not wait for others there, nor go with them."""
    wire.client.window = 1
    for command in ("delete", "offer"):
        outcome(wire.client.request({"command": command}))
    assert wire.commands() == ["delete"]
    wire.reply(wire.sent[0])
    assert wire.commands() == ["delete", "offer"]


def test_who_waits_for_room_waits_no_longer_than_others(wire: Wire, clock: Clock) -> None:
    wire.client.window = UNIX_WINDOW
    found = [outcome(wire.client.request({"command": "offer"})) for _ in range(2 * UNIX_WINDOW)]
    for seconds in RETRY_SECONDS:
        clock.advance(seconds)
    assert {reason(one) for one in found} == {f"offer: the relay at {TARGET} is silent"}


def test_late_reply_to_the_first_copy_counts(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "ping"}))
    clock.advance(RETRY_SECONDS[0])
    wire.reply(wire.sent[0])
    assert found == [{"result": "ok"}]


def test_refusal_carries_the_relay_s_reason(wire: Wire) -> None:
    found = outcome(wire.client.request({"command": "query"}))
    wire.reply(wire.sent[0], **{"result": "error", "error-reason": "Unknown call-id"})
    assert reason(found) == "query: Unknown call-id"


def test_an_exhausted_relay_is_a_failure_and_no_refusal(wire: Wire) -> None:
    for text, is_refusal in (("Ran out of ports", False), ("Failed to parse SDP", True)):
        found = outcome(wire.client.request({"command": "offer"}))
        wire.reply(wire.sent[-1], **{"result": "error", "error-reason": text})
        (failure,) = found
        assert isinstance(failure, Failure)
        assert (failure.check(RelayRefusal) is not None) is is_refusal


def test_cancelling_ends_the_copies(wire: Wire, clock: Clock) -> None:
    waiting = wire.client.request({"command": "offer"})
    found = outcome(waiting)
    waiting.cancel()
    (failure,) = found
    assert isinstance(failure, Failure)
    assert failure.check(CancelledError)
    wire.reply(wire.sent[0])
    clock.advance(10)
    assert len(wire.sent) == 1


def test_strangers_other_cookies_and_nonsense_are_ignored(wire: Wire) -> None:
    found = outcome(wire.client.request({"command": "ping"}))
    cookie = wire.sent[0].partition(b" ")[0]
    wire.reply(wire.sent[0], source=("203.0.113.9", 22222))
    for data in (b"", b" ", b"x {}", cookie, cookie + b" nonsense", cookie + b" []", b"\xff\xfe \x00"):
        wire.client.datagramReceived(data, TARGET)
    assert not found
    wire.reply(wire.sent[0])
    assert found


def test_stopping_fails_what_is_outstanding_and_what_comes_later(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "ping"}))
    wire.client.stop()
    assert "stopped" in reason(found)
    assert not wire.is_open
    assert "silent" in reason(outcome(wire.client.request({"command": "ping"})))
    assert not clock.getDelayedCalls()


def test_cookies_are_not_to_be_guessed_from_another_client(clock: Clock) -> None:
    cookies = set()
    for _ in range(2):
        wire = Wire(clock)
        wire.client.start()
        wire.client.request({"command": "ping"}).addErrback(lambda _: None)
        cookies.add(wire.sent[0].partition(b" ")[0])
        wire.client.stop()
    assert len(cookies) == 2


def test_a_relay_that_is_refused_twice_in_a_row_is_given_up_at_once(wire: Wire, clock: Clock) -> None:
    """RFC 1122 section 4.1.3.3: the application hears of a closed port."""
    found = [outcome(wire.client.request({"command": command})) for command in ("offer", "ping")]
    wire.client.connectionRefused()
    wire.client.connectionRefused()  # of the second datagram
    assert not is_refused(wire)
    clock.advance(REFUSED_AGAIN)
    assert wire.commands() == ["offer", "ping", "offer", "ping"], "asked again at once"
    wire.client.connectionRefused()
    clock.advance(0)
    assert ["has its port closed" in reason(one) for one in found] == [True, True]
    assert is_refused(wire)
    late = outcome(wire.client.request({"command": "offer"}))
    wire.client.connectionRefused()
    clock.advance(0)
    assert "has its port closed" in reason(late)
    assert not clock.getDelayedCalls()


def test_an_answer_between_two_refusals_counts_for_more(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "offer"}))
    wire.client.connectionRefused()
    clock.advance(REFUSED_AGAIN)
    wire.reply(b"another's {}", result="pong")
    wire.client.connectionRefused()
    clock.advance(REFUSED_AGAIN / 2)
    assert not found
    assert not is_refused(wire)
    wire.reply(wire.sent[0])
    assert found == [{"result": "ok"}]


def test_a_question_to_a_relay_that_is_down_insists(wire: Wire, clock: Clock) -> None:
    found = outcome(wire.client.request({"command": "ping"}, insists=True))
    for _ in range(5):
        wire.client.connectionRefused()
        clock.advance(REFUSED_AGAIN)
    assert is_refused(wire)
    assert not found
    wire.reply(wire.sent[0])
    assert found == [{"result": "ok"}]
    assert not is_refused(wire)


def test_a_connected_socket_that_cannot_send_is_opened_anew(wire: Wire, clock: Clock) -> None:
    """As after a change of this machine's address."""
    wire.client.is_connected, wire.error = True, OSError(22, "Invalid argument")
    found = outcome(wire.client.request({"command": "ping"}))
    wire.client.reopen()
    assert wire.closings == 1, "once"
    wire.closed()
    wire.error = None
    clock.advance(RETRY_SECONDS[0])
    assert (wire.openings, wire.commands()) == (2, ["ping"])
    wire.reply(wire.sent[0])
    assert found == [{"result": "ok"}]


def test_a_client_that_stops_while_its_socket_closes_closes_it_once(wire: Wire) -> None:
    wire.client.is_connected = True
    wire.client.reopen()
    wire.client.stop()
    wire.closed()
    assert wire.closings == 1
