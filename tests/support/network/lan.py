"""A gateway on a LAN of a test's own: it takes its address from its interface, whose address the test changes.

gateway (namespace) --eth7-- lan (namespace): a provider, phones

lan.start()                              the gateway, without any capability
lan.change("10.77.0.2", "10.77.0.3")     one address away, the other there
"""

from __future__ import annotations

import os
import socket
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.attacks.networks import Networks
from tests.support.calls.processes import find_program, wait_until
from tests.support.faults.phone import Dialog, Phone, media_of
from tests.support.faults.provider import Provider
from tests.support.faults.rig import Rig

CABLE = "eth7"
LAN, FIRST, SECOND = "10.77.0.1", "10.77.0.2", "10.77.0.3"

CONFIGURATION = """\
[gateway]
name = "gw1"
state_directory = "state"
drain_seconds = 0
stop = "end"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{address}"
port = 5060

[[listener]]
name = "phones-tcp"
side = "phones"
transport = "tcp"
address = "{address}"
port = 5060

[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "{address}"
port = 5080

[media]
address = "{address}"
ports = "20000-20399"
workers = 1

[network]
hold_seconds = {hold}

[[provider]]
name = "main"
uri = "sip:{provider}:5070;transport=udp"

[[domain]]
name = "example.com"
provider = "main"
security = "off"

[admin]
address = "127.0.0.1"
port = 8080
"""


class Lan(Rig):
    """The gateway, its provider and its interface."""

    def __init__(self, directory: Path, *, address: str = f"%{CABLE}", hold: int = 10) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.log = directory / "gateway.log"
        self.starter = (find_program("setpriv", "util-linux"), "--bounding-set=-all", "--inh-caps=-all")
        self.networks = Networks(("gateway", "lan"))
        self.networks.join(CABLE, {"gateway": [FIRST], "lan": [LAN]})
        with self.networks.inside("lan"):
            self.provider = Provider(LAN, 5070)
        self.configuration = directory / "gateway.toml"
        self.configuration.write_text(CONFIGURATION.format(address=address, hold=hold, provider=LAN))
        self.process = None
        self.talks: list[Talk] = []

    def launch(self, *given: Any, **how: Any) -> Any:
        """Start it without any capability, in its network."""
        with self.networks.inside("gateway"):
            return super().launch(*given, **how)

    def fetch(self, path: str) -> str | None:
        """An admin page, a refusal as well."""
        with self.networks.inside("gateway"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=2) as page:
                    return str(page.read().decode())
            except urllib.error.HTTPError as refusal:
                return str(refusal.read().decode())
            except (urllib.error.URLError, OSError):
                return None

    def reasons(self) -> list[str]:
        """Why it takes no calls."""
        return list(self.json("/readyz")["reasons"])

    def is_ready(self) -> bool:
        """Whether calls find everything."""
        return self.fetch("/readyz") is not None and not self.reasons()

    def add(self, address: str) -> None:
        """Give the interface an address."""
        self.networks.ip("gateway", "address", "add", f"{address}/24", "dev", CABLE)

    def remove(self, address: str) -> None:
        """Take one away."""
        self.networks.ip("gateway", "address", "del", f"{address}/24", "dev", CABLE)

    def change(self, before: str, after: str) -> None:
        """As a DHCP client does with another lease."""
        self.remove(before)
        self.add(after)

    def phone(self, at: str = FIRST, user: str = "alice") -> Phone:
        """A phone on the LAN."""
        with self.networks.inside("lan"):
            return Phone(LAN, (at, 5060), user)

    def pids(self) -> list[int]:
        """The processes in the gateway's network."""
        with self.networks.inside("gateway"):
            here = Path("/proc/thread-self/ns/net").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "ns/net").readlink() == here and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def workers(self) -> list[int]:
        """Process ids of the media workers."""
        return [pid for pid in self.pids() if self.process is None or pid != self.process.pid]

    def close(self) -> None:
        """End everything, whatever came of it."""
        for talk in self.talks:
            talk.stop()
        super().close()
        self.networks.stop()


class Talk:
    """A call of a phone that talks and listens until it is ended, wherever the gateway moves it.

    `heard_at` are the moments (monotonic seconds) of audio that came: at the provider, and at the phone.
    """

    def __init__(self, lan: Lan, phone: Phone) -> None:
        self.heard_at: dict[str, list[float]] = {"provider": [], "phone": []}
        self._phone, self._provider = phone, lan.provider
        self.dialog: Dialog = phone.must_call()
        self._toward_provider = self.dialog.media
        self._is_on = True
        lan.talks.append(self)
        phone.media.settimeout(0.2)
        jobs = (self._talk, self._hear_provider, self._hear_phone, self._signal)
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()
        wait_until("audio flows", lambda: all(len(heard) > 10 for heard in self.heard_at.values()), 10)

    def gap(self, end: str) -> float:
        """The longest silence at an end, seconds."""
        heard = self.heard_at[end]
        return max(after - before for before, after in pairwise(heard))

    def flows(self, since: float) -> bool:
        """Whether audio came at both ends since that moment."""
        return all(heard and heard[-1] > since for heard in self.heard_at.values())

    def stop(self) -> None:
        """Say nothing more."""
        self._is_on = False
        for thread in self._threads:
            thread.join()

    @property
    def _toward_phone(self) -> tuple[str, int]:
        return media_of([one for one in [*self._provider.requests] if one.method == "INVITE"][-1])

    def _talk(self) -> None:
        number = 0
        while self._is_on:
            number += 1
            packet = bytes([0x80, 0]) + (number & 0xFFFF).to_bytes(2, "big") + (160 * number).to_bytes(4, "big")
            for own, place in ((self._phone.media, self._toward_provider), (self._provider.media, self._toward_phone)):
                own.sendto(packet + b"talk" + bytes([0xFF]) * 160, place)
            time.sleep(0.02)

    def _hear_provider(self) -> None:
        self._hear(self._provider.media, "provider")

    def _hear_phone(self) -> None:
        self._hear(self._phone.media, "phone")

    def _hear(self, own: socket.socket, end: str) -> None:
        while self._is_on:
            try:
                own.recv(2048)
            except (TimeoutError, ConnectionError):
                continue
            self.heard_at[end].append(time.monotonic())

    def _signal(self) -> None:
        """Answer requests, and follow the gateway's media."""
        while self._is_on:
            message = self._phone.receive(0.1)
            if message is not None and message.method == "INVITE" and message.audio is not None:
                self._toward_provider = media_of(message)
