"""[[blocklist]]: a list comes from one place, over a way that nobody can change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config.checks import blocklist_mistakes
from gateway.config.structuring import Reader
from gateway.config.tables.blocklist_table import MOST_LISTS, Blocklist


def mistakes(tmp_path: Path, *tables: dict[str, Any]) -> list[str]:
    reader = Reader(tmp_path)
    found: list[str] = []
    entries: list[tuple[str, Blocklist]] = []
    for number, table in enumerate(tables):
        value, wrong = reader.read(Blocklist, table, f"blocklist[{number}]")
        found += map(str, wrong)
        if value is not None:
            entries.append((f"blocklist[{number}]", value))
    return [*found, *map(str, blocklist_mistakes(entries))]


def test_a_list_of_a_file_and_one_of_a_url_are_right(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("192.0.2.1\n")
    (tmp_path / "key").write_text("secret\n")
    (tmp_path / "key").chmod(0o600)
    url = "https://apiban.example/api/{key}/banned"
    assert mistakes(tmp_path, {"name": "a", "file": "list.txt"}, {"name": "b", "url": url, "key_file": "key"}) == []
    assert mistakes(tmp_path, {"name": "c", "url": "http://127.0.0.1:8000/list"}) == []


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"name": "a"}, "exactly one of file and url"),
        ({"name": "a", "file": "list.txt", "url": "https://lists.example/"}, "exactly one of file and url"),
        ({"name": "a", "url": "http://lists.example/"}, "https://"),
        ({"name": "a", "url": "http://127.0.0.1.lists.example/"}, "https://"),
        ({"name": "a", "url": "https://lists.example/{key}"}, "goes together with {key}"),
        ({"name": "a", "url": "https://lists.example/", "key_file": "key"}, "goes together with {key}"),
        ({"name": "a", "file": "list.txt", "format": "apiban"}, "is for a list with a url"),
        ({"name": "a", "file": "nowhere.txt"}, "is no file"),
        ({"name": "a", "url": "https://lists.example/{key}", "key_file": "open"}, "mode 0644"),
    ],
)
def test_each_mistake_is_told(table: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    for name, mode in (("key", 0o600), ("open", 0o644)):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(mode)
    found = mistakes(tmp_path, table)
    assert any(told in line for line in found), found


def test_names_are_told_apart_and_bounded(tmp_path: Path) -> None:
    table = {"url": "https://lists.example/"}
    twice = mistakes(tmp_path, {"name": "a", **table}, {"name": "a", **table})
    assert any("has already" in one for one in twice), twice
    many = [{"name": f"l{number}", **table} for number in range(MOST_LISTS + 1)]
    assert any("16 at most" in one for one in mistakes(tmp_path, *many))
