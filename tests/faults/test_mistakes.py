"""Mistakes of an operator, each made on a running gateway: the cause and the remedy stand where he looks first."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import wait_until
from tests.support.calls.wire import SipMessage
from tests.support.faults.mistaken import Caller, Mistake, Server, configure, nothing, says
from tests.support.faults.nameserver import Nameserver
from tests.support.faults.phone import Phone
from tests.support.faults.rig import Rig
from tests.support.tls_authority import Authority

GATEWAYCTL = Path(sys.executable).with_name("gatewayctl")
ASKS = 'WWW-Authenticate: Digest realm="wrong-password.test", nonce="n1"'
ANSWERS = 'Authorization: Digest username="alice", realm="wrong-password.test", nonce="n1", uri="sip:x", response="0"'

EXPECTED = [
    ("wrong-ca", "REFUSED", "REFUSED_CERTIFICATE", r"unknown authority.*; it was issued by .*Unknown CA"),
    ("wrong-port", "UNANSWERED", "PROVIDER_UNREACHABLE", r"127\.[\d.]+:\d+ refuses connections"),
    ("wrong-port-preferred", "UNANSWERED", "PROVIDER_UNREACHABLE", r"refuses connections"),
    ("hangs", "UNANSWERED", "PROVIDER_SILENT", r"no answer of 127\.[\d.]+:\d+ to the INVITE"),
    ("no-name", "UNANSWERED", "PROVIDER_NOT_FOUND", r"sip\.nowhere\.invalid.*has no address"),
    ("expired", "REFUSED", "REFUSED_CERTIFICATE", r"expired on \d{4}-\d\d-\d\d; it is for 127\."),
    ("plain-tcp", "UNANSWERED", "PROVIDER_SILENT", r"does not answer in TLS"),
    ("over-udp", "REFUSED", "REFUSED_POLICY", r"uri names a transport without TLS"),
    ("wants-certificate", "REFUSED", "REFUSED_TLS_HANDSHAKE", r"it asks for a certificate of ours"),
    ("old-tls", "REFUSED", "REFUSED_TLS_HANDSHAKE", r"it speaks no version of TLS that we do"),
    ("no-srtp", "REFUSED", "REFUSED_POLICY", r"the provider answered 488 .* to an offer of SRTP"),
    ("no-media", "UNANSWERED", "PROVIDER_REFUSED_MEDIA", r"the provider answered 488 "),
    ("wrong-password", "UNANSWERED", "PROVIDER_REFUSED_CREDENTIALS", r"answered 401 .* password of the phone"),
    ("wrong-name", "REFUSED", "REFUSED_CERTIFICATE", r"certificate is not for 127.*; it is for sip\.elsewhere\.test"),
    ("emergency", "UNANSWERED", "PROVIDER_SILENT", r"no answer of "),
]
"""Name, verdict, code, and the cause as the record has it."""


@attrs.define
class Made:
    """The gateway after all mistakes were made on it."""

    rig: Rig
    records: dict[str, dict[str, Any]]
    """The record of each call, by its mistake."""

    def shown(self, call_id: str) -> str:
        """`gatewayctl call ID`."""
        return self.ctl("call", call_id)

    def ctl(self, *words: str) -> str:
        """The output of gatewayctl."""
        url = f"http://{self.rig.hosts.gateway}:{self.rig.admin}"
        asked = [str(GATEWAYCTL), *words, "--url", url]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True, env=dict(os.environ))
        return done.stdout


def context(files: tuple[Path, Path], *, asks: Path | None = None, is_old: bool = False) -> ssl.SSLContext:
    """How a provider serves TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*files)
    if asks is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(asks)
    if is_old:
        with warnings.catch_warnings():  # nobody should serve it any more, and some do
            warnings.simplefilter("ignore", DeprecationWarning)
            made.set_ciphers("ALL:@SECLEVEL=0")
            made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    return made


@pytest.fixture(scope="module")
def made(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    directory = tmp_path_factory.mktemp("mistakes")
    rig = Rig(hosts, directory)
    authority, stranger = Authority(directory), Authority(directory, "Unknown CA")
    at, ten_days = hosts.provider, timedelta(days=10)
    good = authority.issue("good", at)
    expired = authority.issue("expired", at, begins=datetime.now(tz=UTC) - ten_days, days=9)
    own = authority.issue("own", hosts.gateway)
    servers = {
        "wrong-ca": (context(stranger.issue("unknown", at)), says(200)),
        "hangs": (context(good), nothing),
        "expired": (context(expired), says(200)),
        "plain-tcp": (None, nothing),
        "wants-certificate": (context(good, asks=authority.file), says(200)),
        "old-tls": (context(good, is_old=True), says(200)),
        "no-srtp": (context(good), says(488)),
        "no-media": (context(good), says(488)),
        "wrong-password": (context(good), says(401, ASKS)),
        "wrong-name": (context(authority.issue("elsewhere", "sip.elsewhere.test")), says(200)),
    }
    ports = {name: hosts.port(at) for name, *_ in EXPECTED}
    uris = {name: f"sip:{at}:{port};transport=tls" for name, port in ports.items()}
    uris["no-name"] = "sip:sip.nowhere.invalid;transport=tls"
    uris["over-udp"] = f"sip:{at}:{ports['over-udp']};transport=udp"
    preferred = ("wrong-port-preferred", "no-media", "over-udp")
    mistakes = [
        Mistake(
            name,
            uris[name],
            "preferred" if name in preferred else "required",
            "112" if name == "emergency" else "bob",
        )
        for name, *_ in EXPECTED
    ]
    dns = Nameserver(hosts.control, hosts.port(hosts.control), at)
    dns.says_none = True
    configure(rig, mistakes, authority.file, own, f"{dns.place[0]}:{dns.place[1]}")
    running = [Server(at, ports[name], how, answers) for name, (how, answers) in servers.items()]
    callers = {one.name: Caller(rig, one) for one in mistakes}
    try:
        rig.start()
        own[0].write_text("no certificate at all")
        # In the file it would be a mistake that keeps the gateway from starting.
        Made(rig, {}).ctl("domain", "over-udp.test", "--security", "required")
        for caller in callers.values():
            caller.call()
        assert callers["wrong-password"].hears(10) is not None
        callers["wrong-password"].call(ANSWERS)
        for name, caller in callers.items():
            assert caller.hears(45) is not None, f"{name}: no final answer"
        wait_until("every record", lambda: len(rig.records()) >= len(EXPECTED), 10)
        found = {record["domain"].removesuffix(".test"): record for record in rig.records()}
        yield Made(rig, found)
    finally:
        print(rig.text() if rig.log.exists() else "")
        rig.close()
        dns.close()
        for server in running:
            server.close()
        for caller in callers.values():
            caller.close()


@pytest.mark.parametrize(("name", "verdict", "code", "cause"), EXPECTED)
def test_the_record_has_the_code_and_the_cause(made: Made, name: str, verdict: str, code: str, cause: str) -> None:
    record = made.records[name]
    assert (record["verdict"], record["reason"]) == (verdict, code)
    assert re.search(cause, record["cause"]), record["cause"]
    assert record["provider"] == name


@pytest.mark.parametrize(("name", "verdict", "code", "cause"), EXPECTED)
def test_gatewayctl_and_the_page_show_cause_and_remedy(
    made: Made, name: str, verdict: str, code: str, cause: str
) -> None:
    call_id = made.records[name]["id"]
    lines = dict(re.findall(r"^(verdict|cause|means|remedy|see) +(.*)$", made.shown(call_id), re.MULTILINE))
    explained = REMEDIES[Reason(code)]
    assert lines["verdict"] == f"{verdict} {code}"
    assert re.search(cause, lines["cause"])
    assert (lines["means"], lines["remedy"]) == (explained.cause, explained.remedy)
    assert lines["see"] == f"docs/troubleshooting.md#{code.lower()}"
    assert code in (made.rig.fetch(f"/calls/{call_id}") or "")


@pytest.mark.parametrize(("name", "verdict", "code", "cause"), EXPECTED)
def test_the_metric_and_the_log_name_the_code(made: Made, name: str, verdict: str, code: str, cause: str) -> None:
    exposed = made.rig.fetch("/metrics") or ""
    labels = f'direction="outbound",domain="{name}.test",reason="{code}",verdict="{verdict}"'
    assert f"gateway_calls_total{{{labels}}} 1.0" in exposed
    assert f'gateway_call_results_total{{domain="{name}.test",provider="{name}",result="failed"}} 1.0' in exposed
    ended = next(line for line in made.rig.text().splitlines() if f"call {made.records[name]['id']} ended" in line)
    assert code in ended
    assert re.search(cause, ended)


@pytest.mark.parametrize("name", ["wrong-port", "wrong-port-preferred", "hangs", "no-name", "plain-tcp"])
def test_a_provider_that_is_down_is_not_said_to_lack_tls(made: Made, name: str) -> None:
    (peer,) = (one for one in made.rig.json("/api/peers") if one["name"] == name)
    assert peer["lacked_tls_at"] is None


def test_an_emergency_call_that_fails_is_a_warning_and_counted(made: Made) -> None:
    assert made.records["emergency"]["emergency"] is True
    assert 'gateway_emergency_calls_total{result="failed"} 1.0' in (made.rig.fetch("/metrics") or "")
    assert re.search(r" warn .*emergency call \w+ to sip:112@.* was not put through", made.rig.text())


def test_a_certificate_file_that_is_none_any_more_is_a_metric(made: Made) -> None:
    wait_until("it is noticed", lambda: made.rig.metric("gateway_certificate_files_unusable") == 1, 40)
    assert "everything stays as it was" in made.rig.text()


def test_no_text_of_a_library_is_left_in_a_cause(made: Made) -> None:
    for name, record in made.records.items():
        found = re.search(r"twisted|OpenSSL\.|Error\b|Exception|0x[0-9a-f]+|\[Errno", record["cause"])
        assert found is None, f"{name}: {record['cause']}"


def test_a_call_that_finds_no_port_says_so(hosts: Hosts, tmp_path: Path) -> None:
    rig = Rig(hosts, tmp_path)
    first = rig.first_media_port
    text = rig.configuration.read_text()
    rig.configuration.write_text(text.replace(f"{first}-{first + 399}", f"{first}-{first + 5}"))
    phone = Phone(hosts.phone, rig.proxy)
    try:
        rig.start()
        phone.must_call()
        refused = phone.call("echo")
        assert isinstance(refused, SipMessage)
        assert refused.status == 503
        assert refused.header("reason") == 'SIP;cause=503;text="No media port is free (NO_PORTS)"'
        wait_until("its record", lambda: len(rig.records()) == 1, 10)
        (record,) = rig.records()
        assert (record["verdict"], record["reason"]) == ("UNANSWERED", "NO_PORTS")
        assert record["cause"] == "media relay: offer: Ran out of ports"
        assert REMEDIES[Reason.NO_PORTS].remedy in Made(rig, {}).shown(record["id"])
        assert 'reason="NO_PORTS",verdict="UNANSWERED"} 1.0' in (rig.fetch("/metrics") or "")
        used = 'gateway_media_ports{relay="worker 0",state="used"} 4.0'
        wait_until("ports in use", lambda: used in (rig.fetch("/metrics") or ""), 15)
    finally:
        print(rig.text() if rig.log.exists() else "")
        phone.close()
        rig.close()


def test_redialling_a_number_that_does_not_exist_uses_up_no_ports(hosts: Hosts, tmp_path: Path) -> None:
    """Four phones, fifty times each, with ports for twelve calls."""
    rig = Rig(hosts, tmp_path)
    first = rig.first_media_port
    text = rig.configuration.read_text()
    rig.configuration.write_text(text.replace(f"{first}-{first + 399}", f"{first}-{first + 49}"))
    rig.provider.refuses = 404
    phones = [Phone(hosts.phone, rig.proxy, f"user{number}") for number in range(4)]
    try:
        rig.start()
        for _ in range(50):
            for phone in phones:
                refused = phone.call("nobody")
                assert isinstance(refused, SipMessage)
                assert refused.status == 404, refused.first_line
    finally:
        for phone in phones:
            phone.close()
        rig.close()
