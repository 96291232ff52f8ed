"""The tables [[number]] and the key `dial`: what they may say, and one line for each mistake."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import ConfigurationError, Dial, NumberRule
from gateway.config.structuring import Unacceptable
from gateway.config.tables.numbers.number_pattern import MOST_WAYS, number_pattern
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from tests.support.small_configuration import SMALLEST

SITE = SMALLEST + 'region = "DE"\n'


def read(tmp_path: Path, text: str, site: str = SITE) -> tuple[NumberRule, ...]:
    file = tmp_path / "gateway.toml"
    file.write_text(site + text)
    return load(file).numbers


def mistakes(tmp_path: Path, text: str, site: str = SITE) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text, site)
    return [line.removeprefix(f"{tmp_path / 'gateway.toml'}: ") for line in raised.value.errors]


def rule(match: str, replace: str, more: str = "", name: str = "one") -> str:
    return f"[[number]]\nname = \"{name}\"\nmatch = '{match}'\nreplace = '{replace}'\n{more}\n"


def test_every_key_is_read(tmp_path: Path) -> None:
    more = """
on = ["from", "identity"]
direction = "out"
domains = "Example.COM"
providers = ["main"]
after_dial = true
"""
    (found,) = read(tmp_path, rule(r"00(\d+)", r"+\1", more))
    assert (found.name, str(found.match), found.replace) == ("one", r"00(\d+)", r"+\1")
    assert found.on == (NumberField.FROM, NumberField.IDENTITY)
    assert (found.direction, found.domains, found.providers) == (NumberDirection.OUT, ("example.com",), ("main",))
    assert found.after_dial


def test_defaults_are_the_called_number_toward_each_provider(tmp_path: Path) -> None:
    (found,) = read(tmp_path, rule(r"00(\d+)", r"+\1"))
    assert found.on == (NumberField.REQUEST_URI, NumberField.TO)
    assert (found.direction, found.domains, found.providers, found.after_dial) == (NumberDirection.OUT, (), (), False)


def test_a_domain_dials_as_it_is_unless_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(SITE)
    assert load(file).domains[0].dial is Dial.AS_IS


@pytest.mark.parametrize("form", ["e164", "national"])
def test_a_form_needs_to_know_where_home_is(tmp_path: Path, form: str) -> None:
    (line,) = mistakes(tmp_path, f'dial = "{form}"\n', SMALLEST)
    assert line == f'domain[0].dial: found "{form}", which needs region (such as "DE"): home is unknown here'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (rule("(", "1"), 'number[0].match: found "(", allowed: at character 2: a ) for each ('),
        (rule("1)", "1"), 'number[0].match: found "1)", allowed: at character 2: a ) with a ( before it'),
        (rule("[1", "1"), "number[0].match: "),
        (rule("*1", "1"), "number[0].match: "),
        (rule(r"(\d)\1", "1"), "number[0].match: "),
        (rule("(?=1)1", "1"), "number[0].match: "),
        (rule("1{5,3}", "1"), "number[0].match: "),
        (rule("1{65}", "1"), "number[0].match: "),
        (rule(r"\d+?", "1"), "number[0].match: "),
        (rule("1", "one"), 'number[0].replace: found "one", allowed: digits, +, *, #, and \\1 to \\9'),
        (rule("1", ""), "number[0].replace: "),
        (rule("1", r"\1"), "number[0].replace: names group 1, and match has 0"),
        (rule(r"00(\d*)", r"1+\1"), "number[0].replace: makes no number of "),
        (rule(r"(\d+)", r"\1"), "number[0].replace: changes nothing: "),
        (rule("030-123", "1"), 'number[0].match: found "030-123", which can never match'),
        (rule(r"\(030\)123", "1"), "number[0].match: "),
        (rule(r"030;ext=\d", "1"), "number[0].match: "),
        (rule("112", "110"), "number[0].match: can never match: emergency numbers are dialled as they are"),
        (rule("112|911", "110"), "number[0].match: can never match: emergency numbers"),
        (rule("1", "2", "on = []"), "number[0].on: "),
        (rule("1", "2", 'on = ["to", "to"]'), "number[0].on: "),
        (rule("1", "2", 'domains = ["example.org"]'), 'number[0].domains: found "example.org", allowed: example.com'),
        (rule("1", "2", 'providers = ["other"]'), 'number[0].providers: found "other", allowed: main'),
        (rule("1", "2", 'direction = "in"\nafter_dial = true'), 'number[0].after_dial: is for direction = "out"'),
        (rule("1", "2") + rule("1", "3"), 'number[1].name: found "one", which number[0] has already'),
    ],
)
def test_each_mistake_is_a_line_with_its_remedy(tmp_path: Path, text: str, told: str) -> None:
    found = mistakes(tmp_path, text)
    assert any(line.startswith(told) for line in found), found


def test_a_rule_behind_one_that_leaves_nothing_can_never_match(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, rule(r"00(\d+)", r"+\1") + rule(r"00(\d+)", r"\1", 'on = ["to"]', "two"))
    assert line == "number[1].match: can never match: rule one has rewritten all such numbers before"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('domains = ["example.com"]', ""),
        ('direction = "in"', ""),
        ('on = ["from"]', ""),
        ("after_dial = true", ""),
    ],
)
def test_a_rule_that_is_about_other_requests_leaves_it_its_numbers(tmp_path: Path, first: str, second: str) -> None:
    assert len(read(tmp_path, rule(r"00(\d+)", r"+\1", first) + rule(r"00(\d+)", r"\1", second, "two"))) == 2


def test_a_rule_for_a_domain_of_another_provider_can_never_match(tmp_path: Path) -> None:
    other = '\n[[provider]]\nname = "other"\nuri = "sip:other.example.com"\n'
    text = rule("1", "2", 'domains = ["example.com"]\nproviders = ["other"]')
    (line,) = mistakes(tmp_path, text, SITE.replace("\n[[domain]]", f"{other}\n[[domain]]"))
    assert line == "number[0].providers: can never match: none of them serves one of its domains"


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\d+)+",
        r"(\d*)*",
        r"(\d|\d)+",
        r"(0|00)*1",
        r"(\d{1,9}){1,9}",
        r"\d*\d*\d*\d*1",
        r"(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)(0|0)1",
        r"((\d?){9}){9}",
    ],
)
def test_a_pattern_that_has_many_ways_through_a_text_is_refused(pattern: str) -> None:
    with pytest.raises(Unacceptable, match="few ways"):
        number_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"^0(\d+)$", r"(?:\+49|0049|0)(\d{2,5})(\d{3,})", r"\+?[1-9]\d{6,14}", r"\*31\#(\d+)", r".*", r"(12)?3", "alice"],
)
def test_patterns_that_numbers_need_are_taken_and_their_samples_fit(pattern: str) -> None:
    found = number_pattern(pattern)
    assert found.samples
    assert all(found.match(sample) for sample in found.samples)


def test_the_slowest_pattern_that_is_taken_is_done_at_once() -> None:
    found = number_pattern(r"(\d*)(\d*)(?:1|1)x")
    began = time.monotonic()
    assert found.match("1" * 64) is None
    assert time.monotonic() - began < 2  # the ways are bounded by MOST_WAYS: this takes milliseconds
    assert MOST_WAYS == 10_000


def test_a_text_longer_than_any_number_is_not_looked_at() -> None:
    assert number_pattern(r"\d*").match("1" * 65) is None
