"""The nodes of a configuration: shares of the ports, sockets in the state directory, and real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from gateway.config.model import Media
from gateway.media.configured_nodes import NodeServices, nodes_for
from gateway.media.relay import RelayFailure
from gateway.media.statistics import RelayFigures
from tests.support.media_relays import ROOT, own_address, rtpengine

SCRIPT = ROOT / "tests" / "support" / "media_pool_process.py"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Short enough for the sockets below it, in one process of tests among several, too."""
    with TemporaryDirectory(prefix="nodes-") as directory:
        yield Path(directory)


def reactors() -> NodeServices:
    memory: Any = MemoryReactorClock()
    return NodeServices(memory, memory, memory, memory)


def test_one_worker_a_core_unless_said_otherwise(tmp_path: Path) -> None:
    media = Media(address="127.0.0.1")
    assert len(nodes_for(reactors(), media, tmp_path)) == len(os.sched_getaffinity(0))
    assert len(nodes_for(reactors(), Media(address="127.0.0.1", workers=3), tmp_path)) == 3


def test_workers_are_told_how_much_silence_ends_a_call(tmp_path: Path) -> None:
    for seconds, told in ((60, "--media-timeout=60.0"), (0, "--media-timeout=0.0")):
        (node,) = nodes_for(reactors(), Media("127.0.0.1", workers=1, silence_seconds=seconds), tmp_path)
        assert node._worker is not None
        assert told in node._worker.options.command()


def test_rtpengines_are_named_by_their_addresses(tmp_path: Path) -> None:
    media = Media(address="127.0.0.1", relay="rtpengine", rtpengine=("192.0.2.1:22222=3", "[2001:db8::1]:2223"))
    nodes = nodes_for(reactors(), media, tmp_path)
    assert [node.client.target for node in nodes] == [("192.0.2.1", 22222), ("2001:db8::1", 2223)]
    assert [node.weight for node in nodes] == [3, 1]


def test_the_socket_directory_is_private_and_rid_of_stale_sockets(tmp_path: Path) -> None:
    directory = tmp_path / "media"
    directory.mkdir(0o700)
    stale = directory / "worker-old.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(stale))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as alive:
        alive.bind(str(directory / "worker-new.sock"))
        nodes_for(reactors(), Media(address="127.0.0.1", workers=1), tmp_path)
        assert [path.name for path in directory.iterdir()] == ["worker-new.sock"]
    nodes_for(reactors(), Media(address="127.0.0.1", workers=1), tmp_path / "fresh")
    assert (tmp_path / "fresh" / "media").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir(0o755)
    with pytest.raises(RelayFailure, match="this user alone"):
        nodes_for(reactors(), Media(address="127.0.0.1"), tmp_path)


def test_a_deep_state_directory_has_its_sockets_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    for _ in range(2):
        (node,) = nodes_for(reactors(), Media(address="127.0.0.1", workers=1), deep)
        found = Path(str(node.client.target)).parent
        assert found != deep / "media"
        assert found.stat().st_mode & 0o777 == 0o700
    found.rmdir()


def test_two_gateways_that_are_both_process_one_never_share_a_socket(tmp_path: Path) -> None:
    media = Media(address="127.0.0.1", workers=1)
    (first,), (second,) = nodes_for(reactors(), media, tmp_path), nodes_for(reactors(), media, tmp_path)
    assert first.client.own != second.client.own
    assert first.client.own is not None
    first.client.own.touch()
    second.client.own = first.client.own
    second.client.stop()
    assert first.client.own.exists(), "who never opened it does not remove it"


@pytest.mark.parametrize(
    ("key", "media"),
    [
        ("address", Media(address="198.51.100.7", workers=1)),
        ("phone_address", Media(address="127.0.0.1", workers=1, phone_address="198.51.100.7")),
        ("provider_address", Media(address="127.0.0.1", workers=1, provider_address="198.51.100.7")),
    ],
)
def test_an_address_of_another_machine_is_one_line(tmp_path: Path, key: str, media: Media) -> None:
    with pytest.raises(RelayFailure, match=f"^media.{key}: 198.51.100.7 cannot be used: Cannot assign requested"):
        nodes_for(reactors(), media, tmp_path)


class Gateway:
    """A pool with real workers in a process of its own; one command a line, one reply a line."""

    def __init__(self, state: Path, address: str, *rtpengines: str) -> None:
        command = [sys.executable, str(SCRIPT), str(state), address, *rtpengines]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        self.reply()

    def ask(self, *words: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.reply()

    def reply(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def until(self, words: str, expected: Any) -> None:
        """Ask until the reply is as expected."""
        deadline = time.monotonic() + 15
        found = None
        while time.monotonic() < deadline:
            found = self.ask(words)
            if found == expected:
                return
            time.sleep(0.05)
        raise AssertionError(f"{words}: {found}, not {expected}")

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=10)


def test_a_killed_worker_comes_back_and_its_calls_are_lost(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, own_address())
    try:
        assert [gateway.ask("offer", name) for name in ("a", "b")] == [True, True]
        pids = gateway.ask("pids")
        os.kill(pids[0], signal.SIGKILL)
        gateway.until("lost", ["a"])
        gateway.until("up", [True, True])
        assert gateway.ask("calls") == ["b"]
        assert gateway.ask("pids")[0] != pids[0]
        assert gateway.ask("offer", "c") is True
    finally:
        pids = gateway.ask("pids")
        gateway.end()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def test_of_two_rtpengines_the_weightier_takes_more_and_the_other_takes_over(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with rtpengine(tmp_path / "one") as one, rtpengine(tmp_path / "two") as two:
        gateway = Gateway(tmp_path, one.address, f"{one.address}:22222=3", f"{two.address}:22222")
        try:
            assert all(gateway.ask("offer", f"c{number}") for number in range(8))
            calls = [set(strings(ng.request({"command": "list"})["calls"])) for ng in (one, two)]
            assert [len(found) for found in calls] == [6, 2]
            one.process.kill()
            assert gateway.ask("offer", "new") is True, "passed on before anybody knew that one is gone"
            gateway.until("up", [False, True])
            assert set(gateway.ask("lost")) == calls[0]
            assert all(gateway.ask("offer", call) for call in sorted(calls[0]))
            assert set(strings(two.request({"command": "list"})["calls"])) == {*calls[0], *calls[1], "new"}
        finally:
            gateway.end()


def strings(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


def test_workers_outlive_a_killed_gateway_and_are_found_again(tmp_path: Path) -> None:
    address = own_address()
    gateway = Gateway(tmp_path, address)
    gateway.ask("offer", "a")
    gateway.ask("offer", "b")
    pids = gateway.ask("pids")
    gateway.end(signal.SIGKILL)
    again = Gateway(tmp_path, address)
    try:
        assert sorted(again.ask("calls")) == ["a", "b"]
        assert again.ask("pids") == [None, None]
        assert again.ask("offer", "a") is True
        os.kill(pids[0], signal.SIGKILL)
        again.until("lost", ["a"])
        again.until("up", [True, True])
        assert again.ask("pids")[0] is not None
        assert again.ask("pids")[1] is None
    finally:
        again.end()
        os.kill(pids[1], signal.SIGKILL)


def test_a_gateway_that_stops_takes_idle_workers_along(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, own_address())
    pids = gateway.ask("pids")
    gateway.end()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert list((tmp_path / "media").iterdir()) == []


def test_an_rtpengine_tells_of_its_ports(tmp_path: Path) -> None:
    with rtpengine(tmp_path) as ng:
        ports = RelayFigures.of(ng.request({"command": "statistics"})).ports
    assert ports["free"] > 100
    assert ports["used"] == 0
