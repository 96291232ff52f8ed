"""The inventory: one row a device, whatever it says, as many as there is room for, and read by pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.state.devices import device_table
from gateway.state.devices.device_table import (
    ADDRESSES,
    Device,
    DeviceFilter,
    DeviceTable,
    Row,
    prepare_devices,
)
from gateway.state.table import WRITE_DELAY
from tests.support.direct_database import DirectDatabase, got

NOW = 1_700_000_000.0
PHONE = Device(
    "mac:805ec0a1b2c3",
    "Yealink",
    "SIP-T46G",
    "28.83.0.30",
    "User-Agent",
    "Yealink SIP-T46G 28.83.0.30",
    "sip:alice@example.com",
    "sip:alice@192.0.2.7",
    "udp",
)


class Opened:
    def __init__(self, path: Path) -> None:
        self.database = DirectDatabase(path, prepare_devices)
        self.clock = self.database.clock
        self.now = NOW
        self.table = DeviceTable(path, self.database, self.clock, lambda: self.now)

    def saw(self, device: Device = PHONE, **changes: Any) -> None:
        self.table.saw(attrs.evolve(device, **changes))

    def find(self, limit: int = 100, after: str = "", **wanted: Any) -> list[Row]:
        self.clock.advance(WRITE_DELAY)
        return got(self.table.page(DeviceFilter(**wanted), limit, after))

    def keys(self, **wanted: Any) -> list[str]:
        return [str(row["key"]) for row in self.find(**wanted)]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "devices.sqlite")


def test_a_device_is_one_row_with_the_latest_of_it(opened: Opened) -> None:
    opened.saw()
    opened.find()
    opened.now += 5
    opened.saw(firmware="28.83.0.31", transport="tls", address_of_record="sip:bob@example.com")
    (row,) = opened.find()
    assert (row["firmware"], row["transport"]) == ("28.83.0.31", "tls")
    assert row["addresses_of_record"] == ["sip:bob@example.com", "sip:alice@example.com"]
    assert (row["first_seen_at"], row["last_seen_at"]) == (NOW, NOW + 5)


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    first = Opened(tmp_path / "devices.sqlite")
    first.saw()
    got(first.table.stop())
    second = Opened(tmp_path / "devices.sqlite")
    second.now += 100
    second.saw(address_of_record="sip:carol@example.com")
    (row,) = second.find()
    assert row["first_seen_at"] == NOW
    assert row["addresses_of_record"] == ["sip:carol@example.com", "sip:alice@example.com"]


def test_devices_are_found_by_make_model_and_address_page_by_page(opened: Opened) -> None:
    for number in range(5):
        opened.saw(key=f"k{number}", model="T4" if number % 2 else "T5", address_of_record=f"sip:{number}@x")
    opened.saw(key="other", make="snom", model="870")
    assert opened.keys() == ["k0", "k1", "k2", "k3", "k4", "other"]
    assert opened.keys(make="Yealink", model="T4") == ["k1", "k3"]
    assert opened.keys(address_of_record="sip:2@x") == ["k2"]
    assert opened.keys(make="' OR 1=1 --") == []
    assert [row["key"] for row in opened.find(2, "k1", make="Yealink")] == ["k2", "k3"]


def test_the_least_recently_seen_go_first(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_table, "CAPACITY", 3)
    monkeypatch.setattr(device_table, "ROUND", 10)
    for number in range(20):
        opened.now += 1
        opened.saw(key=f"k{number:02}", address_of_record=f"sip:{number}@x")
        opened.clock.advance(WRITE_DELAY)
    assert len(opened.keys()) <= 3 + 10
    opened.table.drop_beyond(3)
    assert opened.keys() == ["k17", "k18", "k19"]
    assert opened.keys(address_of_record="sip:1@x") == []


def test_devices_are_counted_by_what_they_say_of_themselves(opened: Opened) -> None:
    for number in range(6):
        opened.saw(key=f"k{number}", firmware="1" if number < 4 else "2")
    opened.saw(key="nameless", make="", model="", firmware="")
    opened.now += 500
    opened.saw(key="new", make="snom", model="870", firmware="9")
    opened.clock.advance(WRITE_DELAY)

    def kinds(since: float, most: int = 9) -> list[tuple[str, str, int]]:
        return [(one.make, one.firmware, one.devices) for one in got(opened.table.kinds(since, most))]

    assert kinds(0.0) == [("Yealink", "1", 4), ("Yealink", "2", 2), ("", "", 1), ("snom", "9", 1)]
    assert kinds(NOW + 1) == [("snom", "9", 1)]
    assert kinds(0.0, 1) == [("Yealink", "1", 4), ("", "", 4)], "the others are one kind without a name"


def test_addresses_of_one_device_are_bounded(opened: Opened) -> None:
    for number in range(3 * ADDRESSES):
        opened.saw(address_of_record=f"sip:{number}@x")
        opened.clock.advance(WRITE_DELAY)
    (row,) = opened.find()
    addresses = row["addresses_of_record"]
    assert isinstance(addresses, list)
    assert (len(addresses), addresses[0]) == (ADDRESSES, f"sip:{3 * ADDRESSES - 1}@x")
    assert opened.keys(address_of_record=str(addresses[-1])) == [PHONE.key]
    assert opened.keys(address_of_record="sip:0@x") == [], "it is found by no address that it does not show"
    rows = opened.database.run_interaction(lambda t: t.execute("SELECT COUNT(*) FROM device_aor").fetchone()[0])
    assert got(rows) == ADDRESSES


def test_pages_use_an_index(opened: Opened) -> None:
    opened.saw()
    opened.find()
    for wanted in (DeviceFilter(), DeviceFilter(make="a"), DeviceFilter(address_of_record="a")):
        plans: list[str] = []

        class Explained:
            def execute(self, asked: str, values: tuple[object, ...], plans: list[str] = plans) -> None:
                plan = opened.database.run_interaction(lambda t: [*t.execute(f"EXPLAIN QUERY PLAN {asked}", values)])
                plans.extend(str(row[3]) for row in got(plan))

            def fetchall(self) -> list[tuple[str]]:
                return []

        device_table._page(Explained(), wanted, 10, "")  # type: ignore[arg-type]
        assert plans
        assert not [step for step in plans if step.startswith("SCAN")], plans
