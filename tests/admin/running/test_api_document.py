"""The document of the API against a running gateway: schemathesis asks all that it allows, and much besides."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import validator_for

from gateway.admin.ports import NEW_CONNECTIONS
from gateway.state.table import prepare
from tests.admin.test_api import CALL
from tests.support.admin_gateway import AdminGateway
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until

SECONDS = 240
"""For one run of all routes: half a minute on a quiet machine."""
ROLES = ("viewer", "operator", "admin")
STREAM = "/api/v1/events"
OWN_ACCESS = r"/api/v1/(users|tokens|sessions)"
"""Routes that may take the asker's own token from it; and each password costs the gateway a tenth of a second."""


class Documented:
    """A gateway with calls of an earlier version, and a token of each role."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.gateway = AdminGateway(hosts, directory)
        self.directory = directory
        self.gateway.rig.state.mkdir(mode=0o700)
        file = sqlite3.connect(self.gateway.rig.state / "calls.sqlite")
        prepare(file)
        for number in range(200):
            call = {**CALL, "id": f"call-{number}", "started_at": 1.7e9 + number, "caller": "sip:\udcff\u202e@x"}
            file.execute("INSERT INTO kept VALUES (?, ?, ?)", (f"call-{number}", 1.9e9, json.dumps(call)))
        file.commit()
        file.close()
        self.gateway.begin()
        self.gateway.add("root")
        self.tokens = {role: self._token(role) for role in ROLES}
        self.document: Any = json.loads(self.gateway.curl("/api/v1/openapi.json", *self.shown("viewer")).text)

    def _token(self, role: str) -> str:
        self.gateway.ctl("tokens", "create", f"t-{role}", "--role", role, "--out", role)
        return (self.directory / role).read_text().strip()

    def shown(self, role: str) -> tuple[str, str]:
        return "--header", f"Authorization: Bearer {self.tokens[role]}"

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield path, method.upper(), operation

    def run(self, role: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Let schemathesis ask with a token of that role."""
        rig = self.gateway.rig
        program = str(Path(sys.executable).with_name("schemathesis"))
        url = f"https://{rig.hosts.gateway}:{rig.admin}"
        return subprocess.run(
            [
                *(program, "--no-color", "run", f"{url}/api/v1/openapi.json", "--url", url),
                *("--tls-verify", "ca.pem", "--header", f"Authorization: Bearer {self.tokens[role]}"),
                *("--exclude-path", STREAM, "--phases", "examples,coverage,fuzzing"),
                *(
                    "--seed",
                    "1",
                    "--generation-database",
                    "none",
                    "--max-examples",
                    "25",
                    "--request-timeout",
                    "10",
                    *more,
                ),
            ],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def documented(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documented]:
    made = Documented(hosts, tmp_path_factory.mktemp("documented"))
    yield made
    print(made.gateway.rig.text())
    made.gateway.close()


def test_no_question_breaks_it_and_every_answer_is_as_documented(documented: Documented) -> None:
    checks = "not_a_server_error,response_schema_conformance,content_type_conformance,ignored_auth"
    done = documented.run("admin", "--exclude-path-regex", OWN_ACCESS, "--max-examples", "15", "--checks", checks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked_in(done.stdout) > 600
    assert "the administration interface failed" not in documented.gateway.rig.text()


def test_no_question_of_a_reader_breaks_it(documented: Documented) -> None:
    done = documented.run("viewer", "--max-examples", "5", "--checks", "not_a_server_error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked_in(done.stdout) > 800
    assert "the administration interface failed" not in documented.gateway.rig.text()


def asked_in(text: str) -> int:
    """How many questions were asked, as schemathesis says at its end."""
    found = re.search(r"(\d+) generated", text)
    return 0 if found is None else int(found[1])


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v1/calls", "?count=true&limit=500"),
        ("/api/v1/calls/{call_id}", "call-7"),
        ("/api/v1/domains/{name}", "example.com"),
    ],
)
def test_answers_about_what_there_is_are_as_documented(documented: Documented, path: str, asked: str) -> None:
    place = path.partition("{")[0] + asked
    answer = documented.gateway.curl(place, *documented.shown("viewer"))
    assert answer.status == 200
    content = documented.document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": documented.document["components"]}
    validator_for(schema).validate(json.loads(answer.text))
    if "calls?" in place:
        assert json.loads(answer.text)["count"] == 200


def test_each_route_wants_its_role(documented: Documented) -> None:
    refused = 0
    for path, method, operation in documented.operations():
        if path == STREAM:
            continue
        for role in ROLES:
            time.sleep(1 / NEW_CONNECTIONS.per_second)  # each is a connection, and more are turned away
            asked = path.replace("{", "").replace("}", "")
            more = ("--header", "Content-Type: application/json", "--data", "{}") if method == "POST" else ()
            answer = documented.gateway.curl(asked, "--request", method, *documented.shown(role), *more)
            is_enough = ROLES.index(role) >= ROLES.index(operation["x-role"])
            assert (answer.status == 403) is not is_enough, (path, method, role, answer)
            assert answer.status < 500
            refused += not is_enough
        time.sleep(1 / NEW_CONNECTIONS.per_second)
        without = documented.gateway.curl(path.replace("{", "").replace("}", ""), "--request", method, *more)
        assert without.status == 401, (path, method)
    assert refused > 10


def test_events_come_as_they_happen_and_again_to_whoever_missed_them(documented: Documented) -> None:
    gateway, shown = documented.gateway, documented.shown("operator")
    stream = gateway.follow(f"{STREAM}?names=domain.*,gateway.*", *documented.shown("viewer"))
    change = ("--header", "Content-Type: application/json", "--data", '{"security": "preferred"}')
    wait_until("the stream is open", lambda: "retry:" in stream.text(), 10)
    assert gateway.curl("/api/v1/domains/example.com", *shown, *change).status == 200
    wait_until("the switch is told", lambda: "event: domain.switched" in stream.text(), 10)
    assert "gateway.ready" not in stream.text(), "it was before"
    told = json.loads(stream.text().rpartition("data: ")[2].partition("\n")[0])
    assert (told["who"], told["domain"], told["fields"]["to"]) == ("token t-operator", "example.com", "preferred")
    stream.close()
    again = gateway.follow(f"{STREAM}?since=0&names=gateway.ready,domain.*", *documented.shown("viewer"))
    wait_until("all of it is told again", lambda: "domain.switched" in again.text(), 10)
    assert "event: gateway.ready" in again.text()
    again.close()


def test_every_resource_is_named_in_the_documentation(documented: Documented) -> None:
    text = "".join(page.read_text() for page in (Path(__file__).parents[3] / "docs").glob("*.md"))
    resources = {"/".join(path.split("/")[:4]) for path, _, _ in documented.operations()}
    assert len(resources) > 15
    assert not [resource for resource in sorted(resources) if f"{resource}`" not in text and f"{resource}/" not in text]
    named = set(re.findall(r"/api/v1/[a-z_.]+(?<!\.)", text))
    assert not {one for one in named if one not in resources}
