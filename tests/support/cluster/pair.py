"""Two gateways on loopback at one place for phones and provider, of which the store lets one be active."""

from __future__ import annotations

import re
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.cluster.store import RedisServer
from tests.support.faults.rig import Rig

PORTS = 1600
"""Of media: four for each of some hundred calls, and of workers that a killed node leaves behind."""
CLUSTER = """
[cluster]
node = "{node}"
store = ["{store}"]
key_file = "cluster.key"
lease_ms = {lease}
{more}
"""


class Node(Rig):
    """One gateway of a pair. `name` is its node's."""

    def __init__(self, hosts: Hosts, directory: Path, name: str) -> None:
        super().__init__(hosts, directory)
        self.name = name

    @property
    def is_active(self) -> bool:
        return self.metric("gateway_cluster_active") == 1

    @property
    def is_waiting(self) -> bool:
        return '"standby' in (self.fetch_any("/readyz") or "")

    def fetch_any(self, path: str) -> str | None:
        """The answer whatever its status; None where nobody answers."""
        return self.fetched(f"http://{self.hosts.gateway}:{self.admin}{path}")

    @staticmethod
    def fetched(url: str) -> str | None:
        """The same of any address."""
        try:
            with urllib.request.urlopen(url, timeout=2) as page:
                return str(page.read().decode())
        except urllib.error.HTTPError as refusal:
            return str(refusal.read().decode())
        except OSError:
            return None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Pair:
    """Nodes `a` and `b`, and their store. Neither is started."""

    def __init__(self, hosts: Hosts, directory: Path, *, lease_ms: int = 4000, more: str = "") -> None:
        self.store = RedisServer(hosts.host(40), hosts.port(hosts.host(40)), directory)
        self.a = Node(hosts, directory / "a", "a")
        self.b = Node(hosts, directory / "b", "b")
        key = secrets.token_bytes(32)
        first = hosts.port(hosts.gateway, PORTS)
        text = self.a.configuration.read_text()
        text = re.sub(r'ports = "[0-9-]+"', f'ports = "{first}-{first + PORTS - 1}"', text)
        self.a.first_media_port = self.b.first_media_port = first
        for node in (self.a, self.b):
            own = text.replace(f"port = {self.a.admin}\n", f"port = {node.admin}\n")
            file = node.directory / "cluster.key"
            file.touch(0o600)
            file.write_bytes(key)
            table = CLUSTER.format(node=node.name, store=self.store.url, lease=lease_ms, more=more)
            node.configuration.write_text(own + table)
        self.b.provider.close()
        self.b.provider, self.b.phones, self.b.trunk = self.a.provider, self.a.phones, self.a.trunk

    @property
    def nodes(self) -> tuple[Node, Node]:
        return self.a, self.b

    def start(self) -> None:
        """The store, then a, which becomes active, then b, which waits."""
        self.store.start()
        self.store.be_used()
        self.a.launch()
        wait_until("a is active and ready", lambda: self.a.is_active and self.a.is_ready(), 60)
        self.b.launch()
        wait_until("b waits", lambda: self.b.is_waiting, 40)

    def settle(self, node: Node) -> None:
        """Until the store has all of an active node's state."""
        settle(node)

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.store.stop()


def settle(node: Node) -> None:
    """Until the store has all of an active node's state: all that is noted within a second leaves within two."""
    time.sleep(1)  # the files of the state directory are written half a second behind
    wait_until(
        f"all of {node.name} is in the store",
        lambda: (
            node.metric("gateway_cluster_whole_copies_total") >= 1 and node.metric("gateway_cluster_lag_seconds") == 0
        ),
        30,
    )


@contextmanager
def told(pair: Pair) -> Iterator[Pair]:
    """The pair; at its end, its logs."""
    try:
        yield pair
    finally:
        for node in pair.nodes:
            print(f"--- {node.name}\n{node.text() if node.log.exists() else ''}")
        pair.close()
