"""The API under /api/v1, asked over HTTP without a network."""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.admin.api import admin_resource
from gateway.admin.inspection import NotChanged, Role, Row
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.resources import ApiV1
from gateway.admin.v1.stream import EventStreams
from gateway.observe.events import Events
from gateway.observe.metrics import Metrics
from gateway.state.call_record import CallDirection
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import CallFilter, CallsCount, CallsPage, Place, cursor_of
from gateway.state.listing.call_list import TooManyQuestions
from tests.admin.test_api import CALL, Answer, Client, FakeControl, FakeInspection, FakeLists, FakePermission

NOW = 1_700_000_000.0


class Lists(FakeLists):
    """A list of one call, which notes the questions."""

    def __init__(self) -> None:
        self.asked: list[tuple[CallFilter, int]] = []
        self.is_busy = False

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        Place.read(after)
        self.asked.append((wanted, limit))
        if self.is_busy:
            return fail(TooManyQuestions("too many questions"))
        return succeed(CallsPage((CALL,), Place(1.5, "x").cursor()))

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        return succeed(CallsCount(7, is_all=True))


class Inspection(FakeInspection):
    """A gateway with a domain that can be switched."""

    def __init__(self) -> None:
        self.lists: Lists = Lists()
        self.security = "required"
        self.is_broken = False

    def domain(self, name: str) -> Row | None:
        state: Row = {"name": "example.com", "security": self.security}
        return {**state, "changes": [{"at": "x"}]} if name == "example.com" else None

    def registrations(self, address_of_record: str | None, limit: int, after: str | None = None) -> Deferred[Row]:
        if self.is_broken:
            return fail(sqlite3.OperationalError("disk I/O error"))
        return super().registrations(address_of_record, limit, after)

    def devices(self, wanted: DeviceFilter, limit: int, after: str | None = None) -> Deferred[Row]:
        if self.is_broken:
            return fail(sqlite3.OperationalError("disk I/O error"))
        return super().devices(wanted, limit, after)


class Control(FakeControl):
    """Switches the domain."""

    def __init__(self, inspection: Inspection) -> None:
        super().__init__()
        self._inspection = inspection

    def switch_domain(self, name: str, security: str, who: str, because: str = "") -> Row:
        if security == "nonsense":
            raise NotChanged("security: found nonsense")
        self.asked.append((name, security, who))
        self._inspection.security = security
        return {"name": "example.com", "security": security}


class Asked(Client):
    """Asks the API."""

    def __init__(self, permission: FakePermission | None = None) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.inspection = Inspection()
        self.control = Control(self.inspection)
        self.clock = Clock()
        self.events = Events(lambda: NOW)
        admitting = permission or FakePermission()
        streams = EventStreams(self.events, self.clock, 1_600_000_000)
        api = ApiV1(self.inspection, self.control, admitting, streams, lambda: NOW)
        self.routes: tuple[HttpRoute, ...] = api.routes()
        resource = admin_resource(self.inspection, self.control, self.metrics, admitting, self.routes)
        self._agent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]

    def post(self, path: str, change: object, **fields: str) -> Answer:
        return self.ask(path, "POST", body=json.dumps(change).encode(), **fields)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def problem_of(answer: Answer) -> tuple[int, str]:
    """The status and the detail of a problem (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.text)
    assert problem["status"] == answer.status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    return answer.status, problem["detail"]


def test_calls_are_asked_for_with_all_filters(asked: Asked) -> None:
    query = (
        "since=24h&until=2023-11-14T22:13:20Z&number=%2B4930&user=alice&verdict=CLEAR&reason=R&domain=d&provider=p"
        "&direction=inbound&stage=up&answered=false&limit=3"
    )
    answer = asked.ask(f"/api/v1/calls?{query}")
    assert json.loads(answer.text) == {"calls": [CALL], "next": Place(1.5, "x").cursor(), "count": None, "is_all": None}
    wanted = CallFilter(
        NOW - 86_400,
        NOW,
        "+4930",
        "alice",
        "CLEAR",
        "R",
        "d",
        "p",
        CallDirection.INBOUND,
        is_up=True,
        is_answered=False,
    )
    assert asked.inspection.lists.asked == [(wanted, 3)]


def test_calls_are_counted_where_that_is_asked_for(asked: Asked) -> None:
    answer = json.loads(asked.ask("/api/v1/calls?count=true&stage=ended").text)
    assert (answer["count"], answer["is_all"]) == (7, True)
    assert asked.inspection.lists.asked == [(CallFilter(is_up=False), 50)]


def test_the_cursor_of_an_answer_leads_on(asked: Asked) -> None:
    following = json.loads(asked.ask("/api/v1/calls").text)["next"]
    assert asked.ask(f"/api/v1/calls?next={following}").status == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("colour=red", "There is no colour here"),
        ("limit=1&limit=2", "limit is there twice"),
        ("limit=many", "a whole number"),
        ("limit=0", "from 1 to 1000"),
        ("limit=99999", "from 1 to 1000"),
        ("limit=" + "9" * 40, "a whole number"),
        ("since=yesterday", "a time"),
        ("since=nan", "a time"),
        ("since=1e400", "a time"),
        ("since=-1", "a time"),
        ("since=99999-01-01", "a time"),
        ("answered=perhaps", "true or false"),
        ("direction=up", "one of outbound, inbound, internal"),
        ("next=nonsense", "no page gave this cursor"),
        ("next=" + cursor_of("a", "b"), "no page gave this cursor"),
        ("number=" + "9" * 501, "500 characters"),
        ("number=%00", "a text"),
        ("number=%ff", "no UTF-8"),
        ("&".join(f"a{number}=1" for number in range(60)), "more than 50"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_400_that_says_why(asked: Asked, query: str, said: str) -> None:
    status, detail = problem_of(asked.ask(f"/api/v1/calls?{query}"))
    assert status == 400
    assert said in detail
    assert not asked.inspection.lists.asked or "next" in query


@pytest.mark.parametrize("path", ["domains", "peers", "counts", "statistics", "openapi.json", "certificates", "events"])
def test_a_parameter_that_a_route_does_not_have_is_refused(asked: Asked, path: str) -> None:
    assert problem_of(asked.ask(f"/api/v1/{path}?colour=red"))[0] == 400


def test_one_call_is_told_or_is_a_404(asked: Asked) -> None:
    assert json.loads(asked.ask("/api/v1/calls/a84b4c76e66710@127.0.0.11/1").text) == CALL
    assert problem_of(asked.ask("/api/v1/calls/nobody")) == (404, "There is no call nobody.")


def test_too_many_questions_are_a_503(asked: Asked) -> None:
    asked.inspection.lists.is_busy = True
    assert problem_of(asked.ask("/api/v1/calls"))[0] == 503


@pytest.mark.parametrize("path", ["registrations", "phones"])
def test_a_file_that_cannot_be_read_is_a_503(asked: Asked, path: str) -> None:
    asked.inspection.is_broken = True
    assert problem_of(asked.ask(f"/api/v1/{path}"))[0] == 503


@pytest.mark.parametrize("path", ["registrations", "phones", "calls"])
def test_a_cursor_of_half_a_character_is_refused(asked: Asked, path: str) -> None:
    for place in (rb'["\ud800", "x"]', rb'[1.5, "\udfff"]'):
        cursor = base64.urlsafe_b64encode(place).decode()
        assert problem_of(asked.ask(f"/api/v1/{path}?next={cursor}"))[0] == 400


@pytest.mark.parametrize("path", ["registrations", "phones"])
def test_a_cursor_of_another_list_is_refused(asked: Asked, path: str) -> None:
    assert problem_of(asked.ask(f"/api/v1/{path}?next={Place(1.5, 'x').cursor()}"))[0] == 400


def test_head_of_the_stream_ends_at_once(asked: Asked) -> None:
    answer = asked.ask("/api/v1/events", "HEAD")
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_what_a_path_or_query_holds_comes_back_clean(asked: Asked) -> None:
    for path in ("calls/%1b%c2%9b%e2%80%ae", "calls?%e2%80%ae=1", "domains/%1b"):
        answer = asked.ask(f"/api/v1/{path}")
        assert problem_of(answer)[0] in (400, 404)
        assert answer.text.rstrip("\n").isprintable()


@pytest.mark.parametrize("path", ["nothing", "calls/", "domains/x/y"])
def test_a_path_that_is_none_is_a_problem(asked: Asked, path: str) -> None:
    assert problem_of(asked.ask(f"/api/v1/{path}"))[0] == 404


def test_errors_of_the_old_api_are_as_they_were(asked: Asked) -> None:
    answer = asked.ask("/api/nothing")
    assert answer.headers["content-type"] == "application/json"
    assert set(json.loads(answer.text)) == {"status", "error"}


# -- Changes -----------------------------------------------------------------------------------------------------------


def test_a_domain_is_switched_by_whoever_saw_its_state(asked: Asked) -> None:
    seen = asked.ask("/api/v1/domains/example.com").headers["etag"]
    answer = asked.post("/api/v1/domains/example.com", {"security": "off"}, **{"if-match": seen})
    assert answer.status == 200
    assert answer.headers["etag"] == asked.ask("/api/v1/domains/example.com").headers["etag"] != seen
    late = asked.post("/api/v1/domains/example.com", {"security": "preferred"}, **{"if-match": seen})
    assert problem_of(late)[0] == 412
    assert asked.control.asked == [("example.com", "off", "alice (uid 1000)")]


@pytest.mark.parametrize("wanted", ["*", '"x", {tag}', "{tag}"])
def test_if_match_names_one_or_several_or_any(asked: Asked, wanted: str) -> None:
    seen = asked.ask("/api/v1/domains/example.com").headers["etag"]
    change = {"security": "off"}
    assert (
        asked.post("/api/v1/domains/example.com", change, **{"if-match": wanted.replace("{tag}", seen)}).status == 200
    )


def test_a_weak_tag_matches_nothing(asked: Asked) -> None:
    seen = asked.ask("/api/v1/domains/example.com").headers["etag"]
    assert asked.post("/api/v1/domains/example.com", {"security": "off"}, **{"if-match": f"W/{seen}"}).status == 412


def test_a_domain_is_switched_without_if_match_too(asked: Asked) -> None:
    assert asked.post("/api/v1/domains/example.com", {"security": "off"}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"security": 1}',
        b'{"security": ["off"]}',
        b'{"security": "off", "colour": "red"}',
        b'{"security": "' + b"x" * 501 + b'"}',
        b'{"security": "nonsense"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"security":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"\xff\xfe",
        rb'{"security": "\ud800"}',
        rb'{"security": "off\u0000"}',
    ],
)
def test_a_change_that_cannot_be_read_is_a_400(asked: Asked, body: bytes) -> None:
    assert problem_of(asked.ask("/api/v1/domains/example.com", "POST", body=body))[0] == 400
    assert asked.control.asked == []


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("peers/forget", {"name": "main"}, ("forget", "main")),
        ("peers/learn", {"name": "main", "features": ["tls", "srtp"]}, ("learn", "main", ["tls", "srtp"])),
    ],
)
def test_a_change_is_made_in_the_name_of_its_author(asked: Asked, path: str, change: Any, expected: Any) -> None:
    assert asked.post(f"/api/v1/{path}", change).status == 200
    assert asked.control.asked == [(*expected, "alice (uid 1000)")]


@pytest.mark.parametrize("features", ["tls", ["dtls"], [1], None])
def test_features_that_there_are_not_are_refused(asked: Asked, features: Any) -> None:
    assert problem_of(asked.post("/api/v1/peers/learn", {"name": "main", "features": features}))[0] == 400


def test_a_reload_that_fails_says_why(asked: Asked) -> None:
    assert problem_of(asked.post("/api/v1/reload", {}))[0] == 400


def test_a_user_without_the_right_changes_nothing() -> None:
    asked = Asked(FakePermission(None))
    assert problem_of(asked.post("/api/v1/domains/example.com", {"security": "off"}))[0] == 403
    assert [one[0] for one in asked.control.asked] == ["refused"]


# -- The document ------------------------------------------------------------------------------------------------------


def test_every_route_is_in_the_document_with_its_role(asked: Asked) -> None:
    document = json.loads(asked.ask("/api/v1/openapi.json").text)
    told = {
        (method.upper(), path, operation["x-role"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert told == {(one.method, one.path.replace(":path", ""), one.role.title) for one in asked.routes}
    assert all(one.role is not Role.NOBODY for one in asked.routes)
    assert all(one.role >= Role.OPERATOR for one in asked.routes if one.method != "GET")
    assert document["openapi"].startswith("3.1")


def test_references_of_the_document_lead_somewhere(asked: Asked) -> None:
    text = asked.ask("/api/v1/openapi.json").text
    document = json.loads(text)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == set(document["components"]["schemas"])
    identifiers = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(identifiers) == len(set(identifiers))


def test_parameters_of_the_document_have_descriptions_and_ranges(asked: Asked) -> None:
    document = json.loads(asked.ask("/api/v1/openapi.json").text)
    parameters = {one["name"]: one for one in document["paths"]["/api/v1/calls"]["get"]["parameters"]}
    assert all(one["description"] for one in parameters.values())
    assert parameters["limit"]["schema"]["minimum"] == 1
    assert parameters["direction"]["schema"]["enum"] == ["outbound", "inbound", "internal"]
