"""A running gateway: HTTPS, the UNIX socket, log-ins, tokens, damaged files, and floods."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_gateway import PASSWORD, AdminGateway
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until

HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "cache-control": "no-store",
    "x-frame-options": "deny",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "server": "gateway",
}


@pytest.fixture(scope="module")
def with_a_user(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminGateway]:
    """A gateway that is only looked at."""
    made = AdminGateway(hosts, tmp_path_factory.mktemp("gateway"))
    made.begin()
    made.add("alice")
    yield made
    print(made.rig.text())
    made.close()


@pytest.mark.parametrize(
    "path", ["/healthz", "/login", "/api/calls", "/account", "/nothing", "/metrics", "/static/0/style.css"]
)
def test_each_header_is_on_each_answer_over_https(with_a_user: AdminGateway, path: str) -> None:
    answer = with_a_user.curl(path)
    for name, value in HEADERS.items():
        assert answer.fields[name] == value, name
    for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in answer.fields["content-security-policy"]
    assert "access-control-allow-origin" not in answer.fields


def test_a_day_in_the_life_of_its_users(gateway: AdminGateway) -> None:
    assert gateway.curl("/api/calls").status == 200, "before the first user this machine reads"
    gateway.add("alice")
    gateway.add("bob", "viewer")
    assert gateway.curl("/api/calls").status == 401
    led = gateway.curl("/", "--header", "Accept: text/html")
    assert (led.status, led.fields["location"]) == (303, "/login?next=%2f")
    wrong = gateway.curl("/login", "--header", f"Origin: {gateway.url}", "--data", "name=bob&password=wrong")
    assert wrong.status == 401
    proved = gateway.log_in("bob")
    assert proved.status == 303
    assert proved.fields["set-cookie"].endswith("; path=/; secure; httponly; samesite=strict")
    assert gateway.curl("/api/calls", "--cookie", "jar").status == 200
    assert gateway.curl("/api/v1/users", "--cookie", "jar").status == 403
    change = ("--header", "Content-Type: application/json", "--data", '{"security": "off"}')
    assert gateway.curl("/api/domains/example.com", "--cookie", "jar", *change).status == 403
    forged = ("--header", "Origin: http://evil.localhost")
    assert gateway.curl("/api/domains/example.com", "--cookie", "jar", *change, *forged).status == 403
    gateway.ctl("users", "role", "bob", "operator")
    assert gateway.curl("/api/domains/example.com", "--cookie", "jar", *change).status == 200
    gateway.ctl("users", "end-sessions", "bob")
    assert gateway.curl("/api/calls", "--cookie", "jar").status == 401
    entries = [json.loads(line) for line in (gateway.rig.state / "audit.jsonl").read_text().splitlines()]
    switch = next(entry for entry in entries if entry["what"] == "switch")
    assert (switch["who"], switch["source"], switch["to"]) == ("bob", "127.0.0.1", "off")
    refused = next(entry for entry in entries if entry["what"] == "refused")
    assert (refused["who"], refused["source"], refused["domain"]) == ("bob", "127.0.0.1", "example.com")
    added = entries[0]
    assert (added["what"], added["source"]) == ("user-added", "socket")
    assert added["who"].endswith(f"(uid {os.getuid()})")
    assert gateway.ctl("audit", "verify").startswith("whole")
    said = gateway.rig.text() + (gateway.rig.state / "audit.jsonl").read_text()
    assert PASSWORD not in said
    cookie = (gateway.directory / "jar").read_text().split()[-1]
    assert cookie not in said


def test_files_of_accounts_are_for_the_gateways_user_alone(gateway: AdminGateway) -> None:
    gateway.add("alice")
    for file in gateway.rig.state.glob("users.sqlite*"):
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert PASSWORD.encode() not in b"".join(file.read_bytes() for file in gateway.rig.state.glob("users.sqlite*"))


def test_users_tokens_and_the_audit_outlive_the_process_and_sessions_do_not(gateway: AdminGateway) -> None:
    gateway.add("alice")
    gateway.ctl("tokens", "create", "ci", "--role", "viewer", "--out", "token")
    gateway.log_in("alice")
    gateway.rig.kill()
    gateway.begin()
    assert gateway.curl("/api/calls", "--cookie", "jar").status == 401
    token = (gateway.directory / "token").read_text().strip()
    assert gateway.curl("/api/calls", "--header", f"Authorization: Bearer {token}").status == 200
    assert gateway.log_in("alice").status == 303
    assert gateway.ctl("audit", "verify").startswith("whole")


def test_a_damaged_file_of_users_lets_nobody_in_but_over_the_socket(gateway: AdminGateway) -> None:
    gateway.add("alice")
    gateway.rig.stop()
    for file in gateway.rig.state.glob("users.sqlite*"):
        file.write_bytes(b"nonsense" * 512)
    gateway.begin()
    assert "users.sqlite cannot be read" in gateway.rig.text()
    assert gateway.curl("/healthz").status == 200
    assert gateway.curl("/api/calls").status == 401
    assert gateway.log_in("alice").status == 401
    gateway.ctl("calls")
    assert "could not be read" in gateway.ctl(
        "users", "add", "mallory", "--role", "admin", "--password-stdin", typed=f"{PASSWORD}\n", status=1
    )
    assert (gateway.rig.state / "users.sqlite").read_bytes().startswith(b"nonsense")


def test_another_user_of_the_machine_gets_nothing_over_the_socket(gateway: AdminGateway) -> None:
    if os.getuid() != 0:
        pytest.fail("run as root: this test becomes another user")
    path = gateway.rig.state / "admin.sock"
    for directory in path.parents:
        if str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    asked = (
        "import http.client, os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX)\n"
        "c.sock.connect(sys.argv[1])\n"
        "c.request('GET', sys.argv[2]); r = c.getresponse(); print(r.status, r.read().decode())"
    )
    for route, status in (("/api/calls", "403"), ("/api/v1/users", "403"), ("/healthz", "200")):
        told = subprocess.run(["python3", "-c", asked, str(path), route], capture_output=True, text=True, check=True)
        assert told.stdout.startswith(status), told.stdout


def test_operators_of_the_machine_are_operators_over_the_socket(hosts: Hosts, tmp_path: Path) -> None:
    gateway = AdminGateway(hosts, tmp_path, 'operators = ["nobody"]\nsocket = "/tmp/gateway-admin-test.sock"\n')
    try:
        gateway.begin()
        gateway.add("alice")
        asked = (
            "import http.client, os, socket, sys, json\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "for method, path, body in (('GET', '/api/v1/me', None), ('POST', '/api/reload', '{}')):\n"
            "    c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX)\n"
            "    c.sock.connect(sys.argv[1]); c.request(method, path, body, {'Content-Type': 'application/json'})\n"
            "    r = c.getresponse(); print(r.status, r.read().decode().strip())"
        )
        told = subprocess.run(
            ["python3", "-c", asked, "/tmp/gateway-admin-test.sock"], capture_output=True, text=True, check=True
        )
        me, reload = told.stdout.splitlines()
        assert '"role": "operator"' in me
        assert reload.startswith("403")
    finally:
        gateway.close()
        Path("/tmp/gateway-admin-test.sock").unlink(missing_ok=True)


def test_a_renewed_certificate_serves_the_next_connection_and_gatewayctl_knows_it(gateway: AdminGateway) -> None:
    def shown() -> str:
        told = subprocess.run(
            ["openssl", "s_client", "-connect", f"{gateway.rig.hosts.gateway}:{gateway.rig.admin}"],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        return told.stdout.partition("-----BEGIN")[2].partition("-----END")[0]

    before = shown()
    (gateway.rig.state / "admin.sock").unlink()
    gateway.ctl("health")
    gateway.renew()
    assert "its certificate is not the one" in gateway.ctl("health", status=1), "it is not read again yet"
    assert gateway.rig.process is not None
    gateway.rig.process.send_signal(1)
    wait_until("it is read", lambda: shown() != before, 10)
    gateway.ctl("health")
    assert "[admin]" in gateway.ctl("certs", "--running", "--json")


def test_old_versions_of_tls_are_refused(gateway: AdminGateway) -> None:
    for version, works in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        told = subprocess.run(
            ["openssl", "s_client", version, "-connect", f"{gateway.rig.hosts.gateway}:{gateway.rig.admin}"],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("BEGIN CERTIFICATE" in told.stdout) is works, version


def test_a_stale_socket_is_replaced_and_any_other_file_stays(gateway: AdminGateway) -> None:
    gateway.rig.kill()
    assert (gateway.rig.state / "admin.sock").is_socket()
    gateway.begin()
    gateway.ctl("users", "list")
    gateway.rig.stop()
    (gateway.rig.state / "admin.sock").unlink(missing_ok=True)
    (gateway.rig.state / "admin.sock").write_text("mine")
    gateway.begin()
    assert "no UNIX socket for gatewayctl" in gateway.rig.text()
    assert (gateway.rig.state / "admin.sock").read_text() == "mine"
    gateway.ctl("health")


def flood(gateway: AdminGateway, seconds: float) -> list[int]:
    """The statuses of wrong log-ins, a hundred a second and more, of four clients."""

    def one(number: int) -> list[int]:
        import ssl

        context = ssl.create_default_context(cafile=str(gateway.directory / "ca.pem"))
        context.check_hostname = False
        statuses, deadline = list[int](), time.monotonic() + seconds
        connection = http.client.HTTPSConnection(gateway.rig.hosts.gateway, gateway.rig.admin, context=context)
        while time.monotonic() < deadline:
            headers = {"Origin": f"https://{gateway.rig.hosts.gateway}:{gateway.rig.admin}"}
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("POST", "/login", f"name=n{number}&password=wrong", headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            time.sleep(0.02)
        connection.close()
        return statuses

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        return [status for statuses in threads.map(one, range(4)) for status in statuses]


def test_a_flood_of_log_ins_is_turned_away_and_takes_neither_memory_nor_cpu(gateway: AdminGateway) -> None:
    gateway.add("alice")
    assert gateway.rig.process is not None
    status = Path(f"/proc/{gateway.rig.process.pid}/status")
    stat = Path(f"/proc/{gateway.rig.process.pid}/stat")

    def figures() -> tuple[int, int]:
        memory = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        times = stat.read_text().rpartition(")")[2].split()
        return int(memory.split()[1]), int(times[11]) + int(times[12])

    flood(gateway, 1)
    memory, ticks = figures()
    statuses = flood(gateway, 6)
    memory_after, ticks_after = figures()
    assert len(statuses) > 300
    assert statuses.count(401) <= 2, "one a minute"
    assert statuses.count(429) >= len(statuses) - 2
    assert memory_after - memory < 80_000, "KiB: two hashes take 64 MiB, for a moment"
    assert (ticks_after - ticks) / os.sysconf("SC_CLK_TCK") < 4, "of two cores in six seconds"


def test_a_slow_handshake_is_cut_off_and_keeps_nobody_out(gateway: AdminGateway) -> None:
    silent = [socket.create_connection((gateway.rig.hosts.gateway, gateway.rig.admin)) for _ in range(40)]
    assert gateway.curl("/healthz").status == 200
    for one in silent:
        one.settimeout(15)
        with pytest.raises(ConnectionResetError):  # after ten seconds
            one.recv(1)
        one.close()
