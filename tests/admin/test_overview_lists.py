"""Registrations and devices, page by page: each once, whatever phones call themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.admin.overview import Overview
from gateway.observe.metrics import Metrics
from gateway.registrar.sightings import DeviceSightings
from gateway.registrar.sqlite_store import WRITE_DELAY, SqliteStore, prepare_bindings
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.state.audit import AuditLog
from gateway.state.devices.device_table import DeviceFilter, DeviceTable, prepare_devices
from gateway.state.listing.call_filter import BadCursor, cursor_of
from tests.admin.test_overview import overview_of
from tests.support.bindings import NOW, binding
from tests.support.direct_database import DirectDatabase, got


class Lists:
    """An overview of a gateway with phones."""

    def __init__(self, directory: Path) -> None:
        bindings, devices = directory / "bindings.sqlite", directory / "devices.sqlite"
        database = DirectDatabase(bindings, prepare_bindings)
        self.clock = database.clock
        self.store = SqliteStore(bindings, database, self.clock, lambda: NOW)
        self.memory = PeerMemory(lambda: NOW, Metrics(CollectorRegistry()))
        inventory = DirectDatabase(devices, prepare_devices)
        self.devices = DeviceTable(devices, inventory, inventory.clock, lambda: NOW)
        self._inventory = inventory
        overview = overview_of(AuditLog(directory / "audit.jsonl", lambda: 0.0), [NOW])
        self.overview: Overview = attrs.evolve(
            overview, store=self.store, memory=self.memory, device_table=self.devices
        )

    def register(self, **fields: Any) -> None:
        one = binding(**fields)
        self.store.save(one)
        DeviceSightings(self.devices).registered(one)
        self.clock.advance(WRITE_DELAY)
        self._inventory.clock.advance(WRITE_DELAY)
        self._inventory.clock.advance(1)

    def pages(self, limit: int) -> Iterator[list[Any]]:
        following: Any = None
        while True:
            page: Any = got(self.overview.registrations(None, limit, following))
            assert len(page["registrations"]) <= limit
            yield page["registrations"]
            following = page["next"]
            if following is None:
                return
            assert len(following) < 500


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_each_registration_is_on_one_page_though_its_contact_be_long(lists: Lists, limit: int) -> None:
    for number in range(4):
        for line in range(3):
            contact = f"sip:{line}@192.0.2.{number};x={'y' * 3000}"
            lists.register(aor=f"sip:{number}@example.com", contact=contact, token=f"t{number}-{line}")
    rows = [row for page in lists.pages(limit) for row in page]
    assert [row["address_of_record"] for row in rows] == [f"sip:{n}@example.com" for n in range(4) for _ in range(3)]
    assert len({row["contact"][:10] + row["address_of_record"] for row in rows}) == 12


def test_one_address_is_found_at_once(lists: Lists) -> None:
    lists.register()
    lists.register(aor="sip:bob@example.com", token="b")
    page: Any = got(lists.overview.registrations("sip:bob@example.com", 10, None))
    assert [row["address_of_record"] for row in page["registrations"]] == ["sip:bob@example.com"]


def test_a_binding_that_has_expired_is_in_no_list(lists: Lists) -> None:
    lists.register(expires_at=NOW - 1)
    assert [*lists.pages(10)] == [[]]


@pytest.mark.parametrize("place", [("a", "x"), ("a", "²"), ("a", "-1"), ("a", "9" * 30), ("a", "")])
def test_a_place_that_no_page_gave_is_refused(lists: Lists, place: tuple[str, str]) -> None:
    with pytest.raises(BadCursor):
        lists.overview.registrations(None, 10, cursor_of(*place))


def test_a_device_shows_whether_its_phones_did_srtp(lists: Lists) -> None:
    lists.register(user_agent="snom870/8.7.5.35", instance="<urn:x>")
    lists.memory.saw(Peer("sip:alice@example.com"), Feature.SRTP, did=True)
    page: Any = got(lists.overview.devices(DeviceFilter(make="snom"), 10))
    (device,) = page["phones"]
    assert (device["model"], device["key"], device["did_srtp_at"]) == ("870", "instance:<urn:x>", NOW)
    assert device["reachable"] is True
    (binding,) = lists.overview.store.all()
    lists.overview.store.set_reachable(binding, is_reachable=False)
    page = got(lists.overview.devices(DeviceFilter(make="snom"), 10))
    assert page["phones"][0]["reachable"] is False
    assert page["next"] is None


def test_devices_come_page_by_page(lists: Lists) -> None:
    for number in range(5):
        lists.register(token=f"t{number}", contact=f"sip:{number}@192.0.2.{number}", instance=f"<urn:{number}>")
    first: Any = got(lists.overview.devices(DeviceFilter(), 3))
    second: Any = got(lists.overview.devices(DeviceFilter(), 3, first["next"]))
    keys = [row["key"] for page in (first, second) for row in page["phones"]]
    assert keys == [f"instance:<urn:{number}>" for number in range(5)]
    assert second["next"] is None
