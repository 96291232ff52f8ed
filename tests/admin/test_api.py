"""The administration interface, asked over HTTP without a network."""

import itertools
import json
from typing import TypeVar

import attrs
import pytest
from prometheus_client import CollectorRegistry
from treq.content import content
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IRequest, IResponse
from zope.interface import implementer

from gateway.admin.api import admin_resource
from gateway.admin.hardening import NotPermitted
from gateway.admin.inspection import Caller, NotChanged, Role, Row
from gateway.admin.pages.desk import Desk
from gateway.admin.pages.page_routes import PageRoutes
from gateway.admin.turns import PIECE_SECONDS, Turns
from gateway.base.json_codec import Json
from gateway.observe.metrics import Metrics
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import CallFilter, CallsCount, CallsPage, Place, read_cursor
from gateway.state.listing.call_statistics import Counted, Statistics, statistics

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


class FakeLists:
    """A list of one call."""

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        Place.read(after)
        return succeed(CallsPage((CALL,)))

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        return succeed(CallsCount(1, is_all=True))

    def statistics(self) -> Deferred[Statistics]:
        return succeed(statistics(Counted(), {}, 1700000000.0))


class FakeInspection:
    """A gateway with one call."""

    lists = FakeLists()

    def calls(self) -> list[Row]:
        return [CALL]

    def call(self, call_id: str) -> Deferred[Row | None]:
        return succeed(CALL if call_id == CALL["id"] else None)

    def call_details(self) -> list[Row]:
        return [{"id": CALL["id"]}]

    def phones(self) -> list[Row]:
        return [{"aor": "sip:alice@example.com"}]

    def registrations(self, address_of_record: str | None, limit: int, after: str | None = None) -> Deferred[Row]:
        read_cursor(after)
        return succeed({"registrations": [], "next": None})

    def devices(self, wanted: DeviceFilter, limit: int, after: str | None = None) -> Deferred[Row]:
        read_cursor(after)
        return succeed({"phones": [], "next": None})

    def audit_entries(self, about: str | None, limit: int) -> list[Row]:
        return [{"at": "2026-01-01T00:00:00.000Z", "who": "alice", "what": "reload"}]

    def domains(self) -> list[Row]:
        return [{"name": "example.com"}]

    def domain(self, name: str) -> Row | None:
        return {"name": name, "changes": []} if name == "example.com" else None

    def providers(self) -> list[Row]:
        return [{"name": "main"}]

    def peers(self) -> list[Row]:
        return [{"name": "main"}]

    def certificates(self) -> list[Row]:
        return [{"listener": "provider", "days_left": 80}]

    def counts(self) -> Row:
        return {"calls": 1, "transactions": {}}


class FakeControl:
    """A gateway that notes what it is asked to change."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def switch_domain(self, name: str, security: str, who: str, because: str = "") -> Row:
        if name != "example.com":
            raise NotChanged(f"There is no domain {name}.", status=404)
        self.asked.append((name, security, who, because) if because else (name, security, who))
        return {"name": name, "security": security}

    def hang_up(self, call_id: str, who: str) -> None:
        self.asked.append(("hangup", call_id, who))

    def reload(self, who: str) -> Row:
        raise NotChanged("gateway.toml: one mistake", "gateway.toml: another")

    def refused(self, change: str, who: str, domain: str | None = None) -> None:
        self.asked.append(("refused", change, who, domain))

    def forget_peer(self, name: str, who: str) -> Row:
        self.asked.append(("forget", name, who))
        return {"forgotten": 1}

    def learn_peer(self, name: str, features: list[str], who: str) -> Row:
        self.asked.append(("learn", name, features, who))
        return {"name": name}


class FakePermission:
    """Takes every request for one user's."""

    def __init__(self, author: str | None = "alice (uid 1000)") -> None:
        self.author = author

    def admit(self, request: IRequest, role: Role, path: str) -> Caller:
        if self.author is None and request.method == b"POST":
            raise NotPermitted("mallory (uid 1001)", "Changes are made by others.")
        return Caller(self.author or "", role, "127.0.0.1")


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
    size: int
    """Bytes of the body."""


@implementer(IBodyProducer)
class Body:
    """The body of a request, sent at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Everything is sent already."""

    def resumeProducing(self) -> None:
        """Everything is sent already."""

    def stopProducing(self) -> None:
        """Everything is sent already."""


class Client:
    """Asks a resource of ours."""

    def __init__(
        self,
        inspection: FakeInspection,
        permission: FakePermission | None = None,
        desk: Desk | None = None,
        timers: Clock | None = None,
    ) -> None:
        self._timers = timers or Clock()
        self.metrics = Metrics(CollectorRegistry())
        self.control = FakeControl()
        pages = () if desk is None else PageRoutes(inspection, self.control, desk).routes()
        resource = admin_resource(
            inspection,
            self.control,
            self.metrics,
            permission or FakePermission(),
            pages,
            (),
            None if desk is None else desk.error,
            turns=Turns(self._timers),
        )
        self._agent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]

    def ask(
        self,
        path: str,
        method: str = "GET",
        host: str = "127.0.0.20:8080",
        body: bytes = b"",
        content_type: str = "application/json",
        **fields: str,
    ) -> Answer:
        named = Headers({b"host": [host.encode()], b"content-type": [content_type.encode()]})
        for name, value in fields.items():
            named.addRawHeader(name.replace("_", "-"), value)
        asked: Deferred[IResponse] = self._agent.request(  # type: ignore[no-untyped-call]
            method.encode(), f"http://127.0.0.1{path}".encode(), named, Body(body) if body else None
        )
        answered: list[IResponse] = []
        asked.addCallback(answered.append)
        while not answered and self._timers.getDelayedCalls():
            self._timers.advance(0)  # a page is drawn in turns
            self._agent.flush()  # type: ignore[no-untyped-call]
        assert answered, "the answer is not there at once"
        response = answered[0]
        self._agent.flush()  # type: ignore[no-untyped-call]
        headers = {name.decode().lower(): values[0].decode() for name, values in response.headers.getAllRawHeaders()}
        body_of = now(content(response))
        return Answer(response.code, headers, body_of.decode("utf-8", "replace"), len(body_of))


def now(waiting: Deferred[T]) -> T:
    """The result that a Deferred has already."""
    results: list[T] = []
    waiting.addCallback(results.append)
    assert results, "the answer is not there at once"
    return results[0]


@pytest.fixture
def client() -> Client:
    return Client(FakeInspection())


@pytest.mark.parametrize(
    "path", ["/api/calls", "/api/phones", "/api/domains", "/api/peers", "/api/certificates", "/api/counts"]
)
def test_answers_are_json_of_what_the_gateway_says(client: Client, path: str) -> None:
    answer = client.ask(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text) == getattr(FakeInspection(), path.removeprefix("/api/"))()


@pytest.mark.parametrize(
    "path", ["/api/calls/a84b4c76e66710@127.0.0.11/1", "/api/calls/a84b4c76e66710%40127.0.0.11%2F1"]
)
def test_a_call_is_found_whatever_its_call_id_holds(client: Client, path: str) -> None:
    assert json.loads(client.ask(path).text) == CALL


@pytest.mark.parametrize("path", ["/api/phones", "/api/calls", "/metrics"])
def test_calls_have_their_turn_while_a_long_answer_is_made(path: str) -> None:
    """Each row takes a third of a piece here: a reactor's turn comes after every few rows, and none waits for all."""
    clock, passed, given = Clock(), itertools.count(), list[int]()

    def is_given() -> bool:
        given.append(1)
        return False

    turns = Turns(clock, now=lambda: next(passed) * PIECE_SECONDS / 3, first=is_given)
    inspection, metrics = FakeInspection(), Metrics(CollectorRegistry())
    for name in ("phones", "calls"):
        rows = getattr(inspection, name)() * 300
        setattr(inspection, name, lambda rows=rows: rows)
    resource = admin_resource(inspection, FakeControl(), metrics, FakePermission(), turns=turns)
    agent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]
    asked = agent.request(  # type: ignore[no-untyped-call]
        b"GET", f"http://127.0.0.1{path}".encode(), Headers({b"host": [b"127.0.0.20:8080"]}), None
    )
    clock.advance(0)
    agent.flush()  # type: ignore[no-untyped-call]
    assert now(asked).code == 200
    assert len(given) > 20


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


class HostileInspection(FakeInspection):
    """A gateway whose record holds a peer's bytes as they came."""

    text = "\udcff\x1b[2J\x9b31m\u202e\u2028<b>"

    def calls(self) -> list[Row]:
        return [{**CALL, **dict.fromkeys(("id", "caller", "callee", "ending", "reason", "verdict"), self.text)}]

    def call(self, call_id: str) -> Deferred[Row | None]:
        steps: list[Json] = [{"at": 1.5, "leg": "caller", "direction": "sent", "what": self.text}]
        chain: list[Json] = [{"leg": self.text, "step": "policy", "what": self.text, "code": self.text}]
        return succeed({**self.calls()[0], "ladder": steps, "chain": chain})

    def call_details(self) -> list[Row]:
        return self.calls()

    def phones(self) -> list[Row]:
        return [{"aor": self.text, "user_agent": self.text}]


@pytest.mark.parametrize(
    "path", ["/api/calls", "/api/calls/x", "/api/cdr", "/api/phones", "/api/calls/%1b%c2%9b", "/%e2%80%ae"]
)
def test_no_byte_of_a_peer_breaks_an_answer(path: str) -> None:
    answer = Client(HostileInspection()).ask(path)
    assert answer.status == (404 if path == "/%e2%80%ae" else 200)
    assert answer.text.rstrip("\n").isprintable()


def error_of(answer: Answer) -> tuple[int, str]:
    """The status and the text of an error; the status in the body is the real one."""
    body = json.loads(answer.text)
    assert body["status"] == answer.status
    return answer.status, body["error"]


def test_an_unknown_call_is_a_json_404(client: Client) -> None:
    assert error_of(client.ask("/api/calls/nobody")) == (404, "There is no call nobody.")


def test_an_unknown_path_is_a_json_404(client: Client) -> None:
    assert error_of(client.ask("/api/secrets"))[0] == 404


CHANGES = [
    ("/api/domains/example.com", {"security": "off"}, ("example.com", "off")),
    ("/api/peers/forget", {"name": "main"}, ("forget", "main")),
    ("/api/peers/learn", {"name": "main", "features": ["tls"]}, ("learn", "main", ["tls"])),
]


@pytest.mark.parametrize(("path", "change", "asked"), CHANGES)
def test_a_change_is_made_in_the_name_of_who_asks(
    client: Client, path: str, change: object, asked: tuple[object, ...]
) -> None:
    answer = client.ask(path, "POST", body=json.dumps(change).encode())
    assert answer.status == 200, answer.text
    assert client.control.asked == [(*asked, "alice (uid 1000)")]


@pytest.mark.parametrize("path", [path for path, _, _ in CHANGES])
def test_a_web_page_changes_nothing(client: Client, path: str) -> None:
    body = json.dumps({"name": "main", "security": "off", "features": []}).encode()
    assert error_of(client.ask(path, "POST", body=body, content_type="text/plain"))[0] == 415
    assert error_of(client.ask(path, "POST", body=body, origin="https://evil.example"))[0] == 403
    assert error_of(client.ask(path, "POST", body=body, host="evil.example"))[0] == 421
    assert client.ask(path, "OPTIONS").headers.get("access-control-allow-origin") is None
    assert client.control.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"security": 1}'])
def test_a_change_that_cannot_be_read_is_refused(client: Client, body: bytes) -> None:
    assert error_of(client.ask("/api/domains/example.com", "POST", body=body))[0] == 400
    assert client.control.asked == []


@pytest.mark.parametrize(("path", "change", "_"), CHANGES)
def test_a_user_without_the_right_to_it_changes_nothing(path: str, change: object, _: object) -> None:
    client = Client(FakeInspection(), FakePermission(None))
    assert error_of(client.ask(path, "POST", body=json.dumps(change).encode())) == (403, "Changes are made by others.")
    ((refused, _, who, domain),) = client.control.asked
    assert (refused, who, domain) == ("refused", "mallory (uid 1001)", "example.com" if "domains" in path else None)
    assert client.ask("/api/domains").status == 200, "reading is everybody's who reaches it"


def test_a_change_that_is_refused_says_why(client: Client) -> None:
    assert error_of(client.ask("/api/reload", "POST", body=b"{}")) == (
        400,
        "gateway.toml: one mistake\ngateway.toml: another",
    )
    body = b'{"security": "off"}'
    assert error_of(client.ask("/api/domains/nowhere", "POST", body=body)) == (404, "There is no domain nowhere.")


def test_one_domain_and_the_call_details_are_told(client: Client) -> None:
    assert json.loads(client.ask("/api/domains/example.com").text) == {"name": "example.com", "changes": []}
    assert error_of(client.ask("/api/domains/nowhere"))[0] == 404
    assert json.loads(client.ask("/api/cdr").text) == [{"id": CALL["id"]}]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_than_get_are_refused_and_told_what_is_allowed(client: Client, method: str) -> None:
    answer = client.ask("/api/calls", method)
    assert error_of(answer)[0] == 405
    assert "GET" in answer.headers["allow"]


def test_a_change_is_asked_for_by_post_alone(client: Client) -> None:
    answer = client.ask("/api/reload")
    assert (error_of(answer)[0], answer.headers["allow"]) == (405, "POST")


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
