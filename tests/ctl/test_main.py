"""gatewayctl, against an HTTP server on loopback that answers as the administration interface does."""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from gateway.base.build import build
from gateway.ctl import text
from gateway.ctl.main import main
from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES

CALL = {
    "id": "a84b4c76e66710@127.0.0.11",
    "direction": "outbound",
    "domain": "example.com",
    "caller": "sip:alice@example.com",
    "callee": "sip:echo\x1b[2J@example.com",
    "state": "ended",
    "verdict": "ENCRYPTED_TO_PROVIDER",
    "reason": "PHONE_PLAIN",
    "started_at": 1700000000.25,
    "answered_at": None,
    "ended_at": 1700000064.0,
    "ladder": [
        {"at": 1700000000.25, "leg": "caller", "direction": "received", "what": "INVITE"},
        {"at": 1700000000.26, "leg": "callee", "direction": "sent", "what": "INVITE"},
        {"at": 1700000000.5, "leg": "callee", "direction": "received", "what": "200 OK"},
        {"at": 1700000000.51, "leg": "caller", "direction": "sent", "what": "200 OK"},
    ],
    "steps_left_out": 0,
    "chain": [{"leg": "callee", "step": "offer", "what": "RTP/SAVP", "code": "SRTP_OK"}],
}
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x7f\u009b31m\u202etxt.exe\u2028\u200b\udcff\r\nforged"
"""A peer's text: escapes of a terminal (C0 and C1), writing turned around, line breaks, a byte that is no UTF-8."""

CLEAR = "/api/v1/calls?verdict=CLEAR&since=24h&number=%2B4930&answered=false"

NETWORK = {
    "mode": "observe",
    "watching": True,
    "hold_seconds": 10,
    "addresses": [
        {"address": "192.0.2.11", "interface": "eth0", "users": ["listener a", "media of phones"], "is_there": True},
        {"address": "192.0.2.20", "interface": "", "users": ["listener b"], "is_there": False},
    ],
    "moves": [
        {"at": 1.7e9, "interface": "eth0", "before": "192.0.2.10", "after": "192.0.2.11", "calls": 7, "failure": ""},
    ],
    "clock": {"synchronized": False, "witness": "kernel"},
}

BUDGET = {
    "domain": "example.com",
    "level": "burns_fast",
    "budget": 0.01,
    "floor": 3,
    "when_spent": "alert",
    "kept": 970,
    "spent": 8,
    "excused": 2,
    "allowed": 9,
    "left": 1,
    "burns": [{"window": "5m", "burn": None}, {"window": "1h", "burn": 20.5}, {"window": "3d", "burn": 1.2}],
    "seconds_left": 40_000,
}

ANSWERS: dict[str, object] = {
    "/api/v1/budgets": [BUDGET],
    "/api/v1/budgets/example.com": BUDGET,
    "/api/v1/calls?limit=100": {"calls": [CALL], "next": None},
    f"{CLEAR}&limit=3": {"calls": [CALL, CALL], "next": "b"},
    f"{CLEAR}&limit=1&next=b": {
        "calls": [CALL],
        "next": "c",
    },
    "/api/v1/calls?stage=up&limit=1000": {"calls": [CALL] * 1000, "next": "b"},
    "/api/v1/calls?stage=up&limit=1000&next=b": {"calls": [], "next": "c"},
    "/api/v1/calls?stage=up&limit=1000&next=c": {"calls": [CALL], "next": None},
    "/api/calls/a84b4c76e66710%40127.0.0.11": CALL,
    "/api/phones": [
        {"aor": "sip:alice@example.com", "expires_at": 1700000000},
        {"aor": "sip:bob@example.com", "q": 0.5},
    ],
    "/api/domains": [{"name": "example.com", "emergency_numbers": ["112", "911"]}],
    "/api/peers": [],
    "/api/domains/example.com": {
        "name": "example.com",
        "security": "off",
        "changes": [
            {"at": "2026-01-01T00:00:00Z", "who": "root", "what": "switch", "domain": "example.com", "to": "off"}
        ],
    },
    "/api/cdr": [
        {"id": "1", "caller": "=cmd|x", "reason": "a, b", "answered_at": None},
        {"id": "2", "caller": "sip:a@b", "reason": "", "answered_at": 1.5},
    ],
    "/api/certificates": [{"listener": "trunk", "days_left": 12, "warnings": ["12 days left"]}],
    "/healthz": {"status": "ok"},
    "/api/v1/traces/7/pcapng": "the bytes of a file",
}

ANSWERS |= {
    "/api/calls/hostile": {
        **CALL,
        "id": HOSTILE,
        "ending": HOSTILE,
        "reason": HOSTILE,
        "ladder": [{"at": 1700000000.25, "leg": "caller", "direction": "sent", "what": f"486 {HOSTILE}"}],
        "chain": [{"leg": HOSTILE, "step": "answered", "what": HOSTILE, "code": HOSTILE}],
    },
    "/api/domains/hostile": {
        HOSTILE: HOSTILE,
        "changes": [{"at": HOSTILE, "who": HOSTILE, "what": "x", "to": HOSTILE}],
    },
    "/hostile/api/v1/calls?limit=100": {"calls": [{**CALL, "callee": HOSTILE, HOSTILE: [HOSTILE]}], "next": None},
    "/hostile/api/phones": [{"user_agent": HOSTILE, HOSTILE: [HOSTILE]}],
    "/hostile/api/cdr": [{"caller": HOSTILE, "callee": "\t=1+1", HOSTILE: HOSTILE}],
}

STATUS: dict[str, object] = {
    "name": "gw-berlin",
    "version": "1.2.3",
    "up_since": 1700000000.0,
    "is_draining": False,
    "sentence": "Last 24 h: 3 calls, 66.7 % encrypted to the provider; 1 in clear, to main.",
    "needs_a_look": [
        {"harm": "critical", "fact": "1 call in clear in 24 h.", "remedy": "Ask it for TLS.", "link": "/"}
    ],
    "providers": [
        {
            "name": "main",
            "targets": [
                {
                    "target": "TLS 192.0.2.1:5061",
                    "is_up": False,
                    "since": 1700000000.0,
                    "why": "it refuses connections",
                },
                {"target": "TLS 192.0.2.2:5061", "is_up": True, "tls": "TLS 1.3, X", "certificate_days": 71},
            ],
        },
        {"name": "other", "uri": "sip:other.example", "targets": []},
    ],
    "domains": [
        {"name": "example.com", "security": "preferred", "answered": 9999, "share_encrypted": 0.9999, "clear": 1}
    ],
    "phones": 41,
    "calls": 2,
    "ports": {"used": 8, "free": 992},
    "relays": {"up": 1, "down": 0},
    "certificates": [{"listener": "trunk", "days_left": 12, "warnings": ["12 days left"]}],
}
LIMITED = {
    "limits": [
        {"name": "abroad", "users": ["*"], "to": ["international", "+881"], "hours": [], "then": "hold"},
    ],
    "users": [
        {
            "user": "sip:101@example.com",
            "limit": "abroad",
            "held": True,
            "counts": [
                {"measure": "calls", "count": 5, "most": 5},
                {"measure": "minutes_per_day", "count": 61, "most": 120},
            ],
        }
    ],
}
PBXS = {
    "pbxs": [
        {
            "name": "office",
            "domain": "example.com",
            "numbers": ["+4930120*", "+4930121*", "+4930122*", "+4930123*"],
            "proof": "address",
            "account": "4930120",
            "places": [
                {"uri": "sip:192.0.2.50:5060", "target": "UDP 192.0.2.50:5060", "is_up": True, "why": ""},
                {"uri": "sip:pbx.example.net:5060", "target": "", "is_up": False, "why": "no such name"},
            ],
            "registration": {"is_registered": False, "seconds_left": 0, "failures": 2, "why": "403 Forbidden"},
        }
    ]
}
CLUSTER = {
    "state": "active",
    "name": "gateway",
    "node": "gw-a",
    "active": "gw-a",
    "since": 1_700_000_000.0,
    "epoch": 7,
    "store_answers": False,
    "address": "192.0.2.10",
    "has_address": True,
    "waiting_changes": 12,
    "lag_seconds": 3.5,
    "nodes": [{"node": "gw-a", "seen_seconds_ago": 4.0}, {"node": "gw-b", "seen_seconds_ago": 0.4}],
}
ANSWERS |= {
    "/api/v1/network": NETWORK,
    "/api/v1/cluster": CLUSTER,
    "/hostile/api/v1/cluster": {**dict.fromkeys(CLUSTER, HOSTILE), "nodes": [{"node": HOSTILE}]},
    "/api/v1/pbxs": PBXS,
    "/hostile/api/v1/pbxs": {"pbxs": [{"name": HOSTILE, "places": [{"why": HOSTILE}], "registration": HOSTILE}]},
    "/api/v1/limits": LIMITED,
    "/api/v1/limits?user=101": LIMITED,
    "/api/v1/limits?user=%3B1": {"limits": [], "users": []},
    "/api/v1/status": STATUS,
    "/hostile/api/v1/bans?limit=1000": {"mode": HOSTILE, "bans": [{"source": HOSTILE, "words": HOSTILE}]},
    "/hostile/api/v1/throttled?limit=1000": {
        "throttled": [{"source": HOSTILE, "state": HOSTILE, "evidence": [HOSTILE]}]
    },
    "/hostile/api/v1/bans?state=active&limit=1000": {"bans": [{"source": HOSTILE, HOSTILE: [HOSTILE]}]},
    "/hostile/api/v1/status": {"sentence": HOSTILE, "providers": [{"name": HOSTILE, "targets": HOSTILE}]},
}

CHANGED: list[tuple[str, object, str]] = []


class AnswersAsAdmin(BaseHTTPRequestHandler):
    """Answers from a table, with the errors of the real one."""

    def do_GET(self) -> None:
        found = self.path in ANSWERS
        body = ANSWERS[self.path] if found else {"status": 404, "error": "There is no call nobody."}
        if "yesterday" in self.path:
            body = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "since: a time."}
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        CHANGED.append((self.path, asked, self.headers["Content-Type"]))
        good = asked.get("name") != "nobody"
        body = {"changes": ["domain a: new"]} if good else {"status": 404, "error": "There is no peer nobody."}
        self.send_response(200 if good else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: tests print for themselves."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), AnswersAsAdmin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def gatewayctl(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, arguments)


@pytest.fixture
def file(tmp_path: Path, port: int) -> Path:
    """A configuration whose administration interface is the server of these tests."""
    authority = trustme.CA()
    identity = authority.issue_cert("gateway.example.com", "127.0.0.20")
    identity.private_key_pem.write_to_path(tmp_path / "gateway.key")
    (tmp_path / "gateway.pem").write_bytes(b"".join(blob.bytes() for blob in identity.cert_chain_pems))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    configuration = tmp_path / "gateway.toml"
    configuration.write_text(
        f"""
        gateway = {{ name = "gw1", state_directory = "state" }}
        listener = [
            {{ name = "phones", side = "phones", transport = "udp", address = "127.0.0.1", port = 5060 }},
            {{ name = "trunk", side = "provider", transport = "tls", address = "127.0.0.1", port = 5061,
               certificate = "gateway.pem", private_key = "gateway.key" }},
        ]
        media = {{ address = "127.0.0.1" }}
        provider = [{{ name = "main", uri = "sip:127.0.0.21;transport=tls", trust = "ca.pem" }}]
        domain = [{{ name = "example.com", provider = "main" }}]
        admin = {{ address = "127.0.0.1", port = {port} }}
    """.replace("\n            {", " {")
        .replace("\n               ", " ")
        .replace(",\n        ]", "]")
    )
    return configuration


def test_the_gateway_that_the_configuration_describes_is_asked(file: Path) -> None:
    assert json.loads(gatewayctl("calls", "--config", str(file), "--json").output) == [CALL]
    assert json.loads(gatewayctl("calls", "--json", GATEWAY_CONFIG=str(file)).output) == [CALL]


def test_calls_are_asked_for_by_filters_page_by_page(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    filters = ("--verdict", "CLEAR", "--since", "24h", "--number", "+4930", "--unanswered", "--limit", "3")
    assert json.loads(gatewayctl("calls", "--url", url, "--json", *filters).output) == [CALL] * 3
    assert (
        len(json.loads(gatewayctl("calls", "--url", url, "--json", "--stage", "up", "--limit", "2000").output)) == 1001
    )


def test_a_question_that_the_gateway_refuses_is_one_line_that_says_why(port: int) -> None:
    result = gatewayctl("calls", "--url", f"http://127.0.0.1:{port}", "--since", "yesterday")
    assert (result.exit_code, result.output) == (1, "Error: since: a time.\n")


def test_calls_are_a_table(port: int) -> None:
    header, row = gatewayctl("calls", "--url", f"http://127.0.0.1:{port}").output.splitlines()
    assert header.split() == ["id", "started", "at", "direction", "caller", "callee", "state", "verdict", "reason"]
    assert header.index("verdict") == row.index("ENCRYPTED_TO_PROVIDER")
    assert "2023-11-14 22:13:20Z" in row
    assert "\x1b" not in row


def test_a_call_is_its_outcome_its_ladder_and_its_reasons(port: int) -> None:
    result = gatewayctl("call", str(CALL["id"]), "--url", f"http://127.0.0.1:{port}/")
    assert result.exit_code == 0
    arrows = [line[12:].strip() for line in result.output.splitlines() if line.startswith("22:13:20.")]
    assert arrows == [
        "|---------- INVITE --------->|                            |",
        "|                            |---------- INVITE --------->|",
        "|                            |<---------- 200 OK ---------|",
        "|<---------- 200 OK ---------|                            |",
    ]
    assert "ENCRYPTED_TO_PROVIDER PHONE_PLAIN" in result.output
    assert "callee  offer  RTP/SAVP  SRTP_OK" in result.output


def test_a_call_that_failed_has_its_cause_the_meaning_of_its_code_and_the_remedy() -> None:
    failed = {"id": "c", "verdict": "UNANSWERED", "reason": "NO_PORTS", "cause": "media relay: \x1b[2J"}
    lines = text.shown(failed, text.call).splitlines()
    begin = lines.index("verdict   UNANSWERED NO_PORTS")
    assert lines[begin + 1 : begin + 5] == [
        r"cause     media relay: \x1b[2J",
        f"means     {REMEDIES[Reason.NO_PORTS].cause}",
        f"remedy    {REMEDIES[Reason.NO_PORTS].remedy}",
        "see       docs/troubleshooting.md#no_ports",
    ]


def test_a_code_of_another_version_is_shown_without_a_remedy() -> None:
    shown = text.shown({"id": "c", "verdict": "X", "reason": "FROM_TOMORROW"}, text.call)
    assert "verdict   X FROM_TOMORROW" in shown
    assert "remedy" not in shown


def test_rows_of_different_keys_share_a_table(port: int) -> None:
    lines = gatewayctl("phones", "--url", f"http://127.0.0.1:{port}").output.splitlines()
    assert [line.split() for line in lines] == [
        ["aor", "expires", "at", "q"],
        ["sip:alice@example.com", "2023-11-14", "22:13:20Z", "-"],
        ["sip:bob@example.com", "-", "0.5"],
    ]


def test_domains_and_peers_are_shown(port: int) -> None:
    assert "112, 911" in gatewayctl("domains", "--url", f"http://127.0.0.1:{port}").output
    assert gatewayctl("peers", "--url", f"http://127.0.0.1:{port}").output == "none\n"


def test_health_is_told_by_text_and_exit_code(port: int) -> None:
    result = gatewayctl("health", "--url", f"http://127.0.0.1:{port}")
    assert (result.exit_code, result.output) == (0, "ok\n")
    assert gatewayctl("health", "--url", "http://127.0.0.1:9").exit_code == 1


def test_the_status_says_the_sentence_first_then_each_part(port: int) -> None:
    result = gatewayctl("status", "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "gw-berlin 1.2.3, up since 2023-11-14 22:13:20Z"
    assert lines[1] == STATUS["sentence"]
    assert lines[3:6] == ["Needs a look", "!! 1 call in clear in 24 h.", "     Ask it for TLS."]
    text = result.output
    assert "main      down       TLS 192.0.2.1:5061  2023-11-14 22:13:20Z  -           -             it refuses" in text
    assert "TLS 1.3, X  71 days left" in text
    assert "other     not asked  sip:other.example" in text
    assert "99.9 %" in text
    assert "100.0 %" not in text
    assert lines[-1] == ("Now: 2 calls up, 41 phones registered, media ports: 992 free, 8 used, media relays: 1 up")


def test_an_unknown_call_is_one_line(port: int) -> None:
    result = gatewayctl("call", "nobody", "--url", f"http://127.0.0.1:{port}")
    assert (result.exit_code, result.output) == (1, "Error: There is no call nobody.\n")


def test_a_gateway_that_is_not_there_is_one_line_and_a_proxy_is_not_asked(port: int) -> None:
    result = gatewayctl("calls", "--url", "http://127.0.0.1:9", http_proxy=f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert result.output == "Error: no gateway answers at http://127.0.0.1:9: [Errno 111] Connection refused\n"


def test_a_url_that_is_none_is_one_line() -> None:
    result = gatewayctl("calls", "--url", "gw1:8080")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_certificates_are_listed_with_their_names_and_days(file: Path) -> None:
    rows = json.loads(gatewayctl("certs", "--config", str(file), "--json").output)
    assert rows[0]["used_by"] == "listener trunk certificate"
    assert rows[0]["names"] == ["gateway.example.com", "127.0.0.20"]
    assert rows[0]["days_left"] > 0
    assert rows[-1]["used_by"] == "provider main trust"


def test_the_certificates_that_are_served_are_asked_for(port: int) -> None:
    result = gatewayctl("certs", "--running", "--url", f"http://127.0.0.1:{port}")
    assert result.output.splitlines()[1].split(None, 2) == ["trunk", "12", "12 days left"]


def test_a_file_that_is_no_certificate_is_told_in_its_row(file: Path) -> None:
    file.with_name("ca.pem").write_text("nothing")
    rows = json.loads(gatewayctl("certs", "--config", str(file), "--json").output)
    assert rows[-1]["problem"]


def test_a_domain_is_switched_and_shown_with_its_changes(port: int) -> None:
    CHANGED.clear()
    result = gatewayctl("domain", "example.com", "--security", "preferred", "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 0
    assert CHANGED == [("/api/domains/example.com", {"security": "preferred"}, "application/json")]
    assert "2026-01-01T00:00:00Z  root  switch  to off" in result.output
    assert gatewayctl("domain", "example.com", "--security", "sometimes").exit_code == 2


def test_peers_are_forgotten_and_learnt(port: int) -> None:
    CHANGED.clear()
    url = ("--url", f"http://127.0.0.1:{port}")
    assert gatewayctl("peers", "forget", "main", *url).output == "main is forgotten\n"
    assert gatewayctl("peers", "learn", "main", "--tls", "--srtp", *url).exit_code == 0
    assert [(path, asked) for path, asked, _ in CHANGED] == [
        ("/api/peers/forget", {"name": "main"}),
        ("/api/peers/learn", {"name": "main", "features": ["tls", "srtp"]}),
    ]
    refused = gatewayctl("peers", "forget", "nobody", *url)
    assert (refused.exit_code, refused.output) == (1, "Error: There is no peer nobody.\n")
    assert gatewayctl("peers", "learn", "main", *url).exit_code == 2
    assert gatewayctl("peers", *url).output == "none\n"


def test_options_may_stand_before_a_subcommand(port: int) -> None:
    url = f"http://127.0.0.1:{port}"

    found = gatewayctl("peers", "--url", url, "--json", "forget", "main", GATEWAY_URL="http://127.0.0.1:1")

    assert isinstance(json.loads(found.output), dict)
    after = gatewayctl("peers", "--url", "http://127.0.0.1:1", "forget", "main", "--url", url)
    assert after.output == "main is forgotten\n"


def test_a_reload_tells_what_changed(port: int) -> None:
    assert gatewayctl("reload", "--url", f"http://127.0.0.1:{port}").output == "domain a: new\n"


def test_call_details_are_json_lines_or_csv_that_no_spreadsheet_runs(port: int) -> None:
    url = ("--url", f"http://127.0.0.1:{port}")
    lines = gatewayctl("cdr", *url).output.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1", "2"]
    assert gatewayctl("cdr", "--csv", *url).output.splitlines() == [
        "id,caller,reason,answered_at",
        '1,\'=cmd|x,"a, b",',
        "2,sip:a@b,,1.5",
    ]


@pytest.mark.parametrize(
    "command",
    [
        *[("call", "hostile"), ("domain", "hostile"), ("calls",), ("phones",), ("cdr",), ("cdr", "--csv"), ("status",)],
        ("pbxs",),
        *[("bans",), ("bans", "export")],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_nothing_that_a_peer_says_reaches_the_terminal_as_it_is(
    port: int, command: tuple[str, ...], form: tuple[str, ...]
) -> None:
    place = "" if command[-1] == "hostile" else "/hostile"
    result = gatewayctl(*command, *form, "--url", f"http://127.0.0.1:{port}{place}")
    assert result.exit_code == 0, result.output
    assert "owned" in result.output
    assert not [line for line in result.output.splitlines() if not line.isprintable()]
    assert not [line for line in result.output.splitlines() if line.startswith("forged")]


def test_an_error_with_a_peers_text_is_clean(port: int) -> None:
    CHANGED.clear()
    result = gatewayctl("call", "\udcff", "--url", f"http://127.0.0.1:{port}")
    assert (result.exit_code, result.output) == (1, "Error: There is no call nobody.\n")


def test_a_cell_of_csv_begins_no_formula(port: int) -> None:
    rows = [{"a": begin + "1+1"} for begin in "=+-@\t\r＝＋－＠"]
    cells = text.shown(rows, text.comma_separated).splitlines()[1:]
    assert all(cell[0] in "'\\" for cell in cells), cells


@pytest.mark.parametrize("mode", [None, 0o644])
def test_the_file_of_a_trace_is_its_owners_alone_also_where_one_was_there(
    port: int, tmp_path: Path, mode: int | None
) -> None:
    out = tmp_path / "trace.pcapng"
    if mode is not None:
        out.write_text("of before, and longer than the trace is")
        out.chmod(mode)
    assert gatewayctl("trace", "get", "7", "--out", str(out), "--url", f"http://127.0.0.1:{port}").exit_code == 0
    assert json.loads(out.read_bytes()) == "the bytes of a file"
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_trace_may_go_to_a_device_whose_rights_stay(port: int) -> None:
    before = Path(os.devnull).stat().st_mode
    answer = gatewayctl("trace", "get", "7", "--out", os.devnull, "--url", f"http://127.0.0.1:{port}")
    assert (answer.exit_code, Path(os.devnull).stat().st_mode) == (0, before)


def test_an_audit_that_was_touched_is_not_whole_and_its_fault_is_told(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    first = json.dumps({"who": "root", "prev": "0" * 64})
    second = json.dumps({"who": "alice", "prev": hashlib.sha256(first.encode()).hexdigest()})
    audit.write_text(f"{first}\n{second}\n")
    found = gatewayctl("audit", "verify", "--file", str(audit))
    assert (found.exit_code, found.stdout.startswith("whole: 2 lines")) == (0, True)
    audit.write_text(f"{first.replace('root', 'bob')}\n{second}\n")
    found = gatewayctl("audit", "verify", "--file", str(audit))
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0].startswith("line 2 does not follow the line before it")
    assert "not whole: 2 lines" in found.stdout


def test_the_version_is_that_of_the_gateway() -> None:
    assert gatewayctl("--version").output == f"{build()}\n"


def test_the_network_is_told_with_all_that_is_gone(port: int) -> None:
    told = gatewayctl("network", "--url", f"http://127.0.0.1:{port}").output
    assert "mode observe: one move in 10 s at most" in told
    assert re.search(r"192.0.2.11 +eth0 +there +listener a, media of phones", told)
    assert re.search(r"192.0.2.20 +- +GONE +listener b", told)
    assert re.search(r"eth0 +192.0.2.10 +192.0.2.11 +7 +-", told)
    assert told.endswith("clock: set by no time server (timedatectl), says the kernel\n")


LEASE = {
    "why": "",
    "state": "bound",
    "interface": "eth0",
    "address": "192.0.2.11",
    "prefix": 24,
    "server": "192.0.2.1",
    "router": "192.0.2.1",
    "seconds_left": 1799.6,
    "dns": ["192.0.2.2"],
    "ntp": [],
    "domain": "",
    "tftp": [],
    "sip_servers": ["sip.example.com"],
    "vendor": "0102",
    "renewed": "same (asked)",
    "renewed_seconds_ago": 12.0,
    "others": [{"address": "192.0.2.66", "mac": "02:00:00:00:00:66", "seconds_ago": 3.0}],
    "refused": "it is for 1 s: 30 s are the least",
    "refusals": 2,
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            (
                "lease: 192.0.2.11/24 on eth0, 1800 s left, of 192.0.2.1, router 192.0.2.1 (bound)",
                "  name servers: 192.0.2.2",
                "  SIP servers: sip.example.com",
                "  option 43: 0102",
                "  latest renewal: same (asked), 12 s ago",
                "  2 replies were not taken, the latest: it is for 1 s: 30 s are the least",
                "  ANOTHER DHCP SERVER ANSWERS: 192.0.2.66 (02:00:00:00:00:66)",
            ),
        ),
        ({"address": "", "state": "selecting"}, ("lease: NONE on eth0 (selecting)",)),
        (
            {"seconds_left": None, "router": ""},
            ("lease: 192.0.2.11/24 on eth0, without an end, of 192.0.2.1, no router",),
        ),
        ({"why": "gone"}, ("lease: not known, the DHCP client does not answer: gone",)),
    ],
)
def test_the_lease_is_told(
    port: int, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], lines: list[str]
) -> None:
    monkeypatch.setitem(ANSWERS, "/api/v1/network", {**NETWORK, "dhcp": {**LEASE, **changes}})
    told = gatewayctl("network", "--url", f"http://127.0.0.1:{port}").output
    assert all(line in told for line in lines)


def test_pbxs_are_told_with_their_addresses_and_registrations(port: int) -> None:
    told = gatewayctl("pbxs", "--url", f"http://127.0.0.1:{port}").output
    assert re.search(r"office +example.com +address +.*\+4930122\* and 1 more +NOT REGISTERED: 403 Forbidden", told)
    assert re.search(r"office +sip:192.0.2.50:5060 +UDP 192.0.2.50:5060 +up", told)
    assert re.search(r"office +sip:pbx.example.net:5060 +- +DOWN: no such name", told)


def test_budgets_are_a_table_and_one_is_told_in_sentences(port: int) -> None:
    table = gatewayctl("budget", "--url", f"http://127.0.0.1:{port}").output.splitlines()
    assert table[0].split()[:4] == ["domain", "level", "spent", "allowed"]
    assert table[1].split() == ["example.com", "burns_fast", "8", "9", "1", "978", "20.5", "-", "1.2"]
    one = gatewayctl("budget", "example.com", "--url", f"http://127.0.0.1:{port}").output
    assert "example.com: burns fast" in one
    assert "8 of 978 calls in 30 days went on with less than TLS and SRTP; 9 may, 1 are left" in one
    assert "5m -, 1h 20.5, 3d 1.2" in one
    assert "it is spent on" in one


def test_limits_and_those_that_they_count_stand_in_two_tables(port: int) -> None:
    for arguments in ((), ("101",)):
        shown = gatewayctl("limits", *arguments, "--url", f"http://127.0.0.1:{port}")
        assert shown.exit_code == 0, shown.output
        heads, terms, _, columns, user = shown.output.strip().splitlines()
        assert heads.split() == ["limit", "users", "to", "hours", "then"]
        assert terms.split() == ["abroad", "*", "international", "+881", "-", "hold"]
        assert columns.split() == ["user", "limit", "state", "counts"]
        assert "sip:101@example.com" in user
        assert "held" in user
        assert "5/5 at once, 61/120 minutes" in user
    nobody = gatewayctl("limits", ";1", "--url", f"http://127.0.0.1:{port}")
    assert "nobody is counted" in nobody.output


def test_a_user_is_lifted(port: int) -> None:
    CHANGED.clear()
    lifted = gatewayctl("limits", "lift", "101@example.com", "--url", f"http://127.0.0.1:{port}")
    assert lifted.exit_code == 0, lifted.output
    assert CHANGED == [("/api/v1/limits/lift", {"user": "101@example.com"}, "application/json")]
    for arguments in (("lift",), ("101", "lift"), ("lift", "101", "102")):
        refused = gatewayctl("limits", *arguments, "--url", f"http://127.0.0.1:{port}")
        assert refused.exit_code == 2, refused.output
        assert "lift USER" in refused.output


def test_cluster_says_who_is_active_and_how_far_copies_are_behind(port: int) -> None:
    told = gatewayctl("cluster", "--url", f"http://127.0.0.1:{port}").output
    assert "node gw-a of cluster gateway: active" in told
    assert "active: gw-a, since 2023-11-14" in told
    assert "lease 7" in told
    assert "floating address: 192.0.2.10, here" in told
    assert "store: DOES NOT ANSWER" in told
    assert "copies: 12 changes wait, the oldest for 3.5 s" in told
    assert "gw-b" in told


def test_cluster_of_a_node_that_waits_names_no_copies(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {**CLUSTER, "state": "standby", "active": "", "has_address": False, "store_answers": True}
    monkeypatch.setitem(ANSWERS, "/api/v1/cluster", waits)
    told = gatewayctl("cluster", "--url", f"http://127.0.0.1:{port}").output
    assert "active: no node" in told
    assert "not here" in told
    assert "copies" not in told


def test_cluster_says_that_there_is_none(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/api/v1/cluster", {"state": "none"})
    assert "no [cluster]" in gatewayctl("cluster", "--url", f"http://127.0.0.1:{port}").output
