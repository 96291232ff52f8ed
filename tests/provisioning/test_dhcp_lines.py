"""Lines for DHCP servers: dnsmasq takes them and sends them to a client, in a network of the test's own."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import attrs
import pytest

from gateway.provisioning.dhcp_lines import SERVERS, DhcpFacts, NoWayForDhcp, dhcp_lines
from tests.provisioning.support import PLACE
from tests.support.calls.processes import find_program

FACTS = DhcpFacts(PLACE, 69, "192.0.2.10", takes_certificates=False)
URL = "http://phones.example.com:8081/"

SCRIPT = """\
set -eu
ip link add v0 type veth peer name v1
ip address add 10.9.0.1/24 dev v0
ip link set lo up; ip link set v0 up; ip link set v1 up
{dnsmasq} --conf-file={directory}/d.conf --keep-in-foreground --user=root --group= --port=0 --interface=v0 \
    --bind-interfaces --dhcp-range=10.9.0.50,10.9.0.99,2m --dhcp-leasefile={directory}/leases --pid-file= --no-ping \
    >{directory}/dnsmasq.log 2>&1 &
served=$!
sleep 1
{client} -f -q -n -t 5 -T 1 -i v1 -s {directory}/seen -V '{maker}' -O 43 -O 150 -O 160 -O 66 || true
kill $served
wait $served || true
"""


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_leads_every_make_here(server: str) -> None:
    lines = dhcp_lines(server, FACTS)
    assert URL in lines
    assert "spa" in lines
    assert "192.0.2.10" in lines
    assert "192.0.2.1" in lines
    if server == "kea":
        assert json.loads(lines)["option-data"][0] == {"name": "tftp-server-name", "data": URL}


def test_phones_with_certificates_begin_over_https() -> None:
    assert attrs.evolve(FACTS, takes_certificates=True).url == "https://phones.example.com:8443/"
    assert attrs.evolve(FACTS, takes_certificates=True).spa_url == f"{URL}spa$PSN.cfg"
    tftp = attrs.evolve(FACTS, place=attrs.evolve(PLACE, http_port=0))
    assert tftp.url == "tftp://phones.example.com/"
    with pytest.raises(NoWayForDhcp):
        dhcp_lines("dnsmasq", attrs.evolve(tftp, tftp_port=0))


def asked(directory: Path, maker: str) -> dict[str, str]:
    """The options that a phone of a maker gets from dnsmasq."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, timeout=30, check=False).returncode != 0:
        pytest.skip("this machine gives no namespaces, as many containers")
    (directory / "d.conf").write_text(dhcp_lines("dnsmasq", FACTS))
    seen = directory / "seen"
    seen.write_text(f"#!/bin/sh\n[ $1 = bound ] && env > {directory}/options\nexit 0\n")
    seen.chmod(0o755)
    programs = {"dnsmasq": find_program("dnsmasq", "dnsmasq-base"), "client": find_program("udhcpc", "udhcpc")}
    script = SCRIPT.format(directory=directory, maker=maker, **programs)
    done = subprocess.run([*alone, "sh", "-c", script], capture_output=True, text=True, timeout=40, check=False)
    options = directory / "options"
    told = (done.stdout, done.stderr, (directory / "dnsmasq.log").read_text())
    assert options.exists(), told
    pairs = (line.partition("=") for line in options.read_text().splitlines())
    return {name: value for name, _, value in pairs}


def test_dnsmasq_sends_them_to_a_phone(tmp_path: Path) -> None:
    options = asked(tmp_path, "Yealink")
    assert bytes.fromhex(options["opt160"]).decode() == URL
    assert bytes.fromhex(options["opt150"]) == bytes([192, 0, 2, 10])
    assert "opt43" not in options
    assert "tftp" in options  # the client takes a URL for a bad host name, and shows no more of it


def test_dnsmasq_sends_the_vendors_own_to_a_snom(tmp_path: Path) -> None:
    found = asked(tmp_path, "snomD735")
    inner = bytes.fromhex(found.get("opt43") or found["vendor"])
    url, path = b"http://phones.example.com:8081", b"/{mac}.xml"
    assert bytes([66, len(url)]) + url in inner
    assert re.search(re.escape(bytes([67, len(path)]) + path), inner)
