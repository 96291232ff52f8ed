"""Measures the plan of the house, and holds it: `python tools/house.py` exits 1 where a figure is above its limit.

A figure may fall and never rise: whoever lowers one lowers its limit in the same commit. A figure met by a trick (a
dict of callables, a file of unrelated things) is a miss. Imports count wherever they stand, under TYPE_CHECKING too: a
name that a file needs in order to say its arguments ties it as much as any other. `--names` prints each figure's names.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = "gateway"
SMALL = 40
"""Lines below which a file is small."""


class Source(NamedTuple):
    """One file of the package."""

    path: str  # from the root: gateway/sip/uri.py
    lines: int
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def package(self) -> str:
        """The folder right below the package, or the module itself where it is loose."""
        return self.path.split("/")[1]

    @property
    def is_init(self) -> bool:
        return self.name == "__init__.py"

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


Graph = Mapping[str, set[str]]
Counted = tuple[float, object]
"""A figure, and the names behind it."""


def read(root: Path) -> list[Source]:
    """Every file of the package."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        text = path.read_text()
        found.append(Source(str(path.relative_to(root)), text.count("\n"), ast.parse(text)))
    return found


def imports(sources: list[Source]) -> dict[str, set[str]]:
    """For each file the files of ours that it imports."""
    at = {source.module: source.path for source in sources}
    graph: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
                for alias in node.names:
                    target = at.get(f"{node.module}.{alias.name}") or at.get(node.module or "")
                    if target and target != source.path:
                        graph[source.path].add(target)
    return graph


def between_packages(sources: list[Source], graph: Graph) -> dict[str, set[str]]:
    """The same between the packages right below ours."""
    package = {source.path: source.package for source in sources}
    arrows: dict[str, set[str]] = defaultdict(set)
    for path, targets in graph.items():
        arrows[package[path]] |= {package[target] for target in targets} - {package[path]}
    return arrows


def circles(graph: Graph) -> list[set[str]]:
    """The sets of more than one that reach each other."""
    reached = {start: _reached(graph, start) for start in graph}
    found: list[set[str]] = []
    for start, there in reached.items():
        circle = {other for other in there if start in reached.get(other, ())}
        if len(circle | {start}) > 1 and circle and circle | {start} not in found:
            found.append(circle | {start})
    return found


def _reached(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [*graph.get(start, ())]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph.get(node, ())
    return seen


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(sources: list[Source]) -> Iterator[tuple[str, Function]]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                yield source.path, node


def classes(sources: list[Source]) -> Iterator[tuple[str, ast.ClassDef]]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                yield source.path, node


def length(function: Function) -> int:
    """Lines from `def` to the last one."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    return len(function.args.args) + len(function.args.kwonlyargs) - 1


def settable_callables(sources: list[Source]) -> list[str]:
    """Public attributes that begin as a no-op, or as nothing, until another object sets a callable."""
    return [
        f"{source.path}: {ast.unparse(node.target)}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.AnnAssign) and _is_settable(node)
    ]


def _is_settable(node: ast.AnnAssign) -> bool:
    target, value = node.target, node.value
    if not isinstance(target, ast.Attribute) or ast.unparse(target.value) != "self" or target.attr.startswith("_"):
        return False
    is_default = isinstance(value, ast.Name) and value.id.startswith("_")
    is_nothing = isinstance(value, ast.Constant) and value.value is None
    return isinstance(value, ast.Lambda) or ("Callable" in ast.unparse(node.annotation) and (is_default or is_nothing))


def bound_from_outside(sources: list[Source]) -> list[str]:
    """Assignments of a lambda or a method to another object's attribute: `self._calls.ended = self._receive`."""
    known = {item.name for _, node in classes(sources) for item in node.body if isinstance(item, Function)}
    return [
        f"{source.path}:{node.lineno}: {ast.unparse(node)}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _is_another(node.targets[0]) and _is_callable(node.value, known)
    ]


def _is_another(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and ast.unparse(target.value) not in ("self", "cls")


def _is_callable(value: ast.expr, methods_known: set[str]) -> bool:
    if isinstance(value, ast.Attribute):
        return ast.unparse(value.value) == "self" and value.attr in methods_known
    return isinstance(value, ast.Lambda)


def doubled(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names that stand at two places or more."""
    places: dict[str, set[str]] = defaultdict(set)
    for name, path in pairs:
        places[name].add(path)
    return sorted(name for name, paths in places.items() if len(paths) > 1)


def mannered(sources: list[Source]) -> float:
    """The words what and who, per 1,000 words of docstrings."""
    words = hits = 0
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                text = ast.get_docstring(node) or ""
                words += len(text.split())
                hits += len(re.findall(r"\b(?:what|who|whom|whose|whoever|whatever)\b", text, re.IGNORECASE))
    return round(1000 * hits / words, 1)


def type_only(sources: list[Source]) -> list[str]:
    """Imports under TYPE_CHECKING."""
    return [
        source.path
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
    ]


def largest(pairs: Iterable[tuple[int, str]]) -> Counted:
    """The largest, and the five largest by name."""
    ordered = sorted(pairs, reverse=True)
    return (ordered[0][0] if ordered else 0), ordered[:5]


def counted(names: Iterable[object]) -> Counted:
    found = [*names]
    return len(found), found


def methods(node: ast.ClassDef) -> int:
    return sum(isinstance(item, Function) for item in node.body)


def measure(sources: list[Source]) -> dict[str, Counted]:
    """Every figure by its name."""
    files = [source for source in sources if not source.is_init]
    graph = imports(sources)
    arrows = between_packages(sources, graph)
    folders = Counter(source.folder for source in files)
    public = [
        (node.name, source.path)
        for source in sources
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    names = [(source.name, source.path) for source in files if not source.name.startswith("__")]
    return {
        "loose modules": counted(source.path for source in files if source.folder == PACKAGE),
        "packages": counted({source.package for source in sources if source.folder != PACKAGE}),
        "most files in one folder": largest((number, folder) for folder, number in folders.items()),
        "import circles of files": counted(circles(graph)),
        "import circles of packages": counted(circles(arrows)),
        "arrows between packages": counted((a, b) for a, targets in sorted(arrows.items()) for b in sorted(targets)),
        "imports under TYPE_CHECKING": counted(type_only(sources)),
        "longest file": largest((source.lines, source.path) for source in sources),
        "longest function": largest(
            (length(f), f"{path}:{f.name}") for path, f in functions(sources) if f"{path}:{f.name}" not in EXCEPTIONS
        ),
        f"files under {SMALL} lines": counted(source.path for source in files if source.lines < SMALL),
        "callables set by others": counted([*settable_callables(sources), *bound_from_outside(sources)]),
        "most parameters of a constructor": largest(
            (parameters(f), path) for path, f in functions(sources) if f.name == "__init__"
        ),
        "most imports of ours in a file": largest((len(targets), path) for path, targets in graph.items()),
        "most methods of a class": largest((methods(node), f"{path}:{node.name}") for path, node in classes(sources)),
        "public class names with two meanings": counted(doubled(public)),
        "file names that occur twice": counted(doubled(names)),
        "what and who per 1,000 docstring words": (mannered(sources), ""),
    }


EXCEPTIONS: Mapping[str, str] = {}
"""Functions longer than the limit, each with the reason."""

LIMITS: Mapping[str, float] = {
    "loose modules": 0,
    "packages": 24,
    "most files in one folder": 14,
    "import circles of files": 0,
    "import circles of packages": 0,
    "arrows between packages": 110,
    "imports under TYPE_CHECKING": 0,
    "longest file": 330,
    "longest function": 46,
    f"files under {SMALL} lines": 3,
    "callables set by others": 0,
    "most parameters of a constructor": 6,
    "most imports of ours in a file": 20,
    "most methods of a class": 26,
    "public class names with two meanings": 3,
    "file names that occur twice": 3,
    "what and who per 1,000 docstring words": 0.6,
}


def main(arguments: list[str], write: Callable[[str], object] = sys.stdout.write) -> int:
    """Print each figure beside its limit; 1 where one is above it."""
    missed = 0
    for name, (figure, behind) in measure(read(ROOT)).items():
        missed += figure > LIMITS[name]
        write(f"{'--' if figure > LIMITS[name] else 'ok'}  {name:42} {figure:>6}   limit {LIMITS[name]}\n")
        if "--names" in arguments:
            write(f"      {behind}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
