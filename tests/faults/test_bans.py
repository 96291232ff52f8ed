"""Bans outlive a kill, in the file and in the kernel's sets; a failing nft and a file that is none let nobody in."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.support.calls.processes import Program, wait_until
from tests.support.faults.rig import ROOT, Rig

DEFENCE = '\n[defence]\nmode = "defend"\nban_by = "nftables"\n'
CLONE_NEWNET = 0x40000000
LOOPBACK_UP = "ip link set lo up && echo up && exec sleep 600"


@attrs.frozen
class Place:
    """A network of its own, in which the gateway runs."""

    rig: Rig
    holder: Program

    def start(self) -> None:
        """Start the gateway there, and wait until it answers over its socket."""
        process = self.rig.launch(before=self._enter)
        ready = self.rig.text().count("ready")
        wait_until("it is ready", lambda: process.poll() is not None or self.rig.text().count("ready") > ready, 30)
        assert process.poll() is None, self.rig.text()

    def run(self, *command: str, status: int = 0) -> str:
        """The output of a command there."""
        inside = ["nsenter", f"--net=/proc/{self.holder.process.pid}/ns/net", *command]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def ctl(self, *arguments: str) -> str:
        """The output of gatewayctl, which asks over the UNIX socket."""
        program = str(Path(sys.executable).with_name("gatewayctl"))
        command = [program, *arguments, "--config", str(self.rig.configuration)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def bans(self) -> dict[str, Any]:
        told = json.loads(self.ctl("bans", "--json"))
        return {ban["source"]: ban for ban in told["bans"]}

    def left_in_kernel(self, source: str) -> float | None:
        """Seconds that an element has left."""
        listed = self.run("nft", "--json", "list", "set", "inet", "gateway", "banned4")
        elements = next(one["set"].get("elem", []) for one in json.loads(listed)["nftables"] if "set" in one)
        return next((float(one["elem"]["expires"]) for one in elements if one["elem"]["val"] == source), None)

    def _enter(self) -> None:
        descriptor = os.open(f"/proc/{self.holder.process.pid}/ns/net", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def place(rig: Rig, tmp_path: Path) -> Iterator[Place]:
    rig.configuration.write_text(rig.configuration.read_text() + DEFENCE)
    with Program(["unshare", "--net", "sh", "-c", LOOPBACK_UP], tmp_path / "place.log") as holder:
        holder.wait_for_line("up")
        place = Place(rig, holder)
        place.run("nft", "-f", str(ROOT / "deploy" / "gateway.nft"))
        yield place


def test_bans_and_elements_stand_after_a_kill_with_the_same_time_left_and_a_lift_takes_both(place: Place) -> None:
    place.start()
    place.ctl("bans", "add", "192.0.2.7", "--for", "1h", "--because", "it rang at night")
    place.rig.kill()

    place.start()
    ban = place.bans()["192.0.2.7"]
    assert (ban["state"], ban["words"]) == ("active", "it rang at night")
    wait_until("the kernel has it", lambda: place.left_in_kernel("192.0.2.7") is not None, 5)
    left = place.left_in_kernel("192.0.2.7")
    assert left is not None
    assert 3540 < left <= 3600
    place.ctl("bans", "lift", "192.0.2.7")
    wait_until("the kernel let it go", lambda: place.left_in_kernel("192.0.2.7") is None, 5)
    assert "192.0.2.7" not in place.bans()
    assert '"is_spared": true' in place.ctl("bans", "show", "192.0.2.7", "--json")


def test_an_nft_that_fails_is_told_and_the_ban_stands(place: Place) -> None:
    place.run("nft", "delete", "table", "inet", "gateway")
    place.start()
    place.ctl("bans", "add", "192.0.2.7")
    wait_until("status tells", lambda: "nftables takes no bans" in place.ctl("status"), 10)
    assert place.bans()["192.0.2.7"]["state"] == "active"
    wait_until("an event tells", lambda: "security.firewall_failed" in _security_log(place), 10)
    place.run("nft", "-f", str(ROOT / "deploy" / "gateway.nft"))
    wait_until("the kernel has it again", lambda: place.left_in_kernel("192.0.2.7") is not None, 15)


def test_a_file_of_bans_that_is_none_is_put_aside_and_an_export_is_for_other_programs(place: Place) -> None:
    place.rig.state.mkdir(mode=0o700)
    (place.rig.state / "bans.sqlite").write_bytes(b"no database at all" * 300)
    place.start()
    assert re.search(r"bans\.sqlite cannot be used", place.rig.text())
    assert [*place.rig.state.glob("bans.sqlite.unusable-*")]
    place.ctl("bans", "add", "192.0.2.7")
    place.ctl("bans", "add", "2001:db8:1:2::9")
    assert sorted(place.ctl("bans", "export").split()) == ["192.0.2.7", "2001:db8:1:2::/64"]
    assert "192.0.2.7/32" in place.ctl("bans", "export", "--as", "cidr").split()
    assert len(json.loads(place.ctl("bans", "export", "--as", "json"))) == 2
    commands = place.rig.directory / "commands.nft"
    commands.write_text(place.ctl("bans", "export", "--as", "nft"))
    place.run("nft", "flush", "set", "inet", "gateway", "banned4")
    place.run("nft", "-f", str(commands))
    assert place.left_in_kernel("192.0.2.7") is not None


def _security_log(place: Place) -> str:
    file = place.rig.state / "security.jsonl"
    return file.read_text() if file.exists() else ""
