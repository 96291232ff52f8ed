"""Routes: which function answers, and answers that come later."""

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Site

from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute, HttpRoutes, RouteWatch
from gateway.observe.metrics import Metrics
from tests.admin.test_api import FakeControl, FakePermission


class Asked:
    """A site with one answer that comes later, asked over a connection."""

    def __init__(self, *paths: str) -> None:
        self.later: Deferred[bytes] = Deferred()
        self.seen: list[dict[str, str]] = []
        routes = [HttpRoute("GET", path, self._answer, Role.VIEWER) for path in paths]
        watch = RouteWatch(Metrics(CollectorRegistry()), FakeControl())
        site = Site(HttpRoutes(routes, FakePermission(), watch))
        self.protocol = site.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def get(self, path: str) -> None:
        self.protocol.dataReceived(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def _answer(self, request: IRequest, **placeholders: str) -> Deferred[bytes]:
        self.seen.append(placeholders)
        return self.later


def test_an_answer_that_comes_later_is_sent_with_its_length() -> None:
    asked = Asked("/later")
    asked.get("/later")
    assert not asked.transport.value()
    asked.later.callback(b"here")
    head, _, body = asked.transport.value().partition(b"\r\n\r\n")
    assert b"content-length: 4" in head.lower()
    assert body == b"here"


@pytest.mark.parametrize("result", [b"here", Failure(ValueError("broken"))])
def test_an_answer_for_a_client_that_has_gone_is_dropped(result: bytes | Failure) -> None:
    asked = Asked("/later")
    asked.get("/later")
    asked.protocol.connectionLost(Failure(ConnectionLost()))
    asked.later.callback(result)
    assert not asked.transport.value()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/one/a", {"name": "a"}),
        ("/one/a%20b?c=d", {"name": "a b"}),
        ("//one/a", {"name": "a"}),
        ("/all/a/b%2Fc", {"rest": "a/b/c"}),
        ("/all/a%0Ab", {"rest": "a\nb"}),
        ("/dot.css", {}),
    ],
)
def test_placeholders_are_decoded(path: str, found: dict[str, str]) -> None:
    asked = Asked("/one/{name}", "/all/{rest:path}", "/dot.css")
    asked.later = succeed(b"")
    asked.get(path)
    assert asked.seen == [found]


@pytest.mark.parametrize("path", ["/one/", "/one/a/b", "/all/", "/dotxcss", "/One/a", "/"])
def test_other_paths_lead_nowhere(path: str) -> None:
    asked = Asked("/one/{name}", "/all/{rest:path}", "/dot.css")
    asked.get(path)
    assert asked.seen == []
    assert asked.transport.value().startswith(b"HTTP/1.1 404 ")
