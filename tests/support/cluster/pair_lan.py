"""Two gateways and their keepalived on a LAN of a test's own, with the configuration of deploy/keepalived.

    a (namespace) --ea--+
                        bridge in lan (namespace): the store, a provider, phones
    b (namespace) --eb--+

lan.cut(a)         a hears nobody any more, and keeps its carrier and, as VRRP goes, the floating address
lan.cut_store(a)   a does not reach the store any more, and hears all others
"""

from __future__ import annotations

import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

from tests.support.attacks.networks import Networks
from tests.support.calls.processes import Program, find_program, wait_until
from tests.support.cluster.pair import CLUSTER, Node
from tests.support.cluster.store import RedisServer
from tests.support.faults.phone import Phone
from tests.support.faults.provider import Provider
from tests.support.network import lan as one_lan

LAN, FLOATING = "10.78.0.1", "10.78.0.10"
STORE = 6379
"""The port of the store."""
OWN = {"a": "10.78.0.11", "b": "10.78.0.12"}
KEEPALIVED = Path(__file__).parents[3] / "deploy" / "keepalived" / "keepalived.conf"


class LanNode(Node):
    """A gateway in its namespace, with keepalived beside it."""

    def __init__(self, networks: Networks, directory: Path, name: str, provider: Provider, table: str) -> None:
        directory.mkdir(parents=True)
        self.networks, self.directory, self.name = networks, directory, name
        self.state, self.log = directory / "state", directory / "gateway.log"
        self.configuration = directory / "gateway.toml"
        text = one_lan.CONFIGURATION.format(address=FLOATING, hold=10, provider=LAN)
        self.configuration.write_text(text + table)
        self.provider = provider
        self.process = None
        self.first_media_port = 20_000
        self.keepalived: Program | None = None

    def launch(self, *given: Any, **how: Any) -> Any:
        with self.networks.inside(self.name):
            return super().launch(*given, **how)

    def fetch_any(self, path: str) -> str | None:
        with self.networks.inside(self.name):
            return self.fetched(f"http://127.0.0.1:8080{path}")

    def fetch(self, path: str) -> str | None:
        return self.fetch_any(path)

    def workers(self) -> list[int]:
        """Its media workers: all that are in its network."""
        with self.networks.inside(self.name):
            here = Path("/proc/thread-self/ns/net").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_worker = b"--ports=" in (entry / "cmdline").read_bytes()
                if is_worker and (entry / "ns/net").readlink() == here:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    @property
    def has_address(self) -> bool:
        with self.networks.inside(self.name):
            shown = subprocess.run(["ip", "-4", "address"], capture_output=True, text=True, check=True).stdout
        return f"inet {FLOATING}/" in shown

    @property
    def may_hold(self) -> bool:
        """Whether keepalived hears that the address is of use here."""
        return "true" in (self.fetch_any("/may-hold") or "")

    @property
    def priority(self) -> int:
        """The one that its keepalived counts with now."""
        told = self.keepalived.text() if self.keepalived is not None else ""
        changes = re.findall(r"effective priority from \d+ to (\d+)", told)
        return int(changes[-1]) if changes else 100

    def guard(self) -> None:
        """Start its keepalived."""
        cable, other = f"e{self.name}", next(own for name, own in OWN.items() if name != self.name)
        text = KEEPALIVED.read_text().replace("eth0", cable).replace("192.0.2.10/", f"{FLOATING}/")
        text = (
            text.replace("192.0.2.11", OWN[self.name]).replace("192.0.2.12", other).replace("gw-a", f"gw-{self.name}")
        )
        file = self.directory / "keepalived.conf"
        file.write_text(text)
        file.chmod(0o600)
        pids = [f"--{kind}={self.directory / kind}" for kind in ("pid", "vrrp_pid", "checkers_pid")]
        argv = [find_program("keepalived", "keepalived"), "--dont-fork", "--log-console", "--vrrp"]
        with self.networks.inside(self.name):
            self.keepalived = Program([*argv, f"--use-file={file}", *pids], self.directory / "keepalived.log")

    def close(self) -> None:
        if self.keepalived is not None:
            self.keepalived.stop()
        super().close()


class PairLan:
    """Nodes `a` and `b`, the store and the provider. Neither node is started."""

    def __init__(self, directory: Path, *, more: str = "") -> None:
        self.networks = Networks(("a", "b", "lan"))
        self.networks.ip("lan", "link", "add", "br0", "type", "bridge")
        self.networks.ip("lan", "link", "set", "br0", "up")
        self.networks.ip("lan", "address", "add", f"{LAN}/24", "dev", "br0")
        for name, address in OWN.items():
            self.networks.join(f"e{name}", {name: [address], "lan": []})
            self.networks.ip("lan", "link", "set", f"e{name}", "master", "br0")
        with self.networks.inside("lan"):
            self.provider = Provider(LAN, 5070)
        self.store = RedisServer(LAN, STORE, directory, "--protected-mode", "no")
        key = secrets.token_bytes(32)
        text = f'address = "{FLOATING}"\ninsecure = true\n{more}'
        made = []
        for name in OWN:
            table = CLUSTER.format(node=name, store=f"redis://{LAN}:{STORE}", lease=4000, more=text)
            node = LanNode(self.networks, directory / name, name, self.provider, table)
            file = node.directory / "cluster.key"
            file.touch(0o600)
            file.write_bytes(key)
            made.append(node)
        self.a, self.b = made

    def start(self) -> None:
        """The store, then a with its keepalived, which becomes active, then b, which waits."""
        with self.networks.inside("lan"):
            self.store.start()
            self.store.be_used()
        self.a.launch()
        self.a.guard()
        wait_until("a is active and ready", lambda: self.a.is_active and self.a.is_ready(), 60)
        self.b.launch()
        self.b.guard()
        wait_until("b waits", lambda: self.b.is_waiting, 40)

    def phone(self) -> Phone:
        with self.networks.inside("lan"):
            return Phone(LAN, (FLOATING, 5060))

    def cut(self, node: LanNode) -> None:
        """Let nothing pass between a node and the others."""
        self.networks.ip("lan", "link", "set", f"e{node.name}", "nomaster")

    def mend(self, node: LanNode) -> None:
        self.networks.ip("lan", "link", "set", f"e{node.name}", "master", "br0")

    def cut_store(self, node: LanNode) -> None:
        """Let nothing of a node reach the store, and all else pass."""
        self._filter(node, "add table inet cut")
        self._filter(node, "add chain inet cut out { type filter hook output priority 0; }")
        self._filter(node, f"add rule inet cut out tcp dport {STORE} drop")

    def mend_store(self, node: LanNode) -> None:
        self._filter(node, "delete table inet cut")

    def _filter(self, node: LanNode, rule: str) -> None:
        with self.networks.inside(node.name):
            subprocess.run([find_program("nft", "nftables"), rule], capture_output=True, timeout=20, check=True)

    def close(self) -> None:
        for node in (self.a, self.b):
            print(f"--- {node.name}\n{node.text() if node.log.exists() else ''}")
            node.close()
        self.store.stop()
        self.networks.stop()
