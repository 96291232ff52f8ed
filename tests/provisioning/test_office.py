"""Orders of operators, and pages of many devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from gateway.admin.hardening import Rejected
from gateway.admin.provisioning.provisioning_office import ProvisioningOffice, ProvisioningTools, address_of
from gateway.admin.provisioning.provisioning_pages import provisioning_view
from gateway.admin.provisioning.provisioning_routes import ProvisioningRoutes, state_of
from gateway.admin.v1.document import document
from gateway.config.device_file import LegProtection
from gateway.provisioning.dhcp_lines import DhcpFacts
from gateway.state.audit import AuditLog, Author
from tests.admin.accounts.support import done
from tests.provisioning.support import PASSWORD, PHONE, PLACE, STRANGER, House, device

WHO = Author("ana")


def office_of(house: House, tmp_path: Path) -> ProvisioningOffice:
    tools = ProvisioningTools(
        house.estate,
        lambda: DhcpFacts(PLACE, 0, "", takes_certificates=False),
        lambda: frozenset({"example.com"}),
        lambda user, domain: user == "101",
        house.clock.seconds,
        house.metrics.events,
    )
    return ProvisioningOffice(lambda: tools, AuditLog(tmp_path / "audit.jsonl", house.clock.seconds), at_once)


def at_once() -> Deferred[None]:
    """Nobody waits for a turn."""
    return succeed(None)


def state(office: ProvisioningOffice, limit: int, after: str = "") -> dict[str, Any]:
    return done(state_of(office, limit, after))


def test_devices_come_in_pages(tmp_path: Path) -> None:
    house = House({f"{number:012x}": device() for number in range(1, 26)})
    office = office_of(house, tmp_path)
    found: list[str] = []
    after = ""
    for _ in range(3):
        page = state(office, 10, after)
        found += [str(row["device"]) for row in page["devices"]]
        after = str(page["next"])
    assert found == sorted(house.devices)
    assert page["next"] is None
    assert page["counts"] == {"never": 25}
    view = provisioning_view(state(office, 10), is_there=True)
    assert (view["more"], view["sentence"]) == (15, "0 of 25 devices have their file.")
    with pytest.raises(Rejected):
        state(office, 10, "f" * 13)


def test_orders_that_cannot_be_carried_out_say_why(tmp_path: Path) -> None:
    house = House()
    office = office_of(house, tmp_path)
    line = {"lines": [{"user": "101", "domain": "example.com"}]}
    for order, told in (
        (lambda: office.find(STRANGER), "no device"),
        (lambda: office.find("80:5e"), "hardware address"),
        (lambda: office.adopt(PHONE, line, WHO), "in the file of devices"),
        (lambda: office.adopt(STRANGER, line, WHO), "Nobody knows the make"),
        (lambda: office.adopt(STRANGER, {**line, "make": "htek"}, WHO), "make: found"),
        (lambda: office.adopt(STRANGER, {"make": "snom", "lines": []}, WHO), "lines: found 0"),
        (lambda: office.drop(PHONE, WHO), "in the file of devices"),
        (lambda: office.enrol(None, None, 60, WHO), "for a device or for a network"),
        (lambda: office.enrol(PHONE, "192.0.2.0/24", 60, WHO), "for a device or for a network"),
        (lambda: office.enrol(None, "0.0.0.0/0", 60, WHO), "not everybody"),
        (lambda: office.enrol(None, "::/0", 60, WHO), "not everybody"),
        (lambda: office.enrol(None, "192.0.2.1/24", 60, WHO), "such as 192.0.2.0/24"),
        (lambda: office.close_window(None, None, WHO), "for a device or for a network"),
        (lambda: office.close_window(PHONE, None, WHO), f"No window is open for {PHONE}"),
        (lambda: office.close_window(None, "192.0.2.0/24", WHO), "No window is open for 192.0.2.0/24"),
        (lambda: office.close_window(None, "nowhere", WHO), "such as 192.0.2.0/24"),
        (lambda: office.close_window("80:5e", None, WHO), "hardware address"),
        (lambda: office.roll_back(PHONE, WHO), "no other protection"),
        (lambda: office.dhcp("windows"), "one of dnsmasq"),
        (lambda: ProvisioningOffice(lambda: None, office._audit, at_once).find(PHONE), "no [provisioning]"),
    ):
        with pytest.raises(Rejected) as refused:
            order()
        assert told in str(refused.value)
    assert not (tmp_path / "audit.jsonl").exists()


def test_orders_are_in_the_audit_and_no_secret_is(tmp_path: Path) -> None:
    house = House()
    office = office_of(house, tmp_path)
    office.adopt(STRANGER, {"make": "snom", "lines": [{"user": "101", "domain": "example.com"}]}, WHO)
    office.enrol(PHONE, None, 60, WHO)
    office.close_window(PHONE, None, WHO)
    office.rotate(PHONE, WHO)
    office.protect(PHONE, LegProtection.OFF, WHO)
    office.roll_back(PHONE, WHO)
    assert PASSWORD in office.rendered(PHONE, WHO)
    assert PASSWORD not in office.shown(PHONE)
    office.drop(STRANGER, WHO)
    text = (tmp_path / "audit.jsonl").read_text()
    assert len(text.splitlines()) == 8
    assert PASSWORD not in text
    assert house.token() not in text
    assert house.estate.find(STRANGER) is None
    assert address_of("80-5E-C0-11-22-33") == address_of("805e.c011.2233") == PHONE


def test_a_window_that_is_closed_lets_nobody_in_and_the_others_stay(tmp_path: Path) -> None:
    house = House()
    office = office_of(house, tmp_path)
    enrolment, now = house.estate.enrolment, house.clock.seconds()
    office.enrol(PHONE, None, 60, WHO)
    office.enrol(None, "192.0.2.0/24", 60, WHO)
    assert enrolment.is_open_for(PHONE, "198.51.100.7", now, is_new=True)

    closed = office.close_window("80:5E:C0:11:22:33", None, WHO)

    assert (closed.address, closed.until) == (PHONE, now + 60)
    assert not enrolment.is_open_for(PHONE, "198.51.100.7", now, is_new=True)
    assert enrolment.is_open_for(PHONE, "192.0.2.7", now, is_new=True)
    office.close_window(None, "192.0.2.0/24", WHO)
    assert not enrolment.is_open_for(PHONE, "192.0.2.7", now, is_new=True)
    assert state(office, 10)["windows"] == []


def test_a_window_of_a_device_that_is_known_no_more_can_be_closed(tmp_path: Path) -> None:
    house = House()
    office = office_of(house, tmp_path)
    office.enrol(PHONE, None, 60, WHO)
    house.estate.forget(PHONE)
    assert office.close_window(PHONE, None, WHO).address == PHONE


def test_the_document_of_the_api_has_every_route(tmp_path: Path) -> None:
    routes = ProvisioningRoutes(office_of(House(), tmp_path)).routes()
    paths = document(routes)["paths"]
    assert isinstance(paths, dict)
    assert len(paths) == len({route.path for route in routes})
