"""The table of layers in docs/architecture.md follows pyproject.toml and the packages' docstrings."""

from pathlib import Path

import pytest

from tools.draw_layers import BEGIN, END, main

PYPROJECT = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["top", "left : right"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/architecture.md").write_text(f"# Before\n\n{BEGIN}old\n{END}\nAfter.\n")
    for package in ("top", "left", "left/part", "right"):
        directory = tmp_path / "gateway" / package
        directory.mkdir(parents=True)
        (directory / "__init__.py").write_text(f'"""All of {package}."""\n')
    return tmp_path


def test_the_table_has_each_package_in_the_order_of_the_layers(root: Path) -> None:
    assert main([], root) == 0
    rows = "| 2 | `top` | All of top. |\n| 1 | `left` | All of left. |\n|  | `left/part` | All of left/part. |\n"
    text = (root / "docs/architecture.md").read_text()
    assert f"{rows}|  | `right` | All of right. |\n\n{END}\nAfter.\n" in text
    assert text.startswith(f"# Before\n\n{BEGIN}")


def test_a_table_that_is_old_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], root) == 1
    assert "run: python tools/draw_layers.py" in capsys.readouterr().err
    main([], root)
    assert main(["--check"], root) == 0


def test_a_package_says_what_it_holds_in_one_line(root: Path) -> None:
    (root / "gateway/right/__init__.py").write_text('"""One.\n\nTwo.\n"""\n')
    with pytest.raises(ValueError, match="not one line"):
        main([], root)
