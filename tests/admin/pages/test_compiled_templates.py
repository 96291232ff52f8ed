"""Compiled templates are kept, and never taken for others; without a place to keep them pages are drawn as well."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest
from jinja2 import DictLoader, Environment

from gateway.admin.pages.compiled_templates import CompiledTemplates


class Counted(Environment):
    """Counts what it compiles."""

    compiled = 0

    def _compile(self, source: str, filename: str) -> object:  # type: ignore[override]
        self.compiled += 1
        return super()._compile(source, filename)


def drawn(directory: Path, source: str = "Hello {{ name }}") -> tuple[str, int]:
    """The text of a template in a new environment, and how many were compiled for it."""
    environment = Counted(loader=DictLoader({"one": source}), bytecode_cache=CompiledTemplates(directory))
    return environment.get_template("one").render(name="Ana"), environment.compiled


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_the_second_start_compiles_nothing(tmp_path: Path) -> None:
    assert drawn(tmp_path) == ("Hello Ana", 1)
    assert drawn(tmp_path) == ("Hello Ana", 0)


def test_a_template_that_was_changed_is_compiled_again(tmp_path: Path) -> None:
    drawn(tmp_path)
    assert drawn(tmp_path, "Bye {{ name }}") == ("Bye Ana", 1)


def test_after_another_version_of_jinja_it_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(tmp_path)
    monkeypatch.setattr(jinja2, "__version__", "99.0")
    assert drawn(tmp_path) == ("Hello Ana", 1)
    assert drawn(tmp_path) == ("Hello Ana", 0)


def test_code_that_escapes_nothing_is_not_taken_where_all_is_escaped(tmp_path: Path) -> None:
    """A page would show a caller's name as HTML."""
    source, cache = "{{ '<b>' }}", CompiledTemplates(tmp_path)
    for is_safe, shown in ((False, "<b>"), (True, "&lt;b&gt;")):
        environment = Environment(loader=DictLoader({"one": source}), bytecode_cache=cache, autoescape=is_safe)
        assert environment.get_template("one").render() == shown


@pytest.mark.parametrize("content", [b"", b"j2", b"nonsense" * 100])
def test_a_file_that_is_none_is_not_taken(tmp_path: Path, content: bytes) -> None:
    drawn(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert drawn(tmp_path) == ("Hello Ana", 1)


def test_a_file_that_was_cut_off_is_not_taken(tmp_path: Path) -> None:
    drawn(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    assert drawn(tmp_path) == ("Hello Ana", 1)


def test_without_a_place_a_template_is_compiled_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        assert drawn(tmp_path / "missing") == ("Hello Ana", 1)


def test_a_place_that_is_a_file_costs_no_page(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert drawn(tmp_path / "file") == ("Hello Ana", 1)


def test_where_python_keeps_nothing_no_template_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    drawn(tmp_path)
    assert list(tmp_path.iterdir()) == []
