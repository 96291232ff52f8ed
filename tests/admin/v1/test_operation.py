"""Readiness, the drain and the end of one call over HTTP, with whatever body."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from treq.testing import RequestTraversalAgent
from twisted.internet.task import Clock

from gateway.admin.api import admin_resource
from gateway.admin.inspection import Role
from gateway.admin.v1.document import document
from gateway.admin.v1.operation import LONGEST_DRAIN, OperationApi
from gateway.b2bua.calls import Calls
from gateway.ingress.drain import Drain
from gateway.observe.metrics import Metrics
from gateway.state.audit import AuditLog
from tests.admin.test_api import Client, FakeControl, FakeInspection, FakePermission

HANG_UP = "/api/v1/calls/{}/hangup"


class Up:
    """One call that is up."""

    def __init__(self) -> None:
        self.ids = ["a/b?c"]

    def __len__(self) -> int:
        return len(self.ids)

    def end_all(self, why: str) -> None:
        self.ids.clear()

    def hang_up(self, call_id: str, why: str) -> bool:
        if call_id not in self.ids:
            return False
        self.ids.remove(call_id)
        return True


class Asked(Client):
    """Asks the routes of operation."""

    def __init__(self, directory: Path, permission: FakePermission | None = None) -> None:
        self.up = Up()
        self.reasons: tuple[str, ...] = ()
        self.drain = Drain(Clock(), self.up)
        self.audit = AuditLog(directory / "audit.jsonl", lambda: 1.0)
        self.api = OperationApi(
            lambda: self.reasons, self.drain, cast(Calls, self.up), self.audit, 20, lambda: ("keep", "so")
        )
        metrics = Metrics(CollectorRegistry())
        resource = admin_resource(
            FakeInspection(), FakeControl(), metrics, permission or FakePermission(), self.api.routes()
        )
        self._agent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]

    def post(self, path: str, body: bytes = b"{}") -> tuple[int, Any]:
        answer = self.ask(path, "POST", body=body)
        return answer.status, json.loads(answer.text)


def _whats(asked: Asked) -> list[object]:
    """The changes in the audit, the first one first."""
    return sorted((entry["what"] for entry in asked.audit.about(None)), key=str)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def test_readiness_is_a_status_with_reasons(asked: Asked) -> None:
    for status, word, reasons in ((200, "ready", ()), (503, "not ready", ("no media relay is up",))):
        asked.reasons = reasons
        answer = asked.ask("/readyz")
        assert (answer.status, json.loads(answer.text)) == (status, {"status": word, "reasons": [*reasons]})


def test_a_drain_begins_with_the_length_of_the_configuration_or_its_own_and_is_cancelled(asked: Asked) -> None:
    for body, seconds in ((b"{}", 20), (b'{"seconds": 1800}', 1800), (b'{"seconds": null}', 20)):
        status, answer = asked.post("/api/v1/drain", body)
        fate = {"stop": "keep", "stop_why": "so"}
        assert (status, answer) == (200, {"draining": True, "calls": 1, "seconds_left": seconds, "refused": 0, **fate})
    assert asked.post("/api/v1/drain/cancel")[1]["draining"] is False
    assert asked.post("/api/v1/drain/cancel")[0] == 409
    assert _whats(asked) == ["drain"] * 3 + ["drain cancelled"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"seconds": -1}',
        b'{"seconds": "30m"}',
        b'{"seconds": true}',
        b'{"seconds": 1.5}',
        b'{"minutes": 1}',
        b'{"seconds": %d}' % (LONGEST_DRAIN + 1),
        b'{"seconds": 1e999}',
    ],
)
def test_a_drain_that_makes_no_sense_is_refused(asked: Asked, body: bytes) -> None:
    assert asked.post("/api/v1/drain", body)[0] == 400
    assert not asked.drain.is_draining


def test_the_drain_of_a_signal_is_nobodys_to_change(asked: Asked) -> None:
    asked.drain.begin(60, lambda: None)
    assert asked.post("/api/v1/drain")[0] == 409
    assert asked.post("/api/v1/drain/cancel")[0] == 409
    assert asked.drain.is_draining


def test_one_call_is_ended_by_its_id(asked: Asked) -> None:
    assert asked.post(HANG_UP.format("nobody"))[0] == 404
    assert asked.post(HANG_UP.format("a%2Fb%3Fc"), b'{"x": 1}')[0] == 400
    assert asked.post(HANG_UP.format("a%2Fb%3Fc")) == (200, {"id": "a/b?c"})
    assert asked.up.ids == []
    assert _whats(asked) == ["hangup"]
    assert asked.audit.about(None)[0]["call"] == "a/b?c"


def test_each_route_has_a_role_and_is_in_the_document(asked: Asked) -> None:
    roles = {(route.method, route.path): route.role for route in asked.api.routes()}
    assert roles.pop(("GET", "/readyz")) is Role.NOBODY
    assert roles.pop(("GET", "/api/v1/drain")) is Role.VIEWER
    assert set(roles.values()) == {Role.OPERATOR}
    shown = cast(Any, document(asked.api.routes()))["paths"]
    assert {"/api/v1/drain", "/api/v1/drain/cancel", "/api/v1/calls/{call_id}/hangup"} == set(shown)
    assert SimpleNamespace(**shown["/api/v1/drain"]).post["requestBody"]
