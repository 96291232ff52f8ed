"""Devices as registrations show them."""

from __future__ import annotations

import pytest

from gateway.registrar.sightings import AGAIN_SECONDS, DeviceSightings, device_of
from gateway.state.devices.device_table import Device
from tests.support.bindings import binding


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"user_agent": "Fanvil X4 2.12.1.2 0c383e1f2a3b", "instance": "<urn:uuid:x>"}, "mac:0c383e1f2a3b"),
        ({"instance": "<urn:uuid:00000000-0000-1000-8000-0004f2abcdef>"}, "mac:0004f2abcdef"),
        ({"instance": "<urn:x>"}, "instance:<urn:x>"),
        ({}, "aor:sip:alice@example.com 192.0.2.7"),
        ({"contact": "nonsense"}, "aor:sip:alice@example.com "),
    ],
)
def test_a_device_is_known_by_the_best_that_it_tells(changes: dict[str, str], key: str) -> None:
    assert device_of(binding(**changes)).key == key


def test_a_device_is_told_as_its_registration_shows_it() -> None:
    device = device_of(binding(user_agent="snom870/8.7.5.35"))
    assert (device.make, device.model, device.firmware, device.learnt) == ("snom", "870", "8.7.5.35", "User-Agent")
    assert (device.address_of_record, device.transport) == ("sip:alice@example.com", "udp")


def test_text_of_a_phone_is_clean() -> None:
    device = device_of(
        binding(user_agent="\x1b[2J\udcff\u202ephone" + "x" * 1000, contact="sip:a:secret@192.0.2.7\u2028")
    )
    text = str(device)
    text.encode()
    assert text.isprintable()
    assert "secret" not in text
    assert len(device.user_agent) < 400


class Table:
    """Notes the devices that it is told of."""

    def __init__(self) -> None:
        self.time = 0.0
        self.seen: list[str] = []

    def now(self) -> float:
        return self.time

    def saw(self, device: Device) -> None:
        self.seen.append(device.address_of_record)


def test_a_phone_of_two_lines_that_registers_every_minute_is_noted_every_ten() -> None:
    table = Table()
    sightings = DeviceSightings(table)  # type: ignore[arg-type]
    lines = [binding(token=f"t{number}", aor=f"sip:{number}@x") for number in range(2)]
    for _ in range(100):
        for line in lines:
            sightings.registered(line)
        table.time += 60
    assert len(table.seen) == 2 * 100 * 60 / AGAIN_SECONDS


def test_a_phone_that_says_something_else_is_noted_at_once() -> None:
    table = Table()
    sightings = DeviceSightings(table)  # type: ignore[arg-type]
    for user_agent in ("a/1", "a/2", "a/2", "a/1"):
        sightings.registered(binding(user_agent=user_agent))
    assert len(table.seen) == 3
