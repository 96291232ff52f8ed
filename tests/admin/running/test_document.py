"""docs/administration.md: every command of it is run, in its order, by one gateway."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.admin_gateway import NAME, PASSWORD, AdminGateway

DOCUMENT = (Path(__file__).parents[3] / "docs/administration.md").read_text()
COMMANDS = re.findall(r"^    ((?:gatewayctl|curl) .*)$", DOCUMENT, re.M)
OTHER = "another horse battery"


def test_every_command_of_the_document_does_what_it_says(gateway: AdminGateway) -> None:
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        told = run(gateway, command)
        if "--add" in command or "revoke" in command:
            assert told, command
    assert gateway.ctl("tokens", "list", "--json").count('"name"') == 1, "ci is revoked"
    assert "bob" in gateway.ctl("users", "list")


def run(gateway: AdminGateway, command: str) -> str:
    command = command.partition(" < ")[0]
    if command.startswith("curl"):
        return curled(gateway, command)
    arguments = [word.replace(f"{NAME}:8443", f"{NAME}:{gateway.rig.admin}") for word in command.split()[1:]]
    if "--url" in arguments:
        # The name leads nowhere here: the gateway's address is in its certificate, too.
        place = arguments.index("--url") + 1
        arguments[place] = f"https://{gateway.rig.hosts.gateway}:{gateway.rig.admin}"
    if arguments[:2] == ["users", "add"] and "--password-stdin" not in arguments:
        return gateway.ctl(*arguments, "--password-stdin", typed=f"{PASSWORD}\n")
    return gateway.ctl(*arguments, typed=f"{OTHER if 'password' in arguments else PASSWORD}\n")


def curled(gateway: AdminGateway, command: str) -> str:
    path = command.rpartition(":8443")[2]
    more = []
    if "Bearer" in command:
        more = ["--header", f"Authorization: Bearer {(gateway.directory / 'prometheus.token').read_text().strip()}"]
    answer = gateway.curl(path, *more)
    assert answer.status == 200, command
    return answer.text


def test_a_password_that_is_typed_is_asked_for_twice(gateway: AdminGateway) -> None:
    told = gateway.ctl("users", "add", "alice", "--role", "admin", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert "alice may log in as admin" in told
    assert PASSWORD not in told
    assert (
        "there is a user alice already"
        in gateway.ctl("users", "add", "alice", "--role", "admin", typed=f"{PASSWORD}\n{PASSWORD}\n", status=1).lower()
    )
