"""Another user of the machine asks the gateway for a change over loopback."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.support.faults.rig import Rig
from tests.support.other_user import PYTHON

STRANGER = 4711

POST = """
import socket, sys
host, port, path, body, waits = sys.argv[1:]
asking = socket.create_connection((host, int(port)), timeout=5)
head = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
asking.sendall("\\r\\n".join([*head, "", body]).encode())
print(asking.recv(4096).split()[1].decode() if waits == "waits" else "gone")
"""


def post(rig: Rig, body: str, user: int, waits: str = "waits") -> str:
    """The status that a process of that user is answered."""
    words = [rig.hosts.gateway, str(rig.admin), "/api/domains/example.com", body, waits]
    asked = subprocess.run([*PYTHON, "-c", POST, *words], user=user, capture_output=True, text=True, check=True)
    return asked.stdout.strip()


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can be several users")
def test_only_root_the_gateways_user_and_operators_change_it(rig: Rig) -> None:
    rig.start()
    assert post(rig, '{"security": "preferred"}', 0) == "200"
    assert post(rig, '{"security": "off"}', STRANGER) == "403"
    for _ in range(5):
        post(rig, '{"security": "off"}', STRANGER, "closes at once")
    domain = rig.json("/api/domains/example.com")
    assert domain["security"] == "preferred"
    authors = [entry["who"] for entry in domain["changes"]]
    assert authors[:2] == ["root (uid 0)", f"uid {STRANGER}"]
    assert "root (uid 0)" not in authors[1:]

    rig.stop()
    rig.configuration.write_text(f'{rig.configuration.read_text()}operators = ["{STRANGER}"]\n')
    rig.start()
    assert post(rig, '{"security": "off"}', STRANGER) == "200"
    assert json.loads((rig.state / "audit.jsonl").read_text().splitlines()[-1])["who"] == f"uid {STRANGER}"
