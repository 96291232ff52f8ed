"""Requests that are too long for UDP (RFC 3261 section 18.1.1): over TCP, and over UDP where TCP fails."""

import pytest

from gateway.sip.message import Request
from gateway.transaction.tables import State
from gateway.transport.flow import UDP_MESSAGE_LIMIT, Address, FailureKind, Flow
from tests.support.flows import RecordingFlow, a_flow, listener_of
from tests.support.transactions import Bench, RecordingUser, outgoing


class UdpFlowBesideTcp(RecordingFlow):
    """A UDP flow that has a TCP flow to the same place."""

    __slots__ = ("tcp",)

    def __init__(self) -> None:
        super().__init__(listener_of("udp"), Address("127.0.0.11", 5060))
        self.tcp = a_flow("tcp")

    def wider(self, size: int) -> Flow | None:
        return self.tcp if size > UDP_MESSAGE_LIMIT and self.tcp.is_open else None


class Scene(Bench):
    """A transaction layer whose UDP flow has TCP beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.udp = self.flow = UdpFlowBesideTcp()
        self.tcp = self.udp.tcp

    def sends(self, method: str, size: int) -> Request:
        """Send a request with a body; the request as it left."""
        request = outgoing(method)
        request.body = b"x" * size
        self.transaction = self.layer.send_request(request, self.udp, self.user)
        (left,) = [one for flow in (self.udp, self.tcp) for one in flow.requests(method)]
        return left

    def assert_nothing_left(self) -> None:
        super().assert_nothing_left()
        assert self.tcp.watchers == set()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_long_request_goes_over_tcp_and_says_so(scene: Scene, method: str) -> None:
    request = scene.sends(method, 1300)
    assert scene.udp.sent == []
    assert request.top_via.transport == "TCP"
    assert request.headers.count("Via") == 1
    scene.advance(5)
    assert len(scene.tcp.sent) == 1  # nothing is sent again over a reliable transport
    scene.layer.receive(request.response(486, to_tag="t"), scene.tcp)
    assert scene.user.statuses == [486]
    assert scene.udp.sent == []  # its ACK too went the way of the INVITE
    scene.advance(40)
    scene.assert_nothing_left()


def test_a_short_request_stays_with_udp(scene: Scene) -> None:
    assert scene.sends("INVITE", 100).top_via.transport == "UDP"
    assert scene.tcp.sent == []


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_where_tcp_is_refused_the_same_transaction_goes_on_over_udp(scene: Scene, method: str) -> None:
    over_tcp = scene.sends(method, 1300)
    scene.tcp.fail(FailureKind.REFUSED)
    (over_udp,) = scene.udp.requests(method)
    assert over_udp.top_via.transport == "UDP"
    assert over_udp.top_via.branch == over_tcp.top_via.branch
    assert (over_udp.headers.count("Via"), over_udp.body) == (1, over_tcp.body)
    assert scene.user.failures == []
    scene.advance(0.6)
    assert len(scene.udp.requests(method)) == 2  # and is sent again, as over UDP it must
    scene.layer.receive(over_udp.response(200, to_tag="t"), scene.udp)
    assert scene.user.statuses == [200]
    scene.advance(40)
    scene.assert_nothing_left()
    counts = [state for census in scene.layer.counts().values() for state in census.items()]
    assert all(count == 0 for state, count in counts if state is not State.TERMINATED)


def test_a_connection_that_is_lost_after_an_answer_is_the_end(scene: Scene) -> None:
    request = scene.sends("INVITE", 1300)
    scene.layer.receive(request.response(180, to_tag="t"), scene.tcp)
    scene.tcp.fail(FailureKind.CLOSED)
    assert [failure.transport and failure.transport.kind for failure in scene.user.failures] == [FailureKind.CLOSED]
    assert scene.udp.sent == []
    scene.assert_nothing_left()


def test_a_call_given_up_before_tcp_failed_is_cancelled_over_udp(scene: Scene) -> None:
    scene.sends("INVITE", 1300)
    scene.transaction.cancel()
    scene.tcp.fail()
    (invite,) = scene.udp.requests("INVITE")
    scene.layer.receive(invite.response(180, to_tag="t"), scene.udp)
    (cancel,) = scene.udp.requests("CANCEL")
    assert str(cancel.top_via) == str(invite.top_via)


def test_a_cancel_goes_the_way_of_its_invite(scene: Scene) -> None:
    invite = scene.sends("INVITE", 1300)
    scene.layer.receive(invite.response(180, to_tag="t"), scene.tcp)
    scene.transaction.cancel()
    (cancel,) = scene.tcp.requests("CANCEL")
    assert str(cancel.top_via) == str(invite.top_via)
    assert scene.udp.sent == []


def test_a_long_ack_goes_over_tcp(scene: Scene) -> None:
    for size, flow in ((1300, scene.tcp), (10, scene.udp)):
        ack = outgoing("ACK")
        ack.body = b"x" * size
        scene.layer.send_ack(ack, scene.udp)
        (sent,) = flow.requests("ACK")
        assert sent.top_via.transport == flow.transport.upper()


def test_where_nobody_answers_the_user_hears_of_it_once(scene: Scene) -> None:
    scene.sends("MESSAGE", 1300)
    scene.advance(3)
    scene.tcp.fail(FailureKind.TIMEOUT)
    scene.advance(40)
    assert len(scene.user.failures) == 1
    assert isinstance(scene.user, RecordingUser)
    scene.assert_nothing_left()
