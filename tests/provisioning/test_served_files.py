"""Files of phones that this gateway serves, as roll-outs and the posture see them: joined as the gateway joins them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.administration.phones_part import ServedFiles, file_doors
from gateway.config.device_file import LegProtection
from gateway.config.model import Provisioning
from gateway.provisioning.device_files import DeviceFiles
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.roll_out import Goal
from gateway.security.posture.posture_facts import Surroundings
from tests.provisioning.support import OFF, OTHER, PHONE, PREFERRED, REQUIRED, House, device
from tests.registrar.enablement.world import ScriptedPhone, World

AGENT = f"Yealink SIP-T46G 28.83.0.30 {PHONE}"


def joined(house: House, tmp_path: Path) -> World:
    """Roll-outs, with one phone that has a file here."""
    world = World(tmp_path, files=ServedFiles(DeviceFiles(house.estate)), attempts=1)
    world.add(ScriptedPhone("p", AGENT, comes_back="never"))
    return world


def test_a_phone_that_fetches_the_same_file_once_more_has_fetched_it(tmp_path: Path) -> None:
    house = House()
    assert house.ask(f"/{PHONE}.cfg", PHONE).status == 200
    world = joined(house, tmp_path)
    rollout = world.begin()
    world.pass_time(40)
    assert world.states(rollout) == {"p": "accepted"}
    house.ask(f"/{PHONE}.cfg", PHONE)
    assert world.states(rollout) == {"p": "fetched"}
    world.pass_time(200)
    assert world.states(rollout) == {"p": "fetched"}
    world.pass_time(200)
    assert world.reasons(rollout) == {"p": PhoneReason.NO_RETURN}


def test_the_fetch_of_another_phone_is_none_of_it(tmp_path: Path) -> None:
    house = House({PHONE: device(), OTHER: device("snom")})
    world = joined(house, tmp_path)
    rollout = world.begin()
    world.pass_time(40)
    house.ask(f"/{OTHER}.xml", OTHER)
    house.ask(f"/{PHONE}.cfg")  # without a proof
    assert world.states(rollout) == {"p": "accepted"}
    world.pass_time(200)
    assert world.reasons(rollout) == {"p": PhoneReason.NO_FETCH}


@pytest.mark.parametrize(
    ("before", "goal", "after"),
    [
        (OFF, Goal.TLS, PREFERRED),
        (PREFERRED, Goal.TLS, PREFERRED),
        (REQUIRED, Goal.TLS, REQUIRED),
        (OFF, Goal.TLS_REQUIRED, REQUIRED),
        (PREFERRED, Goal.TLS_REQUIRED, REQUIRED),
        (OFF, Goal.RESYNC, OFF),
    ],
)
def test_a_roll_out_strengthens_a_file_and_never_weakens_it(
    tmp_path: Path, before: LegProtection, goal: Goal, after: LegProtection
) -> None:
    house = House({PHONE: device(security=before)})
    world = joined(house, tmp_path)
    rollout = world.begin(goal)
    world.pass_time(40)
    assert house.estate.standings.of(PHONE).effective is after
    if goal is not Goal.RESYNC:
        world.rollouts.roll_back(rollout, rollout.phones, "olga")
        world.pass_time(10)
    assert house.estate.standings.of(PHONE).effective is before


CLEAR = {"http_port": 8081, "tftp_port": 69}


@pytest.mark.parametrize(
    ("make", "terms", "ways", "ports"),
    [
        ("yealink", {}, ("https",), ()),
        ("yealink", CLEAR, ("https",), ("http_port", "tftp_port")),
        ("cisco-spa", CLEAR, ("https", "sealed"), ("tftp_port",)),
        ("cisco-spa", {**CLEAR, "https_port": 0}, ("sealed",), ("tftp_port",)),
        ("cisco-spa", {**CLEAR, "proof": ("certificate",)}, ("https",), ("http_port", "tftp_port")),
    ],
)
def test_the_posture_is_told_of_ways_in_clear_and_of_windows(
    make: str, terms: dict[str, Any], ways: tuple[str, ...], ports: tuple[str, ...]
) -> None:
    house, table = House({PHONE: device(make)}), Provisioning("phones.example.com", Path("devices.toml"), **terms)
    assert file_doors(table, house.estate, 0.0) == Surroundings(ways, False, ports)
    house.estate.enrolment.open(PHONE, None, 60, 0.0)
    assert file_doors(table, house.estate, 59.0) == Surroundings(ways, True, ports)
    assert file_doors(table, house.estate, 61.0) == Surroundings(ways, False, ports)
