"""A LAN with dnsmasq, and the DHCP client's process on a host of it, with the two rights that it needs and no other.

host (namespace) --eth7-- lan (namespace): dnsmasq, and whatever else a test lets loose there

lan.serve("10.78.0.50")      dnsmasq gives this address
lan.launch()                 the client
lan.ask(LeaseQuestion())     as the gateway asks
lan.heard(...)               DHCP messages that were on the wire
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from gateway.base.network.dhcp.dhcp_messages import RequestKind
from gateway.base.network.dhcp.lease_report import LeaseAnswer, LeaseQuestion, answer_of
from tests.support.attacks.networks import Networks
from tests.support.calls.processes import find_program, wait_until

CABLE = "eth7"
SERVER, LEASED, OTHER_LEASE = "10.78.0.1", "10.78.0.50", "10.78.0.60"
CLIENT_USER, GATEWAY_USER, STRANGER = 5061, 5060, 5062
RIGHTS = "-all,+net_admin,+net_raw"
ETH_P_ALL = 3


class DhcpLan:
    """The host, the client and the server."""

    def __init__(self, directory: Path, networks: Networks | None = None, host: str = "host") -> None:
        """``networks`` are another test's, which takes them away itself; its ``host`` has the client."""
        self.directory = directory
        self._host = host
        self.socket = directory / "run" / "lease.sock"
        self.socket.parent.mkdir()
        os.chown(self.socket.parent, CLIENT_USER, CLIENT_USER)
        top = Path(tempfile.gettempdir())
        for above in (directory, *(one for one in directory.parents if top in one.parents)):
            above.chmod(0o755)  # other users come through
        self._is_own = networks is None
        self.networks = networks if networks is not None else Networks(("host", "lan"))
        if self._is_own:
            self.networks.join(CABLE, {"host": [], "lan": [SERVER]})
        self.server: subprocess.Popen[bytes] | None = None
        self.client: subprocess.Popen[bytes] | None = None
        self.log = directory / "client.log"
        self.wire = Sniffer(self.networks)

    def serve(self, address: str = LEASED, seconds: int = 3600, *more: str) -> None:
        """Let dnsmasq give this address, and forget all that it gave before."""
        self.silence()
        program = find_program("dnsmasq", "dnsmasq-base")
        command = [program, "--keep-in-foreground", "--user=root", "--group=", "--conf-file=/dev/null", "--port=0"]
        command += [f"--interface={CABLE}", "--bind-interfaces", "--leasefile-ro", "--pid-file=", "--no-ping"]
        command += [f"--dhcp-range={address},{address},{seconds}", "--dhcp-authoritative", "--log-dhcp", *more]
        with self.networks.inside("lan"), (self.directory / "dnsmasq.log").open("ab") as log:
            self.server = subprocess.Popen(command, stderr=log, stdout=log)
        with self.networks.inside("lan"):
            wait_until("dnsmasq listens", _is_port_67_taken, 5)

    def silence(self) -> None:
        """End dnsmasq."""
        if self.server is not None:
            self.server.kill()
            self.server.wait()
            self.server = None

    def mute_lan(self) -> None:
        """No host of the LAN answers ARP any more: the router is silent."""
        self.networks.ip("lan", "link", "set", CABLE, "arp", "off")

    def launch(self) -> None:
        """Start the client, as its own user."""
        rights = [f"--inh-caps={RIGHTS}", f"--ambient-caps={RIGHTS}", f"--bounding-set={RIGHTS}", "--no-new-privs"]
        users = [f"--reuid={CLIENT_USER}", f"--regid={CLIENT_USER}", "--clear-groups"]
        command = [find_program("setpriv", "util-linux"), *users, *rights]
        command += [sys.executable, "-m", "gateway.base.network.dhcp", "--interface", CABLE]
        command += ["--socket", str(self.socket), "--user", str(GATEWAY_USER), "--hostname", "gw1"]
        with self.networks.inside(self._host), self.log.open("ab") as log:
            self.client = subprocess.Popen(command, stderr=log, stdout=log, cwd=Path(__file__).parents[3])

    def bind(self) -> LeaseAnswer:
        """Start the client, and wait for its lease."""
        self.launch()
        wait_until("there is a lease", lambda: self.socket.exists() and self.addresses() != [], 10)
        return self.ask()

    def ask(self, question: LeaseQuestion | None = None) -> LeaseAnswer:
        """As root; the test is."""
        return answer_of(spoken(self.socket, (question or LeaseQuestion()).encoded()).rstrip())

    def address(self) -> str:
        """Of the host's interface, from the kernel; empty for none."""
        return next(iter(self.addresses()), "")

    def addresses(self) -> list[str]:
        """All of them of IPv4, with the bits of their networks left out."""
        ip = find_program("ip", "iproute2")
        with self.networks.inside(self._host):
            told = subprocess.run(
                [ip, "-4", "-o", "address", "show", CABLE], check=True, capture_output=True, text=True
            )
        return [line.split()[3].partition("/")[0] for line in told.stdout.splitlines()]

    def route(self) -> str:
        """The host's default route."""
        ip = find_program("ip", "iproute2")
        with self.networks.inside(self._host):
            told = subprocess.run([ip, "route", "show", "default"], check=True, capture_output=True, text=True)
        return told.stdout.strip()

    def said(self) -> str:
        """The client's log."""
        return self.log.read_text()

    def kill(self) -> None:
        """End the client as the kernel does when there is no memory."""
        assert self.client is not None
        self.client.kill()
        self.client.wait()

    def close(self) -> None:
        """End everything, whatever came of it."""
        self.wire.stop()
        self.silence()
        if self.client is not None and self.client.poll() is None:
            self.client.terminate()
            self.client.wait(5)
        if self._is_own:
            self.networks.stop()


class Sniffer:
    """DHCP messages of clients on the LAN's end of the cable."""

    def __init__(self, networks: Networks) -> None:
        with networks.inside("lan"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self._socket.bind((CABLE, ETH_P_ALL))
        self._socket.settimeout(0.1)
        self.messages: list[tuple[float, RequestKind, str]] = []
        """When, the kind, and the address of destination."""
        self._is_on = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def of(self, kind: RequestKind) -> list[str]:
        """Destinations of all messages of a kind."""
        return [to for _, one, to in self.messages if one is kind]

    def stop(self) -> None:
        """Listen no more."""
        self._is_on = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._is_on:
            try:
                frame = self._socket.recv(2048)
            except TimeoutError:
                continue
            if len(frame) < 285 or frame[12:14] != b"\x08\0" or frame[23] != 17 or frame[36:38] != b"\0\x43":
                continue
            options = frame[42 + 240 :]  # our client says its kind first
            kind = RequestKind(options[2]) if options[:2] == b"\x35\1" else RequestKind.DISCOVER
            self.messages.append((time.monotonic(), kind, socket.inet_ntoa(frame[30:34])))


def spoken(path: Path, line: bytes) -> bytes:
    """The answer to a line; b"" where the other end closes without one."""
    with socket.socket(socket.AF_UNIX) as own:
        own.settimeout(6)
        own.connect(str(path))
        found = b""
        try:
            own.sendall(line)
            while piece := own.recv(65536):
                found += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
        return found


def _is_port_67_taken() -> bool:
    return any(
        line.split()[1].endswith(":0043") for line in Path("/proc/thread-self/net/udp").read_text().splitlines()[1:]
    )
