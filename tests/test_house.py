"""The measure of the house sees each kind of fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.house import LIMITS, measure, read

CLEAN = '"""A file."""\n' + "\n" * 50


def figures(root: Path, files: dict[str, str]) -> dict[str, float]:
    """The figures of a package with these files."""
    for name, text in files.items():
        path = root / "gateway" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CLEAN + text)
    return {name: figure for name, (figure, _) in measure(read(root)).items()}


def test_every_figure_has_a_limit(tmp_path: Path) -> None:
    assert figures(tmp_path, {"sip/uri.py": ""}).keys() == LIMITS.keys()


FAULTS = [
    ("loose modules", {"uri.py": ""}),
    ("import circles of files", {"a/x.py": "from gateway.a import y", "a/y.py": "from gateway.a import x"}),
    (
        "import circles of packages",
        {"a/x.py": "from gateway.b import y", "b/y.py": "from gateway.a import z", "a/z.py": ""},
    ),
    ("arrows between packages", {"a/x.py": "from gateway.b import y", "b/y.py": ""}),
    ("imports under TYPE_CHECKING", {"a/x.py": "if TYPE_CHECKING:\n    from gateway.a import y", "a/y.py": ""}),
    ("callables set by others", {"a/x.py": "class A:\n    def __init__(self):\n        self.f: Callable = _nothing"}),
    (
        "callables set by others",
        {"a/x.py": "class A:\n    def __init__(self):\n        self.f: Callable | None = None"},
    ),
    ("callables set by others", {"a/x.py": "class A:\n    def f(self):\n        self.b.c = self.f"}),
    ("callables set by others", {"a/x.py": "def f(b):\n    b.c = lambda: 1"}),
    ("public class names with two meanings", {"a/x.py": "class A: ...", "a/y.py": "class A: ..."}),
    ("file names that occur twice", {"a/x.py": "", "b/x.py": ""}),
]


@pytest.mark.parametrize(("name", "files"), FAULTS)
def test_a_fault_is_counted(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    clean = figures(tmp_path / "clean", {"a/file.py": ""})
    assert figures(tmp_path / "faulty", files)[name] == clean[name] + 1


def test_sizes_are_counted(tmp_path: Path) -> None:
    found = figures(
        tmp_path,
        {
            "a/x.py": 'def f():\n    """Say who did what."""\n    a = 1\n    b = 2\n    return a + b\n',
            "a/y.py": "class A:\n    def __init__(self, a, b, *, c): ...\n    def f(self): ...\n",
        },
    )
    assert found["longest file"] == 56
    assert found["longest function"] == 5
    assert found["most parameters of a constructor"] == 3
    assert found["most methods of a class"] == 2
    assert found["most files in one folder"] == 2
    assert found["what and who per 1,000 docstring words"] == round(2000 / 8, 1)
