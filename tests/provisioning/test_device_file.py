"""devices.toml and [provisioning]: every mistake is told at once, and none quotes a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.device_file import DeviceFileError, LegProtection, read_devices
from gateway.config.load import load
from gateway.config.model import ConfigurationError
from tests.support.small_configuration import SMALLEST
from tests.support.tls_authority import Authority

GOOD = """
[device.805ec0112233]
make = "yealink"
lines = [{ user = "101", domain = "example.com", password = "s3cret word" }]
options = { "local_time.time_zone" = "+1", count = 3, is_on = true }
"""


def mistakes_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(DeviceFileError) as caught:
        read_devices(file, frozenset({"example.com"}))
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(GOOD)
    (device,) = read_devices(file, frozenset({"example.com"})).values()
    assert device.security is LegProtection.REQUIRED
    assert device.options == {"local_time.time_zone": "+1", "count": "3", "is_on": "true"}
    assert "s3cret" not in repr(device)


LINE = '{ user = "101", domain = "example.com", password = "s3cret" }'
BAD = [
    ("[device.805ec011223]\n", "device.805ec011223: 12 hexadecimal digits"),
    ("[device.805EC0112233]\n", "device.805EC0112233: 12 hexadecimal digits"),
    ('[device."../../x"]\n', "12 hexadecimal digits"),
    ("[device.805ec0112233]\n", "make: is missing"),
    (f'[device.805ec0112233]\nmake = "htek"\nlines = [{LINE}]', 'make: found "htek", allowed: cisco-spa'),
    ('[device.805ec0112233]\nmake = "snom"\nlines = []', "lines: found 0, allowed: 1 to 12"),
    (f'[device.805ec0112233]\nmake = "grandstream"\nlines = [{LINE}, {LINE}]', "lines: found 2, allowed: 1 to 1"),
    (GOOD.replace("s3cret word", "s3cret\\nword"), "password: found"),
    (GOOD.replace("s3cret word", "s3cret " + "x" * 200), "200 characters at most"),
    (GOOD.replace("s3cret word", " s3cret"), "no blank at its ends"),
    (GOOD.replace('"101"', '"10 1"'), 'user: found "10 1"'),
    (GOOD.replace("example.com", "example.org"), 'domain: found "example.org", allowed: example.com'),
    (GOOD.replace("password", "pasword"), "pasword: is no key here"),
    (GOOD.replace('"+1"', '"a\\nb"'), "options: found"),
    (GOOD.replace('"local_time.time_zone"', '"a b"'), "options: found"),
    (GOOD + 'template = "../x"\n', "template: found"),
    (GOOD + 'security = "on"\n', "security: found"),
    ("[devices.x]\n", "devices: is no table here"),
    ("device = 3\n", "device: "),
    ('[device.805ec0112233\npassword = "s3cret"', "is not TOML (at line 1"),
]


@pytest.mark.parametrize(("text", "told"), BAD)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in mistakes_of(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = mistakes_of(tmp_path, GOOD.replace("yealink", "htek").replace('"101"', '"1 1"') + "[device.1]\n")
    assert len(told.splitlines()) == 3


def configuration(tmp_path: Path, more: str, devices: str = GOOD, mode: int = 0o600) -> str:
    authority = Authority(tmp_path)
    authority.issue("server", "phones.example.com")
    (tmp_path / "devices.toml").touch()
    (tmp_path / "devices.toml").chmod(mode)
    (tmp_path / "devices.toml").write_text(devices)
    listener = """
[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "127.0.0.1"
port = 5061
advertised_host = "phones.example.com"
certificate = "server.pem"
private_key = "server.key"
"""
    table = '\n[provisioning]\nname = "phones.example.com"\ndevices = "devices.toml"\n'
    text = SMALLEST + listener + table + more
    return text if "no_tls" not in more else (SMALLEST + table)


def told(tmp_path: Path, text: str) -> str:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    return "\n".join(caught.value.errors)


def test_a_good_table(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(configuration(tmp_path, ""))
    table = load(tmp_path / "gateway.toml").provisioning
    assert table is not None
    assert (table.https_port, table.mode, table.proof) == (8443, "overlay", ("certificate", "token"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('proof = ["password"]', "this version takes no password for a proof"),
        ("proof = []", "provisioning.proof: is empty"),
        ('proof = ["certificate"]', "provisioning.client_trust: is missing"),
        ("https_port = 0", "provisioning.https_port: is 0, and http_port too"),
        ("https_port = 0\nhttp_port = 80", "provisioning.https_port: is 0, and files of yealink go over HTTPS alone"),
        ('certificate = "server.pem"', "provisioning.private_key: is missing"),
        ('directory = "nowhere"', "nowhere is no directory"),
        ('ca = "nowhere.pem"', "nowhere.pem is no file"),
        ("pnp = true", "provisioning.pnp: needs http_port"),
        ('pnp = true\nhttp_port = 80\naddress = "2001:db8::1"', "provisioning.pnp: phones ask 224.0.1.75"),
        ("# no_tls", 'provisioning: no listener has side = "phones" and transport = "tls"'),
    ],
)
def test_a_mistake_of_the_table(tmp_path: Path, more: str, words: str) -> None:
    assert words in told(tmp_path, configuration(tmp_path, more))


def test_devices_that_others_can_read_and_bad_ones_are_mistakes_of_the_configuration(tmp_path: Path) -> None:
    assert "has mode 0644" in told(tmp_path, configuration(tmp_path, "", mode=0o644))
    text = configuration(tmp_path, "", GOOD.replace("805ec0112233", "805ec011223"))
    assert "devices.toml: device.805ec011223: 12 hexadecimal digits" in told(tmp_path, text)
    assert "name: found" in told(
        tmp_path, configuration(tmp_path, "").replace('name = "phones.', 'name = "192.0.2.1" #')
    )
