"""A gateway of fakes with all its pages, asked over HTTP without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock as Timers

from gateway.admin.inspection import Population, Row
from gateway.admin.pages.desk import Desk
from gateway.admin.status.gathering import Gathering, Watched
from gateway.admin.turns import Turns
from gateway.base.clock import Clock
from gateway.config.load import load
from gateway.config.model import Configuration
from gateway.config.switches import Settings
from gateway.observe.events import Events
from gateway.observe.figures import Figures
from gateway.routing.health import Health
from gateway.state.audit import AuditLog
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import CallFilter, CallsCount, CallsPage, read_cursor
from gateway.state.listing.call_statistics import Counted, Statistics, statistics
from tests.admin.test_api import Client, FakeInspection, FakePermission
from tests.support.small_configuration import SMALLEST

NOW = 1_796_000_000.0

CONFIGURATION = (
    SMALLEST.replace("/var/lib/gateway", "state")
    .replace('name = "gw1"', 'name = "gw-berlin"')
    .replace("127.0.0.1", "192.0.2.10", 1)
    .replace("provider.example.com", "provider.example.com;transport=udp")
    + 'security = "preferred"\n'
)


class Lists:
    """A list of the calls that it is given; it notes what was looked for."""

    def __init__(self, calls: list[Row]) -> None:
        self.calls = calls
        self.asked: list[CallFilter] = []
        self.next: str | None = None
        self.found: Callable[[CallFilter], bool] = lambda wanted: True

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        read_cursor(after)
        self.asked.append(wanted)
        return succeed(CallsPage(tuple(self.calls[:limit]) if self.found(wanted) else (), self.next))

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        return succeed(CallsCount(len(self.calls), is_all=True))

    def statistics(self) -> Deferred[Statistics]:
        return succeed(statistics(Counted(), {}, NOW))


class PagedInspection(FakeInspection):
    """A gateway with these calls and phones."""

    def __init__(self, calls: list[Row], phones: list[Row]) -> None:
        self.lists = Lists(calls)  # type: ignore[assignment]
        self._phones = phones

    def calls(self) -> list[Row]:
        return self.lists.calls  # type: ignore[attr-defined,no-any-return]

    def call(self, call_id: str) -> Deferred[Row | None]:
        return succeed(next((call for call in self.calls() if call["id"] == call_id), None))

    def registrations(self, address_of_record: str | None, limit: int, after: str | None = None) -> Deferred[Row]:
        read_cursor(after)
        found = [row for row in self._phones if address_of_record in (None, row["address_of_record"])]
        return succeed({"registrations": [*found[:limit]], "next": "WyJhIiwiYiJd" if len(found) > limit else None})

    def devices(self, wanted: DeviceFilter, limit: int, after: str | None = None) -> Deferred[Row]:
        seen: Row = {"user_agent": "Yealink SIP-T54W 96.86.0.100", "transport": "udp", "last_seen_at": NOW - 60}
        seen |= {"make": "Yealink", "model": "T54W", "firmware": "96.86.0.100", "first_seen_at": NOW - 9e6}
        known = [row for row in self._phones if row["address_of_record"] == wanted.address_of_record]
        return succeed({"phones": [seen] if known else [], "next": None})

    async def population(self) -> Population:
        return Population({"example.com": len(self._phones)}, {"udp": len(self._phones)})

    def counts(self) -> Row:
        return {"calls": 0, "bindings": len(self._phones)}

    def domains(self) -> list[Row]:
        return [self.domain("example.com") or {}]

    def domain(self, name: str) -> Row | None:
        if name != "example.com":
            return None
        switched: Row = {"at": "2026-11-30T13:24:00.000Z", "who": "ana", "what": "switch", "domain": name}
        return {
            "name": name,
            "provider": "main",
            "security": "preferred",
            "switched_by": "ana",
            "switched_at": NOW - 7200,
            "downgrade": "alert",
            "challenge": [],
            "restricted_access_domains": [],
            "emergency_numbers": ["112"],
            "changes": [{**switched, "from": "off", "to": "preferred"}],
        }

    def providers(self) -> list[Row]:
        seen: Row = {"did_tls_at": NOW - 60, "lacked_tls_at": None, "did_srtp_at": None, "lacked_srtp_at": NOW - 60}
        return [{"name": "main", "uri": "sip:provider.example.com", "srtp_offer": "savp", "trust": "system", **seen}]

    def certificates(self) -> list[Row]:
        row: Row = {"listener": "provider", "file": "/etc/gateway.pem", "names": ["gw.example.com"], "warnings": []}
        return [{**row, "days_left": 80, "valid_until": "2027-02-11"}]


class PageStage:
    """The pages of such a gateway, and a client that asks for them."""

    def __init__(
        self,
        directory: Path,
        calls: list[Row] | None = None,
        phones: list[Row] | None = None,
        permission: FakePermission | None = None,
    ) -> None:
        file = directory / "gateway.toml"
        file.write_text(CONFIGURATION)
        (directory / "state").mkdir(exist_ok=True)
        self.inspection = PagedInspection(calls or [], phones or [])
        timers = Timers()
        clock = Clock(timers, lambda: NOW, lambda: 0.0)
        settings = Settings(load(file), AuditLog(directory / "audit.jsonl", lambda: NOW), clock, cast(Any, _Parts()))
        nothing: Any = None
        self.events = Events(lambda: NOW)
        health = Health(clock.timers, nothing, nothing, nothing, nothing, self.events)
        listeners = lambda: settings.current.listeners  # noqa: E731
        watched = Watched(health, Figures, dict, self.inspection.population, dict, bool, listeners)
        self.gathering = Gathering(self.inspection, settings, watched, clock, self.events, "1.2.3")
        self.client = Client(self.inspection, permission, Desk(self.gathering, "gw-berlin", Turns(timers)), timers)

    @property
    def looked_for(self) -> list[CallFilter]:
        """The filters that lists were asked with."""
        return self.inspection.lists.asked  # type: ignore[attr-defined,no-any-return]


class _Parts:
    """Parts of a gateway that take everything."""

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        return lambda: None

    def adopt(self, configuration: Configuration) -> None:
        """Taken."""
