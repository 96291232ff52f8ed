"""OPTIONS for the gateway itself: answered at once and without a transaction (RFC 3261 sections 8.2.7 and 11.2)."""

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.logger import capturedLogs, formatEvent

from gateway.config.model import Side
from gateway.ingress.gate import Gate
from gateway.observe.line_limit import LINES
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import check
from gateway.transport.flow import Flow
from tests.support.flows import RecordingFlow, a_flow
from tests.support.transactions import make_request


class Site:
    """A gate, and a recorder of the messages that go through it."""

    def __init__(self) -> None:
        self.passed: list[Message] = []
        self.registry = CollectorRegistry()
        self.flow = a_flow()
        self.gate = Gate(self, lambda request: False, self._note, lambda key: None, Metrics(self.registry), lambda: 0.0)

    def knows(self, flow: Flow) -> bool:
        return False

    def _note(self, message: Message, flow: Flow) -> None:
        assert flow is self.flow
        self.passed.append(message)

    def receive(self, message: Message) -> list[Message]:
        """What is answered."""
        self.gate.receive(message, self.flow)
        return self.flow.take()

    def counted(self) -> float:
        """Pings in the metrics."""
        labels = {"side": str(Side.PHONES), "method": "OPTIONS"}
        return self.registry.get_sample_value("gateway_requests_total", labels) or 0.0


def ping(uri: str = "sip:example.com", **more: str) -> Request:
    request = make_request("OPTIONS")
    request.uri = uri
    for name, value in more.items():
        request.headers.set(name.replace("_", "-"), value)
    return request


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_ping_is_answered_with_what_the_gateway_can_do(site: Site) -> None:
    request = ping()
    (answer,) = site.receive(request)
    assert isinstance(answer, Response)
    check(answer)
    assert answer.status == 200
    assert answer.call_id == request.call_id
    assert answer.cseq == request.cseq
    assert answer.top_via.branch == "z9hG4bKpeer1"
    assert "INVITE" in answer.headers.values("Allow")
    assert "100rel" in answer.headers.values("Supported")
    assert answer.headers.get("Accept") == "application/sdp"
    assert site.passed == []
    assert site.counted() == 1


def test_each_copy_gets_the_same_answer(site: Site) -> None:
    first, second = site.receive(ping()), site.receive(ping())
    assert first[0].to_bytes() == second[0].to_bytes()
    assert first[0].to.tag


def test_another_ping_gets_another_tag(site: Site) -> None:
    first, second = site.receive(ping()), site.receive(ping(Call_ID="other"))
    assert first[0].to.tag != second[0].to.tag


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(ping("sip:bob@example.com"), id="for a user"),
        pytest.param(ping(To="<sip:bob@example.com>;tag=1"), id="within a dialog"),
        pytest.param(ping(Require="100rel"), id="with a Require"),
        pytest.param(ping(Max_Forwards="0"), id="without hops left"),
        pytest.param(make_request("MESSAGE"), id="another method"),
        pytest.param(make_request("OPTIONS").response(200), id="an answer"),
    ],
)
def test_all_else_is_for_the_transactions(site: Site, message: Message) -> None:
    assert site.receive(message) == []
    assert site.passed == [message]
    assert site.counted() == 0


def keepalive(event: str) -> Request:
    request = make_request("NOTIFY")
    request.headers.add("Event", event)
    return request


@pytest.mark.parametrize("event", ["keep-alive", "Keep-Alive ;x=1", "keepalive"])
@pytest.mark.parametrize("to", ["<sip:example.com>", "<sip:example.com>;tag=some"])
def test_a_keepalive_notify_is_answered_and_goes_no_further(site: Site, event: str, to: str) -> None:
    request = keepalive(event)
    request.headers.set("To", to)
    (answer,) = site.receive(request)
    assert isinstance(answer, Response)
    check(answer)
    assert (answer.status, answer.cseq.method) == (200, "NOTIFY")
    assert site.passed == []
    labels = {"side": str(Side.PHONES), "method": "NOTIFY"}
    assert site.registry.get_sample_value("gateway_requests_total", labels) == 1


@pytest.mark.parametrize("event", ["message-summary", "keep-alive-x", "", "x;keep-alive"])
def test_any_other_notify_goes_through(site: Site, event: str) -> None:
    request = keepalive(event)
    assert site.receive(request) == []
    assert site.passed == [request]


def test_a_keepalive_notify_goes_through_where_the_listener_says_so(site: Site) -> None:
    site.flow = RecordingFlow(attrs.evolve(site.flow.listener, answers_keepalives=False), site.flow.remote)
    request = keepalive("keep-alive")
    assert site.receive(request) == []
    assert site.passed == [request]


@pytest.mark.parametrize("status", [100, 183, 200, 302, 407, 503, 603])
def test_every_response_that_is_received_is_counted_by_its_class(site: Site, status: int) -> None:
    site.receive(make_request("INVITE").response(status, "Said"))
    labels = {"side": "phones", "status_class": f"{status // 100}xx"}
    assert site.registry.get_sample_value("gateway_responses_total", labels) == 1
    assert len(site.passed) == 1


def test_a_phone_that_registers_on_the_providers_side_is_told_in_the_log_now_and_then(site: Site) -> None:
    site.flow = a_flow(side=Side.PROVIDER)
    with capturedLogs() as events:
        for _ in range(100):
            assert site.receive(make_request("REGISTER")) == []
            assert site.receive(make_request("INVITE")) == []
    lines = [formatEvent(event) for event in events if event["log_level"].name == "info"]
    assert len(lines) == LINES.burst
    assert 'is for providers; phones register at one with side = "phones"' in lines[0]
    assert site.passed == []
