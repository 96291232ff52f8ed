"""fail2ban's filter and CrowdSec's parser read the lines of security.jsonl that a gateway writes."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.observe.events import EventName, Events
from gateway.state.security_file import SecurityFile
from tests.support.calls.processes import find_program

DEPLOY = Path(__file__).parents[2] / "deploy"
FILTER = DEPLOY / "fail2ban" / "filter.d" / "sip-gateway.conf"
PARSER = DEPLOY / "crowdsec" / "parsers" / "s01-parse" / "sip-gateway-logs.yaml"
FORGER = 'x","source":"203.0.113.9:5060","domain":"","fields":{"is_proved":true,"line":""}}'
GROK = {"NUMBER": r"[+-]?\d+(?:\.\d+)?", "WORD": r"\b\w+\b", "IP": r"(?:\d+(?:\.\d+){3}|[0-9A-Fa-f:.]+)", "INT": r"\d+"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A security.jsonl: addresses that guess, one that forges fields, one that may be forged, and no attacks."""
    at = [1764511200.25]
    events, file = Events(lambda: at[0]), SecurityFile(tmp_path / "security.jsonl")
    events.subscribe(file.note)
    for seconds in range(3):
        at[0] += seconds
        events.note(EventName.SECURITY_DIGEST_FAILED, source="192.0.2.7", who=FORGER, is_proved=True, line=FORGER)
    events.note(EventName.SECURITY_LOG_IN_REFUSED, source="2001:db8::7", who="root", result="wrong_password")
    events.note(EventName.SECURITY_SCAN, source="[2001:db8::8]:5060", is_proved=True, line="OPTIONS sip:x SIP/2.0")
    events.note(EventName.SECURITY_SCAN, source="198.51.100.9", is_proved=False, line=f"OPTIONS {FORGER}")
    events.note(EventName.SECURITY_DIGEST_FAILED, source="198.51.100.8", who=FORGER, is_proved=False)
    events.note(EventName.SECURITY_LOG_IN, source="198.51.100.1", who="alice")
    events.note(EventName.SECURITY_CHANGE_REFUSED, source="198.51.100.2", change="security.log_in_refused")
    events.note(EventName.SECURITY_DOWNGRADE, who="198.51.100.3")
    file.write()
    return tmp_path / "security.jsonl"


def matched(file: Path) -> list[str]:
    """The addresses that fail2ban finds."""
    program = find_program("fail2ban-regex", "fail2ban")
    command = [program, "--out", "ip", str(file), str(FILTER)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_fail2ban_finds_each_address_that_guesses_and_no_other(written: Path) -> None:
    assert sorted(matched(written)) == ["192.0.2.7"] * 3 + ["2001:db8::7", "2001:db8::8"]
    command = [find_program("fail2ban-regex", "fail2ban"), str(written), str(FILTER)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"Lines: 10 lines, 0 ignored, 5 matched, 5 missed", told), told
    assert re.search(r"\[10\] .*\{EPOCH\}", told), f"the time of each line is read: {told}"


def test_the_jail_names_the_filter_and_the_file_of_the_documented_directory() -> None:
    jail = configparser.ConfigParser()
    jail.read(DEPLOY / "fail2ban" / "jail.d" / "sip-gateway.local")
    section = jail["sip-gateway"]
    assert section["filter"] == FILTER.stem
    assert section["logpath"] == "/var/lib/gateway/security.jsonl"


def test_crowdsecs_parser_finds_the_same_addresses(written: Path) -> None:
    parser = yaml.safe_load(PARSER.read_text())
    pattern = parser["nodes"][0]["grok"]["pattern"]
    expression = re.compile(re.sub(r"%\{(\w+):(\w+)\}", lambda one: f"(?P<{one[2]}>{GROK[one[1]]})", pattern))
    found = [expression.match(line) for line in written.read_text().splitlines()]
    addresses = [one["source_ip"] for one in found if one]
    guessed, others = ["192.0.2.7"] * 3 + ["2001:db8::7", "2001:db8::8"], ["198.51.100.9", "198.51.100.8"]
    assert addresses == [*guessed, *others, "198.51.100.1", "198.51.100.2"]
    assert found[3] is not None
    assert (found[3]["at"], found[3]["event"]) == ("1764511203.25", "log_in_refused")
    proved = [one["is_proved"] for one in found if one]
    assert proved == ["true", "true", "true", None, "true", "false", "false", None, None]


def test_crowdsecs_scenario_counts_kinds_that_the_parser_tells() -> None:
    scenario = yaml.safe_load((DEPLOY / "crowdsec" / "scenarios" / "sip-gateway-guesses.yaml").read_text())
    names = set(re.findall(r"'sip_gateway_(\w+)'", scenario["filter"]))
    known = {name.partition(".")[2] for name in EventName if name.startswith("security.")}
    assert names <= known
    assert len(names) == 4
    acquisition = yaml.safe_load((DEPLOY / "crowdsec" / "acquis.d" / "sip-gateway.yaml").read_text())
    assert f"'{acquisition['labels']['type']}'" in yaml.safe_load(PARSER.read_text())["filter"]
    assert (scenario["type"], scenario["groupby"]) == ("leaky", "evt.Meta.source_ip")
