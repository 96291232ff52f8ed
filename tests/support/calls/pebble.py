"""An authority that gives certificates by ACME: Let's Encrypt's pebble, with a DNS of its own (pebble-challtestsrv)."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path

from tests.support.calls.certificates import Authority
from tests.support.calls.hosts import Hosts, is_listening
from tests.support.calls.processes import Program, find_program


class Pebble:
    """A running authority. `directory` is its URL, `trust` the authority of its own HTTPS."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        host, self._answers_at = hosts.control, hosts.gateway
        port, management, dns, control = (hosts.port(host) for _ in range(4))
        self.http_port = hosts.port(hosts.gateway)  # where it asks instead of port 80
        authority = Authority(directory / "certificates")
        own = authority.issue("pebble", host)
        self.trust = authority.trust
        self.directory = f"https://{host}:{port}/dir"
        self._management = f"https://{host}:{management}"
        self._control = f"http://{host}:{control}"
        settings = {
            "listenAddress": f"{host}:{port}",
            "managementListenAddress": f"{host}:{management}",
            "certificate": str(own.chain),
            "privateKey": str(own.key),
            "httpPort": self.http_port,
            "tlsPort": hosts.port(hosts.gateway),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        (directory / "pebble.json").write_text(json.dumps({"pebble": settings}))
        names = [find_program("pebble-challtestsrv", "pebble"), "-http01", "", "-https01", "", "-tlsalpn01", ""]
        names += ["-dns01", f"{host}:{dns}", "-management", f"{host}:{control}"]
        names += ["-defaultIPv4", hosts.gateway, "-defaultIPv6", ""]
        self._programs = [Program(names, directory / "names.log", cwd=directory)]
        self._programs[0].wait_until("listening", lambda: is_listening(host, control), 10)
        pebble = [find_program("pebble", "pebble"), "-config", str(directory / "pebble.json")]
        pebble += ["-dnsserver", f"{host}:{dns}"]
        quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        self._programs.append(Program(pebble, directory / "pebble.log", cwd=directory, environment=quick))
        self._programs[1].wait_until("listening", lambda: is_listening(host, port), 10)
        self.control = f"{self._control}"

    def stop(self) -> None:
        """End both."""
        for program in reversed(self._programs):
            program.stop()

    def root(self, path: Path) -> Path:
        """The root that its certificates come from, in a file."""
        context = ssl.create_default_context(cafile=str(self.trust))
        with urllib.request.urlopen(f"{self._management}/roots/0", context=context, timeout=5) as answer:
            path.write_bytes(answer.read())
        return path

    def log(self) -> str:
        """All that the authority wrote."""
        return self._programs[1].text()
