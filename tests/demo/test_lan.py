"""`make run HOST=...`: a phone of the network reaches the demonstration with no more than was printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import attrs
import pytest

from gateway.config.load import load
from gateway.demo import devcerts
from gateway.demo.lan import NotOurs, as_toml, lan_host, written_for
from gateway.demo.roles import PROVIDER_TONE
from tests.support.calls.audio import assert_hears, read_wav, write_wav
from tests.support.calls.audio import tone as sine
from tests.support.calls.baresip import Baresip
from tests.support.calls.certificates import Certificate
from tests.support.calls.hosts import Hosts
from tests.support.calls.telephone import Line

ROOT = Path(__file__).parents[2]
NOW = datetime.now(tz=UTC)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    claimed = Hosts.claim()
    yield claimed
    claimed.release()


@pytest.fixture
def demo(tmp_path: Path, hosts: Hosts) -> Path:
    """The demonstration's own file on addresses of this test, with its development certificates."""
    directory = tmp_path / "deploy"
    directory.mkdir()
    devcerts.make(tmp_path / "certs", NOW)
    text = (ROOT / "deploy" / "demo.toml").read_text()
    (directory / "demo.toml").write_text(text.replace("127.0.0.20", hosts.gateway))
    return directory / "demo.toml"


def test_the_makefile_passes_a_host_on_that_is_given_to_it_alone() -> None:
    """Some shells export a HOST of their own."""
    for words, environment, is_passed in (
        (["HOST=192.0.2.10"], {}, True),
        ([], {"HOST": "workstation"}, False),
        ([], {}, False),
    ):
        told = subprocess.run(
            ["make", "--dry-run", "run", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ('gateway.demo --host "192.0.2.10"' in told.stdout) is is_passed
        assert "workstation" not in told.stdout


def test_phones_have_the_address_and_the_rest_stays_on_loopback(demo: Path, hosts: Hosts) -> None:
    lan = hosts.host(50)
    configuration = load(written_for(demo, lan_host(lan, demo.parents[1] / "certs")))
    assert {(one.address, one.transport, one.port) for one in configuration.listeners if one.side == "phones"} == {
        (lan, "udp", 5060),
        (lan, "tcp", 5060),
        (lan, "tls", 5061),
    }
    assert {one.address for one in configuration.listeners if one.side == "provider"} == {hosts.gateway}
    assert configuration.media.phone_address == lan
    assert configuration.media.address == configuration.admin.address == hosts.gateway
    assert configuration.gateway.state_directory == load(demo).gateway.state_directory


def test_the_certificate_is_for_the_host_and_is_kept(demo: Path) -> None:
    certificates = demo.parents[1] / "certs"
    first = lan_host("localhost", certificates)
    made = (certificates / "phones-localhost.pem").read_bytes()
    assert first.name == "localhost"
    lan_host("localhost", certificates)
    assert (certificates / "phones-localhost.pem").read_bytes() == made
    assert (certificates / "phones-localhost.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("given", ["192.0.2.10", "no such name", "nowhere.invalid", "../x", "fe80::1%../x", ""])
def test_a_host_of_another_machine_is_told(demo: Path, given: str) -> None:
    with pytest.raises(NotOurs, match="leads to no address of this machine, which has"):
        lan_host(given, demo.parents[1] / "certs")
    ran = subprocess.run(
        [sys.executable, "-m", "gateway.demo", "--config", str(demo), "--host", given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr


def test_a_configuration_can_be_written_again() -> None:
    document = {"a": {"text": 'q"\\\x7f\u20ac\n', "n": 5, "b": True, "l": ["x", "y"]}, "t": [{"n": 1}, {"n": 2}]}
    assert tomllib.loads(as_toml(document)) == document


class Running:
    """The demonstration as a process, after its own call."""

    def __init__(self, demo: Path, hosts: Hosts, lan: str) -> None:
        certificates = demo.parents[1] / "certs"
        provider = demo.read_text().replace("127.0.0.21", hosts.provider)
        demo.write_text(provider)
        issued = devcerts.make_for(certificates, hosts.provider, hosts.provider, NOW)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.demo", "--config", str(demo), "--host", lan),
                *("--phone", f"{hosts.phone}:5070"),
                *("--certificate", str(issued[0]), "--private-key", str(issued[1])),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.printed = ""
        output = self.process.stdout
        assert output is not None
        self.output: IO[str] = output
        while "Ctrl-C ends it all." not in self.printed:
            line = self.output.readline()
            assert line, self.printed
            self.printed += line

    def setting(self, name: str) -> str:
        """A setting as it was printed for the user of a phone."""
        found = re.search(rf"^  {re.escape(name)} +(.+)$", self.printed, re.MULTILINE)
        assert found is not None, self.printed
        return found[1]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def test_a_softphone_set_up_as_printed_calls_in_clear_and_over_tls(demo: Path, hosts: Hosts, tmp_path: Path) -> None:
    lan = hosts.host(50)
    running = Running(demo, hosts, lan)
    try:
        assert "Verdict: ENCRYPTED_TO_PROVIDER" in running.printed
        tone = tmp_path / "tone.wav"
        write_wav(tone, sine(500, 2))
        port = running.setting("port, transport").partition(",")[0]
        plain = Line(
            user=running.setting("user name"),
            password=running.setting("password"),
            domain=running.setting("server, registrar, domain"),
            proxy=f"{lan}:{port}",
            address=hosts.host(12),
            control=hosts.host(12),
            sip_port=hosts.port(hosts.host(12)),
            media_port=hosts.port(hosts.host(12), 20),
            tone=tone,
            directory=tmp_path / "plain",
        )
        extension = running.setting("then dial").partition(":")[0]
        _calls(plain, extension)
        tls_port = running.setting("or with TLS").partition(",")[0]
        trust = Path(running.setting("or with TLS").rpartition(" ")[2])
        own = devcerts.make_for(demo.parents[1] / "certs", "softphone.example.com", hosts.host(12), NOW)
        secure = attrs.evolve(
            plain,
            proxy=f"{lan}:{tls_port}",
            secure=True,
            trust=trust,
            certificate=Certificate(own[0], own[1]),
            directory=tmp_path / "secure",
        )
        _calls(secure, extension)
    finally:
        running.end()


def _calls(line: Line, extension: str) -> None:
    phone = Baresip(line)
    try:
        phone.register()
        phone.call(f"sip:{extension}@{line.domain}")
        phone.wait_answered(10)
        time.sleep(3)
        phone.hangup()
        assert_hears(read_wav(phone.recordings()[-1]), PROVIDER_TONE, never=1234)
    finally:
        phone.stop()
