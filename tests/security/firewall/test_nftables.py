"""Bans in the kernel: what nft is told and when, a kernel that takes nothing, and real sets in a namespace."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.observe.events import Events
from gateway.security.firewall.nft_commands import PIECE, NftSets
from gateway.security.firewall.nft_process import NftFailed
from gateway.security.firewall.nftables import AGAIN, CAPACITY, GATHER, WHOLE, Nftables

SETS = NftSets("inet gateway banned4", "inet gateway banned6")


class Kernel:
    """Takes commands, or does not."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.time = 1000.0
        self.told: list[str] = []
        self.runs: list[Deferred[None]] = []
        self.events = Events(lambda: 0.0)
        clock = Clock(self.timers, lambda: 0.0, self._passed)
        self.start_at = clock.now()
        self.door = Nftables(SETS, self._run, clock, self.events)

    def _passed(self) -> float:
        return self.timers.seconds()

    def _run(self, commands: str) -> Deferred[None]:
        self.told.append(commands)
        self.runs.append(Deferred())
        return self.runs[-1]

    def take(self, seconds: float = GATHER) -> str:
        """Let time pass, and take the commands that come then."""
        self.timers.advance(seconds)
        self.runs[-1].callback(None)
        return self.told[-1]

    @property
    def names(self) -> list[str]:
        return [str(event.name) for _, event in self.events.after(0)]


@pytest.fixture
def kernel() -> Kernel:
    kernel = Kernel()
    kernel.door.start(SETS)
    return kernel


def test_the_whole_sets_are_written_at_the_start_with_the_time_that_is_left(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 90.4)
    kernel.door.keep_out("2001:db8:1:2::/64", 30.0)
    assert kernel.take() == (
        "flush set inet gateway banned4\n"
        "flush set inet gateway banned6\n"
        "add element inet gateway banned4 { 192.0.2.1 timeout 91s }\n"
        "add element inet gateway banned6 { 2001:db8:1:2::/64 timeout 30s }\n"
    )


def test_changes_are_gathered_into_one_transaction_and_a_lift_deletes(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 90.0)
    kernel.take()
    kernel.door.let_in("192.0.2.1")
    kernel.door.keep_out("192.0.2.2", 60.0)
    told = kernel.take()
    assert len(kernel.told) == 2
    assert re.search(r"delete element inet gateway banned4 \{ [^}]*192\.0\.2\.1", told)
    assert told.endswith("add element inet gateway banned4 { 192.0.2.2 timeout 60s }\n")


def test_changes_during_a_run_wait_for_its_end(kernel: Kernel) -> None:
    kernel.timers.advance(0)
    kernel.door.keep_out("192.0.2.1", 90.0)
    kernel.timers.advance(5)
    assert len(kernel.told) == 1, "one run at a time"
    kernel.runs[-1].callback(None)
    assert "192.0.2.1 timeout 85s" in kernel.take()


def test_a_ban_that_is_told_again_begins_anew(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 90.0)
    kernel.take()
    kernel.door.keep_out("192.0.2.1", 600.0)
    lines = kernel.take().splitlines()
    assert [line.split()[0] for line in lines] == ["add", "delete", "add"], "an add alone would leave the old time"
    assert "timeout 600s" in lines[-1]


def test_rules_that_were_loaded_again_get_their_elements_back(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 1000.0)
    kernel.take()
    again = kernel.take(WHOLE)
    assert again.startswith("flush set")
    assert "192.0.2.1 timeout 700s" in again


def test_a_kernel_that_takes_nothing_is_told_of_once_and_gets_the_whole_sets_later(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 1000.0)
    for _ in range(3):
        kernel.timers.advance(AGAIN)
        kernel.runs[-1].errback(NftFailed("Error: Operation not permitted"))
    assert kernel.names == ["security.firewall_failed"]
    assert kernel.door.standing.why == "Error: Operation not permitted"
    kernel.door.keep_out("192.0.2.2", 500.0)
    kernel.timers.advance(GATHER)
    assert len(kernel.told) == 3, "a failing kernel is not asked for each ban"
    told = kernel.take(AGAIN)
    assert told.startswith("flush set")
    assert "192.0.2.1" in told
    assert "192.0.2.2" in told
    assert kernel.names[-1] == "security.firewall_restored"
    assert kernel.door.standing.why == ""


def test_a_ban_that_ended_is_not_written(kernel: Kernel) -> None:
    kernel.door.keep_out("192.0.2.1", 5.0)
    kernel.take()
    assert "192.0.2.1" not in kernel.take(WHOLE)
    assert kernel.door.standing.elements == 0


def test_a_ban_that_ends_before_it_is_written_is_deleted(kernel: Kernel) -> None:
    kernel.take()
    kernel.door.keep_out("192.0.2.1", GATHER / 2)
    kernel.door.keep_out("192.0.2.2", 60.0)
    told = kernel.take()
    assert re.search(r"delete element inet gateway banned4 \{ [^}]*192\.0\.2\.1", told)
    assert told.endswith("add element inet gateway banned4 { 192.0.2.2 timeout 60s }\n")


def test_the_sets_are_bounded(kernel: Kernel) -> None:
    for number in range(CAPACITY + 10):
        kernel.door.keep_out(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 60.0)
    assert kernel.door.standing.elements == CAPACITY
    assert kernel.take().count("add element") == -(-CAPACITY // PIECE)


def test_nothing_is_written_after_the_end(kernel: Kernel) -> None:
    kernel.take(0)
    kernel.door.stop()
    kernel.door.keep_out("192.0.2.1", 60.0)
    kernel.timers.advance(WHOLE)
    assert len(kernel.told) == 1


@pytest.mark.parametrize("name", ["inet gateway", "inet gateway banned4; flush ruleset", "inet gate{way x", "x y z"])
def test_a_name_of_a_set_is_three_words(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)):
        NftSets(name, "inet gateway banned6")


def test_a_source_that_is_no_address_reaches_no_command() -> None:
    with pytest.raises(ValueError, match="does not appear to be a source"):
        SETS.whole({"192.0.2.1 }; flush ruleset": 5.0})


RULES = Path(__file__).parents[3] / "deploy" / "gateway.nft"
REAL = """
import sys
from twisted.internet import reactor
from twisted.internet.task import deferLater
from gateway.base.clock import Clock
from gateway.observe.events import Events
from gateway.security.firewall.nft_commands import NftSets
from gateway.security.firewall.nft_process import nft_run
from gateway.security.firewall.nftables import Nftables

sets = NftSets("inet gateway banned4", "inet gateway banned6")
door = Nftables(sets, nft_run(reactor), Clock(reactor), Events(lambda: 0.0))
door.keep_out("192.0.2.1", 600.0)
door.keep_out("192.0.2.2", 600.0)
door.keep_out("2001:db8:1:2::/64", 300.0)
door.start(sets)

def change():
    door.keep_out("192.0.2.1", 3000.0)
    door.let_in("192.0.2.2")

deferLater(reactor, 0.5, change)
deferLater(reactor, 1.0, lambda: (print("why:", door.standing.why), reactor.stop()))
reactor.run()
"""


def in_namespace(script: str) -> str:
    """The output of a script of the shell in a network of its own."""
    alone = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script]
    done = subprocess.run(alone, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_real_sets_take_change_and_lose_elements(tmp_path: Path) -> None:
    program = tmp_path / "door.py"
    program.write_text(REAL)
    told = in_namespace(f"nft -f {RULES}; {sys.executable} {program}; nft list table inet gateway")
    assert "why: \n" in told
    assert re.search(r"192\.0\.2\.1 timeout 50m expires 49m", told)
    assert "192.0.2.2" not in told
    assert re.search(r"2001:db8:1:2::/64 timeout 5m expires 4m", told)


def test_without_the_sets_the_failure_says_which(tmp_path: Path) -> None:
    program = tmp_path / "door.py"
    program.write_text(REAL)
    told = in_namespace(f"{sys.executable} {program}")
    assert "No such file or directory" in told


def test_the_rights_of_the_service_are_enough() -> None:
    """As another user, with the one capability that the unit hands on, and no way to get more."""
    unit = (RULES.parent / "gateway.service").read_text()
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN\n" in unit
    assert "AF_NETLINK" in re.findall(r"^RestrictAddressFamilies=(.*)$", unit, re.M)[0].split()
    rights = "-all,+net_bind_service,+net_admin"
    other = f"setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set {rights}"
    able = f"{other} --inh-caps {rights} --ambient-caps {rights} nft -f -"
    unable = f"{other} --inh-caps=-all --ambient-caps=-all nft -f -"
    element = "echo 'add element inet gateway banned4 { 192.0.2.1 timeout 60s }'"
    script = f"nft -f {RULES}; {element} | {able}; ! {element} | {unable} 2>&1; nft list table inet gateway"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "192.0.2.1 timeout 1m" in done.stdout
    assert "Operation not permitted" in done.stdout


TALK = """
import socket

def arrives(source, port):
    ear, mouth = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    ear.bind(("127.0.0.1", port))
    ear.settimeout(0.3)
    mouth.bind((source, 0))
    mouth.sendto(b"x", ("127.0.0.1", port))
    try:
        return bool(ear.recv(9))
    except TimeoutError:
        return False

print([arrives("127.0.0.9", 5060), arrives("127.0.0.8", 5060), arrives("127.0.0.9", 20000)])
"""


def test_the_rules_drop_sip_of_a_banned_source_and_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "talk.py"
    program.write_text(TALK)
    ban = "nft add element inet gateway banned4 '{ 127.0.0.9 timeout 60s }'"
    told = in_namespace(f"ip link set lo up; nft -f {RULES}; {ban}; {sys.executable} {program}")
    assert told == "[False, True, True]\n"
