"""A roll-out to twenty phones with real sockets: killed in the middle, confirmed over TLS, and led back in clear."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls.processes import wait_until
from tests.support.faults.desk_phones import DeskPhone
from tests.support.faults.rig import Rig
from tests.support.tls_authority import Authority

PHONES = 20
MORE = """
[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "{gateway}"
port = {port}
certificate = "{certificate}"
private_key = "{key}"

[resync]
canary = 2
wave = 18
per_second = 3
idle_seconds = 0
return_seconds = 30
"""


@pytest.fixture
def phones(rig: Rig, tmp_path: Path) -> Iterator[list[DeskPhone]]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("phones", rig.hosts.gateway, "gw.example.com")
    port = rig.hosts.port(rig.hosts.gateway)
    text = rig.configuration.read_text().replace(
        'security = "off"', 'security = "off"\nphones_security = "required"\ndowngrade = "refuse"'
    )
    more = MORE.format(gateway=rig.hosts.gateway, port=port, certificate=certificate, key=key)
    rig.configuration.write_text(text + more)
    rig.start()
    proxies = rig.proxy, (rig.hosts.gateway, port)
    made = [DeskPhone(rig.hosts.phone, number, proxies, authority.file) for number in range(PHONES)]
    yield made
    for one in made:
        one.close()


def post(rig: Rig, path: str, **change: Any) -> Any:
    """The answer to a change."""
    url = f"http://{rig.hosts.gateway}:{rig.admin}/api/v1/{path}"
    request = urllib.request.Request(url, json.dumps(change).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def states(rig: Rig) -> dict[str, int]:
    """How many phones are in each state."""
    return dict((rig.json("/api/v1/rollouts/1") or {}).get("states", {}))


def test_twenty_phones_are_led_to_tls_over_a_kill_and_back(rig: Rig, phones: list[DeskPhone]) -> None:
    wait_until("all are registered", lambda: all(one.transport == "udp" for one in phones), 30)
    plan = post(rig, "rollouts", domain="example.com", dry_run=True)["plan"]
    assert len({row["make"] for row in plan}) == 8
    begun = post(rig, "rollouts", domain="example.com")["rollout"]
    assert (begun["phones"], begun["goal"]) == (PHONES, "tls_required")

    wait_until("some have their order", lambda: sum(len(one.notifies) for one in phones) >= 6, 20)
    rig.kill()
    asked = sum(len(one.notifies) for one in phones)
    assert asked < PHONES
    rig.start()
    wait_until("all are confirmed", lambda: states(rig) == {"confirmed": PHONES}, 90)

    assert {len(set(one.notifies)) for one in phones} == {1}, "one NOTIFY a phone, copies aside"
    wait_until("it is done", lambda: rig.json("/api/v1/rollouts/1")["stage"] == "done", 5)
    assert {row["transport"] for row in rig.json("/api/v1/registrations?limit=100")["registrations"]} == {"tls"}

    for one in phones:
        one.wants_tls = False
        one.refusals.clear()
    assert post(rig, "rollouts/1/roll-back")["phones"] == PHONES
    wait_until("all are back", lambda: states(rig) == {"rolled_back": PHONES}, 60)

    wait_until("each knows it", lambda: all(one.transport == "udp" for one in phones), 5)
    assert [one.refusals for one in phones if one.refusals] == []
