"""A gateway without capabilities whose address goes away, comes back, and becomes another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.calls.processes import wait_until
from tests.support.network.lan import FIRST, SECOND, Lan, Talk


@pytest.fixture
def make_lan(tmp_path: Path) -> Iterator[Callable[..., Lan]]:
    made: list[Lan] = []

    def make(**how: object) -> Lan:
        made.append(Lan(tmp_path, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for lan in made:
        print(lan.text() if lan.log.exists() else "")
        lan.close()


def changes(lan: Lan) -> dict[str, float]:
    return {
        kind: lan.metric(f'gateway_network_address_changes_total{{change="{kind}"}}')
        for kind in ("lost", "back", "moved", "not_moved")
    }


def test_an_address_that_is_away_for_five_seconds(make_lan: Callable[..., Lan]) -> None:
    """Listeners stay open, the call is up and speaks again; meanwhile no load balancer sends any."""
    lan = make_lan(address=FIRST)
    lan.start()
    phone = lan.phone()
    assert phone.register() is not None
    talk = Talk(lan, phone)

    lan.remove(FIRST)
    wait_until("it is not ready", lambda: not lan.is_ready(), 2)
    assert any(reason.startswith(f"{FIRST} (listener phones") for reason in lan.reasons())
    assert lan.metric("gateway_network_lost_addresses") == 1
    time.sleep(5)
    lan.add(FIRST)
    back = time.monotonic()
    wait_until("it is ready", lan.is_ready, 5)
    wait_until("audio flows again", lambda: talk.flows(back), 2)

    assert changes(lan) == {"lost": 1, "back": 1, "moved": 0, "not_moved": 0}
    talk.stop()
    answer = phone.hang_up(talk.dialog)
    assert answer is not None
    assert answer.status == 200
    wait_until("the call has a record", lambda: len(lan.records()) == 1, 5)
    assert lan.records()[0]["status"] == 200
    phone.close()


def test_another_address_moves_registrations_and_the_call(make_lan: Callable[..., Lan]) -> None:
    """The phone's next refresh is taken to the provider, and the call is offered anew on both legs."""
    lan = make_lan()
    lan.start()
    phone = lan.phone()
    assert phone.register() is not None
    talk = Talk(lan, phone)
    before = lan.provider.count("REGISTER")

    phone.proxy = (SECOND, 5060)
    lan.change(FIRST, SECOND)
    changed = time.monotonic()
    wait_until("the gateway has moved", lambda: changes(lan)["moved"] == 1, 5)
    wait_until("audio flows again", lambda: talk.flows(changed + 0.2), 5)
    talk.stop()
    gaps = {end: talk.gap(end) for end in ("provider", "phone")}
    print(f"audio was away for {gaps}")
    assert max(gaps.values()) < 1
    invite = [one for one in lan.provider.requests if one.method == "INVITE"][-1]
    assert f"@{SECOND}:5080" in invite.header("contact")
    assert invite.audio is not None
    assert invite.audio.address == SECOND
    assert phone.register() is not None
    assert lan.provider.count("REGISTER") > before
    assert SECOND in [one for one in lan.provider.requests if one.method == "REGISTER"][-1].header("contact")
    answer = phone.hang_up(talk.dialog)
    assert answer is not None
    assert answer.status == 200
    assert lan.is_ready()
    phone.close()
