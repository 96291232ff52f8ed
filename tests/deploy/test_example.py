"""deploy/example.toml: it has every key of the configuration, with its default; keys behind a mark are right, too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.config.load import load
from gateway.config.structuring import Reader
from tests.support.docs.files import make_named_files
from tools import write_configuration

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example.toml"
TEXT = EXAMPLE.read_text()
TABLES = write_configuration.tables()

OTHER_VALUES = {
    "advertised_host",
    "name",
    "state_directory",
    "sides",
    "suites",
    "agree",
    "port",
    "recipients",
    "origins",
    "to",
    "hours",
    "timezone",
    "format",
    "number.domains",
    "number.providers",
    "phone.account",
    "phone.certificate_names",
    "phone.choice",
    "phone.proof",
    "phone.register",
    "phone.sources",
    "phone.weights",
}
"""Keys that the example sets to more than a default, or that have none; after a table's name, of that table alone."""


def sections() -> list[tuple[str, str]]:
    """The tables of the example, each with its text; one behind a mark is as if it was not."""
    found = re.findall(r"^(# )?\[+(\w+)\]+$(.*?)(?=^(?:# )?\[|\Z)", TEXT, re.M | re.S)
    assert len(found) == len(re.findall(r"^(?:# )?\[", TEXT, re.M))
    return [(table, re.sub(r"(?m)^# (?=\w+ = |[\]\[{} ])", "", text) if mark else text) for mark, table, text in found]


def unset(text: str) -> dict[str, Any]:
    """The keys behind a mark, with their values."""
    return tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)$", text, re.M)))


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_there(table: str) -> None:
    shown = {key for name, text in sections() if name == table for key in re.findall(r"^(?:# )?(\w+) = ", text, re.M)}
    assert shown == {field.name for field in attrs.fields(TABLES[table])}


def test_it_loads_as_it_is(tmp_path: Path) -> None:
    copy = tmp_path / "gateway.toml"
    copy.write_text(TEXT)
    make_named_files(TEXT, tmp_path)
    configuration = load(copy)
    assert [listener.name for listener in configuration.listeners] == ["phones", "phones-tcp", "provider"]


@pytest.mark.parametrize(("table", "text"), sections())
def test_each_key_that_has_a_default_shows_it(table: str, text: str, tmp_path: Path) -> None:
    set_here = tomllib.loads(text)
    value, mistakes = Reader(tmp_path).read(TABLES[table], set_here, table)
    assert not mistakes
    for field in attrs.fields(TABLES[table]):
        names = {field.name, f"{table}.{field.name}"}
        if field.name in set_here and field.default not in (attrs.NOTHING, None) and not names & OTHER_VALUES:
            assert getattr(value, field.name) == field.default, f"[{table}] {field.name}"


@pytest.mark.parametrize(("table", "text"), [(table, text) for table, text in sections() if unset(text)])
def test_each_key_behind_a_mark_is_right(table: str, text: str, tmp_path: Path) -> None:
    for key, value in unset(text).items():
        _, mistakes = Reader(tmp_path).read(TABLES[table], {**tomllib.loads(text), key: value}, table)
        assert not mistakes, f"[{table}] {key}"
