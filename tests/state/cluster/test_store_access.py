"""The ways to a real store: the shipped configuration with its user over TLS, and a master that sentinels know."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls.certificates import Authority
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import Program, find_program, wait_until

SHIPPED = Path(__file__).parents[3] / "deploy" / "store" / "redis.conf"
PASSWORD = "correct-horse-battery"
NAME = "store.test"


class Stores:
    """Servers on one host, which end with the test."""

    def __init__(self, hosts: Hosts, directory: Path, stack: ExitStack) -> None:
        self.hosts, self.host = hosts, hosts.host(40)
        self.directory = directory
        self._stack = stack

    def shipped(self) -> str:
        """deploy/store/redis.conf with the password's digest."""
        text = SHIPPED.read_text(encoding="utf-8")
        return text.replace("#SHA256", f"#{hashlib.sha256(PASSWORD.encode()).hexdigest()}")

    def start(self, name: str, text: str, *more: str) -> None:
        """Run a server of this configuration, and wait until it listens."""
        file = self.directory / f"{name}.conf"
        file.write_text(f"{text}\nbind {self.host}\ndir {self.directory}\n", encoding="utf-8")
        log = self.directory / f"{name}.log"
        server = find_program("redis-server", "redis-server")
        program = self._stack.enter_context(Program([server, str(file), *more], log))
        wait_until(f"{name} listens", lambda: "eady to accept" in program.text() or "entinel ID" in program.text(), 20)

    def outcome(self, **told: object) -> str:
        """The outcome of all questions."""
        asked = {"user": "gateway", "password": PASSWORD, **told}
        argv = [sys.executable, "-m", "tests.support.cluster.store_questions", json.dumps(asked)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def stores(hosts: Hosts, tmp_path: Path) -> Iterator[Stores]:
    with ExitStack() as stack:
        yield Stores(hosts, tmp_path, stack)


@pytest.fixture
def over_tls(stores: Stores) -> dict[str, Any]:
    """The shipped store as one of its nodes is told of it; its certificate is for its address."""
    authority = Authority(stores.directory / "certs")
    certificate = authority.issue("store", stores.host)
    port = stores.hosts.port(stores.host)
    text = stores.shipped().replace("tls-port 6379", f"tls-port {port}")
    text = text.replace("/etc/redis/tls/store.pem", str(certificate.chain))
    stores.start("store", text.replace("/etc/redis/tls/store.key", str(certificate.key)))
    return {"places": [[stores.host, port]], "trust": str(authority.trust)}


def test_the_shipped_user_may_ask_all_that_a_node_asks_over_tls(stores: Stores, over_tls: dict[str, Any]) -> None:
    assert stores.outcome(**over_tls) == "all answered"


def test_a_wrong_password_is_told(stores: Stores, over_tls: dict[str, Any]) -> None:
    assert "WRONGPASS" in stores.outcome(**over_tls, password="another")


def test_a_certificate_of_another_authority_is_refused(stores: Stores, over_tls: dict[str, Any]) -> None:
    other = Authority(stores.directory / "others")
    outcome = stores.outcome(**{**over_tls, "trust": str(other.trust)})
    assert outcome.startswith("not answered: ")
    assert "verif" in outcome or "certificate" in outcome


def test_the_shipped_user_may_nothing_else(stores: Stores, over_tls: dict[str, Any]) -> None:
    cli = find_program("redis-cli", "redis-tools")
    ((host, port),) = over_tls["places"]
    way = [cli, "--tls", "--cacert", over_tls["trust"], "-h", host, "-p", str(port)]
    way += ["--user", "gateway", "--pass", PASSWORD, "--no-auth-warning"]
    for command in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["GET", "another"], ["KEYS", "*"], ["SUBSCRIBE", "x"]):
        done = subprocess.run([*way, *command], capture_output=True, text=True, timeout=20, check=False)
        assert "NOPERM" in done.stdout + done.stderr, command


def test_sentinels_say_where_the_master_is(stores: Stores) -> None:
    """As docs/cluster.md has it: the same user and password at the sentinels, which may ask one thing."""
    store, sentinel = stores.hosts.port(stores.host), stores.hosts.port(stores.host)
    clear = [line for line in stores.shipped().splitlines() if not line.startswith(("tls-", "port "))]
    stores.start("store", "\n".join([*clear, f"port {store}", f"user watch on >{PASSWORD} ~* &* +@all"]))
    lines = [
        f"port {sentinel}",
        f"sentinel monitor pair {stores.host} {store} 1",
        "sentinel auth-user pair watch",
        f"sentinel auth-pass pair {PASSWORD}",
        "user default off",
        f"user gateway on >{PASSWORD} +auth +sentinel|get-master-addr-by-name",
    ]
    stores.start("sentinel", "\n".join(lines), "--sentinel")
    closed = stores.hosts.port(stores.host)
    told = {"places": [[stores.host, closed], [stores.host, sentinel]], "sentinel": "pair"}
    assert stores.outcome(**told) == "all answered"
    assert "knows no master other" in stores.outcome(**{**told, "sentinel": "other"})
