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
    words.write_text("secret\n1234\nalice\npassword\n")  # fewer than the gateway stops at
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


def test_svcrack_does_not_find_the_password_in_a_list_that_has_it(stage: Stage) -> None:
    gateway = stage.start_gateway()
    tries = [f"guess-{number}" for number in range(500)]
    tries[59] = PASSWORDS["alice"]
    words = Path(stage.directory, "words.txt")
    words.write_text("\n".join(tries) + "\n")
    told = f"Wrong passwords of alice@{stage.provider.terms.domain} from"
    host, port = gateway.phones_proxy.split(":")

    guess = (find_program("svcrack", "sipvicious"), "-p", port, "-u", "alice", "-d", str(words), host)
    found, refused = "", 0.0
    for number in range(5):  # it gives up at a 503, which a burst gets while its first guesses wait for their answers
        with Program(guess, stage.directory / f"svcrack-{number}.log", cwd=stage.directory) as svcrack:
            while svcrack.is_running and refused < 100:  # it has come to the 60th by then
                refused = gateway.metric("gateway_guesses_stopped_total")
            found += svcrack.text()
        if refused >= 100:
            break
    assert refused >= 100
    assert told in (gateway.fetch("/api/v1/status") or "")

    guesses = [one for one in stage.provider.messages() if one.header("authorization")]
    assert PASSWORDS["alice"] not in found
    assert 1 <= len(guesses) <= 10
    assert gateway.metric("gateway_registrations") == 0
    stage.assert_gateway_is_well()
