"""gatewayctl number: each step of a number, and the rule behind it, without a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.ctl.main import main
from tests.support.small_configuration import SMALLEST

RULES = r"""
region = "DE"
dial = "e164"

[[number]]
name = "outside-line"
match = '0(0\d+)'
replace = '\1'

[[number]]
name = "caller"
match = '(\d\d)'
replace = '+493012345\1'
on = ["from"]

[[number]]
name = "extension"
direction = "in"
match = '\+493012345(\d\d)'
replace = '\1'
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "gateway.toml"
    found.write_text(SMALLEST + RULES)
    return found


def asked(*words: str) -> Result:
    return CliRunner().invoke(main, ["number", *words], env={"GATEWAY_CONFIG": ""})


def test_each_step_is_shown_with_the_rule_behind_it(file: Path) -> None:
    told = asked("00301234567", "--domain", "example.com", "--config", str(file))
    assert told.exit_code == 0, told.output
    assert told.output.splitlines() == [
        "00301234567 from the phones of example.com to provider main",
        "  request-uri: +49301234567",
        "    0301234567  by rule outside-line",
        '    +49301234567  by dial = "e164"',
        "  to: +49301234567",
        "    0301234567  by rule outside-line",
        '    +49301234567  by dial = "e164"',
        "  from: 00301234567",
        "  identity: 00301234567",
        "read as +49301234567; classes of destinations: none",
    ]


def test_the_way_in_is_shown_too(file: Path) -> None:
    told = asked("+49301234510", "--direction", "in", "--config", str(file)).output
    assert told.startswith("+49301234510 from provider main to the phones of example.com\n  request-uri: 10\n")


def test_classes_are_those_of_the_number_that_is_sent(file: Path) -> None:
    answer = json.loads(asked("000881612345678", "--config", str(file), "--json").output)
    assert (answer["read"], answer["classes"]) == ("+881612345678", ["international", "premium"])
    assert answer["fields"][0]["steps"][0] == {"by": "rule outside-line", "number": "00881612345678"}


def test_an_emergency_number_is_called_one(file: Path) -> None:
    told = asked("112", "--config", str(file)).output
    assert "  request-uri: 112\n  to: 112\n" in told
    assert told.endswith("an emergency number: it is called in any case, and counts against no limit\n")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((), "--config FILE is needed"),
        (("--config", "FILE", "--domain", "example.org"), "--domain is needed, one of: example.com"),
    ],
)
def test_a_question_that_cannot_be_answered_names_the_remedy(file: Path, words: tuple[str, ...], cause: str) -> None:
    told = asked("112", *(str(file) if word == "FILE" else word for word in words))
    assert told.exit_code != 0
    assert cause in told.output
