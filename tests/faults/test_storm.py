"""Monday morning: power is back, and all phones register at once, while calls are up and somebody calls 112."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faults.crowd import Crowd
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig

PHONES = 1000


@pytest.fixture
def crowd(rig: Rig) -> Iterator[Crowd]:
    made = Crowd(rig.hosts.host(12), rig.proxy, PHONES)
    yield made
    made.close()


def test_all_register_while_calls_go_on_and_emergency_calls_are_served(rig: Rig, phone: Phone, crowd: Crowd) -> None:
    rig.start()
    kept = phone.must_call()

    crowd.go_on(0.3)
    emergency = phone.call("112", 15)
    ended = phone.hang_up(kept, 15)
    crowd.go_on(25)

    assert isinstance(emergency, Dialog), emergency
    assert ended is not None
    assert ended.status == 200
    assert crowd.is_done, f"{len(crowd.answers)} of {PHONES} were answered"
    assert {answer.status for answer in crowd.answers.values()} == {200}
    assert rig.metric("gateway_registrations") == PHONES
    assert rig.fetch("/healthz") is not None
    assert rig.provider.count("OPTIONS") > 0


def test_without_a_provider_all_are_told_when_to_come_back_and_not_at_the_same_moment(rig: Rig, crowd: Crowd) -> None:
    text = rig.configuration.read_text().replace("transport=udp", "transport=tcp")  # where nobody listens
    rig.configuration.write_text(text.replace('"provider"\ntransport = "udp"', '"provider"\ntransport = "tcp"'))
    rig.start()

    crowd.go_on(25)

    assert crowd.is_done, f"{len(crowd.answers)} of {PHONES} were answered"
    assert {answer.status for answer in crowd.answers.values()} == {503}
    waits = [int(answer.header("retry-after")) for answer in crowd.answers.values()]
    assert min(waits) >= 20
    assert max(waits.count(seconds) for seconds in set(waits)) < PHONES / 10, "they come back together"
