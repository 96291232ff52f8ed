"""Devices as registrations show them."""

from __future__ import annotations

import pytest

from gateway.registrar.sightings import device_of
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
