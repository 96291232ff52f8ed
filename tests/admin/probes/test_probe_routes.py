"""Probes over HTTP: an order, its result, the page, the audit, and the rights that each needs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as Timers

from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.probes.probe_pages import ProbePages
from gateway.admin.probes.probe_routes import ProbeRoutes
from gateway.admin.turns import Turns
from gateway.b2bua.probe.jobs.regular_probes import RegularProbes
from gateway.b2bua.probe.probes import Probes
from gateway.config.model import Security
from gateway.state.audit import AuditLog
from gateway.transport.flow import Address, Target, Transport
from tests.admin.accounts.support import user
from tests.support.admin_house import HOST, AdminHouse
from tests.support.matrix_world import NAME, PROVIDERS, World
from tests.support.probe_world import Probing

ORDER = {"kind": "provider", "target": "main", "call": "600"}


class _Gathering:
    """As much as a page asks for."""

    version = "1"

    def now(self) -> float:
        return 1_790_000_000.0


class House:
    """A site with the probes of a world."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory, PROVIDERS["TLS and SRTP"], Security.REQUIRED)
        probing = Probing(self.world)
        self.audit = AuditLog(directory / "probe-audit.jsonl", lambda: 1_790_000_000.0)
        self.probes = Probes(probing.around, self.world.ladder.metrics, directory)
        table: Any = SimpleNamespace(put=lambda *_: None, drop_beyond=lambda _: None)
        providers = tuple(attrs.evolve(one, probe_hours=24) for one in probing.around.providers())
        events = self.world.ladder.metrics.events
        self.regular = RegularProbes(self.probes, table, events, lambda: providers, lambda: 1_790_000_000.0)
        routes = ProbeRoutes(self.probes, self.regular, self.audit)
        self.timers = Timers()
        desk = Desk(_Gathering(), "gw", Turns(self.timers))  # type: ignore[arg-type]
        more = (*routes.routes(), *ProbePages(routes, desk).routes())
        self.site = AdminHouse(directory, user("olga", Role.ADMIN), more=more)
        self.tokens = {role: self.site.token(role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN)}

    def post(self, order: dict[str, Any], role: Role = Role.OPERATOR) -> Any:
        return self.site.post("/api/v1/probes", order, authorization=f"Bearer {self.tokens[role]}")

    def get(self, path: str) -> Any:
        return self.site.ask(path, authorization=f"Bearer {self.tokens[Role.VIEWER]}")

    def page(self, path: str, role: Role) -> str:
        head = f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {self.tokens[role]}\r\n\r\n"
        asking = self.site.begin(head.encode())
        self.timers.pump([0.0] * 100)
        return str(asking.answered.decode())

    def passes(self, seconds: int = 30) -> None:
        for _ in range(seconds * 5):
            self.world.network.settle()
            self.world.network.advance(0.2)
        self.world.network.settle()
        self.site.time += seconds


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_order_runs_and_its_result_is_asked_for(house: House) -> None:
    begun = house.post(ORDER)
    assert (begun.status, begun.json["result"]) == (202, "running")
    path = f"/api/v1/probes/{begun.json['id']}"
    assert house.get(path).json["facts"] == {}
    house.passes()
    done = house.get(path).json
    assert (done["result"], done["facts"]["calls"][0]["is_encrypted"]) == ("as_wanted", True)
    assert [one["id"] for one in house.get("/api/v1/probes").json] == [done["id"]]
    assert house.get("/api/v1/probes/nothing").status == 404
    (entry,) = house.audit.about("main")
    assert (entry["what"], entry["kind"], entry["called"], entry["learn"]) == ("probe", "provider", "600", False)


def test_a_viewer_orders_nothing(house: House) -> None:
    assert house.post(ORDER, Role.VIEWER).status == 403
    house.passes(2)
    assert not house.probes.latest()
    assert house.world.provider_exchange is None


def test_orders_that_cannot_be_are_told_and_not_in_the_audit(house: House) -> None:
    for order, status in (
        ({"kind": "provider", "target": "nobody"}, 404),
        ({"kind": "moon", "target": "main"}, 400),
        ({"kind": "provider", "target": "main", "call": "112"}, 400),
        ({"kind": "provider"}, 400),
        ({"kind": "provider", "target": "main", "more": 1}, 400),
    ):
        assert house.post(order).status == status, order
    assert not house.audit.about(None)
    assert house.post(ORDER).status == 202
    assert house.post(ORDER).status == 429


def test_an_admin_may_have_a_place_of_ours_asked(house: House) -> None:
    order = {"kind": "uri", "target": "sip:198.51.100.1:5061"}
    place = Target(Transport.TLS, Address("198.51.100.1", 5061), NAME)
    house.world._target = lambda transport: place  # type: ignore[method-assign]
    for role, is_told in ((Role.OPERATOR, True), (Role.ADMIN, False)):
        begun = house.post(order, role)
        house.passes(12)
        answer = house.get(f"/api/v1/probes/{begun.json['id']}").json
        assert ("only an admin" in answer["sentence"]) is is_told


def test_the_page_has_a_form_for_operators_and_shows_what_was_found(house: House) -> None:
    token = house.tokens[Role.OPERATOR]
    form = {"kind": "provider", "target": "main", "call": "600", "full": "on"}
    answer = house.site.form("/probes", form, authorization=f"Bearer {token}")
    job = house.probes.latest()[0]
    assert (answer.status, answer["location"]) == (303, f"/probes/{job.id}")
    running = house.page(f"/probes/{job.id}", Role.VIEWER).lower()
    assert "refresh: 2" in running
    house.passes(60)
    seen = house.page(f"/probes/{job.id}", Role.VIEWER)
    assert "refresh: 2" not in seen.lower()
    for words in ("ENCRYPTED_TO_PROVIDER", "TLSv1.3", NAME, "days left", "RTP/SAVP", "CLEAR_POLICY_OFF"):
        assert words in seen, words
    assert 'action="/probes"' in house.page("/probes", Role.OPERATOR)
    listed = house.page("/probes", Role.VIEWER)
    assert f"/probes/{job.id}" in listed
    refused = house.site.form("/probes", {"kind": "moon"}, authorization=f"Bearer {token}")
    assert refused.status == 400
    assert house.site.form("/probes", form, authorization=f"Bearer {house.tokens[Role.VIEWER]}").status == 403


def test_the_page_of_a_domain_names_its_phones(house: House) -> None:
    begun = house.post({"kind": "domain", "target": "example.com"})
    house.passes(12)
    seen = house.page(f"/probes/{begun.json['id']}", Role.VIEWER)
    assert "sip:alice@example.com" in seen
    assert "it registered over UDP" in seen


def test_probes_that_were_made_by_themselves_are_shown(house: House) -> None:
    assert house.get("/api/v1/probes/history").json == []
    Deferred.fromCoroutine(house.regular.look())
    for _ in range(100):
        house.world.network.settle()
        house.world.network.advance(0.2)
    (row,) = house.get("/api/v1/probes/history?provider=main").json
    assert (row["provider"], row["result"], row["change"]) == ("main", "unknown", "none")
    assert house.get("/api/v1/probes/history?provider=nobody").json == []
    assert house.get("/api/v1/probes/history?limit=0").status == 400
    for path in ("/probes", "/probes/history", "/probes/history?provider=main"):
        page = house.page(path, Role.VIEWER)
        assert "Nobody can tell" in page, path
        assert "/probes/history?provider=main" in page, path
    nobody = house.page("/probes/history?provider=%3Cb%3E", Role.VIEWER)
    assert "None of this provider is kept" in nobody
    assert "<b>" not in nobody.partition("<main")[2]
    assert house.page("/probes/history?limit=0", Role.VIEWER).startswith("HTTP/1.1 400")
