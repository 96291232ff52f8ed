"""The DNS server dies, is slow, lies: what was known goes on, and nobody waits for it call after call."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.calls.processes import wait_until
from tests.support.calls.wire import SipMessage
from tests.support.faults.nameserver import Nameserver
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig


@pytest.fixture
def dns(rig: Rig) -> Iterator[Nameserver]:
    """Of a provider that is known by name."""
    made = Nameserver(rig.hosts.control, rig.hosts.port(rig.hosts.control), rig.provider.host)
    text = rig.configuration.read_text()
    text = text.replace('"state"\n', f'"state"\nnameservers = ["{made.place[0]}:{made.place[1]}"]\n')
    rig.configuration.write_text(text.replace(f"sip:{rig.provider.host}:", "sip:provider.test:"))
    yield made
    made.close()


def seconds_for_a_call(phone: Phone) -> float:
    """That the set-up of a good call took."""
    begun = time.monotonic()
    dialog = phone.call("echo", 12)
    assert isinstance(dialog, Dialog), dialog
    took = time.monotonic() - begun
    phone.hang_up(dialog)
    return took


def test_a_dns_that_dies_costs_one_call_a_wait_and_the_others_nothing(rig: Rig, phone: Phone, dns: Nameserver) -> None:
    rig.start()
    assert seconds_for_a_call(phone) < 2

    dns.is_dead = True
    time.sleep(1.1)
    took = [seconds_for_a_call(phone) for _ in range(8)]

    assert max(took) < 8
    assert sorted(took)[-2] < 2
    registered = phone.register()
    assert registered is not None
    assert registered.status == 200


def test_a_dns_that_says_that_there_is_no_provider_ends_no_call_and_refuses_new_ones_at_once(
    rig: Rig, phone: Phone, dns: Nameserver
) -> None:
    rig.start()
    kept = phone.must_call()

    dns.says_none = True
    time.sleep(1.1)
    begun = time.monotonic()
    refused = phone.call("echo", 6)

    assert isinstance(refused, SipMessage)
    assert refused.status in (404, 480, 503)
    assert time.monotonic() - begun < 3
    none_up = 'gateway_provider_targets{provider="main",state="up"} 0.0'
    wait_until("it is told", lambda: none_up in (rig.fetch("/metrics") or ""), 15)
    rig.wait_for("provider main is not to be found")
    ended = phone.hang_up(kept)
    assert ended is not None
    assert ended.status == 200


def test_a_gateway_that_starts_before_its_dns_is_whole_when_dns_is(rig: Rig, phone: Phone, dns: Nameserver) -> None:
    dns.is_dead = True
    rig.start()
    refused = phone.call("echo", 12)
    assert isinstance(refused, SipMessage)
    assert refused.status == 503

    dns.is_dead = False
    dns.delay = 0.3

    assert seconds_for_a_call(phone) < 3
