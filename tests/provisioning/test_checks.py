"""`gatewayctl check` of [provisioning]: the certificate's name, templates, ports."""

from __future__ import annotations

import socket
from pathlib import Path

from gateway.ctl.check import findings
from tests.provisioning.test_device_file import GOOD, configuration
from tests.support.tls_authority import Authority


def checked(tmp_path: Path, more: str, *, elsewhere: bool = True) -> str:
    file = tmp_path / "gateway.toml"
    text = configuration(tmp_path, more).replace("/var/lib/gateway", str(tmp_path / "state"))
    file.write_text(text)
    return "\n".join(findings(file, elsewhere=elsewhere).mistakes)


def test_a_name_that_the_certificate_is_not_for(tmp_path: Path) -> None:
    assert checked(tmp_path, "") == ""
    Authority(tmp_path).issue("other", "gw.example.com")
    told = checked(tmp_path, 'certificate = "other.pem"\nprivate_key = "other.key"')
    assert f'provisioning.name: "phones.example.com" is not among the names of {tmp_path}/other.pem' in told


def test_a_line_that_nobody_knows_a_password_of_is_a_doubt(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    without = GOOD.replace(', password = "s3cret word"', "")
    for mode, doubts in (("full", 1), ("overlay", 0)):
        text = configuration(tmp_path, f'mode = "{mode}"', without)
        file.write_text(text.replace("/var/lib/gateway", str(tmp_path / "state")))
        found = [one for one in findings(file, elsewhere=True).doubts if "provisioning.devices" in one]
        assert len(found) == doubts
        assert all("device.805ec0112233.lines[0]: 101@example.com has no password" in one for one in found)


def test_a_template_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "snom.xml").write_text("a\n{% if %}\n")
    (tmp_path / "mine" / "README").write_text("{% if %}")
    told = checked(tmp_path, 'directory = "mine"')
    assert f"provisioning.directory: {tmp_path}/mine/snom.xml: line 2: " in told
    assert "README" not in told


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = checked(tmp_path, f"https_port = {port}", elsewhere=False)
    assert f"provisioning.https_port: tcp port {port} of 127.0.0.1 is taken" in told
