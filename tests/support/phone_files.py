"""A running gateway that gives phones their files, and the phones that ask: curl with and without a certificate."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import attrs

from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program, wait_until
from tests.support.faults.rig import Rig
from tests.support.tls_authority import Authority

NAME = "phones.example.com"
YEALINK, SPA, POLYCOM, SNOM = "805ec0112233", "0002fdff2103", "0004f2abcdef", "000413922d24"
STRANGER = "805ec0999999"
PASSWORD = "s3cret<&\"'>word"
READY = "gateway.app.gateway: ready"

DEVICES = f"""
[device.{YEALINK}]
make = "yealink"
model = "SIP-T46S"
lines = [{{ user = "101", domain = "example.com", password = '''{PASSWORD}''', label = "Reception <1>" }}]

[device.{SPA}]
make = "cisco-spa"
lines = [{{ user = "102", domain = "example.com", password = '''{PASSWORD}''' }}]

[device.{POLYCOM}]
make = "polycom"
lines = [{{ user = "103", domain = "example.com" }}]

[device.{SNOM}]
make = "snom"
lines = [{{ user = "104", domain = "example.com", password = '''{PASSWORD}''' }}]
"""


@attrs.frozen
class Got:
    """An answer that curl got."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class PhoneFiles:
    """The gateway, in a directory of its own."""

    def __init__(self, hosts: Hosts, directory: Path, more: str = "", devices: str = DEVICES) -> None:
        self._curl = find_program("curl", "curl")
        self.rig = Rig(hosts, directory)
        self.directory = directory
        self.https, self.http, self.tftp, self.tls = (hosts.port(hosts.gateway) for _ in range(4))
        self.authority = Authority(directory, "House CA")
        self.makers = Authority(directory, "Makers CA")
        certificate, key = self.authority.issue("server", NAME)
        key.chmod(0o600)
        self.devices = directory / "devices.toml"
        self.write(self.devices, devices)
        self.write(directory / "credentials.toml", f"103 = '''{PASSWORD}'''\n105 = '''{PASSWORD}'''\n")
        text = self.rig.configuration.read_text()
        text = text.replace('security = "off"', 'security = "off"\ncredentials = "credentials.toml"')
        text += f"""
[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "{hosts.gateway}"
port = {self.tls}
advertised_host = "{NAME}"
certificate = "{certificate}"
private_key = "{key}"

[provisioning]
name = "{NAME}"
devices = "devices.toml"
https_port = {self.https}
http_port = {self.http}
tftp_port = {self.tftp}
client_trust = "{self.makers.file}"
ca = "{self.authority.file}"
mode = "full"
requests_per_source = 1000
{more}
"""
        self.rig.configuration.write_text(text)

    @staticmethod
    def write(file: Path, text: str) -> None:
        """A file that its owner alone may read."""
        file.touch(0o600)
        file.write_text(text)

    def begin(self) -> None:
        """Start it, and wait until it is ready."""
        process = self.rig.launch()
        wait_until("it is ready", lambda: process.poll() is not None or READY in self.rig.text(), 40)
        assert process.poll() is None, self.rig.text()

    def phone(self, address: str, authority: Authority | None = None) -> tuple[Path, Path]:
        """The certificate and key that a maker put into a phone."""
        return (authority or self.makers).issue(f"phone-{address}", common_name=address.upper())

    def get(self, path: str, *options: str, phone: tuple[Path, Path] | None = None, scheme: str = "https") -> Got:
        """The answer to a phone."""
        port = self.https if scheme == "https" else self.http
        proof = ["--cert", str(phone[0]), "--key", str(phone[1])] if phone else []
        return self.curl(f"{scheme}://{NAME}:{port}{path}", port, *proof, *options)

    def curl(self, url: str, port: int, *options: str) -> Got:
        """The answer that curl gets."""
        common = ["--silent", "--show-error", "--include", "--max-time", "15", "--path-as-is", "--http1.1"]
        where = ["--cacert", str(self.authority.file), "--connect-to", f"{NAME}:{port}:{self.rig.hosts.gateway}:{port}"]
        done = subprocess.run(
            [self._curl, *common, *where, *options, url], capture_output=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
        return Got(int(lines[0].split()[1]), {key.lower(): value for key, value in pairs}, body)

    def ctl(self, *words: str, fails: bool = False) -> str:
        """The output of gatewayctl."""
        program = str(Path(sys.executable).with_name("gatewayctl"))
        argv = [program, *words, "--config", str(self.rig.configuration)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode != 0) is fails, (done.stdout, done.stderr)
        return done.stderr if fails else done.stdout

    def api(self, path: str = "", **change: object) -> Any:
        """The API's answer to a question, or to a change."""
        url = f"http://{self.rig.hosts.gateway}:{self.rig.admin}/api/v1/provisioning{path}"
        is_change = bool(change) or path.endswith(("/rotate", "/drop", "/roll-back", "/render"))
        data = json.dumps(change).encode() if is_change else None
        with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=20) as answer:
            return json.load(answer)

    def url_of(self, text: str) -> str:
        """The path of the device's folder that a file names."""
        found = re.search(rf"https://{NAME}:{self.https}(/p/[a-z2-7]{{26}}/)", text)
        assert found, text
        return found[1]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a name that are written so far."""
        file = self.rig.state / "security.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for event in map(json.loads, lines) if event["name"] == name]

    def close(self) -> None:
        self.rig.close()
