"""What administrators and strangers point at a gateway first: sipsak, and the scanners of SIPVicious."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.calls.processes import Program, find_program
from tests.support.calls.stage import PASSWORDS, Stage


def run(stage: Stage, program: str, package: str, *arguments: str) -> str:
    """All that a program wrote until it ended."""
    argv = [find_program(program, package), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=stage.directory, check=False)
    return done.stdout + done.stderr


def sipsak(stage: Stage, *arguments: str) -> str:
    return run(stage, "sipsak", "sipsak", *arguments)


def register(stage: Stage, password: str) -> str:
    assert stage.gateway is not None
    proxy = stage.gateway.phones_proxy
    contact = f"sip:alice@{stage.hosts.phone}:5099"
    login = ("-u", "alice", "-a", password, "-x", "120", "-s", f"sip:alice@{stage.hosts.gateway}", "-p", proxy)
    return sipsak(stage, "-vv", "-i", "-U", "-C", contact, "-H", stage.hosts.phone, *login)


def test_sipsak_asks_and_registers(stage: Stage) -> None:
    gateway = stage.start_gateway()

    assert "SIP/2.0 200 OK" in sipsak(stage, "-vv", "-s", f"sip:{gateway.phones_proxy}", "-H", stage.hosts.phone)
    assert "All usrloc tests completed successful" in register(stage, PASSWORDS["alice"])
    assert "authorization failed" in register(stage, "wrong")

    gateway.program.wait_for_line(r"alice@\S+ from \S+ is not registered: the provider answers 401")
    assert gateway.metric("gateway_registrations") == 1
    stage.assert_gateway_is_well()


def test_scanners_learn_little_and_leave_nothing(stage: Stage) -> None:
    gateway = stage.start_gateway()
    words = Path(stage.directory, "words.txt")
    words.write_text("secret\n1234\nalice\npassword\n")
    host, port = gateway.phones_proxy.split(":")

    guess = (find_program("svcrack", "sipvicious"), "-p", port, "-u", "alice", "-d", str(words), host)
    with Program(guess, stage.directory / "svcrack.log", cwd=stage.directory) as svcrack:
        found = run(stage, "svmap", "sipvicious", "-p", port, host)
        gateway.program.wait_for_line(r"(?s)(?:alice@\S+ from \S+ is not registered.*){4}")
        assert svcrack.is_running, "it still hopes"

    assert "| gateway " in found
    assert "kamailio" not in found.lower()
    gateway.wait_idle()
    assert gateway.metric("gateway_registrations") == 0
    stage.assert_gateway_is_well()
