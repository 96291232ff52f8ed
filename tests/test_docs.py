"""The documents name everything that an operator can write or see."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
import pytest
from prometheus_client import CollectorRegistry

from gateway.admin.inspection import Role
from gateway.ctl.main import main
from gateway.observe.metrics import Metrics
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.rollout_table import PhoneState
from gateway.security.policy.verdict import Verdict
from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES, remedy_for
from tests.admin.accounts.test_roles import ROLES
from tests.support.metric_table import metric_table
from tools import write_configuration, write_reasons

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
METRICS = (ROOT / "docs/metrics.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()

TABLES = write_configuration.tables()


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_the_configuration_is_explained(table: str) -> None:
    (section,) = re.findall(rf"^## (?:\[\[{table}\]\]|\[{table}\])(.*?)(?=^## |\Z)", CONFIGURATION, re.M | re.S)
    explained = {key for row in re.findall(r"^\| ([^|]*) \|", section, re.M) for key in re.findall(r"`(\w+)`", row)}
    assert explained == {field.name for field in attrs.fields(TABLES[table])}


def test_the_reference_is_as_the_classes_say() -> None:
    assert len(TABLES) > 7
    assert write_configuration.main(["--check"]) == 0, "run: python -m tools.write_configuration"
    for row in (
        "| `drain_seconds` | 0 to 86400 | `8` |",
        "| `transport` | `udp`, `tcp`, `tls`, `wss` | needed |",
        '| `challenge_algorithms` | array: `SHA-256`, `SHA-512-256`, `MD5` | `["SHA-256", "MD5"]` |',
        "| `allow_wildcards` | `true`, `false` | `false` |",
    ):
        assert row in CONFIGURATION


def test_a_key_or_table_that_is_not_explained_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = write_configuration.EXPLANATIONS.read_text()
    changed = tmp_path / "configuration.toml"
    monkeypatch.setattr(write_configuration, "EXPLANATIONS", changed)
    for wrong, told in (
        (texts.replace("history_days =", "history_weeks ="), r"\[gateway\]: history_days, history_weeks"),
        (texts + "\n[nothing]\nkey = 'x'\n", "tables that there are not: nothing"),
        (
            texts.replace("[defaults.gateway]\n", "[defaults.gateway]\ndrain_seconds = '10'\n"),
            "default of its own, `8`",
        ),
        (texts.replace("[defaults.gateway]\n", "[defaults.gateway]\nstrange = '10'\n"), "differ.*strange"),
    ):
        assert wrong != texts
        changed.write_text(wrong)
        with pytest.raises(write_configuration.Unexplained, match=told):
            write_configuration.document(CONFIGURATION)
    changed.write_text(texts)
    with pytest.raises(write_configuration.Unexplained, match=r"no place for \[hep\]"):
        write_configuration.document("# Configuration\n")
    assert write_configuration.document(CONFIGURATION.replace("0 to 86400", "0 to 1")) == CONFIGURATION


def test_every_command_is_named() -> None:
    commands = CONFIGURATION.partition("\n## gatewayctl\n")[2]
    assert not [name for name in main.commands if not re.search(rf"`{name}[ `]", commands)]


def commands_of(group: click.Group) -> Iterator[str]:
    """Each command of a group as it is typed, and those of the groups in it."""
    for name, command in group.commands.items():
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {inner}" for inner in commands_of(command))


def test_every_command_is_shown_as_it_is_typed() -> None:
    text = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    commands = [*commands_of(main)]
    assert "provision roll-back" in commands
    assert not [command for command in commands if not re.search(rf"\bgatewayctl {command}\b", text)]


FORMS = {"hangup", "logout", "new-user"}
"""Pages that ask for one thing, and are led to by those that they belong to."""


def test_every_page_is_named() -> None:
    text = (ROOT / "docs/pages.md").read_text() + (ROOT / "docs/administration.md").read_text()
    paths = [
        path.split("/")[1]
        for way, path in map(str.split, ROLES)
        if way == "GET" and ROLES[f"GET {path}"] != Role.NOBODY
    ]
    pages = {*paths} - {"", "api", "metrics"} - FORMS
    assert len(pages) > 12
    assert not [page for page in sorted(pages) if f"`/{page}`" not in text]


def test_every_state_and_reason_of_a_phone_in_a_roll_out_is_explained() -> None:
    text = (ROOT / "docs/enable-a-domain.md").read_text()
    rows = {code for first in re.findall(r"^\| ([^|]+) \|", text, re.M) for code in re.findall(r"`(\w+)`", first)}
    assert not {str(code) for code in (*PhoneReason, *PhoneState) if code} - rows


def test_every_metric_is_explained_with_its_type_and_labels_and_no_other() -> None:
    rows = re.findall(r"^\| `(gateway_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \| ([^|]+\?) \|$", METRICS, re.M)
    assert len(rows) == len(re.findall(r"^\| `gateway_\w+`", METRICS, re.M)), "a row without a question, or the like"
    explained = {name: (kind, {*re.findall(r"`(\w+)`", labels)}) for name, kind, labels, _, _ in rows}
    assert explained == metric_table()
    assert not [name for name in re.findall(r"gateway_\w+", CONFIGURATION) if name not in explained]


def test_metrics_of_the_process_are_named() -> None:
    exposed = Metrics(CollectorRegistry()).exposition().decode()
    names = re.findall(r"^((?:process|python)_\w+)[ {]", exposed, re.M)
    assert len({*names}) > 5
    assert not [name for name in names if f"`{name}`" not in METRICS]
    assert "_created" not in exposed


def test_every_verdict_and_reason_is_explained() -> None:
    assert not [code for code in Verdict if f"| `{code}` |" not in ARCHITECTURE]
    sections = re.findall(r"^### (\w+)\n\n(.+)\n\n\*\*Remedy:\*\* (.+)\n$", TROUBLESHOOTING, re.M)
    told = {code: (cause, remedy) for code, cause, remedy in sections}
    assert told == {str(code): (one.cause, one.remedy) for code, one in REMEDIES.items()}
    assert [*told] == [str(code) for code in Reason]
    assert write_reasons.document(TROUBLESHOOTING) == TROUBLESHOOTING, "run: python tools/write_reasons.py"


def test_each_remedy_is_a_line_of_sentences_and_names_what_there_is() -> None:
    for code in Reason:
        explained = remedy_for(code)
        assert explained is not None, code
        for line in (explained.cause, explained.remedy):
            assert re.fullmatch(r"[A-Z][^\n]+\.", line), f"{code}: {line}"
            assert not re.search(r"(?:^|[.:;] )(?:What|Who)\b", line), f"{code}: {line}"
        named = re.findall(r"\b(?!gateway_)[a-z]+_[a-z_]+\b", explained.remedy)
        assert not [name for name in named if f"`{name}`" not in CONFIGURATION], f"{code} names keys that are none"
    assert remedy_for("") is None
    assert remedy_for("OF_ANOTHER_VERSION") is None


def test_the_marks_of_the_codes_must_be_there() -> None:
    with pytest.raises(ValueError, match="marks"):
        write_reasons.document("# Troubleshooting\n")
    assert write_reasons.main(["--check"]) == 0


def test_a_document_whose_sections_are_old_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "troubleshooting.md"
    changed.write_text(TROUBLESHOOTING.replace("**Remedy:** ", "", 1))
    monkeypatch.setattr(write_reasons, "DOCUMENT", changed)
    assert write_reasons.main(["--check"]) == 1
    assert "run: python tools/write_reasons.py" in capsys.readouterr().err
    assert write_reasons.main([]) == 0
    assert changed.read_text() == TROUBLESHOOTING


def test_every_path_that_a_document_names_is_there() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} leads to {target}"


def test_every_module_that_a_document_or_a_header_names_is_there() -> None:
    there = "\n".join(f"/{file.relative_to(ROOT)}" for file in ROOT.glob("[!.]*/**/*.py")) + "\n"
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("gateway/**/*.py")):
        named = re.findall(r"(?<![\w./-])((?:\w+/)+\w+\.py)\b(?!` \(now)", document.read_text())
        assert not [module for module in named if f"/{module}\n" not in there], document


def test_every_promise_of_the_threat_model_names_its_tests() -> None:
    promises = SECURITY.split("\n## Promises", 1)[1].split("\n## ", 1)[0]
    rows = [row for row in re.findall(r"^\| (.*) \| (.*) \|$", promises, re.M) if row != ("promise", "shown in")]
    assert len(rows) > 20
    for promise, shown in rows:
        files = re.findall(r"`(tests/[\w/]+\.py)`", shown)
        assert files, f"nothing shows: {promise}"
        for file in files:
            assert re.search(r"^ *def test_", (ROOT / file).read_text(), re.M), f"{file} has no tests"


def test_the_threat_model_is_complete() -> None:
    for heading in ("Reporting a weakness", "Worth protecting", "Trust, party by party", "Promises", "Not protected"):
        assert f"\n## {heading}" in SECURITY
    for party in (
        "provider",
        "phones' network",
        "DNS",
        "certificate authorities",
        "other users of the machine",
        "root",
    ):
        assert re.search(rf"^\| {party}", SECURITY, re.M), party
