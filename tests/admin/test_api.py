"""The administration interface, asked over HTTP without a network."""

import json
from typing import TypeVar

import attrs
import pytest
from prometheus_client import CollectorRegistry
from treq.content import text_content
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from zope.interface import implementer

from gateway.admin.api import admin_resource
from gateway.admin.inspection import Row
from gateway.metrics import Metrics

T = TypeVar("T")

CALL: Row = {
    "id": "a84b4c76e66710@127.0.0.11/1",
    "direction": "outbound",
    "domain": "example.com",
    "caller": '"<script>alert(1)</script>" <sip:alice@example.com>',
    "callee": "sip:echo@example.com",
    "state": "ended",
    "verdict": "ENCRYPTED_TO_PROVIDER",
    "reason": "PHONE_PLAIN",
    "started_at": 1700000000.25,
    "answered_at": 1700000001.0,
    "ended_at": 1700000064.0,
    "status": 200,
    "ending": "caller hung up",
    "ladder": [
        {"at": 1700000000.25, "leg": "caller", "direction": "received", "what": "INVITE"},
        {"at": 1700000000.26, "leg": "callee", "direction": "sent", "what": "INVITE"},
        {"at": 1700000000.5, "leg": "callee", "direction": "received", "what": "200 OK"},
    ],
    "chain": [{"leg": "callee", "step": "policy", "what": "TLS", "code": "TLS_OK"}],
    "steps_left_out": 3,
    "media": None,
}


class FakeInspection:
    """A gateway with one call."""

    def calls(self) -> list[Row]:
        return [CALL]

    def call(self, call_id: str) -> Row | None:
        return CALL if call_id == CALL["id"] else None

    def phones(self) -> list[Row]:
        return [{"aor": "sip:alice@example.com"}]

    def domains(self) -> list[Row]:
        return [{"name": "example.com"}]

    def peers(self) -> list[Row]:
        return [{"name": "main"}]


class BrokenInspection(FakeInspection):
    """A gateway with a mistake."""

    def phones(self) -> list[Row]:
        raise RuntimeError("a secret of the gateway")


@implementer(ILogObserver)
class Events:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.seen: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.seen.append(event)


@attrs.frozen
class Answer:
    """An HTTP response that has arrived."""

    status: int
    headers: dict[str, str]
    text: str


class Client:
    """Asks a resource of ours."""

    def __init__(self, inspection: FakeInspection) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self._agent = RequestTraversalAgent(admin_resource(inspection, self.metrics))  # type: ignore[no-untyped-call]

    def ask(self, path: str, method: str = "GET", host: str = "127.0.0.20:8080") -> Answer:
        named = Headers({b"host": [host.encode()]})
        asked: Deferred[IResponse] = self._agent.request(method.encode(), f"http://127.0.0.1{path}".encode(), named)  # type: ignore[no-untyped-call]
        response = now(asked)
        self._agent.flush()  # type: ignore[no-untyped-call]
        headers = {name.decode().lower(): values[0].decode() for name, values in response.headers.getAllRawHeaders()}
        return Answer(response.code, headers, now(text_content(response)))


def now(waiting: Deferred[T]) -> T:
    """The result that a Deferred has already."""
    results: list[T] = []
    waiting.addCallback(results.append)
    assert results, "the answer is not there at once"
    return results[0]


@pytest.fixture
def client() -> Client:
    return Client(FakeInspection())


@pytest.mark.parametrize("path", ["/api/calls", "/api/phones", "/api/domains", "/api/peers"])
def test_lists_are_json_arrays_of_what_the_gateway_says(client: Client, path: str) -> None:
    answer = client.ask(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text) == getattr(FakeInspection(), path.removeprefix("/api/"))()


@pytest.mark.parametrize(
    "path", ["/api/calls/a84b4c76e66710@127.0.0.11/1", "/api/calls/a84b4c76e66710%40127.0.0.11%2F1"]
)
def test_a_call_is_found_whatever_its_call_id_holds(client: Client, path: str) -> None:
    assert json.loads(client.ask(path).text) == CALL


def test_health_says_ok(client: Client) -> None:
    assert json.loads(client.ask("/healthz").text) == {"status": "ok"}


def test_metrics_are_in_prometheus_format(client: Client) -> None:
    client.metrics.calls.labels("example.com", "outbound", "ENCRYPTED", "").inc()
    answer = client.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (
        'gateway_calls_total{direction="outbound",domain="example.com",reason="",verdict="ENCRYPTED"} 1.0'
        in answer.text
    )


def test_pages_escape_what_peers_sent(client: Client) -> None:
    for path in ("/", "/calls/a84b4c76e66710@127.0.0.11/1"):
        answer = client.ask(path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_the_page_of_calls_leads_to_the_page_of_each(client: Client) -> None:
    assert 'href="/calls/a84b4c76e66710%40127.0.0.11/1"' in client.ask("/").text


def test_the_page_of_a_call_shows_its_ladder_and_reasons(client: Client) -> None:
    text = client.ask("/calls/a84b4c76e66710@127.0.0.11/1").text
    assert "&rarr; INVITE" in text
    assert "&larr; 200 OK" in text
    assert "TLS_OK" in text
    assert "2023-11-14 22:13:20.250" in text
    assert "3 more messages" in text


def test_the_style_sheet_is_served(client: Client) -> None:
    assert client.ask("/style.css").headers["content-type"] == "text/css; charset=utf-8"


def error_of(answer: Answer) -> tuple[int, str]:
    """The status and the text of an error; the status in the body is the real one."""
    body = json.loads(answer.text)
    assert body["status"] == answer.status
    return answer.status, body["error"]


def test_an_unknown_call_is_a_json_404(client: Client) -> None:
    assert error_of(client.ask("/api/calls/nobody")) == (404, "There is no call nobody.")


def test_an_unknown_path_is_a_json_404(client: Client) -> None:
    assert error_of(client.ask("/api/secrets"))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_than_get_are_refused_and_told_what_is_allowed(client: Client, method: str) -> None:
    answer = client.ask("/api/calls", method)
    assert error_of(answer)[0] == 405
    assert "GET" in answer.headers["allow"]


def test_head_is_get_without_a_body(client: Client) -> None:
    answer = client.ask("/api/calls", "HEAD")
    assert (answer.status, answer.text) == (200, "")


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for path in ("/", "/api/calls", "/api/nothing", "/metrics"):
        headers = client.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "Twisted" not in headers["server"]


@pytest.mark.parametrize("host", ["localhost:8080", "[::1]:8080", "127.0.0.1"])
def test_our_own_names_are_answered(client: Client, host: str) -> None:
    assert client.ask("/healthz", host=host).status == 200


@pytest.mark.parametrize("host", ["rebound.example.org", "localhost.example.org:8080", "127.0.0.1.example.org"])
def test_a_foreign_name_of_this_host_is_refused(client: Client, host: str) -> None:
    assert error_of(client.ask("/api/calls", host=host))[0] == 421


def test_a_mistake_of_ours_is_logged_and_not_told() -> None:
    events = Events()
    globalLogPublisher.addObserver(events)
    try:
        answer = Client(BrokenInspection()).ask("/api/phones")
    finally:
        globalLogPublisher.removeObserver(events)
    assert error_of(answer)[0] == 500
    assert "a secret of the gateway" not in answer.text
    assert [event for event in events.seen if "a secret of the gateway" in str(event.get("log_failure"))]
