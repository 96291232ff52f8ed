"""A start that cannot be: the key and the cause are in the one line that it leaves."""

from __future__ import annotations

import json
import re
import socket

import pytest
from click.testing import CliRunner

from gateway.ctl.main import main
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig

ELSEWHERE = "192.0.2.20"


def ended(rig: Rig) -> str:
    """The log of a start that failed."""
    assert rig.launch().wait(20) == 1
    assert "Traceback" not in rig.text()
    return rig.text()


def edit(rig: Rig, old: str, new: str) -> None:
    text = rig.configuration.read_text()
    assert old in text
    rig.configuration.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('transport = "udp"', f"listener phones: address: {ELSEWHERE} is no address of this machine"),
        ("[admin]", f"admin.address: {ELSEWHERE} is no address of this machine"),
        ("[media]", f"media.address: {ELSEWHERE} cannot be used: Cannot assign requested address"),
    ],
)
def test_an_address_of_another_machine(rig: Rig, table: str, told: str) -> None:
    edit(rig, f'{table}\naddress = "{rig.hosts.gateway}"', f'{table}\naddress = "{ELSEWHERE}"')
    assert told in ended(rig)


def test_a_port_that_is_taken(rig: Rig) -> None:
    with socket.create_server((rig.hosts.gateway, rig.admin)):
        assert f"admin.port: tcp port {rig.admin} of {rig.hosts.gateway} is taken by another program" in ended(rig)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((rig.hosts.gateway, rig.phones))
        told = f"listener phones: port: udp port {rig.phones} of {rig.hosts.gateway} is taken by another program"
        assert told in ended(rig)


def test_a_state_directory_that_cannot_be_made(rig: Rig) -> None:
    edit(rig, '"state"', '"/proc/x"')
    assert "gateway.state_directory: /proc/x cannot be made by " in ended(rig)


def test_the_log_warns_of_an_administration_that_the_network_reaches(rig: Rig) -> None:
    edit(rig, f'[admin]\naddress = "{rig.hosts.gateway}"', '[admin]\naddress = "0.0.0.0"')
    rig.start()
    assert "warn  gateway.app.start_checks: admin.address: 0.0.0.0 is reached from the network" in rig.text()


def test_a_start_that_fails_is_json_in_a_log_of_json(rig: Rig) -> None:
    edit(rig, '"state"', '"/proc/x"')
    assert rig.launch(log_format="json").wait(20) == 1
    lines = [json.loads(line) for line in rig.text().splitlines()]
    (fatal,) = [line for line in lines if line["level"] == "critical"]
    assert "gateway.state_directory: /proc/x cannot be made by " in fatal["message"]


def test_a_reload_by_command_is_told_as_by_a_signal(rig: Rig) -> None:
    rig.start()
    assert not re.search(r"log_legacy|twisted\.|factory|reactor", rig.text())
    edit(rig, 'security = "off"', 'security = "preferred"')
    command = ["reload", "--url", f"http://{rig.hosts.gateway}:{rig.admin}"]
    assert CliRunner().invoke(main, command).output == "domain example.com: security: off -> preferred\n"
    rig.wait_for("the configuration is read again: domain example.com: security: off -> preferred (")
    edit(rig, 'security = "preferred"', 'security = "prefered"')
    assert CliRunner().invoke(main, command).exit_code == 1
    rig.wait_for("the configuration stays as it was: ")
    assert 'domain[0].security: found "prefered"' in rig.text()


def test_a_check_beside_a_running_gateway_knows_its_ports(rig: Rig) -> None:
    rig.start()
    checked = CliRunner().invoke(main, ["check", str(rig.configuration), "--strict"])
    assert checked.exit_code == 0, checked.output
    rig.stop()


def test_a_phone_that_may_not_register_in_clear_is_told_with_the_policy(rig: Rig, phone: Phone) -> None:
    """Switched by an operator: in the file it would be a mistake."""
    rig.start()
    switch = ["domain", "example.com", "--security", "required", "--url", f"http://{rig.hosts.gateway}:{rig.admin}"]
    assert CliRunner().invoke(main, switch).exit_code == 0
    answer = phone.register()
    assert answer is not None
    assert answer.status == 503
    rig.wait_for("cannot be registered: ")
    assert "its uri leads nowhere over TLS. This domain requires TLS" in rig.text()
